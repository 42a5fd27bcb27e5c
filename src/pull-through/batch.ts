/** Rows of a fetch, checked and turned into columns of stored values. One bad row, and nothing of its fetch is stored. */
import { type Cell, toCell } from '../cells.js'
import { makeError } from '../errors.js'
import { describe, Refusal } from '../refusal.js'
import type { Positions } from './range.js'
import type { Interval, Key } from './store.js'
import type { Spec } from './table.js'

export interface Batch {
  rows: number
  cells: Cell[][]
}

/**
 * Reads all rows of a fetch, until the signal is aborted: a source that goes from page to page is asked for no more then.
 * @throws InvalidRowError `E_INVALID_ROW`, which names the row and the column
 */
export async function collect(
  fetched: unknown,
  spec: Spec,
  positions: Positions,
  key: Key,
  range: Interval,
  signal: AbortSignal,
): Promise<Batch> {
  const reader = new Reader(spec, positions, key, range)
  const source = fetched as Partial<Iterable<unknown> & AsyncIterable<unknown>> | null | undefined
  if (typeof source === 'object' && typeof source?.[Symbol.asyncIterator] === 'function') {
    for await (const row of source as AsyncIterable<unknown>) {
      signal.throwIfAborted()
      reader.add(row)
    }
  } else if (typeof source === 'object' && typeof source?.[Symbol.iterator] === 'function') {
    for (const row of source as Iterable<unknown>) reader.add(row)
  } else {
    const message = `fetch of table ${describe(spec.name)} gave ${describe(fetched)}. Give an array of rows, or an iterable of them; where there are none, an empty one.`
    throw makeError('E_INVALID_ROW', message, { table: spec.name })
  }
  return reader.batch
}

class Reader {
  readonly batch: Batch
  readonly #spec: Spec
  readonly #positions: Positions
  readonly #range: Interval
  /** The value that each column must have, for those of the key. */
  readonly #fixed: readonly (Cell | undefined)[]
  readonly #primary: readonly number[]
  readonly #rangeAt: number
  /** Rows by primary key: only once they do not come in its order. */
  #seen: Map<string, number> | undefined
  /** The row that is being read, among all that came. */
  #row = -1

  constructor(spec: Spec, positions: Positions, key: Key, range: Interval) {
    this.#spec = spec
    this.#positions = positions
    this.#range = range
    this.batch = { rows: 0, cells: spec.columns.map(() => []) }
    const indexOf = (name: string) => spec.columns.findIndex(([at]) => at === name)
    const fixed: (Cell | undefined)[] = spec.columns.map(() => undefined)
    for (const [i, name] of spec.key.entries()) fixed[indexOf(name)] = key.cells[i]
    this.#fixed = fixed
    this.#primary = spec.primaryKey.map(indexOf)
    this.#rangeAt = indexOf(spec.range)
  }

  add(row: unknown): void {
    this.#row++
    if (typeof row !== 'object' || row === null) {
      throw this.#refusal(undefined, `is ${describe(row)}`, 'Give an object with a property for each column.')
    }
    const { cells } = this.batch
    for (let at = 0; at < cells.length; at++) cells[at]!.push(this.#cell(row as Record<string, unknown>, at))
    this.batch.rows++
    if (this.#isRepeated()) this.#dropLast()
  }

  #cell(row: Record<string, unknown>, at: number): Cell {
    const [name, column] = this.#spec.columns[at]!
    let cell: Cell
    try {
      cell = toCell(column, row[name])
    } catch (error) {
      const refusal = Refusal.from(error)
      throw this.#refusal(name, `is ${refusal.what}`, refusal.advice)
    }
    const wanted = this.#fixed[at]
    if (wanted !== undefined && cell !== wanted) {
      throw this.#refusal(
        name,
        `is ${describe(row[name])}, but ${describe(wanted)} was asked for`,
        'Give the rows that were asked for only.',
      )
    }
    if (at === this.#rangeAt) this.#checkRange(name, cell)
    return cell
  }

  #checkRange(name: string, cell: Cell): void {
    const position = this.#positions.ofCell(cell)
    if (position >= this.#range.start && position < this.#range.end) return
    throw this.#refusal(
      name,
      `is ${describe(cell)}, outside of the range that was asked for, ${this.#range.cells.map(describe).join(' to ')}`,
      'Give the rows of that range only.',
    )
  }

  /** Whether the last row is one that came before, as it happens between pages. Two that differ are refused. */
  #isRepeated(): boolean {
    const last = this.batch.rows - 1
    if (this.#seen === undefined) {
      if (last === 0 || this.#isBehind(last)) return false
      this.#seen = new Map()
      for (let row = 0; row < last; row++) this.#seen.set(this.#keyOf(row), row)
    }
    const key = this.#keyOf(last)
    const before = this.#seen.get(key)
    this.#seen.set(key, before ?? last)
    if (before === undefined) return false
    for (const [at, column] of this.batch.cells.entries()) {
      if (column[before] === column[last]) continue
      const [name] = this.#spec.columns[at]!
      throw this.#refusal(
        name,
        'differs from that of an earlier row with the same primary key',
        'Give one row for each primary key.',
      )
    }
    return true
  }

  /** Whether a row comes behind the one before it in the order of the primary key, and so is no repetition. */
  #isBehind(row: number): boolean {
    for (const at of this.#primary) {
      const [before, own] = [this.batch.cells[at]![row - 1]!, this.batch.cells[at]![row]!]
      if (before !== own) return before < own
    }
    return false
  }

  #keyOf(row: number): string {
    return JSON.stringify(this.#primary.map((at) => this.batch.cells[at]![row]))
  }

  #dropLast(): void {
    for (const column of this.batch.cells) column.pop()
    this.batch.rows--
  }

  #refusal(column: string | undefined, what: string, advice: string): Error {
    const where = column === undefined ? `Row ${this.#row}` : `Row ${this.#row}, column ${describe(column)},`
    const message = `${where} of what fetch gave for table ${describe(this.#spec.name)} ${what}. ${advice}`
    const context = { table: this.#spec.name, row: this.#row, ...(column !== undefined && { column }) }
    return makeError('E_INVALID_ROW', message, context)
  }
}
