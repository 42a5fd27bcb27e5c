/** What `find` is asked: checked, and as one statement with bound parameters. */
import type { Cell } from './cells.js'
import { type Column, type Columns, type ColumnTypes, quoted } from './columns.js'
import { cellOf, columnOf } from './meta.js'
import { boolean, checkOptions, invalid, oneOf, positiveInteger } from './options.js'
import { isList, isUnreadable } from './refusal.js'

/** What a value in a column may be compared with. Several conditions must all hold. Null answers `isNull` alone. */
export interface Comparison<V> {
  /** This value; `null` for none. */
  eq?: V | null
  /** Another value; not null. */
  ne?: V | null
  /** Below it; text by its bytes in UTF-8. */
  lt?: V
  /** Below it or equal. */
  lte?: V
  /** Above it. */
  gt?: V
  /** Above it or equal. */
  gte?: V
  /** Both ends included. */
  between?: readonly [V, V]
  /** Up to 32,766 values in one question, all lists together. */
  in?: readonly V[]
  /** None of these; not null. */
  notIn?: readonly V[]
  /** SQL's pattern for text: `%` any characters, `_` one, letters of ASCII in either case. */
  like?: V extends string ? string : never
  /** Whether there is no value. */
  isNull?: boolean
}

type Compared<C extends Column> =
  C extends Column<infer Type, boolean>
    ? Type extends 'json'
      ? { isNull?: boolean }
      : ColumnTypes[Type]['in'] | null | Comparison<ColumnTypes[Type]['in']>
    : never

/** Conditions by column, all of which must hold: a value to be equal to, `null`, or comparisons. */
export type Where<C extends Columns> = { readonly [Name in keyof C]?: Compared<C[Name]> | undefined }

/** A column, or columns with their directions; the first decides first. */
export type OrderBy<C extends Columns> =
  | (keyof C & string)
  | { readonly [Name in keyof C]?: 'asc' | 'desc' }
  | readonly (keyof C & string)[]

/** Which entries to find. */
export interface FindOptions<C extends Columns> {
  /** Default: all entries with a row in the table. */
  where?: Where<C> | undefined
  /** Default: no particular order. */
  orderBy?: OrderBy<C> | undefined
  /** At most so many. */
  limit?: number | undefined
  /** Leaves out so many first. */
  offset?: number | undefined
  /** Reads the values too. Default false. */
  values?: boolean | undefined
}

/** A condition on a column, with what it is compared with in stored form. @internal */
export interface Condition {
  name: string
  operator:
    | '='
    | '<>'
    | '<'
    | '<='
    | '>'
    | '>='
    | 'IN'
    | 'NOT IN'
    | 'BETWEEN'
    | 'LIKE'
    | 'IS NULL'
    | 'IS NOT NULL'
  cells: readonly Cell[]
}

/** What `find` was asked, checked. @internal */
export interface Search {
  table: string
  columns: Columns
  conditions: readonly Condition[]
  order: readonly { name: string; isDown: boolean }[]
  limit: number | undefined
  offset: number
}

/** @internal */
export interface Statement {
  sql: string
  params: Cell[]
}

/** Operators of SQL by their names here. @internal */
export const COMPARE = {
  ne: '<>',
  lt: '<',
  lte: '<=',
  gt: '>',
  gte: '>=',
  in: 'IN',
  notIn: 'NOT IN',
} as const
const NAMES = ['eq', 'ne', 'lt', 'lte', 'gt', 'gte', 'between', 'in', 'notIn', 'like', 'isNull']

/** @internal @throws InvalidOptionError `E_INVALID_OPTION` */
export function checkFind(options: unknown): void {
  checkOptions(options, ['where', 'orderBy', 'limit', 'offset', 'values'], 'find')
}

/** What a statement of SQLite takes, `limit` and `offset` among it. */
const MOST_VALUES = 32_766

/** @internal @throws InvalidOptionError `E_INVALID_OPTION` */
export function searchOf<C extends Columns>(table: string, columns: C, options: FindOptions<C>): Search {
  checkFind(options)
  const conditions = Object.entries(checkObject(options.where ?? {}, 'where')).flatMap(([name, compared]) =>
    compared === undefined ? [] : conditionsOf(columnOf(columns, table, name), table, name, compared),
  )
  const order = orderOf(table, columns, options.orderBy)
  const { limit, offset = 0 } = options
  const bounds = limit === undefined && offset === 0 ? 0 : offset === 0 ? 1 : 2
  const count = conditions.reduce((sum, { cells }) => sum + cells.length, bounds)
  if (count > MOST_VALUES) {
    const accepted = `at most ${MOST_VALUES} in one question, and ask more than once`
    throw invalid('where', `${count} values`, accepted)
  }
  return {
    table,
    columns,
    conditions,
    order,
    limit: limit === undefined ? undefined : positiveInteger(limit, 'limit'),
    offset: offset === 0 ? 0 : positiveInteger(offset, 'offset'),
  }
}

