import { createRequire } from 'node:module'
import { TableCache, type TableCacheOptions } from 'tierce'
import { afterEach } from 'vitest'

/** As far as the tests use frames of Polars, whose own types the compiler refuses. */
export interface PolarsFrame {
  toRecords(): Record<string, unknown>[]
}

export const polars = createRequire(import.meta.url)('nodejs-polars') as {
  DataFrame(columns: Record<string, readonly unknown[]>): PolarsFrame
}

const open: TableCache[] = []

afterEach(async () => {
  for (const tables of open.splice(0)) await tables.close().catch(() => {})
})

/** Tables that are closed after the test. */
export function openTables(options: TableCacheOptions = {}): TableCache {
  const tables = new TableCache({ threads: 2, lockTimeout: 0, ...options })
  open.push(tables)
  return tables
}

/** The rows of a query. */
export async function rowsOf(
  tables: TableCache,
  sql: string,
  parameters: readonly unknown[] = [],
): Promise<unknown[]> {
  await using db = await tables.connect()
  return await db.query(sql, parameters).rows()
}
