/** `TableCache`: tables in DuckDB as a cache. */
import { existsSync, promises as fs } from 'node:fs'
import { join } from 'node:path'
import { checkColumns, checkName, quoted } from '../columns.js'
import { makeError } from '../errors.js'
import { checkOptions, invalid, parseDuration } from '../options.js'
import { part } from '../parts.js'
import {
  columnar,
  type NativeSource,
  type NativeSpec,
  type NativeTableInfo,
  type NativeTables,
  native,
} from './columnar.js'
import type { Connection, Database } from './database.js'
import type { TableSource } from './source.js'
import {
  checkDir,
  type ParsedTables,
  parseTableOptions,
  type TableCacheInfo,
  type TableCacheOptions,
  type TableFacts,
  WRITE_OPTIONS,
  type WriteOptions,
} from './table-options.js'

/** The name of the database in its folder, and of a backup in its own. */
const [FILE, BACKUP] = ['tables.duckdb', 'tierce-tables.backup.duckdb']

interface Opened {
  database: Database
  tables: NativeTables
}

/** Tables in DuckDB as a cache. Needs the package `@tierce/columnar`. */
export class TableCache {
  readonly #dir: string | undefined
  readonly #schema: string
  readonly #ttl: number
  readonly #now: () => number
  readonly #snapshot: boolean
  readonly #readOnly: boolean
  readonly #engine: ParsedTables['engine']
  readonly #bound: ParsedTables['bound']
  #opening: Promise<Opened> | undefined
  #closed = false
  /** Writes of this object go one by one: those that wait need no thread. */
  #writes: Promise<unknown> = Promise.resolve()

  /**
   * Nothing is opened before the first use.
   * @throws InvalidOptionError `E_INVALID_OPTION`, InvalidTtlError `E_INVALID_TTL`: an option is not accepted
   */
  constructor(options: TableCacheOptions = {}) {
    const { dir, schema, ttl, now, snapshot, readOnly, engine, bound } = parseTableOptions(options)
    this.#dir = dir
    this.#schema = schema
    this.#ttl = ttl
    this.#now = now
    this.#snapshot = snapshot
    this.#readOnly = readOnly
    this.#engine = engine
    this.#bound = bound
  }

