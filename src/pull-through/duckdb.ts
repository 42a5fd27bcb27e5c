/** The engine on DuckDB, by way of the package `@tierce/columnar`. */

import { resolve } from 'node:path'
import type { Duration } from '../cache-options.js'
import { type ColumnType, quoted } from '../columns.js'
import { makeError, TierceError } from '../errors.js'
import { checkOptions, parseDuration } from '../options.js'
import { part } from '../parts.js'
import { pause } from '../pause.js'
import { describe } from '../refusal.js'
import type { Connection, Database } from '../tables/database.js'
import type { ColumnsSource } from '../tables/source.js'
import type { Dialect, Insert, PullEngine, QueryParam, ResultColumn, ResultData, Step } from './engine.js'

/** Options of {@link duckdb}. */
export interface DuckdbOptions {
  /** How long it is waited for another process that has the file open. Default `'5s'`. */
  lockTimeout?: Duration | undefined
}

const DIALECT: Dialect = {
  types: part('tables').DUCKDB_TYPES,
  param: (at, type) => cast(`$${at}`, type),
  cell(column, type) {
    switch (type) {
      case 'integer':
        return `${column}::DOUBLE`
      case 'boolean':
        return `${column}::DOUBLE`
      case 'timestamp':
        return `epoch_ms(${column})::DOUBLE`
      case 'date':
      case 'json':
        return `${column}::VARCHAR`
      default:
        return column
    }
  },
  tableOptions: '',
  // A scan of columns is DuckDB's way; an index would make each bulk insert slow, and checks keys that the same transaction removed.
  indexed: false,
}

/** An expression of the column's type, from a cell. */
function cast(expression: string, type: ColumnType): string {
  if (type === 'timestamp') return `make_timestamptz(${expression}::BIGINT * 1000)`
  if (type === 'boolean') return `(${expression}::DOUBLE <> 0)`
  return `${expression}::${DIALECT.types[type]}`
}

export function duckdb(path: string, options: DuckdbOptions = {}): PullEngine {
  if (typeof path !== 'string' || path === '' || path === ':memory:' || path.includes('\0')) {
    const message = `Invalid path of duckdb(): got ${describe(path)}. Give the path of a database file, which is made where there is none.`
    throw makeError('E_INVALID_OPTION', message, { name: 'path' })
  }
  checkOptions(options, ['lockTimeout'], 'duckdb')
  const lockTimeout = Math.min(parseDuration(options.lockTimeout ?? '5s', 'lockTimeout'), 2 ** 31 - 1)
  return new DuckdbEngine(resolve(path), lockTimeout)
}

/** Idle connections that are kept for the next query. */
const KEPT = 4
/** Attempts of a transaction that meets one of another thread. */
const ATTEMPTS = 20
/** Milliseconds between two of them, at most. */
const LONGEST_PAUSE = 128

/** Writes to one file take turns in this thread: to DuckDB, two at once are a conflict. */
const turns = new Map<string, Promise<unknown>>()

class DuckdbEngine implements PullEngine {
  readonly name = 'duckdb'
  readonly dialect = DIALECT
  readonly #path: string
  readonly #lockTimeout: number
  #open: Promise<Database> | undefined
  #idle: Connection[] = []

  constructor(path: string, lockTimeout: number) {
    this.#path = path
    this.#lockTimeout = lockTimeout
  }

