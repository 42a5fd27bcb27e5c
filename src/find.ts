/** `find`: the entries whose metadata answers simple conditions. */
import type { Cell } from './cells.js'
import { fromCell } from './cells.js'
import type { Columns, ColumnType, Row } from './columns.js'
import { plannedStatement } from './find-plan.js'
import { scanFor } from './find-scan.js'
import { checkFind, type FindOptions, searchOf } from './find-search.js'
import { type Key, keyFromText } from './keys.js'
import { columnsOf, type MetaTables } from './meta.js'
import { boolean } from './options.js'
import type { TierStack } from './tiers/stack.js'

export type { Comparison, FindOptions, OrderBy, Where } from './find-search.js'

/** An entry that was found. */
export interface Found<C extends Columns, V = unknown> {
  key: Key
  /** Its row. */
  meta: Row<C>
  /** With `values`; `undefined` where it went meanwhile. */
  value?: V | undefined
}

/** Runs `find`. Errors as `Cache.find`. */
export async function find<M extends MetaTables, T extends keyof M & string>(
  tiers: TierStack,
  tables: M,
  table: T,
  options: FindOptions<M[T]>,
): Promise<Found<M[T]>[]> {
  const columns = columnsOf(tables, table) as M[T]
  const isWithValues = asksForValues(options)
  const asked = answerTo(tiers, table, columns, options)
  const { cells, rows } = asked instanceof Promise ? await asked : asked
  const types = typesOf(columns)
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

function asksForValues(options: FindOptions<Columns>): boolean {
  try {
    return boolean(options.values ?? false, 'values')
  } catch (error) {
    checkFind(options) // which says more of what cannot be read
    throw error
  }
}

function answerTo(tiers: TierStack, table: string, columns: Columns, options: FindOptions<Columns>) {
  if (tiers.disk?.isJson) return scanFor(tiers.disk, searchOf(table, columns, options))
  const { sql, params } = plannedStatement(table, columns, options)
  return tiers.query(sql, params)
}

const knownTypes = new WeakMap<Columns, readonly (readonly [string, ColumnType])[]>()

function typesOf(columns: Columns): readonly (readonly [string, ColumnType])[] {
  const known = knownTypes.get(columns)
  if (known !== undefined) return known
  const types = Object.entries(columns).map(([name, { type }]) => [name, type] as const)
  knownTypes.set(columns, types)
  return types
}
