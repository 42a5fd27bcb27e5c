import { types } from 'node:util'
import { builtinName, isFixed } from '../intrinsics.js'
import { type Encoded, Kind, type ValueHandler } from './handler.js'

const KINDS: Readonly<Record<string, number>> = {
  Buffer: Kind.buffer,
  Uint8Array: Kind.uint8Array,
  ArrayBuffer: Kind.arrayBuffer,
}

/** Bytes as they are. Other views, resizable buffers and shared memory are left to the next handlers. */
export const bytes: ValueHandler = {
  name: 'bytes',
  kinds: [Kind.plain, Kind.buffer, Kind.uint8Array, Kind.arrayBuffer],

  encode(value: unknown): Encoded | undefined {
    // Asked first, as these two run no traps of a proxy.
    if (!ArrayBuffer.isView(value) && !types.isArrayBuffer(value)) return undefined
    const kind = KINDS[builtinName(value, Object.getPrototypeOf(value)) ?? '']
    if (kind === undefined) return undefined
    if (ArrayBuffer.isView(value)) {
      return isFixed(value.buffer) ? { kind, data: value as Uint8Array } : undefined
    }
    return isFixed(value) ? { kind, data: new Uint8Array(value) } : undefined
  },

  decode(kind: number, buffer: Buffer, start: number, end: number, owned: boolean): unknown {
    if (kind === Kind.buffer || kind === Kind.plain) {
      if (owned) return buffer.subarray(start, end)
      const copy = Buffer.allocUnsafe(end - start)
      buffer.copy(copy, 0, start, end)
      return copy
    }
    if (kind === Kind.uint8Array && owned) {
      return new Uint8Array(buffer.buffer as ArrayBuffer, buffer.byteOffset + start, end - start)
    }
    const copy = new Uint8Array(end - start)
    copy.set(buffer.subarray(start, end))
    return kind === Kind.uint8Array ? copy : copy.buffer
  },
}
