/** What a cache declares as tables of metadata: checked, and as the addon takes it. */
import { checkColumns, checkName } from './columns.js'
import { type DeclaredTable, invalid, type MetaTables } from './meta.js'
import { checkOptions } from './options.js'
import { describe, isUnreadable } from './refusal.js'

/** What queries see beside the declared tables, and the column that has the key. */
const RESERVED = ['entries', 'tags']
const KEY = 'key'

/**
 * Checks a declaration.
 * @throws InvalidOptionError `E_INVALID_OPTION`
 */
export function checkTables(tables: unknown): MetaTables {
  if (typeof tables !== 'object' || tables === null || isUnreadable(tables)) {
    throw invalid(`meta is ${describe(tables)}: give tables by name, each with its columns`, {})
  }
  checkOptions(tables, Object.keys(tables), 'meta')
  const seen = new Set(RESERVED)
  for (const [table, columns] of Object.entries(tables as MetaTables)) {
    checkName(table, 'a table')
    refuseTaken(table, table, seen)
    checkColumns(columns, `meta.${table}`)
    const known = new Set([KEY])
    for (const [name, column] of Object.entries(columns)) {
      refuseTaken(table, name, known)
      if (column.isPrimaryKey) {
        const advice = 'the key of a row of metadata is that of its entry: use unique().notNull()'
        throw invalid(`meta.${table}.${name} is a primaryKey(): ${advice}`, { table, column: name })
      }
    }
  }
  return tables as MetaTables
}

function refuseTaken(table: string, name: string, seen: Set<string>): void {
  const folded = name.toLowerCase()
  if (/^(sqlite|tierce)_/.test(folded) || seen.has(folded)) {
    throw invalid(`The name ${describe(name)} in meta.${table} is taken: give it another`, { table })
  }
  seen.add(folded)
}

/** A declaration, as the addon takes it. */
export function declaredTables(tables: MetaTables): DeclaredTable[] {
  return Object.entries(tables).map(([name, columns]) => ({
    name,
    columns: Object.entries(columns).map(([column, { type, isNotNull, isUnique, isIndexed }]) => ({
      name: column,
      type,
      isNotNull,
      isUnique,
      isIndexed,
    })),
  }))
}
