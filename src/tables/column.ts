/**
 * Values as one column of the native side. What a column holds is seen from its values:
 * number → DOUBLE (what a number is: an INTEGER column would round what comes later), bigint → BIGINT or HUGEINT, boolean → BOOLEAN,
 * string → VARCHAR, Date → TIMESTAMPTZ, Uint8Array → BLOB, array → LIST, other typed array → LIST of its type, plain object → STRUCT,
 * Map → MAP, null and undefined → NULL. A typed array as a column is one of its type, and is not copied.
 */
import { types } from 'node:util'
import type { NumberArray } from '../arrays.js'
import { describe, Refusal } from '../refusal.js'
import { type DataType, type Field, field } from './schema.js'

/** A column under construction: its type, and the lengths and buffers of its tree. */
export interface Built {
  type: DataType
  lengths: number[]
  buffers: (Uint8Array | undefined)[]
}

/** Runs a step into a value; a refusal of it names the way. */
export function at<T>(owner: object, step: string, run: () => T): T {
  try {
    return run()
  } catch (error) {
    throw Refusal.at(error, owner, step)
  }
}

const TYPES: Record<string, DataType> = {
  Int8Array: 'Int8',
  Uint8Array: 'UInt8',
  Uint8ClampedArray: 'UInt8',
  Int16Array: 'Int16',
  Uint16Array: 'UInt16',
  Int32Array: 'Int32',
  Uint32Array: 'UInt32',
  BigInt64Array: 'Int64',
  BigUint64Array: 'UInt64',
  Float32Array: 'Float32',
  Float64Array: 'Float64',
}

/** The bytes of a typed array, where they are. */
export function bytesOf(array: ArrayBufferView): Uint8Array {
  return new Uint8Array(array.buffer as ArrayBuffer, array.byteOffset, array.byteLength)
}

export function typed(array: NumberArray): Built {
  const type = TYPES[Buffer.isBuffer(array) ? 'Uint8Array' : (array as object).constructor.name]
  if (type === undefined) throw new Refusal(describe(array), 'Give an array, or a typed array of numbers.')
  return { type, lengths: [array.length], buffers: [undefined, bytesOf(array)] }
}

/** What a value is; each kind is one type of column. */
type Kind =
  | 'boolean'
  | 'number'
  | 'bigint'
  | 'string'
  | 'date'
  | 'bytes'
  | 'typed'
  | 'list'
  | 'struct'
  | 'map'

function kindOf(value: unknown): Kind {
  switch (typeof value) {
    case 'number':
    case 'string':
    case 'boolean':
    case 'bigint':
      return typeof value as Kind
    case 'object':
      if (Array.isArray(value)) return 'list'
      if (types.isDate(value)) return 'date'
      if (types.isUint8Array(value)) return 'bytes'
      if (types.isTypedArray(value)) return 'typed'
      if (types.isMap(value)) return 'map'
      if (isRecord(value)) return 'struct'
  }
  throw new Refusal(
    describe(value),
    'Give numbers, bigints, booleans, strings, Dates, bytes, arrays, plain objects, Maps or null.',
  )
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || types.isProxy(value)) return false
  const proto: unknown = Object.getPrototypeOf(value)
  return (
    proto === null ||
    proto === Object.prototype ||
    (Object.getPrototypeOf(proto) === null &&
      !types.isDate(value) &&
      !Array.isArray(value) &&
      !types.isMap(value))
  )
}

type Step = (index: number) => string
const index: Step = (row) => `[${row}]`

/** A column of any values: its type is seen from them. */
export function build(values: readonly unknown[], step: Step = index): Built {
  let kind: Kind | undefined
  for (let row = 0; row < values.length; row++) {
    const value = values[row]
    if (value === null || value === undefined) continue
    const found = at(values, step(row), () => kindOf(value))
    kind ??= found
    if (found !== kind) {
      const what = `${describe(value)}, after values of the kind ${kind}`
      throw Refusal.at(new Refusal(what, 'Give values of one kind in a column.'), values, step(row))
    }
  }
  if (kind === undefined) return { type: 'Null', lengths: [values.length], buffers: [] }
  return BUILDERS[kind](values as never, step)
}

