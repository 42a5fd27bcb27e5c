/**
 * The tables of a pull-through cache in its database: rows, and what was fetched of them. The same SQL for every engine but for
 * its dialect.
 *
 * `tierce_tables` has the definition of each table, `tierce_coverage` each interval that was fetched: half-open, in positions,
 * with the time at which its fetch began. Intervals of one key do not overlap.
 */
import type { Cell } from '../cells.js'
import { type Column, quoted } from '../columns.js'
import { makeError, TierceError } from '../errors.js'
import { describe } from '../refusal.js'
import type { Batch } from './batch.js'
import type { Dialect, PullEngine, ResultData, Step } from './engine.js'
import type { Spec } from './table.js'

/** Start, end and time of each stored fetch. */
export type Pieces = Float64Array<ArrayBuffer>

const COVERAGE_AT = 'table_name = $1 AND key_cells = $2'

export class Store {
  readonly #engine: PullEngine
  readonly #spec: Spec
  readonly #sql: ReturnType<typeof statements>
  /** Whether a row keeps its primary key when it moves to another key or position: then it may be outside of a fetch's range. */
  readonly #mayMove: boolean

  constructor(engine: PullEngine, spec: Spec) {
    this.#engine = engine
    this.#spec = spec
    this.#sql = statements(engine.dialect, spec)
    this.#mayMove = [...spec.key, spec.range].some((name) => !spec.primaryKey.includes(name))
  }

