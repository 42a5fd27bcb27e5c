/**
 * Columns of the native side as JavaScript values.
 *
 * Cells (of rows): numbers up to 32 bits and floats → number; 64 bits and HUGEINT → bigint; DECIMAL → text; BOOLEAN → boolean;
 * VARCHAR, ENUM, UUID → string; BLOB → Uint8Array; DATE → 'YYYY-MM-DD'; TIMESTAMP and TIMESTAMPTZ → Date; TIME → 'HH:MM:SS.ffffff';
 * INTERVAL → { months, days, microseconds }; LIST and ARRAY → array; STRUCT → object; MAP → Map; NULL → null.
 *
 * Columns: numbers and times are what is stored, in typed arrays (days, microseconds as bigint); where there are nulls, in arrays.
 */
import { isAscii } from 'node:buffer'
import type { NumberArray } from '../arrays.js'
import { dayText } from '../cells.js'
import { makeError } from '../errors.js'
import type { Wire } from './columnar.js'
import { type DataType, type Field, parts, type Schema, type TimeUnit } from './schema.js'

/** Numbers as DuckDB gives them. */
type Numbers = Exclude<NumberArray, Uint8ClampedArray>

/** A column: typed where it holds numbers or times and no nulls. */
export type ColumnValues = Numbers | unknown[]

/** A column that can be read by row. */
interface Reader {
  length: number
  /** The value of a row; never asked for a null. */
  cell(row: number): unknown
  isNull(row: number): boolean
  /** What is stored, where that is numbers. */
  raw?: Numbers
  /** All values, where there is a quicker way than one by one. */
  all?(): unknown[]
  hasNulls: boolean
}

/** Rows as objects. */
export function toRows(wire: Wire): Record<string, unknown>[] {
  const { fields, readers } = read(wire)
  const rows: Record<string, unknown>[] = Array.from({ length: wire.rows }, () => ({}))
  for (const [at, reader] of readers.entries()) {
    const { name } = fields[at]!
    const values = cells(reader, wire.rows)
    if (name === '__proto__') {
      for (let row = 0; row < wire.rows; row++) own(rows[row]!, name, values[row])
    } else for (let row = 0; row < wire.rows; row++) rows[row]![name] = values[row]
  }
  return rows
}

/** Columns by name. */
export function toColumns(wire: Wire): Record<string, ColumnValues> {
  const { fields, readers } = read(wire)
  const columns: Record<string, ColumnValues> = {}
  for (const [at, reader] of readers.entries()) own(columns, fields[at]!.name, column(reader, wire.rows))
  return columns
}

/** Cells by column; doubles without nulls as they are stored. */
export function toCells(wire: Wire): { names: string[]; columns: (Float64Array | unknown[])[] } {
  const { fields, readers } = read(wire)
  const column = (reader: Reader) =>
    reader.raw instanceof Float64Array && !reader.hasNulls ? reader.raw : cells(reader, wire.rows)
  return { names: fields.map(({ name }) => name), columns: readers.map(column) }
}

/** Names and types of the columns. */
export function fieldsOf(wire: Wire): Field[] {
  return (JSON.parse(wire.schema) as Schema).fields
}

// `__proto__` is a name as any other here.
function own(target: object, name: string, value: unknown): void {
  if (name !== '__proto__') (target as Record<string, unknown>)[name] = value
  else Object.defineProperty(target, name, { value, enumerable: true, configurable: true, writable: true })
}

function read(wire: Wire): { fields: Field[]; readers: Reader[] } {
  const fields = fieldsOf(wire)
  const source = new Source(wire)
  return { fields, readers: fields.map((each) => reader(each.data_type, source)) }
}

function column(reader: Reader, rows: number): ColumnValues {
  const { raw } = reader
  if (raw === undefined) return cells(reader, rows)
  if (!reader.hasNulls) return raw
  return Array.from({ length: rows }, (_, row) => (reader.isNull(row) ? null : raw[row]))
}

function cells(reader: Reader, rows: number): unknown[] {
  if (!reader.hasNulls && reader.all !== undefined) return reader.all()
  const values = new Array<unknown>(rows)
  for (let row = 0; row < rows; row++) values[row] = reader.isNull(row) ? null : reader.cell(row)
  return values
}

