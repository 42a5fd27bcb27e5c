/** The engines that tables are kept in. Each is loaded when it is first asked for. */
import { part } from '../parts.js'
import type { DuckdbOptions } from './duckdb.js'
import type { PullEngine } from './engine.js'
import type { PostgresPool } from './postgres.js'
import type { SqliteOptions } from './sqlite.js'

/**
 * Keeps rows and coverage in a file of the SQLite inside `tierce`. Made where there is none; its folder must exist. Any number of
 * processes may use the file. Do not open it with a second SQLite (such as better-sqlite3) in the same process: closing that one
 * drops the locks of this one. `query` gives read access.
 * @throws InvalidOptionError `E_INVALID_OPTION`: the path or an option is not accepted. Opened with the first call, which may reject
 * with `E_UNAVAILABLE`, `E_READ_ONLY`, `E_STORAGE_FULL`, `E_CORRUPT` or `E_LOCK_TIMEOUT`
 */
export function sqlite(path: string, options: SqliteOptions = {}): PullEngine {
  return part('pull-through').sqlite(path, options)
}

/**
 * Keeps rows and coverage in PostgreSQL. Give a URL (or a `pg` connection string), for which a pool is opened, and ended when
 * the last table closes; or a pool of yours, which stays open.
 * @throws InvalidOptionError `E_INVALID_OPTION`: neither. The first call rejects with `E_UNAVAILABLE` where the package `pg` is not
 * installed, or the server does not answer
 */
export function postgres(target: string | PostgresPool): PullEngine {
  return part('pull-through').postgres(target)
}

/**
 * Keeps rows and coverage in a file of DuckDB. Needs the package `@tierce/columnar`. One process at a time has the file open; all of
 * its threads share one engine.
 * @throws InvalidOptionError `E_INVALID_OPTION`: the path or an option is not accepted. Opened with the first call, which rejects with
 * `E_COLUMNAR_MISSING` without that package, `E_LOCK_TIMEOUT` where another process has the file open
 */
export function duckdb(path: string, options: DuckdbOptions = {}): PullEngine {
  return part('duckdb').duckdb(path, options)
}
