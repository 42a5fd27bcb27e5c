/**
 * The column vocabulary of tables and of custom metadata: what a column holds, and the types of rows inferred from it.
 *
 *     const columns = { symbol: text().primaryKey(), date: date().primaryKey(), close: double() }
 *     type Price = Row<typeof columns>      // { symbol: string; date: string; close: number | null }
 */
import { makeError } from './errors.js'
import { checkOptions } from './options.js'
import { describe, isUnreadable } from './refusal.js'

/** What a column of each type gives (`out`) and takes (`in`). */
export interface ColumnTypes {
  /** Unicode text. */
  text: { out: string; in: string }
  /** A whole number from -(2^53 - 1) to 2^53 - 1: what a `number` holds exactly. */
  integer: { out: number; in: number | bigint }
  /** A 64-bit float, infinities included; NaN is refused. */
  double: { out: number; in: number }
  /** `true` or `false`. */
  boolean: { out: boolean; in: boolean }
  /** A day of the calendar, years 0001 to 9999: `'2024-01-31'`; takes a `Date` at midnight UTC too. */
  date: { out: string; in: string | Date }
  /** An instant to the millisecond, years 0001 to 9999; takes ISO 8601 text with a zone too. */
  timestamp: { out: Date; in: Date | string }
  /** Plain data that JSON gives back exactly. Inside a column, `null` is SQL's NULL. */
  json: { out: unknown; in: unknown }
}

/** The name of a column's type. */
export type ColumnType = keyof ColumnTypes

interface Traits {
  readonly isPrimaryKey: boolean
  readonly isUnique: boolean
  readonly isNotNull: boolean
  readonly isIndexed: boolean
}

const PLAIN: Traits = { isPrimaryKey: false, isUnique: false, isNotNull: false, isIndexed: false }

/** A column's type and constraints. Immutable: each method gives a new one. Nullable, unless a method says otherwise. */
export class Column<
  Type extends ColumnType = ColumnType,
  Nullable extends boolean = boolean,
  Primary extends boolean = boolean,
  Json = unknown,
> implements Traits
{
  /** What it holds. */
  readonly type: Type
  /** See `primaryKey`. */
  readonly isPrimaryKey: boolean
  /** See `unique`. */
  readonly isUnique: boolean
  /** See `notNull`. */
  readonly isNotNull: boolean
  /** See `index`. */
  readonly isIndexed: boolean
  /** Exists only in types: without it, those of nullable and other columns would be one. */
  declare readonly nullable: Nullable
  /** Exists only in types. */
  declare readonly primary: Primary
  /** Exists only in types: what a `json` column is taken for. */
  declare readonly json: Json

  /** @internal */
  constructor(type: Type, traits: Traits = PLAIN) {
    this.type = type
    this.isPrimaryKey = traits.isPrimaryKey
    this.isUnique = traits.isUnique
    this.isNotNull = traits.isNotNull
    this.isIndexed = traits.isIndexed
    Object.freeze(this)
  }

  /** A part of the primary key, in the order of the columns. Implies `notNull`. */
  primaryKey(): Column<Type, false, true, Json> {
    return new Column(this.type, { ...this, isPrimaryKey: true, isNotNull: true })
  }

  /** No two rows have the same value; any number may have none. */
  unique(): Column<Type, Nullable, Primary, Json> {
    return new Column(this.type, { ...this, isUnique: true })
  }

  /** Each row has a value. */
  notNull(): Column<Type, false, Primary, Json> {
    return new Column(this.type, { ...this, isNotNull: true })
  }

  /** Searched by: an index is kept. */
  index(): Column<Type, Nullable, Primary, Json> {
    return new Column(this.type, { ...this, isIndexed: true })
  }
}

/** Columns by name, in their order. */
export type Columns = Readonly<Record<string, Column>>

/** What a column gives or takes, null included where it may be null. */
export type ColumnValue<C extends Column, Side extends 'in' | 'out'> =
  C extends Column<infer Type, infer Nullable, boolean, infer Json>
    ? (Type extends 'json' ? Json : ColumnTypes[Type][Side]) | (true extends Nullable ? null : never)
    : never