const NONE = new Uint8Array(0)

/** Walks lengths and buffers. */
class Source {
  #length = 0
  #buffer = 0

  constructor(private readonly wire: Wire) {}

  length(): number {
    return this.wire.lengths[this.#length++]!
  }

  buffer(): Uint8Array {
    const bytes = this.wire.buffers[this.#buffer++]
    // Not a Buffer, whose slices are views.
    return bytes ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength) : NONE
  }

  /** A view of a buffer as numbers. */
  numbers<T extends Numbers>(type: ArrayType<T>, length: number): T {
    const bytes = this.buffer()
    if (length === 0) return new type(0)
    const size = length * type.BYTES_PER_ELEMENT
    if (bytes.byteOffset % type.BYTES_PER_ELEMENT === 0)
      return new type(bytes.buffer as ArrayBuffer, bytes.byteOffset, length)
    return new type(bytes.slice(0, size).buffer, 0, length)
  }

  /** Which rows are null. */
  nulls(): { hasNulls: boolean; isNull(row: number): boolean } {
    const bits = this.buffer()
    if (bits.length === 0) return { hasNulls: false, isNull: () => false }
    return { hasNulls: true, isNull: (row) => ((bits[row >> 3]! >> (row & 7)) & 1) === 0 }
  }
}

interface ArrayType<T> {
  new (length: number): T
  new (buffer: ArrayBuffer, byteOffset: number, length: number): T
  readonly BYTES_PER_ELEMENT: number
}

const NUMBERS: Record<string, ArrayType<Numbers>> = {
  Int8: Int8Array,
  UInt8: Uint8Array,
  Int16: Int16Array,
  UInt16: Uint16Array,
  Int32: Int32Array,
  UInt32: Uint32Array,
  Int64: BigInt64Array,
  UInt64: BigUint64Array,
  Float32: Float32Array,
  Float64: Float64Array,
}

function reader(type: DataType, source: Source): Reader {
  const [name, of] = parts(type)
  const length = source.length()
  if (name === 'Null') return { length, hasNulls: true, isNull: () => true, cell: () => null }
  if (name === 'Union') return union(of as [[number, Field][], string], length, source)
  const nulls = source.nulls()
  const numeric = NUMBERS[name]
  if (numeric !== undefined) return { length, ...nulls, ...plain(source.numbers(numeric, length)) }
  const make = READERS[name]
  if (make === undefined) throw unreadable(name)
  return { length, ...nulls, ...make(source, length, of as never) }
}

type Body = Omit<Reader, 'length' | 'isNull' | 'hasNulls'>

function plain(raw: Numbers): Body {
  return { raw, cell: (row) => raw[row], all: () => Array.from(raw as Float64Array) }
}

const READERS: Record<string, (source: Source, length: number, of: never) => Body> = {
  Boolean(source) {
    const bits = source.buffer()
    return { cell: (row) => ((bits[row >> 3]! >> (row & 7)) & 1) === 1 }
  },
  Utf8: (source, length) => text(source.numbers(Int32Array, length + 1), source.buffer(), length),
  LargeUtf8: (source, length) =>
    text(narrow(source.numbers(BigInt64Array, length + 1)), source.buffer(), length),
  Binary: (source, length) => binary(source.numbers(Int32Array, length + 1), source.buffer()),
  LargeBinary: (source, length) => binary(narrow(source.numbers(BigInt64Array, length + 1)), source.buffer()),
  FixedSizeBinary(source, _, size: number) {
    const bytes = source.buffer()
    return { cell: (row) => bytes.slice(row * size, row * size + size) }
  },
  Date32(source, length) {
    const raw = source.numbers(Int32Array, length)
    return { raw, cell: (row) => day(raw[row]!) }
  },
  Date64(source, length) {
    const raw = source.numbers(BigInt64Array, length)
    return { raw, cell: (row) => day(Number(raw[row]!) / 86_400_000) }
  },
  Timestamp(source, length, [unit]: [TimeUnit, string | null]) {
    const raw = source.numbers(BigInt64Array, length)
    return { raw, cell: (row) => new Date(milliseconds(raw[row]!, unit)) }
  },
  Time32(source, length, unit: TimeUnit) {
    const raw = source.numbers(Int32Array, length)
    return { raw, cell: (row) => clock(BigInt(raw[row]!) * NANOS[unit]) }
  },
  Time64(source, length, unit: TimeUnit) {
    const raw = source.numbers(BigInt64Array, length)
    return { raw, cell: (row) => clock(raw[row]! * NANOS[unit]) }
  },
  Duration: (source, length) => plain(source.numbers(BigInt64Array, length)),
  Interval: (source, _, unit: string) => interval(source, unit),
  Decimal128: (source, length, [precision, scale]: [number, number]) =>
    decimal(source, length, precision, scale),
  Dictionary(source, length, [keyType, valueType]: [DataType, DataType]) {
    const keys = source.numbers(NUMBERS[keyType as string]!, length)
    const values = reader(valueType, source)
    let made: unknown[] | undefined
    const known = () => (made ??= cells(values, values.length))
    return {
      cell: (row) => known()[Number(keys[row])],
      all() {
        const [texts, found] = [known(), new Array<unknown>(length)]
        for (let row = 0; row < length; row++) found[row] = texts[Number(keys[row])]
        return found
      },
    }
  },
  List: (source, length, item: Field) =>
    list(source.numbers(Int32Array, length + 1), reader(item.data_type, source)),
  LargeList: (source, length, item: Field) =>
    list(narrow(source.numbers(BigInt64Array, length + 1)), reader(item.data_type, source)),
  FixedSizeList(source, _, [item, size]: [Field, number]) {
    const items = reader(item.data_type, source)
    return { cell: (row) => slice(items, row * size, row * size + size) }
  },
  Struct(source, _, fields: Field[]) {
    const members = fields.map((each) => [each.name, reader(each.data_type, source)] as const)
    return { cell: (row) => object(members, row) }
  },
  Map(source, length, [entries]: [Field, boolean]) {
    const offsets = source.numbers(Int32Array, length + 1)
    const pairs = reader(entries.data_type, source)
    return {
      cell: (row) =>
        new Map(
          slice(pairs, offsets[row]!, offsets[row + 1]!).map(
            (pair) => Object.values(pair as object) as [unknown, unknown],
          ),
        ),
    }
  },
}

function at(items: Reader, row: number): unknown {
  return items.isNull(row) ? null : items.cell(row)
}

function slice(items: Reader, start: number, end: number): unknown[] {
  return Array.from({ length: end - start }, (_, index) => at(items, start + index))
}

function list(offsets: Int32Array | Float64Array, items: Reader): Body {
  return { cell: (row) => slice(items, offsets[row]!, offsets[row + 1]!) }
}

function object(members: readonly (readonly [string, Reader])[], row: number): object {
  const value = {}
  for (const [name, values] of members) own(value, name, at(values, row))
  return value
}

function union([fields]: [[number, Field][], string], length: number, source: Source): Reader {
  const types = source.numbers(Int8Array, length)
  const members = new Map(fields.map(([id, each]) => [id, reader(each.data_type, source)]))
  const cell = (row: number) => at(members.get(types[row]!)!, row)
  return { length, hasNulls: false, isNull: () => false, cell }
}

/** 64-bit offsets as numbers: no buffer here is over 2^53 bytes. */
function narrow(offsets: BigInt64Array): Float64Array {
  return Float64Array.from(offsets, Number)
}

/** Text of this many bytes becomes one string that is cut up: quicker than as many conversions. */
const LONGEST_TEXT = 2 ** 28

function text(offsets: Int32Array | Float64Array, bytes: Uint8Array, length: number): Body {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const cell = (row: number) => buffer.toString('utf8', offsets[row]!, offsets[row + 1]!)
  const [start, end] = [offsets[0] ?? 0, offsets[length] ?? 0]
  const all = () => {
    const values = new Array<unknown>(length)
    const used = buffer.subarray(start, end)
    if (used.length <= LONGEST_TEXT && isAscii(used)) {
      const whole = used.toString('latin1')
      for (let row = 0; row < length; row++)
        values[row] = whole.slice(offsets[row]! - start, offsets[row + 1]! - start)
    } else for (let row = 0; row < length; row++) values[row] = cell(row)
    return values
  }
  return { cell, all }
}

function binary(offsets: Int32Array | Float64Array, bytes: Uint8Array): Body {
  return { cell: (row) => bytes.slice(offsets[row]!, offsets[row + 1]!) }
}

/** The days of years with four digits, and of 400 years, after which the calendar repeats itself. */
const [FIRST_DAY, LAST_DAY, CYCLE] = [-719_162, 2_932_896, 146_097]

/** As DuckDB writes it, which also has years that no `Date` has. The ends of the range stand for infinite days. */
function day(days: number): string {
  if (days >= FIRST_DAY && days <= LAST_DAY) return dayText(days)
  if (Math.abs(days) === 2147483647) return days > 0 ? 'infinity' : '-infinity'
  const cycles = Math.floor(days / CYCLE)
  const text = dayText(days - cycles * CYCLE)
  const year = Number(text.slice(0, 4)) + cycles * 400
  const rest = text.slice(4)
  return year > 0 ? `${year}${rest}` : `${String(1 - year).padStart(4, '0')}${rest} (BC)`
}

const NANOS: Record<TimeUnit, bigint> = {
  Second: 1_000_000_000n,
  Millisecond: 1_000_000n,
  Microsecond: 1000n,
  Nanosecond: 1n,
}

/** Rounded down, so that order is kept. */
function milliseconds(value: bigint, unit: TimeUnit): number {
  if (unit === 'Millisecond') return Number(value)
  if (unit === 'Second') return Number(value) * 1000
  const divisor = unit === 'Microsecond' ? 1000 : 1e6
  const number = Number(value)
  if (Number.isSafeInteger(number)) return Math.floor(number / divisor)
  const rest = ((value % BigInt(divisor)) + BigInt(divisor)) % BigInt(divisor)
  return Number((value - rest) / BigInt(divisor))
}

function clock(nanos: bigint): string {
  const micros = Number(nanos / 1000n)
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0')
  const seconds = Math.floor(micros / 1e6)
  const whole = `${two(seconds / 3600)}:${two((seconds / 60) % 60)}:${two(seconds % 60)}`
  const rest = micros % 1e6
  return rest === 0 ? whole : `${whole}.${String(rest).padStart(6, '0')}`
}

function interval(source: Source, unit: string): Body {
  const bytes = source.buffer()
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const of = (months: number, days: number, microseconds: number) => ({ months, days, microseconds })
  if (unit === 'YearMonth') return { cell: (row) => of(view.getInt32(row * 4, true), 0, 0) }
  if (unit === 'DayTime') {
    return { cell: (row) => of(0, view.getInt32(row * 8, true), view.getInt32(row * 8 + 4, true) * 1000) }
  }
  return {
    cell: (row) =>
      of(
        view.getInt32(row * 16, true),
        view.getInt32(row * 16 + 4, true),
        Number(view.getBigInt64(row * 16 + 8, true) / 1000n),
      ),
  }
}

/** HUGEINT comes as whole numbers of 38 digits. */
function decimal(source: Source, length: number, precision: number, scale: number): Body {
  const halves = source.numbers(BigInt64Array, length * 2)
  const value = (row: number) => (halves[row * 2 + 1]! << 64n) | BigInt.asUintN(64, halves[row * 2]!)
  if (precision === 38 && scale === 0) return { cell: value }
  return { cell: (row) => decimalText(value(row), scale) }
}

function decimalText(value: bigint, scale: number): string {
  const digits = (value < 0n ? -value : value).toString().padStart(scale + 1, '0')
  const whole = digits.slice(0, digits.length - scale)
  const text = scale > 0 ? `${whole}.${digits.slice(digits.length - scale)}` : whole
  return value < 0n ? `-${text}` : text
}

function unreadable(type: string): Error {
  return makeError(
    'E_UNAVAILABLE',
    `Columns of the type ${type} cannot be read as values: use .arrow(), .polars() or .ipc().`,
    { type },
  )
}