  async write(steps: readonly Step[]): Promise<void> {
    const before = turns.get(this.#path)
    const turn = (async () => {
      await before
      await this.#write(steps)
    })()
    const settled = turn.catch(() => {})
    turns.set(this.#path, settled)
    try {
      await turn
    } finally {
      if (turns.get(this.#path) === settled) turns.delete(this.#path)
    }
  }

  async #write(steps: readonly Step[]): Promise<void> {
    const database = await this.#database()
    const connection = await this.#take(database)
    try {
      for (let attempt = 1; ; attempt++) {
        try {
          await connection.transaction(async (own) => {
            for (const step of steps) await run(own, step)
          })
          return
        } catch (error) {
          if (attempt === ATTEMPTS || !isConflict(error)) throw error
          await pause(Math.random() * Math.min(2 ** attempt, LONGEST_PAUSE))
        }
      }
    } finally {
      await this.#give(connection)
    }
  }

  async query(sql: string, params: readonly QueryParam[], signal?: AbortSignal): Promise<ResultData> {
    checkOne(sql)
    const connection = await this.#take(await this.#database())
    try {
      const options = signal === undefined ? {} : { signal }
      // Ended below: nothing that it reads can change, and it changes nothing.
      await connection.query('BEGIN TRANSACTION READ ONLY').run()
      return inColumns(await connection.query(sql, [...params], options).cells())
    } catch (error) {
      if (!isWrite(error)) throw error
      throw makeError('E_READ_ONLY', `Queries only read: ${(error as Error).message}`, {}, error)
    } finally {
      const ended = await connection
        .query('ROLLBACK')
        .run()
        .then(
          () => true,
          () => false,
        )
      if (ended) await this.#give(connection)
      else await connection.close()
    }
  }

  async close(): Promise<void> {
    const open = this.#open
    this.#open = undefined
    for (const connection of this.#idle.splice(0)) await connection.close()
    const database = await open?.catch(() => undefined)
    await database?.close()
  }

  #database(): Promise<Database> {
    if (this.#open === undefined) {
      const opening = part('tables').Database.open(this.#path, { lockTimeout: this.#lockTimeout })
      this.#open = opening
      // What could not be opened now may be there later.
      opening.catch(() => {
        if (this.#open === opening) this.#open = undefined
      })
    }
    return this.#open
  }

  async #take(database: Database): Promise<Connection> {
    return this.#idle.pop() ?? database.connect()
  }

  async #give(connection: Connection): Promise<void> {
    if (this.#idle.length < KEPT && this.#open !== undefined) this.#idle.push(connection)
    else await connection.close()
  }
}

async function run(connection: Connection, step: Step): Promise<void> {
  if ('insert' in step) return insert(connection, step.insert)
  const { sql, params = [], expect } = step
  const changed = await connection.query(sql, [...params]).run()
  if (expect === undefined || changed === expect) return
  const message = `A statement changed ${changed} rows where ${expect} were expected: somebody else wrote meanwhile, and nothing was changed.`
  throw makeError('E_TRANSACTION', message, { expected: expect })
}

async function insert(connection: Connection, batch: Insert): Promise<void> {
  const { table, columns, cells, primaryKey, mayReplace } = batch
  const given: ColumnsSource = Object.fromEntries(cells.map((column, i) => [`c${i}`, column]))
  const value = (name: string) => {
    const i = columns.findIndex(([at]) => at === name)
    return cast(`given.c${i}`, columns[i]![1])
  }
  if (mayReplace) {
    const same = primaryKey.map((name) => `${quoted(table)}.${quoted(name)} = ${value(name)}`)
    await part('tables').runWith(
      connection,
      `DELETE FROM ${quoted(table)} USING given WHERE ${same.join(' AND ')}`,
      given,
    )
  }
  const names = columns.map(([name]) => quoted(name)).join(', ')
  const values = columns.map(([name]) => value(name)).join(', ')
  await part('tables').runWith(
    connection,
    `INSERT INTO ${quoted(table)} (${names}) SELECT ${values} FROM given`,
    given,
  )
}

/** Of this transaction with one of another thread: both write coverage, or make the view that rows are read from. */
function isConflict(error: unknown): boolean {
  if (!(error instanceof TierceError)) return false
  if (error.code === 'E_TRANSACTION') return error.context?.expected === undefined
  return error.code === 'E_INVALID_OPTION' && error.message.includes('does not read columns')
}

function inColumns({
  names,
  columns,
  rows,
}: {
  names: string[]
  columns: (Float64Array | unknown[])[]
  rows: number
}): ResultData {
  const column = (values: Float64Array | unknown[]): ResultColumn =>
    values instanceof Float64Array ? { numbers: values } : { values: values.map(plainNumber) }
  return { names, batches: rows === 0 ? [] : [{ rows, columns: columns.map(column) }] }
}

/** A 64-bit integer as a number, where it is one exactly. */
function plainNumber(value: unknown): unknown {
  return typeof value === 'bigint' && Number.isSafeInteger(Number(value)) ? Number(value) : value
}

function isWrite(error: unknown): boolean {
  return error instanceof TierceError && error.code === 'E_TRANSACTION' && /read-only/i.test(error.message)
}

/** Texts, quoted names and comments of DuckDB's SQL, in which a semicolon ends nothing. */
const OPAQUE =
  /[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(\w*)\$[\s\S]*?\$\1\$|--[^\n]*|\/\*[\s\S]*?\*\//g

/** One statement and no more, so that no text can end the transaction that only reads. */
function checkOne(sql: string): void {
  if (!/;[\s;]*[^\s;]/.test(sql.replace(OPAQUE, ' '))) return
  throw makeError('E_QUERY', 'There is more than one statement in the query. Give one that reads.', { sql })
}
