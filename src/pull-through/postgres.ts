/** The engine on PostgreSQL, by way of the package `pg`, which the user installs. */
import type { Cell } from '../cells.js'
import type { ColumnType } from '../columns.js'
import { type ErrorCode, makeError, TierceError } from '../errors.js'
import { requireOptional } from '../optional.js'
import { describe, isUnreadable } from '../refusal.js'
import {
  type Dialect,
  type Insert,
  type PullEngine,
  type QueryParam,
  type ResultData,
  type Step,
  upsert,
} from './engine.js'

/** What is used of a client of the package `pg`. */
export interface PostgresClient {
  // biome-ignore lint/suspicious/noExplicitAny: the package's own types accept more than can be said here
  query(query: any): Promise<any>
  release(error?: Error | boolean): void
  on(event: 'error', listener: () => void): unknown
  off(event: 'error', listener: () => void): unknown
}

/** What is used of a pool of the package `pg`. */
export interface PostgresPool {
  connect(): Promise<PostgresClient>
  end(): Promise<void>
}

const DIALECT: Dialect = {
  types: {
    // Compared by its bytes, as everywhere else, and not by the rules of a language.
    text: 'text COLLATE "C"',
    integer: 'bigint',
    double: 'double precision',
    boolean: 'boolean',
    date: 'date',
    timestamp: 'timestamptz(3)',
    json: 'json',
  },
  param: (at, type) => cast(`$${at}`, type),
  cell(column, type) {
    switch (type) {
      case 'integer':
        return `${column}::float8`
      case 'boolean':
        return `${column}::int4`
      case 'date':
        return `to_char(${column}, 'YYYY-MM-DD')`
      case 'timestamp':
        return `(extract(epoch FROM ${column}) * 1000)::float8`
      case 'json':
        return `${column}::text`
      default:
        return column
    }
  },
  tableOptions: '',
  indexed: true,
  // Writers of one key, and makers of tables, wait for each other.
  lock: (name) => ({ sql: 'SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', params: [name] }),
}

/** An expression of the column's type, from a cell. */
function cast(expression: string, type: ColumnType): string {
  switch (type) {
    case 'text':
      return `${expression}::text`
    case 'integer':
      return `${expression}::bigint`
    case 'double':
      return `${expression}::float8`
    case 'boolean':
      return `(${expression}::int4 <> 0)`
    case 'date':
      return `${expression}::date`
    case 'timestamp':
      return `to_timestamp(${expression}::float8 / 1000)::timestamptz(3)`
    case 'json':
      return `${expression}::json`
  }
}

/** The type of a whole array of cells. */
const ARRAYS: Readonly<Record<ColumnType, string>> = {
  text: 'text[]',
  integer: 'bigint[]',
  double: 'float8[]',
  boolean: 'int4[]',
  date: 'text[]',
  timestamp: 'float8[]',
  json: 'text[]',
}

/** Rows of one statement: their text is made in JavaScript, and its strings are not endless. */
const ROWS_AT_ONCE = 10_000

