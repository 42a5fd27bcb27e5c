/** `find`: the entries whose metadata answers simple conditions, as one statement with bound parameters. */
import type { Cell } from './cells.js'
import { fromCell } from './cells.js'
import { type Column, type Columns, type ColumnType, type ColumnTypes, quoted, type Row } from './columns.js'
import { type Key, keyFromText } from './keys.js'
import { cellOf, columnOf, columnsOf, type MetaTables } from './meta.js'
import { boolean, checkOptions, invalid, oneOf, positiveInteger } from './options.js'
import type { TierStack } from './tiers/stack.js'

/** What a value in a column may be compared with. Several conditions must all hold. Null answers `isNull` alone. */
export interface Comparison<V> {
  eq?: V | null
  /** Another value; not null. */
  ne?: V | null
  lt?: V
  lte?: V
  gt?: V
  gte?: V
  /** Both ends included. */
  between?: readonly [V, V]
  in?: readonly V[]
  notIn?: readonly V[]
  /** SQL's pattern for text: `%` any characters, `_` one, letters of ASCII in either case. */
  like?: V extends string ? string : never
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
  where?: Where<C> | undefined
  orderBy?: OrderBy<C> | undefined
  /** At most so many. */
  limit?: number | undefined
  /** Leaves out so many first. */
  offset?: number | undefined
  /** Reads the values too. Default false. */
  values?: boolean | undefined
}

/** An entry that was found. */
export interface Found<C extends Columns, V = unknown> {
  key: Key
  /** Its row. */
  meta: Row<C>
  /** With `values`; `undefined` where it went meanwhile. */
  value?: V | undefined
}

interface Statement {
  sql: string
  params: Cell[]
}

/** Runs `find`. Errors as `Cache.find`. */
export async function find<M extends MetaTables, T extends keyof M & string>(
  tiers: TierStack,
  tables: M,
  table: T,
  options: FindOptions<M[T]>,
): Promise<Found<M[T]>[]> {
  const columns = columnsOf(tables, table) as M[T]
  const { sql, params } = statementOf(table, columns, options)
  const isWithValues = boolean(options.values ?? false, 'values')
  const answer = tiers.query(sql, params)
  const { cells, rows } = answer instanceof Promise ? await answer : answer
  const types = Object.entries(columns).map(([name, { type }]) => [name, type] as const)
  const texts: string[] = []
  const found: Found<M[T]>[] = []
  for (let row = 0, at = 0; row < rows; row++) {
    const text = cells[at++] as string
    texts.push(text)
    found.push({ key: keyFromText(text) as Key, meta: rowOf(types, cells as Cell[], at) as Row<M[T]> })
    at += types.length
  }
  if (isWithValues) {
    const values = await tiers.readMany(texts)
    for (const [index, one] of found.entries()) one.value = values[index]
  }
  return found
}

function rowOf(
  types: readonly (readonly [string, ColumnType])[],
  cells: readonly Cell[],
  start: number,
): object {
  const row: Record<string, unknown> = {}
  let at = start
  for (const [name, type] of types) {
    const value = fromCell(type, cells[at++]!)
    if (name === '__proto__')
      Object.defineProperty(row, name, { value, enumerable: true, writable: true, configurable: true })
    else row[name] = value
  }
  return row
}

const COMPARE = { ne: '<>', lt: '<', lte: '<=', gt: '>', gte: '>=' } as const
const NAMES = ['eq', 'ne', 'lt', 'lte', 'gt', 'gte', 'between', 'in', 'notIn', 'like', 'isNull']