/** @internal */
export function statementOf({ table, columns, conditions, order, limit, offset }: Search): Statement {
  const params = conditions.flatMap(({ cells }) => cells)
  const names = ['key', ...Object.keys(columns).map(quoted)].join(', ')
  let sql = `SELECT ${names} FROM ${quoted(table)}`
  if (conditions.length > 0) sql += ` WHERE ${conditions.map(sqlOf).join(' AND ')}`
  if (order.length > 0)
    sql += ` ORDER BY ${order.map(({ name, isDown }) => `${quoted(name)} ${isDown ? 'DESC' : 'ASC'}`).join(', ')}`
  if (limit !== undefined || offset !== 0) {
    params.push(limit ?? -1)
    sql += ' LIMIT ?'
  }
  if (offset !== 0) {
    params.push(offset)
    sql += ' OFFSET ?'
  }
  return { sql, params }
}

function sqlOf({ name, operator, cells }: Condition): string {
  const place = `${quoted(name)} ${operator}`
  if (operator === 'IN' || operator === 'NOT IN') return `${place} (${cells.map(() => '?').join(', ')})`
  if (operator === 'BETWEEN') return `${place} ? AND ?`
  return cells.length === 0 ? place : `${place} ?`
}

function conditionsOf(column: Column, table: string, name: string, compared: unknown): Condition[] {
  const cell = (value: unknown): Cell => {
    if (column.type === 'json') throw invalid(`where.${name}`, value, 'isNull: JSON is not compared')
    return cellOf(column, value ?? missing(name), table, name)
  }
  const isComparison = typeof compared === 'object' && compared !== null && !(compared instanceof Date)
  const { eq, between, isNull, like, ...rest } = isComparison
    ? checkComparison(name, compared)
    : { eq: compared }
  const conditions: Condition[] = []
  const add = (operator: Condition['operator'], ...cells: Cell[]) =>
    conditions.push({ name, operator, cells })
  if (eq === null) add('IS NULL')
  else if (eq !== undefined) add('=', cell(eq))
  for (const [named, value] of Object.entries(rest)) {
    if (value === undefined) continue
    const operator = COMPARE[named as keyof typeof COMPARE]
    if (named === 'in' || named === 'notIn')
      conditions.push({ name, operator, cells: (isList(value) ? value : [value]).map(cell) })
    else if (named === 'ne' && value === null) add('IS NOT NULL')
    else add(operator, cell(value))
  }
  if (between !== undefined) {
    if (!isList(between) || between.length !== 2)
      throw invalid(`where.${name}.between`, between, '[from, to]')
    add('BETWEEN', cell(between[0]), cell(between[1]))
  }
  if (like !== undefined) {
    if (column.type !== 'text' || typeof like !== 'string')
      throw invalid(`where.${name}.like`, like, 'a pattern for a text column')
    add('LIKE', cell(like))
  }
  if (isNull !== undefined) add(boolean(isNull, `where.${name}.isNull`) ? 'IS NULL' : 'IS NOT NULL')
  return conditions
}

function missing(name: string): never {
  throw invalid(`where.${name}`, null, 'a value to compare with; for null use isNull')
}

function checkComparison(name: string, given: object): Record<string, unknown> & { eq?: unknown } {
  checkOptions(given, NAMES, `where.${name}`)
  return { ...given } as Record<string, unknown>
}

function orderOf(table: string, columns: Columns, orderBy: unknown): { name: string; isDown: boolean }[] {
  if (orderBy === undefined) return []
  const given: [string, unknown][] =
    typeof orderBy === 'string'
      ? [[orderBy, 'asc']]
      : isList(orderBy)
        ? orderBy.map((name) => [name as string, 'asc'])
        : Object.entries(checkObject(orderBy, 'orderBy')).filter(([, direction]) => direction !== undefined)
  return given.map(([name, direction]) => {
    columnOf(columns, table, name)
    return { name, isDown: oneOf(direction, `orderBy.${name}`, ['asc', 'desc']) === 'desc' }
  })
}

function checkObject(value: unknown, name: string): object {
  if (typeof value !== 'object' || value === null || isUnreadable(value)) {
    throw invalid(name, value, 'an object with columns')
  }
  checkOptions(value, Object.keys(value), name)
  return value
}