  /**
   * Makes the tables where they are not there.
   * @throws FormatError `E_FORMAT` where there is a table of this name with other columns, or that is none of ours
   */
  async prepare(): Promise<void> {
    const { lock } = this.#engine.dialect
    const locked = lock === undefined ? [] : [lock('tierce')]
    await this.#engine.write([...locked, ...this.#sql.ownTables.map((sql) => ({ sql }))])
    let found = await this.#definition()
    if (found === undefined) {
      const definition = definitionOf(this.#spec)
      const note = { sql: this.#sql.define, params: [this.#spec.name, definition] }
      try {
        await this.#engine.write([...locked, ...this.#sql.createTable.map((sql) => ({ sql })), note])
        return
      } catch (error) {
        // Somebody made it meanwhile, or it has been there for long.
        found = await this.#definition()
        if (found === undefined) throw taken(this.#spec, error)
      }
    }
    if (found !== definitionOf(this.#spec)) throw changed(this.#spec, found)
  }

  async #definition(): Promise<string | undefined> {
    const found = await this.#engine.query(this.#sql.definition, [this.#spec.name])
    return valuesOf(found, 0)[0] as string | undefined
  }

  /** The stored fetches that `[start, end)` meets or touches. */
  async pieces(key: string, start: number, end: number): Promise<Pieces> {
    const found = await this.#engine.query(this.#sql.pieces, [this.#spec.name, key, end, start])
    const columns = [0, 1, 2].map((at) => valuesOf(found, at))
    // The position behind the last integer there is, 2^53, comes as a bigint from SQLite.
    return Float64Array.from({ length: columns[0]!.length * 3 }, (_, i) =>
      Number(columns[i % 3]![Math.floor(i / 3)]),
    )
  }

  /** The rows of a fetch take the place of those in its range, and the range is covered: both, or neither. */
  commit(key: Key, range: Interval, batch: Batch, fetched: number | undefined): Promise<void> {
    const { name, columns, primaryKey } = this.#spec
    const types = columns.map(([at, { type }]) => [at, type] as const)
    const insert = { table: name, columns: types, primaryKey, mayReplace: this.#mayMove, ...batch }
    const covered = [name, key.text, range.start, range.end]
    return this.#engine.write([
      ...this.#locked(key),
      { sql: this.#sql.deleteRows, params: [...key.cells, ...range.cells] },
      ...(batch.rows === 0 ? [] : [{ insert }]),
      ...this.#carve(key, range),
      ...(fetched === undefined ? [] : [{ sql: this.#sql.cover, params: [...covered, fetched] }]),
    ])
  }

  /** The range is covered no more. Its rows stay until it is fetched again. */
  uncover(key: Key, range: Interval): Promise<void> {
    return this.#engine.write([...this.#locked(key), ...this.#carve(key, range)])
  }

  /** Nothing of the table is covered any more. */
  uncoverAll(): Promise<void> {
    return this.#engine.write([{ sql: this.#sql.uncoverAll, params: [this.#spec.name] }])
  }

  /** Replaces pieces by fewer that say the same. Does nothing where others changed them meanwhile. */
  async compact(key: Key, before: Pieces, after: Pieces): Promise<void> {
    const step = (sql: string, pieces: Pieces, at: number) => ({
      sql,
      params: [this.#spec.name, key.text, ...pieces.subarray(at, at + 3)],
      expect: 1,
    })
    const each = (sql: string, pieces: Pieces) =>
      Array.from({ length: pieces.length / 3 }, (_, i) => step(sql, pieces, i * 3))
    try {
      await this.#engine.write([
        ...this.#locked(key),
        ...each(this.#sql.deletePiece, before),
        ...each(this.#sql.cover, after),
      ])
    } catch (error) {
      if (!(error instanceof TierceError) || error.code !== 'E_TRANSACTION') throw error
    }
  }

  /** The rows of a range, sorted by the primary key. */
  rows(key: Key, range: Interval, signal?: AbortSignal): Promise<ResultData> {
    return this.#engine.query(this.#sql.rows, [...key.cells, ...range.cells], signal)
  }

  #locked(key: Key): Step[] {
    const { lock } = this.#engine.dialect
    return lock === undefined ? [] : [lock(`tierce ${this.#spec.name} ${key.text}`)]
  }

  /** Takes a range out of the intervals that it meets: what is left of each before it, after it, and nothing of it. */
  #carve(key: Key, { start, end }: Interval): Step[] {
    const params = [this.#spec.name, key.text, start, end]
    return [this.#sql.keepBefore, this.#sql.keepAfter, this.#sql.deletePieces].map((sql) => ({ sql, params }))
  }
}

/** The values of the key columns. */
export interface Key {
  cells: readonly Cell[]
  /** One text for each tuple of cells. */
  text: string
}

/** A range: half-open in positions, and its two ends, both included, as cells. */
export interface Interval {
  start: number
  end: number
  cells: readonly [Cell, Cell]
}

/** The values of a column of a small result. */
export function valuesOf({ batches }: ResultData, at: number): ArrayLike<unknown> {
  const values = batches.flatMap(({ columns }) => {
    const column = columns[at]!
    if ('numbers' in column) return Array.from(column.numbers)
    if ('values' in column) return column.values
    return Array.from({ length: column.spans.length / 2 }, (_, row) =>
      column.text.slice(column.spans[row * 2], column.spans[row * 2 + 1]),
    )
  })
  return values
}

function statements(dialect: Dialect, { name, columns, primaryKey, key, range, rangeType }: Spec) {
  const { types, tableOptions, indexed } = dialect
  const [text, integer] = [types.text, types.integer]
  const byName = new Map(columns)
  const conditions = [...key.map((at) => [at, '='] as const), [range, '>='] as const, [range, '<='] as const]
  const where = conditions
    .map(([at, sign], i) => `${quoted(at)} ${sign} ${dialect.param(i + 1, byName.get(at)!.type)}`)
    .join(' AND ')
  const cells = columns.map(([at, { type }]) => `${dialect.cell(quoted(at), type)} AS ${quoted(at)}`)
  // Parameters by their numbers, as PostgreSQL writes them; each place names its own type.
  const params = (sql: string, ...numbers: number[]) =>
    sql.replace(/\$(\d)/g, (_, at) =>
      dialect.param(Number(at), numbers.includes(Number(at)) ? 'integer' : 'text'),
    )
  const coverage = 'tierce_coverage'
  const definitions = columns.map(([at, column]) => columnSql(at, column, dialect))
  if (indexed) definitions.push(`PRIMARY KEY (${primaryKey.map(quoted).join(', ')})`)
  return {
    ownTables: [
      `CREATE TABLE IF NOT EXISTS tierce_tables (name ${text} NOT NULL PRIMARY KEY, definition ${text} NOT NULL)${tableOptions}`,
      `CREATE TABLE IF NOT EXISTS ${coverage} (table_name ${text} NOT NULL, key_cells ${text} NOT NULL, range_start ${integer} NOT NULL, ` +
        `range_end ${integer} NOT NULL, fetched ${integer} NOT NULL, PRIMARY KEY (table_name, key_cells, range_start, range_end, fetched))${tableOptions}`,
    ],
    createTable: [
      `CREATE TABLE ${quoted(name)} (${definitions.join(', ')})${tableOptions}`,
      ...(indexed ? indexes({ name, columns, primaryKey, key, range, rangeType }) : []),
    ],
    definition: params('SELECT definition FROM tierce_tables WHERE name = $1'),
    define: params('INSERT INTO tierce_tables (name, definition) VALUES ($1, $2)'),
    pieces: params(
      `SELECT ${['range_start', 'range_end', 'fetched'].map((at) => `${dialect.cell(at, 'integer')} AS ${at}`).join(', ')} ` +
        `FROM ${coverage} WHERE ${COVERAGE_AT} AND range_start <= $3 AND range_end >= $4`,
      3,
      4,
    ),
    cover: params(
      `INSERT INTO ${coverage} (table_name, key_cells, range_start, range_end, fetched) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
      3,
      4,
      5,
    ),
    keepBefore: params(
      `INSERT INTO ${coverage} SELECT table_name, key_cells, range_start, $3, fetched FROM ${coverage} ` +
        `WHERE ${COVERAGE_AT} AND range_start < $3 AND range_end > $3 AND range_start < $4 ON CONFLICT DO NOTHING`,
      3,
      4,
    ),
    keepAfter: params(
      `INSERT INTO ${coverage} SELECT table_name, key_cells, $4, range_end, fetched FROM ${coverage} ` +
        `WHERE ${COVERAGE_AT} AND range_start < $4 AND range_end > $4 AND range_end > $3 ON CONFLICT DO NOTHING`,
      3,
      4,
    ),
    deletePieces: params(
      `DELETE FROM ${coverage} WHERE ${COVERAGE_AT} AND range_start < $4 AND range_end > $3`,
      3,
      4,
    ),
    deletePiece: params(
      `DELETE FROM ${coverage} WHERE ${COVERAGE_AT} AND range_start = $3 AND range_end = $4 AND fetched = $5`,
      3,
      4,
      5,
    ),
    uncoverAll: params(`DELETE FROM ${coverage} WHERE table_name = $1`),
    deleteRows: `DELETE FROM ${quoted(name)} WHERE ${where}`,
    rows: `SELECT ${cells.join(', ')} FROM ${quoted(name)} WHERE ${where} ORDER BY ${primaryKey.map((at) => `${quoted(name)}.${quoted(at)}`).join(', ')}`,
  }
}

function columnSql(name: string, column: Column, { types }: Dialect): string {
  return `${quoted(name)} ${types[column.type]}${column.isNotNull ? ' NOT NULL' : ''}`
}

/**
 * `unique()` makes an index and no constraint: the source decides what is unique, and a row of it that took a value over from
 * one that is not fetched again yet must not fail.
 */
function indexes({ name, columns, primaryKey, key, range }: Spec): string[] {
  const wanted = columns.filter(([, column]) => column.isIndexed || column.isUnique).map(([at]) => [at])
  const served =
    key.every((at) => primaryKey.slice(0, key.length).includes(at)) && primaryKey[key.length] === range
  if (!served) wanted.push([...key, range])
  return wanted.map((names) => {
    const index = quoted(`tierce_${name}_${names.join('_')}`)
    return `CREATE INDEX ${index} ON ${quoted(name)} (${names.map(quoted).join(', ')})`
  })
}

/** What makes two tables the same: what rows and coverage in the database depend on. */
function definitionOf({ columns, key, range }: Spec): string {
  const parts = columns.map(([name, { type, isNotNull, isPrimaryKey }]) => ({
    name,
    type,
    isNotNull,
    isPrimaryKey,
  }))
  return JSON.stringify({ columns: parts, key, range })
}

function changed(spec: Spec, found: string): Error {
  const message =
    `The table ${describe(spec.name)} was made with another definition: ${found}; now it is ${definitionOf(spec)}. ` +
    `Use another name, or drop the table and its rows in tierce_tables and tierce_coverage.`
  return makeError('E_FORMAT', message, { table: spec.name })
}

function taken(spec: Spec, cause: unknown): Error {
  if (cause instanceof TierceError && cause.code !== 'E_QUERY') return cause
  const message = `The table ${describe(spec.name)} cannot be made: there is one that this cache has not made, or the database refuses it. Use another name.`
  return makeError('E_FORMAT', message, { table: spec.name }, cause)
}
