/** DuckDB: databases, connections, and queries whose results come in the form that is asked for. */
import { promises as fs } from 'node:fs'
import type { ColumnType } from '../columns.js'
import { fromNative, makeError } from '../errors.js'
import { pause } from '../pause.js'
import { describe, Refusal } from '../refusal.js'
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
import { type ColumnValues, toCells, toColumns, toRows } from './decode.js'
import { parametersWire } from './encode.js'
import { arrowOf, polarsOf } from './frames.js'

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

/** Values for the parameters of a statement: in order, or by name. They are bound, never put into the text. */
export type Parameters = readonly unknown[] | Record<string, unknown>

/** How far a statement is, as DuckDB guesses it. */
export interface Progress {
  /** 0 to 100; -1 where nothing is known. */
  percentage: number
  /** Rows read so far. */
  rows: number
  /** Rows to read. */
  total: number
}

/** Options of one statement. */
export interface QueryOptions {
  /** Interrupts the statement; it then rejects with the signal's reason. */
  signal?: AbortSignal | undefined
  /** Told about ten times a second how far the statement is. */
  onProgress?: ((progress: Progress) => void) | undefined
}

/** A text as it stands in SQL, where no parameter can. */
export const literal = (text: string) => `'${text.replaceAll("'", "''")}'`

/** How often progress is told, and an interrupt repeated: one that comes before its statement has begun is lost. Milliseconds. */
const [PROGRESS, AGAIN] = [100, 20]

/** Runs what can be interrupted on a connection. */
export async function interruptible<T>(
  connection: Pick<NativeConnection, 'interrupt' | 'progress'>,
  options: QueryOptions,
  run: () => Promise<T>,
): Promise<T> {
  const { signal, onProgress } = options
  signal?.throwIfAborted()
  let again: NodeJS.Timeout | undefined
  const abort = () => {
    connection.interrupt()
    again = setInterval(() => connection.interrupt(), AGAIN)
  }
  const timer = onProgress && setInterval(() => onProgress(connection.progress()), PROGRESS)
  signal?.addEventListener('abort', abort, { once: true })
  try {
    return await native(run)
  } catch (error) {
    if (signal?.aborted && (error as { context?: { interrupted?: string } }).context?.interrupted)
      throw signal.reason
    throw error
  } finally {
    clearInterval(timer)
    clearInterval(again)
    signal?.removeEventListener('abort', abort)
  }
}

/** Runs what makes columns of values; a value that fits into none is named. */
export function asWire<T>(what: string, run: () => T): T {
  try {
    return run()
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    const { path, message } = error.explain(what)
    throw makeError('E_UNSERIALIZABLE', `Cannot store this: ${message}`, { path }, error.options.cause)
  }
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
    const wire = asWire('parameters', () => parametersWire(parameters))
    return new Query<Row>(this, sql, wire, options)
  }

  /**
   * Runs statements as one: all of them, or none where `run` throws. They go through the connection that `run` is given.
   * @throws TransactionError `E_TRANSACTION`: a conflict with another one; nothing was changed
   */
  async transaction<T>(run: (connection: Connection) => Promise<T>): Promise<T> {
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

/** Rows of a batch, unless something else is asked for. */
const BATCH = 65_536

/** A statement that has not run yet. Each form of the result that is asked for runs it. */
export class Query<Row = Record<string, unknown>> implements PromiseLike<Row[]>, AsyncIterable<Row> {
  readonly #connection: Connection
  readonly #parameters: Wire | undefined
  readonly #options: QueryOptions

  /** @internal */
  constructor(
    connection: Connection,
    readonly sql: string,
    parameters: Wire | undefined,
    options: QueryOptions,
  ) {
    this.#connection = connection
    this.#parameters = parameters
    this.#options = options
  }

  /** @internal As rows for a table. */
  source(): { sql: string; parameters?: Wire } {
    return this.#parameters === undefined
      ? { sql: this.sql }
      : { sql: this.sql, parameters: this.#parameters }
  }

  #result(): Promise<NativeResult> {
    return this.#connection.execute(this.sql, this.#parameters, this.#options)
  }

  async #wire(): Promise<Wire> {
    const result = await this.#result()
    return native(() => result.columns())
  }

  /** Runs it for its effect. Gives how many rows it inserted, changed or removed. */
  async run(): Promise<number> {
    return (await this.#result()).changed()
  }

  /** Objects. */
  async rows(): Promise<Row[]> {
    return toRows(await this.#wire()) as Row[]
  }

  /** Columns by name: typed arrays of numbers and times, without copies; arrays where there are nulls, and of all else. */
  async columns(): Promise<Record<string, ColumnValues>> {
    return toColumns(await this.#wire())
  }

  /** @internal The cells of rows, by column. */
  async cells(): Promise<ReturnType<typeof toCells> & { rows: number }> {
    const wire = await this.#wire()
    return { ...toCells(wire), rows: wire.rows }
  }

  /** A stream of Arrow's IPC format. */
  async ipc(): Promise<Buffer> {
    const result = await this.#result()
    return native(() => result.ipc())
  }

  /** A table of the package `apache-arrow`, which has to be installed. */
  async arrow(): Promise<unknown> {
    return arrowOf(await this.ipc())
  }

  /** A frame of the package `nodejs-polars`, which has to be installed. */
  async polars(): Promise<unknown> {
    return polarsOf(await this.ipc())
  }

  /** Writes a Parquet file, which is there as a whole or not at all. Gives the number of rows. */
  async parquet(file: string): Promise<number> {
    const temporary = `${file}.${process.pid}.tmp`
    const sql = `COPY (${this.sql.replace(/[\s;]+$/, '')}\n) TO ${literal(temporary)} (FORMAT parquet, COMPRESSION lz4_raw)`
    try {
      const result = await this.#connection.execute(sql, this.#parameters, this.#options)
      await fs.rename(temporary, file)
      return result.changed()
    } catch (error) {
      await fs.rm(temporary, { force: true })
      throw error
    }
  }

  /** Columns, some rows at a time, computed while they are read. */
  async *batches(rows: number = BATCH): AsyncGenerator<Record<string, ColumnValues>> {
    for await (const wire of this.#batches(rows)) yield toColumns(wire)
  }

  async *#batches(rows: number): AsyncGenerator<Wire> {
    for await (const result of this.#connection.stream(this.sql, this.#parameters, this.#options, rows)) {
      const wire = await native(() => result.columns())
      if (wire.rows === 0) return
      yield wire
    }
  }

  /** Rows one by one, computed while they are read. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Row> {
    for await (const wire of this.#batches(BATCH)) yield* toRows(wire) as Row[]
  }

  // biome-ignore lint/suspicious/noThenProperty: awaiting a query is running it
  then<A = Row[], B = never>(
    done?: ((rows: Row[]) => A | PromiseLike<A>) | null,
    failed?: ((error: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.rows().then(done, failed)
  }
}
