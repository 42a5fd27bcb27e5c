/** Tables of a pull-through cache: their columns, the keys that coverage is kept for, and the column of ranges. */
import {
  type Column,
  type Columns,
  type ColumnType,
  type ColumnValue,
  checkColumns,
  checkName,
} from '../columns.js'
import { makeError } from '../errors.js'
import { describe } from '../refusal.js'

/** A table: its name and its columns. */
export interface Table<C extends Columns = Columns> {
  /** In the database. */
  readonly name: string
  /** By name, in their order. */
  readonly columns: C
}

/** The columns of the primary key. */
export type PrimaryNames<C extends Columns> = {
  [Name in keyof C]: C[Name] extends Column<ColumnType, boolean, true> ? Name : never
}[keyof C] &
  string

/** The columns that ranges can be asked of. */
export type RangeNames<C extends Columns> = {
  [Name in keyof C]: C[Name] extends Column<'date' | 'timestamp' | 'integer', false> ? Name : never
}[keyof C] &
  string

/** From `start` to `end`, both included. */
export interface Range<T> {
  /** The first that is asked for. */
  start: T
  /** The last. */
  end: T
}

/** What a `get` asks for (`'in'`) and a `fetch` is given (`'out'`): a value of each key column, and a range. */
export type Ask<C extends Columns, R extends string, K extends string, Side extends 'in' | 'out'> = {
  [Name in Exclude<K, R>]: ColumnValue<C[Name], Side>
} & { [Name in R]: Range<ColumnValue<C[Name], Side>> }

/**
 * Defines a table. It needs a primary key: the rows of a result are sorted by it.
 * @throws InvalidOptionError `E_INVALID_OPTION`
 */
export function defineTable<C extends Columns>(name: string, columns: C): Table<C> {
  checkName(name, 'the table')
  if (name.toLowerCase().startsWith('tierce_')) {
    throw refused(
      `the name ${describe(name)}`,
      `names that begin with 'tierce_' are those of the cache's own tables`,
    )
  }
  const own = { ...checkColumns(columns, `table ${describe(name)}`) }
  if (!Object.values(own).some((column) => column.isPrimaryKey)) {
    throw refused(`table ${describe(name)}`, 'it has no primary key: mark its columns with .primaryKey()')
  }
  for (const [at, column] of Object.entries(own)) {
    if (!column.isPrimaryKey || (column.type !== 'json' && column.type !== 'double')) continue
    throw refused(
      `column ${describe(at)} of table ${describe(name)}`,
      `a ${column.type}() column cannot be part of a primary key`,
    )
  }
  return Object.freeze({ name, columns: Object.freeze(own) })
}

/** A table with its keys and its range, checked. */
export interface Spec {
  readonly name: string
  readonly columns: readonly (readonly [name: string, column: Column])[]
  readonly primaryKey: readonly string[]
  /** The columns for each of whose values coverage is kept. */
  readonly key: readonly string[]
  readonly range: string
  readonly rangeType: 'date' | 'timestamp' | 'integer'
}

/** @throws InvalidOptionError `E_INVALID_OPTION` */
export function specOf(table: Table, range: string, key: readonly string[] | undefined): Spec {
  // Also what was not made by defineTable is checked as if it were.
  const { name, columns: byName } = defineTable(table?.name, table?.columns)
  const columns = Object.entries(byName)
  const rangeColumn = columnOf(byName, range, `range of table ${describe(name)}`)
  const rangeType = rangeColumn.type
  if (rangeType !== 'date' && rangeType !== 'timestamp' && rangeType !== 'integer') {
    throw refused(
      `range ${describe(range)}`,
      `it is a ${rangeType}() column: ranges are of date(), timestamp() or integer() columns`,
    )
  }
  const primaryKey = columns.filter(([, column]) => column.isPrimaryKey).map(([at]) => at)
  const keys = key ?? primaryKey.filter((at) => at !== range)
  for (const at of [...keys, range])
    checkKeyColumn(at, columnOf(byName, at, `key of table ${describe(name)}`))
  if (keys.includes(range) || new Set(keys).size < keys.length) {
    throw refused('key', 'it names a column twice, or the range')
  }
  return { name, columns, primaryKey, key: [...keys], range, rangeType }
}

function columnOf(columns: Columns, name: unknown, what: string): Column {
  const column = typeof name === 'string' && Object.hasOwn(columns, name) ? columns[name] : undefined
  if (column !== undefined) return column
  throw refused(what, `${describe(name)} is none of the columns ${Object.keys(columns).join(', ')}`)
}

function checkKeyColumn(name: string, column: Column): void {
  if (!column.isNotNull)
    throw refused(
      `column ${describe(name)}`,
      'coverage is kept by it: mark it with .primaryKey() or .notNull()',
    )
  if (column.type === 'json' || column.type === 'double') {
    throw refused(`key ${describe(name)}`, `coverage cannot be kept by a ${column.type}() column`)
  }
}

function refused(what: string, why: string): Error {
  return makeError('E_INVALID_OPTION', `Invalid ${what}: ${why}.`, { name: what })
}