  #open(): Promise<Opened> {
    if (this.#closed) throw makeError('E_CLOSED', 'The tables are closed: make a new TableCache.')
    this.#opening ??= this.#reallyOpen().catch((error) => {
      this.#opening = undefined // the next call tries again
      throw error
    })
    return this.#opening
  }

  async #reallyOpen(): Promise<Opened> {
    const binding = columnar()
    const path = this.#path()
    if (path !== undefined && this.#readOnly && !existsSync(path)) {
      const what = this.#snapshot ? 'no backup' : 'no database'
      throw makeError('E_UNAVAILABLE', `There is ${what} at ${path}.`, { path })
    }
    if (this.#dir !== undefined && !this.#readOnly) await fs.mkdir(this.#dir, { recursive: true })
    const database = await part('tables').Database.open(path, { ...this.#engine, readOnly: this.#readOnly })
    try {
      const tables = await native(() => binding.NativeTables.open(database.native, this.#bound))
      return { database, tables }
    } catch (error) {
      await database.close()
      throw error
    }
  }

  #path(): string | undefined {
    if (this.#dir === undefined) return undefined
    return this.#snapshot ? join(this.#dir, 'backup', BACKUP) : join(this.#dir, FILE)
  }

  /**
   * Writes a table: one that is there is replaced as a whole, and readers see the old or the new one. Gives the number of rows.
   * @throws UnserializableError `E_UNSERIALIZABLE`: a value fits into no column, and is named; QueryError `E_QUERY`: a file or a query
   * cannot be read, or a row breaks a constraint; ValueTooLargeError `E_VALUE_TOO_LARGE`: it alone is over `maxSize`, or
   * does not fit into memory. Then the old table stays, as it does when the process is killed
   */
  update(table: string, source: TableSource, options: WriteOptions = {}): Promise<number> {
    return this.#write('replace', table, source, options)
  }

  /** Adds rows; columns they lack are null. A table that is not there is made. Errors as `update`. */
  append(table: string, source: TableSource, options: WriteOptions = {}): Promise<number> {
    return this.#write('append', table, source, options)
  }

  /**
   * Adds rows, and changes those with the same key: what a row lacks stays. Of rows with one key the last counts. A table that is not there
   * is made, with `key` as its primary key. Errors as `update`.
   */
  upsert(table: string, source: TableSource, options: WriteOptions = {}): Promise<number> {
    return this.#write('upsert', table, source, options)
  }

  async #write(
    mode: NativeSpec['mode'],
    table: string,
    source: TableSource,
    options: WriteOptions,
  ): Promise<number> {
    checkName(table, 'table')
    const schema = this.#checkWrite(options)
    const spec = this.#spec(mode, options)
    const given = part('tables').nativeSource(source)
    const { tables } = await this.#open()
    const run = async () => {
      const from = given.sql === undefined ? given : await this.#queried(tables, given, given.sql)
      return part('tables').interruptible(tables, options, () =>
        tables.write(schema, table, from, spec, this.#now()),
      )
    }
    const written = this.#writes.then(run, run)
    this.#writes = written.catch(() => undefined)
    return written
  }

  /** A query as a source: it finds, counts and misses tables as on a connection. */
  async #queried(tables: NativeTables, given: NativeSource, sql: string): Promise<NativeSource> {
    await native(() => tables.reading(sql, this.#schema, this.#now()))
    return { ...given, sql: `${this.#setup()}; ${sql}` }
  }

  /** What makes a connection look for names without a schema in the cache's. */
  #setup(): string {
    const name = quoted(this.#schema)
    const search = `SET search_path = ${part('tables').literal(`${name},main`)}`
    return this.#readOnly ? search : `CREATE SCHEMA IF NOT EXISTS ${name}; ${search}`
  }

  #checkWrite(options: WriteOptions): string {
    checkOptions(options, WRITE_OPTIONS, 'a write')
    part('tables').checkCall(options)
    if (this.#readOnly)
      throw makeError(
        'E_READ_ONLY',
        'These tables are open for reading: open them without readOnly and snapshot.',
      )
    return options.schema === undefined ? this.#schema : checkName(options.schema, 'schema')
  }

  #spec(mode: NativeSpec['mode'], options: WriteOptions): NativeSpec {
    const { columns, key = [], ttl } = options
    if (!Array.isArray(key)) throw invalid('key', key, 'an array of names of columns')
    const entries = Object.entries(columns === undefined ? {} : checkColumns(columns, 'columns'))
    const primary = entries.filter(([, column]) => column.isPrimaryKey).map(([name]) => name)
    const life = ttl === undefined ? this.#ttl : parseDuration(ttl, 'ttl')
    return {
      mode,
      names: entries.map(([name]) => name),
      types: entries.map(
        ([, { type, isNotNull, isUnique }]) =>
          `${part('tables').DUCKDB_TYPES[type]}${isNotNull ? ' NOT NULL' : ''}${isUnique ? ' UNIQUE' : ''}`,
      ),
      key: key.length > 0 ? key.map((name) => checkName(name, 'key')) : primary,
      renew: ttl !== undefined,
      ...(life !== Number.POSITIVE_INFINITY && { expires: this.#now() + life }),
    }
  }

  /**
   * A connection: all of DuckDB. It looks for names without a schema in the cache's.
   * @throws ColumnarMissingError `E_COLUMNAR_MISSING`; LockTimeoutError `E_LOCK_TIMEOUT`: another process has the database open, `context.pid` says
   * which
   */
  async connect(): Promise<Connection> {
    const { database, tables } = await this.#open()
    const connection = database.connectWith({
      setup: this.#setup(),
      before: (sql) => native(() => tables.reading(sql, this.#schema, this.#now())),
    })
    try {
      await connection.ready
      return connection
    } catch (error) {
      await connection.close()
      throw error
    }
  }

  /** What is known of the database and its tables. */
  async info(): Promise<TableCacheInfo> {
    const { tables } = await this.#open()
    const found = await native(() => tables.list(true, this.#now()))
    const size = await native(() => tables.size()) // what the log had is in the file now
    return { path: this.#path(), size, tables: found.map((each) => this.#facts(each)) }
  }

  #facts(info: NativeTableInfo): TableFacts {
    return {
      schema: info.schema,
      table: info.table,
      rows: info.rows,
      bytes: info.bytes,
      age: info.updated === undefined ? undefined : this.#now() - info.updated,
      createdAt: info.created,
      updatedAt: info.updated,
      accessedAt: info.accessed,
      expiresAt: info.expires ?? Number.POSITIVE_INFINITY,
      hits: info.hits,
      columns: info.columns,
    }
  }

  /** Whether there is a table whose time to live has not passed. */
  async check(table: string, options: { schema?: string } = {}): Promise<boolean> {
    checkOptions(options, ['schema'], 'check')
    const { schema = this.#schema } = options
    checkName(table, 'table')
    const { tables } = await this.#open()
    return native(() => tables.has(checkName(schema, 'schema'), table, this.#now()))
  }

  /** The names of all tables, of whatever schema. */
  async listTables(): Promise<string[]> {
    return (await this.listSchemaTables()).map(({ table }) => table)
  }

  /** The names of all tables with their schemas. */
  async listSchemaTables(): Promise<{ schema: string; table: string }[]> {
    const { tables } = await this.#open()
    const found = await native(() => tables.list(false, this.#now()))
    return found.map(({ schema, table }) => ({ schema, table }))
  }

  /** Removes a table, or all of a schema; without arguments, all tables. A table without a schema is the cache's own. Gives how many there were. */
  async clear(options: { schema?: string; table?: string } = {}): Promise<number> {
    // Before anything is removed: what is meant for one table must never clear all.
    checkOptions(options, ['schema', 'table'], 'clear')
    const { schema, table } = options
    const { tables } = await this.#open()
    this.#checkWrite({})
    const of = schema ?? (table === undefined ? undefined : this.#schema)
    if (of !== undefined) checkName(of, 'schema')
    if (table !== undefined) checkName(table, 'table')
    return native(() => tables.clear(of, table))
  }

  /** Removes tables whose time to live has passed; writes do so too. Gives how many there were. */
  async cleanup(): Promise<number> {
    const { tables } = await this.#open()
    this.#checkWrite({})
    return native(() => tables.cleanup(this.#now()))
  }

  /** Copies the database as it is at one moment, in the place of an older backup. Gives its bytes. Default: `backup` in `dir`. */
  async backup(dir?: string): Promise<number> {
    const { tables } = await this.#open()
    const target = this.#backupDir(dir)
    this.#checkWrite({})
    return native(() => tables.backup(target))
  }

  /** Makes the tables what a backup says, in one transaction. @throws UnavailableError `E_UNAVAILABLE`: there is none */
  async restore(dir?: string): Promise<void> {
    const { tables } = await this.#open()
    const source = this.#backupDir(dir)
    this.#checkWrite({})
    return native(() => tables.restore(source))
  }

  /** Removes the backup, and no other file; its folder only where that is empty then. Gives whether there was one. */
  async eraseBackup(dir?: string): Promise<boolean> {
    const target = this.#backupDir(dir)
    return native(() => columnar().eraseBackup(target))
  }

  #backupDir(dir: string | undefined): string {
    if (dir !== undefined) return checkDir(dir)
    if (this.#dir === undefined) throw invalid('dir', dir, 'the folder for the backup of tables in memory')
    return join(this.#dir, 'backup')
  }

  /**
   * Closes the tables and removes the database; backups stay.
   * @throws LockTimeoutError `E_LOCK_TIMEOUT`: something else in this process has it open
   */
  async erase(): Promise<void> {
    if (!this.#closed) this.#checkWrite({})
    const path = this.#path()
    // What a damaged database cannot write any more is of no use here.
    await this.close().catch(() => undefined)
    if (path !== undefined) await native(() => columnar().eraseDatabase(path))
  }

  /** Finishes the writes under way and lets go of the database. Connections stay open until they are closed too. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    const opened = await this.#opening?.catch(() => undefined)
    await this.#writes
    if (opened === undefined) return
    try {
      await native(() => opened.tables.close())
    } finally {
      await opened.database.close()
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
