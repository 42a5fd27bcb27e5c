/** Frames: tables of `apache-arrow` and frames of `nodejs-polars`, stored as Parquet with LZ4. Needs `@tierce/columnar`. */
import { types } from 'node:util'
import { fromNative } from '../errors.js'
import { part } from '../parts.js'
import { columnar } from '../tables/columnar.js'
import { arrowOf, isArrowTable, isPolars, polarsOfParquet } from '../tables/frames.js'
import { type Encoded, Kind, type ValueHandler } from './handler.js'

export const frame: ValueHandler = {
  name: 'frame',
  kinds: [Kind.arrow, Kind.polars],

  encode(value): Encoded | undefined {
    if (typeof value !== 'object' || value === null) return undefined
    // Frames of Polars are proxies, which nothing else that can be stored is.
    if (types.isProxy(value)) {
      return isPolars(value)
        ? { kind: Kind.polars, data: value.writeParquet({ compression: 'lz4' }) }
        : undefined
    }
    const proto: unknown = Object.getPrototypeOf(value)
    if (proto === Object.prototype || proto === Array.prototype || !isArrowTable(value)) return undefined
    return {
      kind: Kind.arrow,
      data: native(() => columnar().frameToParquet(part('tables').arrowWires(value))),
    }
  },

  decode(kind, buffer, start, end, owned) {
    const bytes = buffer.subarray(start, end)
    if (kind === Kind.polars) return polarsOfParquet(owned ? bytes : Buffer.from(bytes))
    return arrowOf(native(() => columnar().frameToIpc(owned ? bytes : Buffer.from(bytes))))
  },
}

function native<T>(run: () => T): T {
  try {
    return run()
  } catch (error) {
    throw fromNative(error)
  }
}

/** Whether what is stored is a frame, as Parquet. */
export function isFrame(kind: number): boolean {
  return kind === Kind.arrow || kind === Kind.polars
}