export function postgres(target: string | PostgresPool): PullEngine {
  if (typeof target === 'string' && /^postgres(ql)?:\/\//.test(target)) return new PostgresEngine(target)
  if (!isUnreadable(target) && typeof (target as PostgresPool | null)?.connect === 'function')
    return new PostgresEngine(target)
  // No part of it in the message: there may be a password in it.
  const shown = typeof target === 'string' ? 'a text that is no URL' : describe(target)
  const message = `Invalid target of postgres(): got ${shown}. Give a URL such as 'postgresql://user@host/database', or a Pool of the package pg.`
  throw makeError('E_INVALID_OPTION', message, { name: 'target' })
}

interface PgModule {
  Pool: new (options: object) => PostgresPool & { on(event: 'error', listener: () => void): void }
}

class PostgresEngine implements PullEngine {
  readonly name = 'postgres'
  readonly dialect = DIALECT
  readonly #target: string | PostgresPool
  #pool: PostgresPool | undefined

  constructor(target: string | PostgresPool) {
    this.#target = target
  }

  write(steps: readonly Step[]): Promise<void> {
    return this.#transaction('BEGIN', async (client) => {
      for (const step of steps) await run(client, step)
    })
  }

  async query(sql: string, params: readonly QueryParam[], signal?: AbortSignal): Promise<ResultData> {
    const values = params.map(pgParam)
    return this.#transaction('BEGIN READ ONLY', async (client) => {
      signal?.throwIfAborted()
      // The extended protocol takes one statement and no more, so that no text can leave the transaction.
      const query = { text: sql, values, rowMode: 'array', queryMode: 'extended', types: { getTypeParser } }
      return inColumns(await client.query(query))
    })
  }

  async close(): Promise<void> {
    const pool = this.#pool
    this.#pool = undefined
    if (pool !== this.#target) await pool?.end()
  }

  async #transaction<T>(begin: string, work: (client: PostgresClient) => Promise<T>): Promise<T> {
    const client = await this.#connect()
    let broken: Error | undefined
    // A connection that ends between two statements says so by this event; the next statement fails.
    client.on('error', ignore)
    try {
      await client.query(begin)
      const result = await work(client)
      await client.query('COMMIT')
      return result
    } catch (error) {
      // A connection that cannot even roll back is of no use to the next one.
      await client.query('ROLLBACK').catch((fault) => {
        broken = fault as Error
      })
      throw explain(error)
    } finally {
      client.off('error', ignore)
      client.release(broken)
    }
  }

  async #connect(): Promise<PostgresClient> {
    this.#pool ??= this.#makePool()
    try {
      return await this.#pool.connect()
    } catch (error) {
      throw explain(error, 'E_UNAVAILABLE')
    }
  }

  #makePool(): PostgresPool {
    if (typeof this.#target !== 'string') return this.#target
    const { Pool } = requireOptional<PgModule>('pg', 'postgres()', 'E_UNAVAILABLE')
    const pool = new Pool({ connectionString: this.#target, max: 8, allowExitOnIdle: true })
    // Of an idle connection that the server ended: the next call takes another one.
    pool.on('error', ignore)
    return pool
  }
}

function ignore(): void {}

async function run(client: PostgresClient, step: Step): Promise<void> {
  if ('insert' in step) return insert(client, step.insert)
  const { sql, params = [], expect } = step
  const { rowCount } = await client.query({ text: sql, values: [...params] })
  if (expect === undefined || rowCount === expect) return
  const message = `A statement changed ${rowCount} rows where ${expect} were expected: somebody else wrote meanwhile, and nothing was changed.`
  throw makeError('E_TRANSACTION', message)
}

async function insert(client: PostgresClient, batch: Insert): Promise<void> {
  const { columns, cells, rows } = batch
  const arrays = columns.map(([, type], i) => `$${i + 1}::${ARRAYS[type]}`)
  const values = columns.map(([, type], i) => cast(`c${i}`, type))
  const names = columns.map((_, i) => `c${i}`)
  const source = `SELECT ${values.join(', ')} FROM unnest(${arrays.join(', ')}) AS t (${names.join(', ')})`
  const text = upsert(batch, source)
  for (let from = 0; from < rows; from += ROWS_AT_ONCE) {
    const part = cells.map((column: readonly Cell[]) => column.slice(from, from + ROWS_AT_ONCE))
    await client.query({ text, values: part })
  }
}

function inColumns({ fields, rows }: { fields: { name: string }[]; rows: unknown[][] }): ResultData {
  const names = fields.map(({ name }) => name)
  if (rows.length === 0) return { names, batches: [] }
  const columns = names.map((_, at) => ({ values: rows.map((row) => row[at]) }))
  return { names, batches: [{ rows: rows.length, columns }] }
}

const [BOOL, INT8, INT2, INT4, JSON_TYPE, FLOAT4, FLOAT8, TIMESTAMPTZ, JSONB, BYTEA] = [
  16, 20, 21, 23, 114, 700, 701, 1184, 3802, 17,
]

/** How text of the server becomes values. Whatever is not here stays text: dates, decimals, intervals, arrays. */
function getTypeParser(type: number): (text: string) => unknown {
  switch (type) {
    case BOOL:
      return (text) => text === 't'
    case INT2:
    case INT4:
    case FLOAT4:
    case FLOAT8:
      return floatOf
    case INT8:
      return (text) => (Number.isSafeInteger(Number(text)) ? Number(text) : BigInt(text))
    case JSON_TYPE:
    case JSONB:
      return (text) => JSON.parse(text)
    case TIMESTAMPTZ:
      return (text) =>
        new Date(/[+-]\d\d$/.test(text) ? `${text.replace(' ', 'T')}:00` : text.replace(' ', 'T'))
    case BYTEA:
      return (text) => Buffer.from(text.slice(2), 'hex')
    default:
      return (text) => text
  }
}

function floatOf(text: string): number {
  if (text === 'Infinity' || text === '-Infinity') return text === 'Infinity' ? Infinity : -Infinity
  return Number(text)
}

function pgParam(param: QueryParam): unknown {
  if (typeof param === 'bigint') return String(param)
  return param instanceof Uint8Array ? Buffer.from(param.buffer, param.byteOffset, param.byteLength) : param
}

/** Codes of PostgreSQL's (appendix A of its manual), by their beginning; the longest that fits counts. */
const CODES: readonly (readonly [prefix: string, code: ErrorCode, advice: string])[] = [
  ['25006', 'E_READ_ONLY', 'queries only read'],
  ['42501', 'E_READ_ONLY', 'this user may not do that: grant it'],
  ['40', 'E_TRANSACTION', 'it met another transaction: try again'],
  ['53100', 'E_STORAGE_FULL', 'free some space for the server'],
  ['53', 'E_UNAVAILABLE', 'the server has no room for it now'],
  ['55P03', 'E_LOCK_TIMEOUT', 'others held a lock for too long'],
  ['57', 'E_UNAVAILABLE', 'the server ended the call or is going down'],
  ['08', 'E_UNAVAILABLE', 'check the connection to the server'],
  ['28', 'E_UNAVAILABLE', 'check the user and its password'],
  ['3D', 'E_UNAVAILABLE', 'make that database'],
  ['XX', 'E_CORRUPT', 'the server found its data damaged'],
]

function explain(error: unknown, otherwise?: ErrorCode): unknown {
  if (error instanceof TierceError) return error
  const { code, message, syscall } = error as { code?: unknown; message?: string; syscall?: unknown }
  if (typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && syscall === undefined) {
    const [, known, advice] = CODES.find(([prefix]) => code.startsWith(prefix)) ?? [
      '',
      'E_QUERY' as const,
      'it refused a statement',
    ]
    return makeError(known, `PostgreSQL: ${message} (${code}); ${advice}.`, { sqlState: code }, error)
  }
  // Of a signal that was aborted, or of the connection.
  const isConnection = syscall !== undefined || /connection|timeout/i.test(String(message))
  if (!isConnection && otherwise === undefined) return error
  return makeError(
    'E_UNAVAILABLE',
    `PostgreSQL cannot be reached: ${message}. Check the URL, and that the server runs.`,
    {},
    error,
  )
}
