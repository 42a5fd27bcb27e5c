import type { NumberArray } from 'tierce'

export interface ArrayClass {
  new (length: number): NumberArray
  new (memory: ArrayBuffer, offset: number, length: number): NumberArray
  readonly BYTES_PER_ELEMENT: number
  readonly name: string
}

/** Every class of arrays of numbers that this run time has: `Float16Array` came with Node 24. */
export const ARRAY_CLASSES = [
  'Int8Array',
  'Uint8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
  'Float16Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
]
  .map((name) => (globalThis as Record<string, unknown>)[name] as ArrayClass | undefined)
  .filter((type) => type !== undefined)
