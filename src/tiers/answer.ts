/** How the answer to a query crosses: `crates/tierce-node/src/disk/query.rs` has the layout. */
import type { ColumnType } from '../columns.js'
import { makeError } from '../errors.js'
import { viewOf } from './wire.js'

/** The types of declared columns, in the order of query.rs. */
const TYPES: readonly ColumnType[] = ['text', 'integer', 'double', 'boolean', 'date', 'timestamp', 'json']
const KIND = { null: 0, number: 1, text: 2, big: 3, bytes: 4 } as const
/** Bytes before the columns, and of a cell. */
const HEAD = 32
const CELL = 9

/** A column of an answer. */
export interface AnswerColumn {
  name: string
  /** That of the declared column that it is; `undefined` for what is computed. */
  type: ColumnType | undefined
}

/** What a query found. `value` gives the cell of a row, in stored form. */
export interface Answer {
  columns: readonly AnswerColumn[]
  rows: number
  /** The cells, row by row. */
  cells: (string | number | bigint | Buffer | null)[]
}

/** The columns of answers, by the query and the hash that the addon gives them. */
export class KnownColumns {
  readonly #known = new Map<string, { hash: number; columns: readonly AnswerColumn[] }>()

  /** 0 where they are not known. */
  hashOf(sql: string): number {
    return this.#known.get(sql)?.hash ?? 0
  }

  /** Reads an answer at the front of a buffer, in which columns that are known are left out. */
  read(sql: string, bytes: Buffer, view: DataView): Answer {
    const hash = view.getFloat64(16, true)
    let columns = this.#known.get(sql)?.columns
    let at = HEAD
    if (columns === undefined || view.getUint32(24, true) !== 0) {
      const read = readColumns(bytes, view)
      at = read.end
      columns = read.columns
      if (this.#known.size >= MOST_KNOWN) this.#known.clear()
      this.#known.set(sql, { hash, columns })
    }
    return readCells(columns, at, bytes, view)
  }
}

/** Queries whose columns are kept. */
const MOST_KNOWN = 256

/** Reads an answer that has its columns. */
export function readAnswer(bytes: Buffer): Answer {
  const view = viewOf(bytes)
  const { columns, end } = readColumns(bytes, view)
  return readCells(columns, end, bytes, view)
}

function readColumns(bytes: Buffer, view: DataView): { columns: AnswerColumn[]; end: number } {
  const columns: AnswerColumn[] = []
  let at = HEAD
  for (let left = view.getUint32(0, true); left > 0; left--) {
    const end = at + 3 + view.getUint16(at + 1, true)
    columns.push({ name: bytes.toString('utf8', at + 3, end), type: TYPES[bytes[at]! - 1] })
    at = end
  }
  return { columns, end: at }
}

function textOf(bytes: Buffer, charset: 'latin1' | 'utf8', start: number, end: number): string {
  try {
    return bytes.toString(charset, start, end)
  } catch (error) {
    const message = `The answer to the query has ${end - start} bytes of text, more than a string holds: ask for less at once.`
    throw makeError('E_INVALID_OPTION', message, { name: 'query' }, error)
  }
}

function readCells(columns: readonly AnswerColumn[], start: number, bytes: Buffer, view: DataView): Answer {
  const rows = view.getUint32(4, true)
  const count = columns.length * rows
  const end = start + CELL * count
  // One string for all: its parts are cut out without a copy.
  const isAscii = view.getUint32(8, true) === 1
  let blobs = end + view.getUint32(12, true)
  const text = textOf(bytes, isAscii ? 'latin1' : 'utf8', end, blobs)
  const cells = new Array<Answer['cells'][number]>(count)
  for (let index = 0, from = 0, at = start; index < count; index++, at += CELL) {
    const kind = bytes[at]!
    if (kind === KIND.text) {
      const to = from + view.getFloat64(at + 1, true)
      cells[index] = text.substring(from, to)
      from = to
    } else if (kind === KIND.number) cells[index] = view.getFloat64(at + 1, true)
    else if (kind === KIND.null) cells[index] = null
    else if (kind === KIND.big) cells[index] = view.getBigInt64(at + 1, true)
    else {
      const to = blobs + view.getFloat64(at + 1, true)
      cells[index] = Buffer.from(bytes.subarray(blobs, to)) // a copy: the next answer may come to the same place
      blobs = to
    }
  }
  return { columns, rows, cells }
}
