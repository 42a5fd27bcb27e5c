/** Tables of custom metadata: how a cache declares them, what an entry stores in them and gets back. */
import { type Cell, fromCell, toCell } from './cells.js'
import type { Column, Columns, Row, RowInput } from './columns.js'
import { type ErrorCode, makeError } from './errors.js'
import { builtinName } from './intrinsics.js'
import { checkOptions } from './options.js'
import { describe, isUnreadable, Refusal } from './refusal.js'
import type { MetaCells } from './tiers/extras.js'

/** Tables by name. */
export type MetaTables = Readonly<Record<string, Columns>>
/** No tables. */
export type NoMeta = Readonly<Record<never, never>>

/** What `set` takes: a row for each table that the entry is to be found in. */
export type MetaInput<M extends MetaTables> = { readonly [Table in keyof M]?: RowInput<M[Table]> | undefined }

/** What `entry` gives: the entry's rows. */
export type MetaRows<M extends MetaTables> = { [Table in keyof M]?: Row<M[Table]> }

/** A declared table, as the addon takes it. */
export interface DeclaredTable {
  name: string
  columns: { name: string; type: string; isNotNull: boolean; isUnique: boolean; isIndexed: boolean }[]
}

/**
 * The stored form of an entry's rows; `undefined` where there are none.
 * @throws InvalidOptionError `E_INVALID_OPTION`: an unknown table or column, a value that its column does not hold
 * @throws ConstraintError `E_CONSTRAINT`: a column that needs a value has none
 */
export function toMetaCells(tables: MetaTables, meta: unknown): MetaCells | undefined {
  if (meta === undefined) return undefined
  if (!isRecord(meta)) {
    throw invalid(`meta is ${describe(meta)}: give an object with a row for each table`, {})
  }
  checkOptions(meta, Object.keys(meta), 'meta')
  const given = Object.entries(meta).filter(([, row]) => row !== undefined)
  if (given.length === 0) return undefined
  return Object.fromEntries(
    given.map(([table, row]) => [table, rowCells(table, columnsOf(tables, table), row)]),
  )
}

/** @throws InvalidOptionError `E_INVALID_OPTION` for a table that is not declared */
export function columnsOf(tables: MetaTables, table: string): Columns {
  if (typeof table === 'string' && Object.hasOwn(tables, table)) return tables[table]!
  const names = Object.keys(tables).join(', ')
  const known = names === '' ? 'the cache declares none: give it the option meta' : `declared are ${names}`
  throw invalid(`There is no table ${describe(table)}: ${known}`, { table })
}

/** @throws InvalidOptionError `E_INVALID_OPTION` for a column that is not declared */
export function columnOf(columns: Columns, table: string, name: string): Column {
  if (typeof name === 'string' && Object.hasOwn(columns, name)) return columns[name]!
  const known = Object.keys(columns).join(', ')
  throw invalid(`The table ${describe(table)} has no column ${describe(name)}: it has ${known}`, {
    table,
    column: name,
  })
}

/** Whether what it has is in its properties, which a Map, a list or a Date would lose here without a word. */
function isRecord(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || isUnreadable(value)) return false
  const name = builtinName(value, Object.getPrototypeOf(value))
  return name === undefined || name === 'Object'
}

function rowCells(table: string, columns: Columns, row: unknown): Record<string, Cell> {
  if (!isRecord(row)) {
    throw invalid(`meta.${table} is ${describe(row)}: give an object with a value for each column`, { table })
  }
  for (const name of Object.keys(row)) columnOf(columns, table, name)
  const cells = Object.entries(columns).map(([name, column]): [string, Cell] => {
    return [name, cellOf(column, (row as Record<string, unknown>)[name], table, name)]
  })
  return Object.fromEntries(cells)
}

/** The stored form of a value of a column, for storing it or comparing with it. */
export function cellOf(column: Column, value: unknown, table: string, name: string): Cell {
  try {
    return toCell(column, value)
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal
    const code = value === null || value === undefined ? 'E_CONSTRAINT' : 'E_INVALID_OPTION'
    const message = `meta.${table}.${name}, of type ${column.type}, is ${refusal.what}. ${refusal.advice}`
    throw refused(code, message, { table, column: name, value: describe(value) })
  }
}

/** The rows of an entry; those of tables that are not declared here in stored form. */
export function fromMetaCells<M extends MetaTables>(
  tables: M,
  meta: MetaCells | undefined,
): MetaRows<M> | undefined {
  if (meta === undefined) return undefined
  const rows = Object.entries(meta).map(([table, cells]) => {
    if (!Object.hasOwn(tables, table)) return [table, cells]
    const values = Object.entries(tables[table]!).map(([name, { type }]) => {
      return [name, fromCell(type, Object.hasOwn(cells, name) ? cells[name]! : null)]
    })
    return [table, Object.fromEntries(values)]
  })
  return Object.fromEntries(rows) as MetaRows<M>
}

/** `E_INVALID_OPTION` about metadata. */
export function invalid(message: string, context: Record<string, string>): Error {
  return refused('E_INVALID_OPTION', `${message}.`, context)
}

function refused(code: ErrorCode, message: string, context: Record<string, string>): Error {
  return makeError(code, message, { name: 'meta', ...context })
}
