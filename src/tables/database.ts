/** DuckDB: databases, and connections to them. */
import type { ColumnType } from '../columns.js'
import { fromNative, makeError } from '../errors.js'
import { callback, checkOptions, invalid } from '../options.js'
import { pause } from '../pause.js'
import { describe } from '../refusal.js'
import { isRecord } from './column.js'
import {
  type Columnar,
  columnar,
  type NativeConnection,
  type NativeDatabase,
  type NativeDatabaseOptions,
  type NativeResult,
  type NativeSource,
  native,
  type Wire,
} from './columnar.js'
import { asWire, parametersWire } from './encode.js'
import { checkCall, interruptible, type QueryOptions } from './interrupt.js'
import { type Parameters, Query } from './query.js'

/** DuckDB's type of a column. */
export const DUCKDB_TYPES: Record<ColumnType, string> = {
  text: 'VARCHAR',
  integer: 'BIGINT',
  double: 'DOUBLE',
  boolean: 'BOOLEAN',
  date: 'DATE',
  timestamp: 'TIMESTAMPTZ',
  json: 'JSON',
}

/** An open database file, one engine for all of this process that open it. */
export class Database {
  readonly #native: NativeDatabase

  private constructor(database: NativeDatabase) {
    this.#native = database
  }

  /**
   * Opens a file, which is made where it is missing; without a path a database in memory.
   * @throws ColumnarMissingError `E_COLUMNAR_MISSING`; LockTimeoutError `E_LOCK_TIMEOUT`: another process has it open,
   * `context.pid` says which; CorruptError `E_CORRUPT`, FormatError `E_FORMAT`: it is no database, or one of a newer release
   */
  static async open(path?: string, options: NativeDatabaseOptions = {}): Promise<Database> {
    const binding: Columnar = columnar()
    return new Database(await native(() => binding.NativeDatabase.open(path, options)))
  }

  /** A new connection: transactions and temporary tables of its own. */
  connect(): Connection {
    return this.connectWith({})
  }

  /** @internal */
  connectWith(source: Omit<Source, 'open'>): Connection {
    return new Connection({ ...source, open: () => this.#connect() })
  }

  /** @internal */
  get native(): NativeDatabase {
    return this.#native
  }

  #connect(): NativeConnection {
    try {
      return this.#native.connect()
    } catch (error) {
      throw fromNative(error)
    }
  }

  /** Lets go of the file. Connections keep it open until they are closed too. */
  close(): Promise<void> {
    return native(() => this.#native.close())
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** How a database makes connections. */
interface Source {
  open(): NativeConnection
  /** Called before each statement. */
  before?(sql: string): Promise<void>
  /** Run once on each connection. */
  setup?: string
}

/** A connection. Its statements run one after another, off the event loop. */
export class Connection {
  readonly #source: Source
  readonly #native: NativeConnection
  /** @internal Settles when it is set up. */
  readonly ready: Promise<void>
  /** Settles when what was asked for before has ended. */
  #tail: Promise<unknown>

  /** @internal */
  constructor(source: Source) {
    this.#source = source
    this.#native = source.open()
    this.ready = setUp(source, this.#native)
    this.#tail = settled(this.ready)
  }

  /**
   * A query: nothing runs until a form of its result is asked for, or it is awaited, which gives rows.
   *
   *     await db.query('SELECT * FROM prices WHERE symbol = ?', ['AAPL']).columns()
   */
  query<Row = Record<string, unknown>>(
    sql: string,
    parameters: Parameters = [],
    options: QueryOptions = {},
  ): Query<Row> {
    if (typeof sql !== 'string') {
      throw makeError(
        'E_INVALID_OPTION',
        `Invalid sql: got ${describe(sql)}. Give the text of a statement.`,
        { name: 'sql' },
      )
    }
    if (!Array.isArray(parameters) && !isRecord(parameters))
      throw invalid('parameters', parameters, 'an array of values, or an object of them by name')
    checkOptions(options, ['signal', 'onProgress'], 'query')
    checkCall(options)
    const wire = asWire('parameters', () => parametersWire(parameters))
    return new Query<Row>(this, sql, wire, options)
  }

  /**
   * Runs statements as one: all of them, or none where `run` throws. They go through the connection that `run` is given.
   * @throws TransactionError `E_TRANSACTION`: a conflict with another one; nothing was changed
   */
  async transaction<T>(run: (connection: Connection) => Promise<T>): Promise<T> {
    callback(run, 'transaction')
    const own = new Connection(this.#source)
    try {
      await own.query('BEGIN TRANSACTION').run()
      let result: T
      try {
        result = await run(own)
      } catch (error) {
        // A fatal error may have ended it already; the first error is the one to tell.
        await own
          .query('ROLLBACK')
          .run()
          .catch(() => undefined)
        throw error
      }
      await own.query('COMMIT').run()
      return result
    } finally {
      await own.close()
    }
  }

  /** Ends what runs, and lets go of the connection. */
  close(): Promise<void> {
    return native(() => this.#native.close())
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** @internal */
  execute(
    sql: string,
    parameters: Wire | undefined,
    options: QueryOptions,
    given?: NativeSource,
  ): Promise<NativeResult> {
    const run = async () => {
      await this.ready
      await this.#source.before?.(sql)
      return interruptible(this.#native, options, () => this.#native.query(sql, parameters, given))
    }
    const result = this.#tail.then(run, run)
    this.#tail = settled(result)
    return result
  }

  /** @internal A connection of its own: what is read slowly holds up nobody. */
  async *stream(
    sql: string,
    parameters: Wire | undefined,
    options: QueryOptions,
    rows: number,
  ): AsyncGenerator<NativeResult> {
    await this.#source.before?.(sql)
    const connection = this.#source.open()
    try {
      await setUp(this.#source, connection)
      const stream = await interruptible(connection, options, () => connection.stream(sql, parameters))
      try {
        for (;;) yield await interruptible(connection, options, () => stream.next(rows))
      } finally {
        await native(() => stream.close())
      }
    } finally {
      await native(() => connection.close())
    }
  }
}

/** Attempts at setting a connection up, and milliseconds between them: a backup may be restored meanwhile. */
const [ATTEMPTS, PAUSE] = [50, 20]

async function setUp({ setup }: Source, connection: NativeConnection): Promise<void> {
  for (let left = ATTEMPTS; setup !== undefined; left--) {
    try {
      await native(() => connection.query(setup))
      return
    } catch (error) {
      if (left === 1 || (error as { code?: string }).code !== 'E_TRANSACTION') throw error
      await pause(PAUSE)
    }
  }
}

/** What is waited for, whatever comes of it: those who asked for it are told. */
const settled = (promise: Promise<unknown>): Promise<unknown> => promise.catch(() => undefined)