/** One bit a value; undefined where there are no nulls. */
function validity(values: readonly unknown[]): Uint8Array | undefined {
  let bits: Uint8Array | undefined
  for (let row = 0; row < values.length; row++) {
    const value = values[row]
    if (value !== null && value !== undefined) continue
    bits ??= new Uint8Array((values.length + 7) >> 3).fill(255)
    bits[row >> 3]! &= ~(1 << (row & 7))
  }
  return bits
}

type Maybe<T> = readonly (T | null | undefined)[]

const BUILDERS: { [K in Kind]: (values: never, step: Step) => Built } = {
  boolean(values: Maybe<boolean>) {
    const bits = new Uint8Array((values.length + 7) >> 3)
    for (let row = 0; row < values.length; row++) if (values[row]) bits[row >> 3]! |= 1 << (row & 7)
    return { type: 'Boolean', lengths: [values.length], buffers: [validity(values), bits] }
  },
  number(values: Maybe<number>) {
    const numbers = new Float64Array(values.length)
    for (let row = 0; row < values.length; row++) numbers[row] = values[row] ?? 0
    return { type: 'Float64', lengths: [values.length], buffers: [validity(values), bytesOf(numbers)] }
  },
  bigint: (values: Maybe<bigint>, step) => bigints(values, step),
  string: (values: Maybe<string>) => texts(values),
  date(values: Maybe<Date>, step) {
    const micros = new BigInt64Array(values.length)
    for (let row = 0; row < values.length; row++) {
      const ms = values[row]?.getTime() ?? 0
      if (Number.isNaN(ms))
        throw Refusal.at(new Refusal('an invalid Date', 'Give null for none.'), values, step(row))
      micros[row] = BigInt(ms) * 1000n
    }
    const type: DataType = { Timestamp: ['Microsecond', 'UTC'] }
    return { type, lengths: [values.length], buffers: [validity(values), bytesOf(micros)] }
  },
  bytes(values: Maybe<Uint8Array>) {
    const offsets = ends(values, (value) => value.length)
    const data = new Uint8Array(offsets[values.length]!)
    for (let row = 0; row < values.length; row++) if (values[row]) data.set(values[row]!, offsets[row])
    return { type: 'Binary', lengths: [values.length], buffers: [validity(values), bytesOf(offsets), data] }
  },
  typed(values: Maybe<NumberArray>, step) {
    const first = values.find((value) => value !== null && value !== undefined) as Float64Array
    const offsets = ends(values, (value) => value.length)
    const data = new (first.constructor as Float64ArrayConstructor)(offsets[values.length]!)
    for (let row = 0; row < values.length; row++) {
      const value = values[row] as Float64Array | null | undefined
      if (value === null || value === undefined) continue
      if (value.constructor !== first.constructor) {
        throw Refusal.at(
          new Refusal(describe(value), 'Give typed arrays of one type in a column.'),
          values,
          step(row),
        )
      }
      data.set(value, offsets[row])
    }
    return nested('List', typed(data), values, offsets)
  },
  list(values: Maybe<unknown[]>, step) {
    const offsets = ends(values, (value) => value.length)
    const origin: [number, number][] = []
    const flat: unknown[] = []
    for (let row = 0; row < values.length; row++) {
      for (const [item, value] of (values[row] ?? []).entries()) {
        flat.push(value)
        origin.push([row, item])
      }
    }
    return nested(
      'List',
      build(flat, (at) => `${step(origin[at]![0])}[${origin[at]![1]}]`),
      values,
      offsets,
    )
  },
  struct(values: Maybe<Record<string, unknown>>, step) {
    const names = new Set<string>()
    for (const value of values) for (const name in value ?? {}) names.add(name)
    if (names.size === 0) {
      throw Refusal.at(
        new Refusal('an object without properties', 'Give at least one, or null.'),
        values,
        step(0),
      )
    }
    const members = [...names].map((name) =>
      build(
        values.map((value) => value?.[name]),
        (row) => `${step(row)}[${JSON.stringify(name)}]`,
      ),
    )
    return {
      type: { Struct: [...names].map((name, at) => field(name, members[at]!.type)) },
      lengths: [values.length, ...members.flatMap((member) => member.lengths)],
      buffers: [validity(values), ...members.flatMap((member) => member.buffers)],
    }
  },
  map(values: Maybe<Map<unknown, unknown>>, step) {
    const offsets = ends(values, (value) => value.size)
    const [keys, items]: [unknown[], unknown[]] = [[], []]
    const rows: number[] = []
    for (let row = 0; row < values.length; row++) {
      for (const [key, value] of values[row] ?? []) {
        if (key === null || key === undefined)
          throw Refusal.at(new Refusal('a Map with the key null', 'Give other keys.'), values, step(row))
        keys.push(key)
        items.push(value)
        rows.push(row)
      }
    }
    const [key, value] = [
      build(keys, (at) => `${step(rows[at]!)}.key`),
      build(items, (at) => `${step(rows[at]!)}.value`),
    ]
    const pair: Built = {
      type: { Struct: [{ ...field('key', key.type), nullable: false }, field('value', value.type)] },
      lengths: [keys.length, ...key.lengths, ...value.lengths],
      buffers: [undefined, ...key.buffers, ...value.buffers],
    }
    return nested('Map', pair, values, offsets)
  },
}