type NullableNames<C extends Columns> = {
  [Name in keyof C]: C[Name] extends Column<ColumnType, false> ? never : Name
}[keyof C]

type Flat<T> = { [Name in keyof T]: T[Name] }

/** A row as it comes out. */
export type Row<C extends Columns> = { -readonly [Name in keyof C]: ColumnValue<C[Name], 'out'> }

/** A row as it is given: nullable columns may be left out. */
export type RowInput<C extends Columns> = Flat<
  { [Name in Exclude<keyof C, NullableNames<C>>]: ColumnValue<C[Name], 'in'> } & {
    [Name in NullableNames<C>]?: ColumnValue<C[Name], 'in'> | undefined
  }
>

/** Unicode text. */
export const text = (): Column<'text', true, false> => new Column('text')
/** A whole number that a `number` holds exactly. */
export const integer = (): Column<'integer', true, false> => new Column('integer')
/** A 64-bit float. */
export const double = (): Column<'double', true, false> => new Column('double')
/** `true` or `false`. */
export const boolean = (): Column<'boolean', true, false> => new Column('boolean')
/** A day of the calendar: `'2024-01-31'`. */
export const date = (): Column<'date', true, false> => new Column('date')
/** An instant to the millisecond: a `Date`. */
export const timestamp = (): Column<'timestamp', true, false> => new Column('timestamp')
/** Plain data, as JSON; `json<{ rate: number }>()` says what it is taken for, which nothing checks. */
export const json = <T = unknown>(): Column<'json', true, false, T> => new Column('json')

/** The longest name that every engine takes (PostgreSQL cuts longer ones), in bytes of UTF-8. */
const LONGEST_NAME = 63

/** A name in SQL, whatever is in it. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/**
 * Checks the name of a table or column: 1 to 63 bytes of text. Any character but NUL is accepted, as names are quoted wherever
 * they meet SQL.
 * @throws InvalidOptionError `E_INVALID_OPTION`
 */
export function checkName(name: unknown, what: string): string {
  const fits = typeof name === 'string' && name !== '' && Buffer.byteLength(name) <= LONGEST_NAME
  if (fits && name.isWellFormed() && !name.includes('\0')) return name
  throw makeError(
    'E_INVALID_OPTION',
    `Invalid name of ${what}: got ${describe(name)}. Give text of 1 to ${LONGEST_NAME} bytes without NUL characters.`,
    { name: what },
  )
}

/**
 * Checks columns by name. Two names that differ only in case are refused: they are one to SQL.
 * @throws InvalidOptionError `E_INVALID_OPTION`
 */
export function checkColumns<C extends Columns>(columns: C, where: string): C {
  if (
    typeof columns !== 'object' ||
    columns === null ||
    isUnreadable(columns) ||
    Object.keys(columns).length === 0
  ) {
    throw invalid(where, columns, 'at least one column by its name')
  }
  const seen = new Map<string, string>()
  checkOptions(columns, Object.keys(columns), where)
  for (const [name, column] of Object.entries(columns)) {
    checkName(name, `a column of ${where}`)
    if (name === '__proto__') throw invalid(`${where}.${name}`, name, 'another name')
    if (isUnreadable(column) || !(column instanceof Column))
      throw invalid(`${where}.${name}`, column, 'a column')
    const same = seen.get(name.toLowerCase())
    if (same !== undefined) {
      const message = `The columns ${describe(same)} and ${describe(name)} of ${where} differ only in case: to SQL they are one. Rename one of them.`
      throw makeError('E_INVALID_OPTION', message, { name: where })
    }
    seen.set(name.toLowerCase(), name)
  }
  return columns
}

function invalid(name: string, value: unknown, accepted: string): Error {
  const message = `Invalid ${name}: got ${describe(value)}. Give ${accepted}, such as { id: integer().primaryKey(), name: text() }.`
  return makeError('E_INVALID_OPTION', message, { name })
}
