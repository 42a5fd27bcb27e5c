/** How the answer to a query crosses: `crates/tierce-node/src/query.rs` has the layout. */
import type { ColumnType } from '../columns.js'
import { viewOf } from './wire.js'

/** The types of declared columns, in the order of query.rs. */
const TYPES: readonly ColumnType[] = ['text', 'integer', 'double', 'boolean', 'date', 'timestamp', 'json']
const KIND = { null: 0, number: 1, text: 2, big: 3 } as const
/** Bytes of the counts, and of a cell. */
const [HEAD, CELL] = [16, 9]

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
  cells: (string | number | bigint | null)[]
}

export function readAnswer(bytes: Buffer): Answer {
  const view = viewOf(bytes)
  const [width, rows] = [view.getUint32(0, true), view.getUint32(4, true)]
  let at = HEAD
  const columns: AnswerColumn[] = []
  for (let column = 0; column < width; column++) {
    const end = at + 3 + view.getUint16(at + 1, true)
    columns.push({ name: bytes.toString('utf8', at + 3, end), type: TYPES[bytes[at]! - 1] })
    at = end
  }
  const count = width * rows
  const start = at + CELL * count
  // One string for all: its parts are cut out without a copy.
  const text = bytes.toString(view.getUint32(8, true) === 1 ? 'latin1' : 'utf8', start)
  const cells = new Array<string | number | bigint | null>(count)
  for (let index = 0, from = 0; index < count; index++, at += CELL) {
    const kind = bytes[at]!
    if (kind === KIND.text) {
      const to = from + view.getFloat64(at + 1, true)
      cells[index] = text.substring(from, to)
      from = to
    } else if (kind === KIND.number) cells[index] = view.getFloat64(at + 1, true)
    else cells[index] = kind === KIND.null ? null : view.getBigInt64(at + 1, true)
  }
  return { columns, rows, cells }
}
