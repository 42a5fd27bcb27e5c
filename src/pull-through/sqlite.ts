/** The engine on the SQLite inside `tierce`: a file of the user's, and nothing to install. */
import { resolve } from 'node:path'
import type { Duration } from '../cache-options.js'
import type { Cell } from '../cells.js'
import type { ColumnType } from '../columns.js'
import { fromNative, makeError } from '../errors.js'
import { type NativeCells, type NativeDatabase, type NativeStep, native } from '../native.js'
import { checkOptions, parseDuration } from '../options.js'
import { describe } from '../refusal.js'
import {
  type Dialect,
  type Insert,
  type PullEngine,
  type QueryParam,
  type ResultData,
  type Step,
  upsert,
} from './engine.js'

/** Options of {@link sqlite}. */
export interface SqliteOptions {
  /** How long a write waits for those of other processes. Default `'5s'`. */
  lockTimeout?: Duration | undefined
}

const DIALECT: Dialect = {
  types: {
    text: 'TEXT',
    integer: 'INTEGER',
    double: 'REAL',
    boolean: 'INTEGER',
    date: 'TEXT',
    timestamp: 'INTEGER',
    json: 'TEXT',
  },
  param: (at) => `?${at}`,
  cell: (column) => column,
  tableOptions: ' STRICT, WITHOUT ROWID',
  indexed: true,
}

export function sqlite(path: string, options: SqliteOptions = {}): PullEngine {
  if (typeof path !== 'string' || path === '' || path === ':memory:' || path.includes('\0')) {
    const message = `Invalid path of sqlite(): got ${describe(path)}. Give the path of a database file, which is made where there is none.`
    throw makeError('E_INVALID_OPTION', message, { name: 'path' })
  }
  checkOptions(options, ['lockTimeout'], 'sqlite')
  return new SqliteEngine(resolve(path), parseDuration(options.lockTimeout ?? '5s', 'lockTimeout'))
}

class SqliteEngine implements PullEngine {
  readonly name = 'sqlite'
  readonly dialect = DIALECT
  readonly #path: string
  readonly #lockTimeout: number
  #open: Promise<NativeDatabase> | undefined

  constructor(path: string, lockTimeout: number) {
    this.#path = path
    this.#lockTimeout = Math.min(lockTimeout, 2 ** 31 - 1)
  }

  async write(steps: readonly Step[]): Promise<void> {
    const database = await this.#database()
    await told(database.write(steps.map(nativeStep)))
  }

  async query(sql: string, params: readonly QueryParam[], signal?: AbortSignal): Promise<ResultData> {
    const database = await this.#database()
    signal?.throwIfAborted()
    const values = params.map(nativeParam)
    if (signal === undefined) return (await told(database.query(sql, values))) as ResultData
    const cancel = new (native().NativeCancel)()
    const onAbort = () => cancel.cancel()
    signal.addEventListener('abort', onAbort)
    try {
      return (await told(database.query(sql, values, cancel))) as ResultData
    } catch (error) {
      throw signal.aborted ? signal.reason : error
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  async close(): Promise<void> {
    const open = this.#open
    this.#open = undefined
    const database = await open?.catch(() => undefined)
    await database?.close()
  }

  #database(): Promise<NativeDatabase> {
    if (this.#open === undefined) {
      const opening = told(native().openDatabase(this.#path, this.#lockTimeout))
      this.#open = opening
      // What could not be opened now may be there later.
      opening.catch(() => {
        if (this.#open === opening) this.#open = undefined
      })
    }
    return this.#open
  }
}

async function told<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw fromNative(error)
  }
}

function nativeStep(step: Step): NativeStep {
  if ('insert' in step) {
    const marks = step.insert.columns.map((_, i) => `?${i + 1}`)
    return { sql: upsert(step.insert, `VALUES (${marks.join(', ')})`), columns: nativeColumns(step.insert) }
  }
  const { sql, params = [], expect } = step
  return { sql, params: [...params], ...(expect !== undefined && { expect }) }
}

function nativeColumns({ columns, cells, rows }: Insert): NativeCells[] {
  return columns.map(([, type], i) => nativeCells(type, cells[i]!, rows))
}

function nativeCells(type: ColumnType, cells: readonly Cell[], rows: number): NativeCells {
  if (type === 'text' || type === 'date' || type === 'json') {
    // No text has a NUL in it, so one string can carry them all.
    const text = cells.join('\0')
    return cells.includes(null)
      ? { text, rows, nulls: Uint8Array.from(cells, (cell) => Number(cell === null)) }
      : { text, rows }
  }
  // No number is NaN, so it can stand for null.
  const numbers = Float64Array.from(cells as readonly (number | null)[], (cell) => cell ?? Number.NaN)
  return { numbers, whole: type !== 'double', rows }
}

function nativeParam(param: QueryParam): number | string | bigint | Uint8Array | null {
  if (typeof param === 'boolean') return Number(param)
  return param instanceof Date ? param.getTime() : param
}
