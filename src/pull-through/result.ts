/** Results: rows, columns or an Arrow table, made from the engine's columns when they are asked for. */
import { decoderOf } from '../cells.js'
import type { ColumnType } from '../columns.js'
import { requireOptional } from '../optional.js'
import { type ArrowModule, type ArrowTable, arrowVector } from './arrow.js'
import type { ResultColumn, ResultData } from './engine.js'

/** A column as a whole: numbers of `integer()` and `double()` columns, with NaN for null; values of the others. */
export type ColumnArray<T> = [Exclude<T, null>] extends [number] ? Float64Array : T[]

/** The columns of a result, by name. */
export type ColumnArrays<R> = { [Name in keyof R]: ColumnArray<R[Name]> }

/** Rows that were found. Iterating gives them one by one. */
export class QueryResult<R = Record<string, unknown>> implements Iterable<R> {
  /** The names of the columns, in their order. */
  readonly names: readonly string[]
  /** The number of rows. */
  readonly length: number
  readonly #data: ResultData
  readonly #types: readonly ColumnType[] | undefined

  /** @internal `types` are those of the table; without them values come as the database gives them. */
  constructor(data: ResultData, types?: readonly ColumnType[]) {
    this.#data = data
    this.#types = types
    this.names = data.names
    this.length = data.batches.reduce((sum, { rows }) => sum + rows, 0)
  }

  /** All rows, as objects. Each call makes new ones. */
  rows(): R[] {
    const rows: R[] = []
    for (let batch = 0; batch < this.#data.batches.length; batch++) this.#addRows(batch, rows)
    return rows
  }

  *[Symbol.iterator](): Generator<R, void, undefined> {
    for (let batch = 0; batch < this.#data.batches.length; batch++) yield* this.#addRows(batch, [])
  }

  /** All columns by name. Numbers come as a `Float64Array`, with NaN for null. */
  columns(): ColumnArrays<R> {
    const columns = this.names.map((_, at) => this.#column(at))
    return Object.fromEntries(this.names.map((name, at) => [name, columns[at]])) as ColumnArrays<R>
  }

  /**
   * The rows as a table of the package `apache-arrow`.
   * @throws ColumnarMissingError `E_COLUMNAR_MISSING` where that package is not installed
   */
  arrow(): ArrowTable {
    const arrow = requireOptional<ArrowModule>('apache-arrow', '.arrow()', 'E_COLUMNAR_MISSING')
    const vectors = this.names.map((name, at) => [name, arrowVector(arrow, this.#type(at), this.#cells(at))])
    return new arrow.Table(Object.fromEntries(vectors))
  }

  #type(at: number): ColumnType | undefined {
    return this.#types?.[at]
  }

  #cells(at: number): unknown[] {
    return this.#data.batches.flatMap(({ rows, columns }) => materialize(columns[at]!, rows))
  }

  #column(at: number): Float64Array | unknown[] {
    const type = this.#type(at)
    const { batches } = this.#data
    const numeric = type === 'integer' || type === 'double' || (type === undefined && this.length > 0)
    if (numeric && batches.every(({ columns }) => 'numbers' in columns[at]!)) {
      return joined(batches.map(({ columns }) => (columns[at] as { numbers: Float64Array }).numbers))
    }
    if (type === 'integer' || type === 'double') {
      return Float64Array.from(this.#cells(at) as (number | null)[], (cell) => cell ?? Number.NaN)
    }
    return decoded(this.#cells(at), type)
  }

  #addRows(batch: number, rows: R[]): R[] {
    const { rows: count, columns } = this.#data.batches[batch]!
    const from = rows.length
    for (let i = 0; i < count; i++) rows.push({} as R)
    for (const [at, name] of this.names.entries()) {
      const values = decoded(materialize(columns[at]!, count), this.#type(at))
      fill(rows, from, name, values)
    }
    return rows
  }
}

function fill(rows: unknown[], from: number, name: string, values: readonly unknown[]): void {
  // A column called __proto__ would change what the row is.
  if (name === '__proto__') {
    const define = (value: unknown) => ({ value, enumerable: true, writable: true, configurable: true })
    for (let i = 0; i < values.length; i++) Object.defineProperty(rows[from + i], name, define(values[i]))
    return
  }
  for (let i = 0; i < values.length; i++) (rows[from + i] as Record<string, unknown>)[name] = values[i]
}

/** The stored values of a column. */
function materialize(column: ResultColumn, rows: number): unknown[] {
  if ('values' in column) return column.values as unknown[]
  const values = new Array<unknown>(rows)
  if ('numbers' in column) {
    const { numbers } = column
    for (let i = 0; i < rows; i++) values[i] = Number.isNaN(numbers[i]) ? null : numbers[i]
    return values
  }
  const { text, spans } = column
  let [lastStart, lastEnd, last]: [number, number, string | null] = [-1, -1, null]
  for (let i = 0; i < rows; i++) {
    const [start, end] = [spans[i * 2]!, spans[i * 2 + 1]!]
    // A text that repeats the one before has the same place: it becomes the same string.
    if (start !== lastStart || end !== lastEnd) {
      last = start > end ? null : text.slice(start, end)
      ;[lastStart, lastEnd] = [start, end]
    }
    values[i] = last
  }
  return values
}

function decoded(cells: unknown[], type: ColumnType | undefined): unknown[] {
  const decode = type === undefined ? undefined : decoderOf(type)
  return decode === undefined ? cells : cells.map((cell) => (cell === null ? null : decode(cell as number)))
}

function joined(parts: readonly Float64Array[]): Float64Array {
  if (parts.length === 1) return parts[0]!
  const whole = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
