/** Options of `TableCache` and of its writes, and what is known of tables. */
import { resolve } from 'node:path'
import type { Duration, Size } from '../cache-options.js'
import { type Columns, checkName } from '../columns.js'
import {
  boolean,
  callback,
  checkOptions,
  invalid,
  oneOf,
  parseDuration,
  parseSize,
  positiveInteger,
} from '../options.js'
import type { QueryOptions } from './interrupt.js'

/** Which table goes first when the bound of size is met. */
export type TablePolicy = 'lru' | 'mru' | 'lfu' | 'fifo' | 'lifo' | 'sieve' | 's3-fifo'

const POLICIES: readonly TablePolicy[] = ['lru', 'mru', 'lfu', 'fifo', 'lifo', 'sieve', 's3-fifo']

/** Options of a `TableCache`. */
export interface TableCacheOptions {
  /** The folder of the database and, in `backup/`, of its backup. Made if it is missing. Default: none, in memory. */
  dir?: string | undefined
  /** The schema of tables that are named without one. Default: `store`. */
  schema?: string | undefined
  /** Time to live of tables. Default: `'never'`. */
  ttl?: Duration | undefined
  /** Bytes of the database in `dir`; tables that `policy` names make room. Default: no bound. */
  maxSize?: Size | undefined
  /** Default: `lru`. */
  policy?: TablePolicy | undefined
  /** Opens for reading: beside other processes that read, never beside one that writes. */
  readOnly?: boolean | undefined
  /** Reads the last backup, whoever has the database open. */
  snapshot?: boolean | undefined
  /** How long to wait for another process that has the database open. Default: 5 s. */
  lockTimeout?: Duration | undefined
  /** Threads of DuckDB. Default: one a core. */
  threads?: number | undefined
  /** Memory that DuckDB may use before it spills to disk; tables in memory are in it. Default: 80 % of the machine's. */
  memoryLimit?: Size | undefined
  /** The clock, in milliseconds since the Unix epoch. */
  now?: (() => number) | undefined
}

/** Options of a write. */
export interface WriteOptions extends QueryOptions {
  /** Time to live. Default: the cache's; for `append` and `upsert`, the rest of the table's. */
  ttl?: Duration | undefined
  /** Types and constraints of columns, instead of what is seen from the values. */
  columns?: Columns | undefined
  /** Of `upsert`: the columns that rows are matched by. Default: the primary key. */
  key?: readonly string[] | undefined
  /** Another schema than the cache's. */
  schema?: string | undefined
}

/** What is known of a table. Times are milliseconds since the Unix epoch. */
export interface TableFacts {
  /** The name of its schema. */
  schema: string
  /** Its name. */
  table: string
  /** How many it has. */
  rows: number
  /** Of the blocks that it is in, 256 KiB each; small tables share them, and one of constants needs none. 0 in memory. */
  bytes: number
  /** Milliseconds since it was last written; undefined for a table that a statement made. */
  age: number | undefined
  /** When it was written first; undefined as above. */
  createdAt: number | undefined
  /** When it was written last; undefined as above. */
  updatedAt: number | undefined
  /** When a statement read it last; undefined as above. */
  accessedAt: number | undefined
  /** `Infinity` never expires. */
  expiresAt: number
  /** Statements that read it. */
  hits: number
  /** In their order; `type` is DuckDB's name of it. */
  columns: { name: string; type: string; nullable: boolean }[]
}

/** What `info()` tells. */
export interface TableCacheInfo {
  /** The file; undefined for tables in memory. */
  path: string | undefined
  /** Bytes in use, the log included. */
  size: number
  /** Those that have not expired. */
  tables: TableFacts[]
}

const OPTIONS = [
  'dir',
  'schema',
  'ttl',
  'maxSize',
  'policy',
  'readOnly',
  'snapshot',
  'lockTimeout',
  'threads',
  'memoryLimit',
  'now',
]
export const WRITE_OPTIONS = ['ttl', 'columns', 'key', 'schema', 'signal', 'onProgress']

/** Options of a `TableCache`, complete. */
export interface ParsedTables {
  /** Absolute. */
  dir: string | undefined
  schema: string
  /** Milliseconds. */
  ttl: number
  now: () => number
  snapshot: boolean
  readOnly: boolean
  engine: { threads?: number; memoryLimit?: number; lockTimeout: number }
  bound: { maxSize?: number; policy: TablePolicy }
}

/** @throws InvalidOptionError `E_INVALID_OPTION`, InvalidTtlError `E_INVALID_TTL`: an option is not accepted */
export function parseTableOptions(options: TableCacheOptions): ParsedTables {
  checkOptions(options, OPTIONS, 'TableCache')
  const { dir, schema = 'store', ttl = 'never', maxSize, policy = 'lru', now = () => Date.now() } = options
  const { readOnly = false, snapshot = false, lockTimeout = 5000, threads, memoryLimit } = options
  const parsed: ParsedTables = {
    dir: dir === undefined ? undefined : checkDir(dir),
    schema: checkName(schema, 'schema'),
    ttl: parseDuration(ttl, 'ttl'),
    now: callback(now, 'now'),
    snapshot: boolean(snapshot, 'snapshot'),
    readOnly: boolean(readOnly, 'readOnly') || snapshot,
    engine: {
      lockTimeout: lockTimeout === 0 ? 0 : parseDuration(lockTimeout, 'lockTimeout'),
      ...(threads !== undefined && { threads: positiveInteger(threads, 'threads') }),
      ...(memoryLimit !== undefined && { memoryLimit: parseSize(memoryLimit, 'memoryLimit') }),
    },
    bound: {
      policy: oneOf(policy, 'policy', POLICIES),
      ...(maxSize !== undefined && { maxSize: parseSize(maxSize, 'maxSize') }),
    },
  }
  if (parsed.readOnly && dir === undefined) throw invalid('dir', dir, 'the folder to read')
  if (maxSize !== undefined && dir === undefined)
    throw invalid('dir', dir, 'a folder: maxSize bounds the file in it, memoryLimit tables in memory')
  return parsed
}

/** @throws InvalidOptionError `E_INVALID_OPTION` */
export function checkDir(dir: unknown): string {
  if (typeof dir !== 'string' || dir === '') throw invalid('dir', dir, 'the path of a folder')
  return resolve(dir)
}
