/**
 * What is stored of a column's values. One form for every engine: text (days as `'2024-01-31'`, which sort as they should, JSON as
 * its text), integers (booleans as 0 and 1, instants as milliseconds since 1970-01-01T00:00Z), doubles, and null.
 */
import { types } from 'node:util'
import type { Column, ColumnType } from './columns.js'
import { describe, Refusal } from './refusal.js'
import { jsonText } from './values/json.js'

/** A stored value. */
export type Cell = string | number | null

const DAY_MS = 86_400_000
/** Years 0001 to 9999: what every engine, and text of ten characters, can hold. Milliseconds. */
export const FIRST_INSTANT = Date.parse('0001-01-01')
export const LAST_INSTANT = Date.parse('9999-12-31T23:59:59.999Z')

/**
 * The stored form of a column's value. `undefined` is null.
 * @throws Refusal where the column does not hold such a value
 */
export function toCell(column: Column, value: unknown): Cell {
  if (value === null || value === undefined) {
    if (!column.isNotNull) return null
    const what = value === null ? 'null' : 'missing'
    throw new Refusal(
      what,
      `The column is ${column.isPrimaryKey ? 'part of the primary key' : 'notNull()'}: give a value.`,
    )
  }
  return ENCODERS[column.type](value)
}

/** The value of a stored form. */
export function fromCell(type: ColumnType, cell: Cell): unknown {
  const decoder = DECODERS[type]
  return cell === null || decoder === undefined ? cell : decoder(cell)
}

/** How a column's stored forms become values, for many of them; `undefined` where they are the values already. */
export function decoderOf(type: ColumnType): ((cell: NonNullable<Cell>) => unknown) | undefined {
  return DECODERS[type]
}

const ENCODERS: Record<ColumnType, (value: unknown) => Cell> = {
  text(value) {
    if (typeof value !== 'string') throw unfit(value, 'text')
    if (!value.isWellFormed())
      throw new Refusal('text with half a surrogate pair', 'Give well-formed Unicode text.')
    if (value.includes('\0'))
      throw new Refusal('text with a NUL character', 'Take it out: not every database can hold it.')
    return value
  },
  integer(value) {
    const number = typeof value === 'bigint' ? Number(value) : value
    if (!Number.isSafeInteger(number)) {
      const larger = typeof value === 'bigint' || Number.isInteger(value)
      throw unfit(
        value,
        larger ? 'a whole number within ±(2^53 - 1), or use a text() column' : 'a whole number',
      )
    }
    return (number as number) + 0 // no -0
  },
  double(value) {
    if (typeof value !== 'number' || Number.isNaN(value)) throw unfit(value, 'a number, and null for none')
    return value + 0
  },
  boolean(value) {
    if (typeof value !== 'boolean') throw unfit(value, 'true or false')
    return value ? 1 : 0
  },
  date(value) {
    if (typeof value === 'string' && !Number.isNaN(dayOf(value))) return value
    const day = dayOfDate(value)
    if (!Number.isNaN(day)) return dayText(day)
    throw unfit(value, "a day such as '2024-01-31', or a Date at midnight UTC")
  },
  timestamp(value) {
    const ms = typeof value === 'string' ? instantOf(value) : msOfDate(value)
    if (ms >= FIRST_INSTANT && ms <= LAST_INSTANT) return ms
    throw unfit(
      value,
      "a valid Date, or ISO 8601 text with a zone and at most milliseconds, such as '2024-01-31T09:30:00Z'",
    )
  },
  json(value) {
    const text = jsonText(value)
    if (text !== undefined) return text
    throw new Refusal(
      'not plain data that JSON gives back exactly',
      'Give strings, finite numbers, booleans, null, arrays and plain objects.',
    )
  },
}

/** Of the others, what is stored is the value. */
const DECODERS: { readonly [Type in ColumnType]?: (cell: NonNullable<Cell>) => unknown } = {
  boolean: (cell) => cell !== 0,
  timestamp: (cell) => new Date(cell as number),
  json: (cell) => JSON.parse(cell as string),
}

function unfit(value: unknown, accepted: string): Refusal {
  return new Refusal(types.isDate(value) ? dateText(value) : describe(value), `Give ${accepted}.`)
}

function dateText(value: Date): string {
  return Number.isNaN(value.getTime()) ? 'an invalid Date' : `the Date ${value.toISOString()}`
}

const DATE = /^(\d{4})-(\d\d)-(\d\d)$/

/** The days from 1970-01-01 to `'YYYY-MM-DD'`; NaN where there is no such day. */
export function dayOf(text: string): number {
  const [, year, month, day] = DATE.exec(text) ?? []
  if (year === undefined || year === '0000') return Number.NaN
  const ms = Date.parse(`${text}T00:00:00Z`)
  // A 30th of February is read as the 1st of March.
  const read = new Date(ms)
  return read.getUTCDate() === Number(day) && read.getUTCMonth() + 1 === Number(month)
    ? ms / DAY_MS
    : Number.NaN
}

/** The day, as `'YYYY-MM-DD'`. */
export function dayText(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, 10)
}

function dayOfDate(value: unknown): number {
  const day = msOfDate(value) / DAY_MS
  return Number.isInteger(day) && day * DAY_MS >= FIRST_INSTANT && day * DAY_MS <= LAST_INSTANT
    ? day
    : Number.NaN
}

function msOfDate(value: unknown): number {
  return types.isDate(value) ? value.getTime() : Number.NaN
}

const INSTANT = /^(\d{4}-\d\d-\d\d)[T ]\d\d:\d\d(:\d\d(\.\d{1,3}0*)?)?(Z|[+-]\d\d:?\d\d)$/

/** Text without a zone means another instant on each machine: it is refused, as is what a millisecond cannot hold. */
function instantOf(text: string): number {
  const [, day] = INSTANT.exec(text) ?? []
  return day === undefined || Number.isNaN(dayOf(day)) ? Number.NaN : Date.parse(text)
}
