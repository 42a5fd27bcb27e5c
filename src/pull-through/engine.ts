/** What an engine of a pull-through cache is: a database that runs a few statements in one transaction, and queries. */
import { types } from 'node:util'
import type { Cell } from '../cells.js'
import { type ColumnType, quoted } from '../columns.js'
import { makeError } from '../errors.js'
import { describe } from '../refusal.js'

/** A value that a query takes. Instants go as what `timestamp()` columns hold. */
export type QueryParam = string | number | bigint | boolean | Date | Uint8Array | null

/** Checks the parameters of a query. @throws InvalidOptionError `E_INVALID_OPTION` */
export function checkParams(params: unknown): readonly QueryParam[] {
  if (!Array.isArray(params)) throw refusedParam('params', params, 'an array of values')
  for (const [at, param] of params.entries()) {
    const fits =
      param === null || types.isDate(param) || types.isUint8Array(param) || SIMPLE.includes(typeof param)
    if (fits && !Number.isNaN(param)) continue
    const accepted = 'a string, number (not NaN), bigint, boolean, Date, Uint8Array or null'
    throw refusedParam(`parameter ${at + 1} of the query`, param, accepted)
  }
  return params
}

const SIMPLE = ['string', 'number', 'bigint', 'boolean']

function refusedParam(name: string, given: unknown, accepted: string): Error {
  return makeError('E_INVALID_OPTION', `Invalid ${name}: got ${describe(given)}. Give ${accepted}.`, { name })
}

/** A step of a transaction. */
export type Step =
  | {
      sql: string
      params?: readonly Cell[]
      /** So many rows change, or the transaction fails with `E_TRANSACTION`. */
      expect?: number
    }
  | { insert: Insert }

/** Rows for a table, a column each. A row that has the primary key of one that is there takes its place. */
export interface Insert {
  /** Its name, not quoted. */
  table: string
  /** Those that the rows have. */
  columns: readonly (readonly [name: string, type: ColumnType])[]
  /** The names of its columns. */
  primaryKey: readonly string[]
  /** Whether there may be rows with these primary keys. */
  mayReplace: boolean
  /** How many. */
  rows: number
  /** As many as columns, in their order. */
  cells: readonly (readonly Cell[])[]
}

/** A column of a result: numbers with NaN for null, texts by where they are in one, or values. */
export type ResultColumn =
  | { numbers: Float64Array }
  | { text: string; spans: Uint32Array }
  | { values: readonly unknown[] }

/** A result in columns, in parts. */
export interface ResultData {
  /** Of the columns. */
  names: string[]
  /** Each with as many columns as there are names. */
  batches: { rows: number; columns: ResultColumn[] }[]
}

/** How an engine's SQL differs. */
export interface Dialect {
  /** The types of columns, in SQL. */
  types: Readonly<Record<ColumnType, string>>
  /** The parameter number `at`, from 1, for a value of this type. */
  param(at: number, type: ColumnType): string
  /** An expression that gives what is stored in the column as a cell. */
  cell(column: string, type: ColumnType): string
  /** What follows the columns of a table with a primary key. */
  tableOptions: string
  /** Whether the table of rows gets a primary key and indexes. Without them `insert` sees to it that no two rows have one key. */
  indexed: boolean
  /** A statement that keeps other transactions with the same text out until this one ends, where writers are not alone. */
  lock?: (name: string) => Step
}

/** A database that pull-through caches keep their rows and coverage in. */
export interface PullEngine {
  /** What it is, in a word: `sqlite`, `postgres`, `duckdb`. */
  readonly name: string
  /** How its SQL differs. */
  readonly dialect: Dialect
  /** Runs the steps in one transaction: all of them, or none. Opens the database where it is not open. */
  write(steps: readonly Step[]): Promise<void>
  /** Runs a statement that only reads. */
  query(sql: string, params: readonly QueryParam[], signal?: AbortSignal): Promise<ResultData>
  /** Lets go of the database. The next call opens it again. */
  close(): Promise<void>
}

/** `INSERT INTO t (a, b) SOURCE` in the place of rows with the same primary key. */
export function upsert({ table, columns, primaryKey }: Insert, source: string): string {
  const names = columns.map(([name]) => quoted(name))
  const others = columns.filter(([name]) => !primaryKey.includes(name)).map(([name]) => quoted(name))
  const update =
    others.length === 0
      ? 'NOTHING'
      : `UPDATE SET ${others.map((name) => `${name} = excluded.${name}`).join(', ')}`
  const key = primaryKey.map(quoted).join(', ')
  return `INSERT INTO ${quoted(table)} (${names.join(', ')}) ${source} ON CONFLICT (${key}) DO ${update}`
}