/** @internal */
export function statementOf<C extends Columns>(
  table: string,
  columns: C,
  options: FindOptions<C>,
): Statement {
  checkOptions(options, ['where', 'orderBy', 'limit', 'offset', 'values'], 'find')
  const params: Cell[] = []
  const names = ['key', ...Object.keys(columns).map(quoted)].join(', ')
  let sql = `SELECT ${names} FROM ${quoted(table)}`
  const conditions = Object.entries(checkObject(options.where ?? {}, 'where')).flatMap(([name, compared]) =>
    compared === undefined ? [] : conditionsOf(columnOf(columns, table, name), table, name, compared, params),
  )
  if (conditions.length > 0) sql += ` WHERE ${conditions.join(' AND ')}`
  const order = orderOf(table, columns, options.orderBy)
  if (order.length > 0) sql += ` ORDER BY ${order.join(', ')}`
  const { limit, offset } = options
  if (limit !== undefined || offset !== undefined) {
    params.push(limit === undefined ? -1 : positiveInteger(limit, 'limit'))
    sql += ' LIMIT ?'
    if (offset !== undefined && offset !== 0) {
      params.push(positiveInteger(offset, 'offset'))
      sql += ' OFFSET ?'
    }
  }
  return { sql, params }
}

function conditionsOf(
  column: Column,
  table: string,
  name: string,
  compared: unknown,
  params: Cell[],
): string[] {
  const place = quoted(name)
  const bind = (value: unknown): string => {
    if (column.type === 'json') throw invalid(`where.${name}`, value, 'isNull: JSON is not compared')
    params.push(cellOf(column, value ?? missing(name), table, name))
    return '?'
  }
  const isComparison = typeof compared === 'object' && compared !== null && !(compared instanceof Date)
  const { eq, between, isNull, like, ...rest } = isComparison
    ? checkComparison(name, compared)
    : { eq: compared }
  const sql: string[] = []
  if (eq !== undefined) sql.push(eq === null ? `${place} IS NULL` : `${place} = ${bind(eq)}`)
  for (const [operator, value] of Object.entries(rest)) {
    if (value === undefined) continue
    if (operator === 'in' || operator === 'notIn') {
      const values = (Array.isArray(value) ? value : [value]).map(bind)
      sql.push(`${place} ${operator === 'in' ? 'IN' : 'NOT IN'} (${values.join(', ')})`)
    } else if (operator === 'ne' && value === null) sql.push(`${place} IS NOT NULL`)
    else sql.push(`${place} ${COMPARE[operator as keyof typeof COMPARE]} ${bind(value)}`)
  }
  if (between !== undefined) {
    if (!Array.isArray(between) || between.length !== 2)
      throw invalid(`where.${name}.between`, between, '[from, to]')
    sql.push(`${place} BETWEEN ${bind(between[0])} AND ${bind(between[1])}`)
  }
  if (like !== undefined) {
    if (column.type !== 'text' || typeof like !== 'string')
      throw invalid(`where.${name}.like`, like, 'a pattern for a text column')
    sql.push(`${place} LIKE ${bind(like)}`)
  }
  if (isNull !== undefined)
    sql.push(`${place} IS ${boolean(isNull, `where.${name}.isNull`) ? '' : 'NOT '}NULL`)
  return sql
}

function missing(name: string): never {
  throw invalid(`where.${name}`, null, 'a value to compare with; for null use isNull')
}

function checkComparison(name: string, given: object): Record<string, unknown> & { eq?: unknown } {
  checkOptions(given, NAMES, `where.${name}`)
  return { ...given } as Record<string, unknown>
}

function orderOf(table: string, columns: Columns, orderBy: unknown): string[] {
  if (orderBy === undefined) return []
  const given: [string, unknown][] =
    typeof orderBy === 'string'
      ? [[orderBy, 'asc']]
      : Array.isArray(orderBy)
        ? orderBy.map((name) => [name, 'asc'])
        : Object.entries(checkObject(orderBy, 'orderBy')).filter(([, direction]) => direction !== undefined)
  return given.map(([name, direction]) => {
    columnOf(columns, table, name)
    return `${quoted(name)} ${oneOf(direction, `orderBy.${name}`, ['asc', 'desc']).toUpperCase()}`
  })
}

function checkObject(value: unknown, name: string): object {
  if (typeof value === 'object' && value !== null) return value
  throw invalid(name, value, 'an object with columns')
}