function nested(kind: 'List' | 'Map', items: Built, values: Maybe<unknown>, offsets: Int32Array): Built {
  const entries: Field = {
    ...field(kind === 'Map' ? 'entries' : 'item', items.type),
    nullable: kind === 'List',
  }
  return {
    type: kind === 'Map' ? { Map: [entries, false] } : { List: entries },
    lengths: [values.length, ...items.lengths],
    buffers: [validity(values), bytesOf(offsets), ...items.buffers],
  }
}

/** Where each value ends, after a 0. */
function ends<T>(values: Maybe<T>, size: (value: T) => number): Int32Array {
  const offsets = new Int32Array(values.length + 1)
  let end = 0
  for (let row = 0; row < values.length; row++) {
    const value = values[row]
    if (value !== null && value !== undefined) end += size(value)
    if (end > 0x7fffffff) throw new Refusal('over 2 GiB', 'Give it in several parts, with append.')
    offsets[row + 1] = end
  }
  return offsets
}

/** Room for UTF-8: a UTF-16 unit takes at most three bytes. */
function texts(values: Maybe<string>): Built {
  let units = 0
  for (let row = 0; row < values.length; row++) units += values[row]?.length ?? 0
  if (units * 3 > 0x7fffffff) return longTexts(values)
  const data = Buffer.allocUnsafeSlow(units * 3)
  const offsets = new Int32Array(values.length + 1)
  let end = 0
  for (let row = 0; row < values.length; row++) {
    const value = values[row]
    if (value) end += data.write(value, end, 'utf8')
    offsets[row + 1] = end
  }
  const type: DataType = 'Utf8'
  return {
    type,
    lengths: [values.length],
    buffers: [validity(values), bytesOf(offsets), data.subarray(0, end)],
  }
}

function longTexts(values: Maybe<string>): Built {
  const offsets = ends(values, (value) => Buffer.byteLength(value))
  const data = Buffer.allocUnsafeSlow(offsets[values.length]!)
  for (let row = 0; row < values.length; row++)
    if (values[row]) data.write(values[row]!, offsets[row]!, 'utf8')
  return { type: 'Utf8', lengths: [values.length], buffers: [validity(values), bytesOf(offsets), data] }
}

const [MIN_64, MAX_64, MAX_DECIMAL] = [-(2n ** 63n), 2n ** 63n - 1n, 10n ** 38n - 1n]

function bigints(values: Maybe<bigint>, step: Step): Built {
  const small = values.every(
    (value) => value === null || value === undefined || (value >= MIN_64 && value <= MAX_64),
  )
  if (small) {
    const numbers = BigInt64Array.from(values, (value) => value ?? 0n)
    return { type: 'Int64', lengths: [values.length], buffers: [validity(values), bytesOf(numbers)] }
  }
  const halves = new BigInt64Array(values.length * 2)
  for (let row = 0; row < values.length; row++) {
    const value = values[row] ?? 0n
    if (value > MAX_DECIMAL || value < -MAX_DECIMAL)
      throw Refusal.at(new Refusal('a bigint of over 38 digits', 'Give it as text.'), values, step(row))
    halves[row * 2] = BigInt.asIntN(64, value)
    halves[row * 2 + 1] = value >> 64n
  }
  return {
    type: { Decimal128: [38, 0] },
    lengths: [values.length],
    buffers: [validity(values), bytesOf(halves)],
  }
}
