/** The package `@tierce/columnar`: loaded when tables or frames are first used, never before. */
import { createRequire } from 'node:module'
import { fromNative, makeError } from '../errors.js'
import { requireOptional } from '../optional.js'

/** Columns of one length as Arrow lays them out: `crates/tierce-columnar/src/layout.rs` has the order. */
export interface Wire {
  /** JSON of the schema. */
  schema: string
  rows: number
  lengths: number[]
  buffers: (Uint8Array | undefined | null)[]
}

/** What the package exports, as far as it is used here. */
export interface Columnar {
  NativeDatabase: { open(path: string | undefined, options: NativeDatabaseOptions): Promise<NativeDatabase> }
  NativeTables: {
    open(database: NativeDatabase, options: { maxSize?: number; policy?: string }): Promise<NativeTables>
  }
  frameToParquet(source: NativeSource): Promise<Buffer>
  frameToParquetSync(source: NativeSource): Buffer
  frameToIpc(parquet: Uint8Array): Promise<Buffer>
  frameToIpcSync(parquet: Uint8Array): Buffer
  scanFrame(parquet: Uint8Array, scan: NativeScan): Promise<NativeResult>
  eraseBackup(dir: string): Promise<boolean>
  eraseDatabase(path: string): Promise<void>
  duckdbVersion(): string
  version(): string
}

/** Where rows come from: one of batches, ipc, file with format, and sql. */
export interface NativeSource {
  batches?: Wire[]
  ipc?: Uint8Array
  file?: string
  format?: string
  sql?: string
  parameters?: Wire
}

/** A condition on a column; the values are a column of their own. */
export interface NativeFilter {
  column: string
  compare: string
  values: Wire
}

export interface NativeScan {
  columns?: string[]
  filters: NativeFilter[]
  limit?: number
}

export interface NativeSpec {
  mode: 'replace' | 'append' | 'upsert'
  names: string[]
  types: string[]
  key: string[]
  expires?: number
  renew: boolean
}

export interface NativeTableInfo {
  schema: string
  table: string
  rows: number
  bytes: number
  created?: number
  updated?: number
  expires?: number
  accessed?: number
  hits: number
  columns: { name: string; type: string; nullable: boolean }[]
}

export interface NativeTables {
  write(schema: string, table: string, source: NativeSource, spec: NativeSpec, now: number): Promise<number>
  interrupt(): void
  progress(): { percentage: number; rows: number; total: number }
  reading(sql: string, schema: string, now: number): Promise<void>
  has(schema: string, table: string, now: number): Promise<boolean>
  list(measure: boolean, now: number): Promise<NativeTableInfo[]>
  size(): Promise<number>
  clear(schema?: string, table?: string): Promise<number>
  cleanup(now: number): Promise<number>
  backup(dir: string): Promise<number>
  restore(dir: string): Promise<void>
  close(): Promise<void>
}

export interface NativeDatabaseOptions {
  readOnly?: boolean
  threads?: number
  memoryLimit?: number
  lockTimeout?: number
}

export interface NativeDatabase {
  connect(): NativeConnection
  close(): Promise<void>
}

export interface NativeConnection {
  query(sql: string, parameters?: Wire, given?: NativeSource): Promise<NativeResult>
  stream(sql: string, parameters?: Wire): Promise<NativeStream>
  interrupt(): void
  progress(): { percentage: number; rows: number; total: number }
  close(): Promise<void>
}

export interface NativeResult {
  changed(): number
  columns(): Promise<Wire>
  ipc(): Promise<Buffer>
}

export interface NativeStream {
  next(rows: number): Promise<NativeResult>
  close(): Promise<void>
}

let loaded: Columnar | undefined

/**
 * The package.
 * @throws ColumnarMissingError `E_COLUMNAR_MISSING`: it is not installed, has no binary for this platform, or is of another release
 */
export function columnar(): Columnar {
  loaded ??= sameRelease(requireOptional<Columnar>('@tierce/columnar', 'TableCache', 'E_COLUMNAR_MISSING'))
  return loaded
}

/** The two know each other's insides: only the same release of both fits. */
function sameRelease(binding: Columnar): Columnar {
  const own = ownVersion()
  const other = binding.version?.()
  if (own === undefined || other === own) return binding
  throw makeError(
    'E_COLUMNAR_MISSING',
    `tierce ${own} needs the same release of @tierce/columnar, and ${other ?? 'an older one'} is installed: run npm install @tierce/columnar@${own}.`,
    { package: '@tierce/columnar', version: own, installed: other ?? 'unknown' },
  )
}

/** Unknown where a bundler has taken this file out of its package. */
function ownVersion(): string | undefined {
  try {
    return (createRequire(__filename)('tierce/package.json') as { version: string }).version
  } catch {
    return undefined
  }
}

/** Runs a call of the native side. Its errors get their classes. */
export async function native<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    throw fromNative(error)
  }
}
