/** `tierce/kysely`: the metadata of a cache as a Kysely database, typed by what the cache declares. */

// Kysely is an ES module alone: without this a CommonJS declaration that names it is an error of TypeScript's under `module: node16`.
import type { Kysely as KyselyType } from 'kysely' with { 'resolution-mode': 'import' }
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  Kysely,
  type QueryExecutor,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'
import {
  type Cache,
  InvalidOptionError,
  type MetaTables,
  ReadOnlyError,
  type Row,
  type SqlValue,
} from './index.js'

/** What every cache has: its live entries. Times in milliseconds since the Unix epoch, sizes in bytes. */
export interface EntriesTable {
  /** Text; a key that is no string has a text that starts with NUL: `keyOf(text)` of `tierce` gives it back. */
  key: string
  createdAt: number
  /** Null never expires. */
  expiresAt: number | null
  accessedAt: number
  hits: number
  size: number
  storedSize: number
}

/** The tags of live entries, a row each. */
export interface TagsTable {
  key: string
  tag: string
}

/** The tables of a query: those that are declared, each with the entry's key, and two of every cache. */
export type CacheDatabase<M extends MetaTables> = {
  [Table in keyof M & string]: Row<M[Table]> & { key: string }
} & { entries: EntriesTable; tags: TagsTable }

/**
 * A cache's metadata as a Kysely database. It reads only: a statement that writes, and a transaction, is an `E_READ_ONLY`.
 * To build and compile a query takes longer than to find one row: one that is asked often is best compiled once, with `compile()`, and asked by
 * `db.executeQuery({ ...compiled, parameters: [...] })`.
 * Nothing has to be destroyed; it ends with its cache.
 * @throws InvalidOptionError `E_INVALID_OPTION`: it is no cache
 */
export function kysely<M extends MetaTables>(cache: Cache<M>): KyselyType<CacheDatabase<M>> {
  if (!isCache(cache))
    throw new InvalidOptionError(
      'E_INVALID_OPTION',
      'kysely() was given no cache. Give one: new Cache({ dir, meta }).',
    )
  const database = new Kysely<CacheDatabase<M>>({ dialect: dialect(cache as Cache) })
  askAtOnce(database.getExecutor(), cache as Cache)
  return database
}

function isCache(given: unknown): boolean {
  try {
    return typeof (given as Cache | undefined)?.query === 'function'
  } catch {
    return false // a Proxy that throws
  }
}

/** Without the ceremony of a connection for each query, a sixth of the time of a short one. With plugins Kysely makes another executor. */
function askAtOnce(executor: QueryExecutor, cache: Cache): void {
  type Options = Parameters<QueryExecutor['executeQuery']>[1]
  const ask = executor.executeQuery.bind(executor)
  executor.executeQuery = <R>(query: CompiledQuery<R>, options?: Options) =>
    options?.signal === undefined ? answerTo<R>(cache, query) : ask(query, options)
}

async function answerTo<R>(cache: Cache, { sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
  return { rows: (await cache.query(sql, parameters as readonly SqlValue[])) as R[] }
}

function dialect(cache: Cache): Dialect {
  return {
    createAdapter: () => new CacheAdapter(),
    createDriver: () => new CacheDriver(cache),
    createIntrospector: (database) => new SqliteIntrospector(database),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  }
}

class CacheAdapter extends SqliteAdapter {
  /** What only reads waits for nothing: with one connection Kysely would hold back each query until the one before is answered. */
  override get supportsMultipleConnections(): boolean {
    return true
  }
}

/** Of a driver that has nothing to wait for: one promise for all. */
const DONE = Promise.resolve()

class CacheDriver implements Driver {
  readonly #connection: Promise<DatabaseConnection>

  constructor(cache: Cache) {
    this.#connection = Promise.resolve(new CacheConnection(cache))
  }

  init(): Promise<void> {
    return DONE
  }

  acquireConnection(): Promise<DatabaseConnection> {
    return this.#connection
  }

  releaseConnection(): Promise<void> {
    return DONE
  }

  destroy(): Promise<void> {
    return DONE
  }

  async beginTransaction(): Promise<void> {
    throw new ReadOnlyError(
      'E_READ_ONLY',
      'The metadata of a cache has no transactions: write with cache.set.',
    )
  }

  async commitTransaction(): Promise<void> {}

  async rollbackTransaction(): Promise<void> {}
}

class CacheConnection implements DatabaseConnection {
  readonly #cache: Cache

  constructor(cache: Cache) {
    this.#cache = cache
  }

  executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    return answerTo(this.#cache, query)
  }

  async *streamQuery<R>(query: CompiledQuery): AsyncIterableIterator<QueryResult<R>> {
    yield await this.executeQuery<R>(query)
  }
}
