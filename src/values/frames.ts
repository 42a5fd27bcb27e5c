/** Frames: tables of `apache-arrow` and frames of `nodejs-polars`, stored as Parquet with LZ4. Needs `@tierce/columnar`. */
import { types } from 'node:util'
import { fromNative } from '../errors.js'
import { part } from '../parts.js'
import type { ArrowTable } from '../tables/arrow.js'
import { columnar, native as nativeSoon } from '../tables/columnar.js'
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
    if (!isTable(value)) return undefined
    return {
      kind: Kind.arrow,
      data: native(() => columnar().frameToParquetSync(part('tables').arrowWires(value))),
    }
  },

  decode(kind, buffer, start, end, owned) {
    const bytes = buffer.subarray(start, end)
    if (kind === Kind.polars) return polarsOfParquet(owned ? bytes : Buffer.from(bytes))
    return arrowOf(native(() => columnar().frameToIpcSync(owned ? bytes : Buffer.from(bytes))))
  },
}

/** Whether a value is a table of Arrow, which most objects are not: they are ruled out first. */
function isTable(value: object): value is ArrowTable {
  const proto: unknown = Object.getPrototypeOf(value)
  return proto !== Object.prototype && proto !== Array.prototype && isArrowTable(value)
}

/** Cells of a table, and bytes of Parquet, up to which the calling thread is not held up. */
const [CELLS, BYTES] = [65_536, 262_144]

/** Whether a value is a table of Arrow that takes long to encode. */
export function isLargeFrame(value: unknown): value is ArrowTable {
  if (typeof value !== 'object' || value === null || types.isProxy(value) || !isTable(value)) return false
  const rows = value.batches.reduce((sum, { numRows }) => sum + numRows, 0)
  return rows * value.schema.fields.length > CELLS
}

/** The stored form of a table, made on the thread pool. */
export async function encodeFrame(table: ArrowTable): Promise<Encoded> {
  return {
    kind: Kind.arrow,
    data: await nativeSoon(() => columnar().frameToParquet(part('tables').arrowWires(table))),
  }
}

/** The value of a large stored frame, decoded on the thread pool; undefined for others, and frames of Polars, which decodes its own. */
export function decodeFrameSoon(kind: number, bytes: Uint8Array): Promise<unknown> | undefined {
  if (kind !== Kind.arrow || bytes.length <= BYTES) return undefined
  return nativeSoon(() => columnar().frameToIpc(bytes)).then(arrowOf)
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
