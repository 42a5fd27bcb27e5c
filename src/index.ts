/** The public entry of `tierce`. */
export { NdArray, type NumberArray, ndarray, Series, series } from './arrays.js'
export type { CacheStats } from './cache/upkeep.js'
export { Cache, type GetOptions } from './cache.js'
export type {
  CacheOptions,
  Codec,
  CodecOptions,
  DiskPolicy,
  Durability,
  Duration,
  MemoryOptions,
  Metadata,
  Size,
} from './cache-options.js'
export type { Caching } from './caching.js'
export { ERROR_CHANNEL, LOAD_CHANNEL, type LoadMessage } from './channels.js'
export {
  boolean,
  Column,
  type Columns,
  type ColumnType,
  type ColumnTypes,
  type ColumnValue,
  date,
  double,
  integer,
  json,
  type Row,
  type RowInput,
  text,
  timestamp,
} from './columns.js'
export { type ContentHash, ContentKey, type ContentOptions, directory, file } from './content.js'
export { type CachedDecorator, type CachedOptions, cached, cachedSync, controls } from './decorators.js'
export type { EncryptionOptions } from './encryption.js'
export type { CacheEntry, EntryFacts } from './entry.js'
export {
  ClosedError,
  ColumnarMissingError,
  ConstraintError,
  CorruptError,
  EncryptionError,
  type ErrorCode,
  type ErrorContext,
  FormatError,
  InternalError,
  InvalidKeyError,
  InvalidOptionError,
  InvalidRowError,
  InvalidTtlError,
  KeyExpiredError,
  KeyNotFoundError,
  LockTimeoutError,
  QueryError,
  ReadOnlyError,
  StorageFullError,
  TierceError,
  TimeoutError,
  TransactionError,
  UnavailableError,
  UnserializableError,
  ValueTooLargeError,
} from './errors.js'
export type { CacheEvents, CacheListener, EntryEvent, ErrorListener } from './events.js'
export type { Comparison, FindOptions, Found, OrderBy, Where } from './find.js'
export { CallKey, HashedKey, type Key, keyFromText as keyOf, NamespacedKey } from './keys.js'
export type { LockLike, SingleFlight } from './load/barriers.js'
export { type LoadContext, type NotModified, notModified, type StaleEntry } from './load/flight.js'
export type {
  AnyGetOrSetOptions,
  GetOrSetOptions,
  GetOrSetSyncOptions,
  TimeoutOptions,
  Validated,
} from './load/options.js'
export type { AnySchema } from './load/schema.js'
export type { Loader, LoaderSync } from './loading.js'
export type { CheckOptions, CheckProblem, CheckReport } from './manage.js'
export type { Entries } from './many.js'
export { definePolicy, type PolicyHooks, type PolicyView } from './memory/custom.js'
export type { SaveOptions } from './memory/files.js'
export type { MemoryMetrics } from './memory/metrics.js'
export type { MemoryCacheOptions, MemoryKey, MemorySetOptions } from './memory/options.js'
export type { PolicyName } from './memory/policies.js'
export type { LoadOptions } from './memory/saving.js'
export { defineSerializer, type Serializer } from './memory/serializers.js'
export type { RemovalReason } from './memory/store.js'
export { MemoryCache } from './memory-cache.js'
export type { MetaInput, MetaRows, MetaTables, NoMeta } from './meta.js'
export type { AnyKey } from './namespace/scope.js'
export { Namespace, type NamespaceStats } from './namespace.js'
export type { ArrowTable } from './pull-through/arrow.js'
export type { DuckdbOptions } from './pull-through/duckdb.js'
export type {
  Dialect,
  Insert,
  PullEngine,
  QueryParam,
  ResultColumn,
  ResultData,
  Step,
} from './pull-through/engine.js'
export { duckdb, postgres, sqlite } from './pull-through/engines.js'
export type { FetchContext, Fetched, PullThroughOptions, VolatileTail } from './pull-through/options.js'
export type { PostgresClient, PostgresPool } from './pull-through/postgres.js'
export { type PullCallOptions, PullThrough, pullThrough } from './pull-through/pull-through.js'
export { type ColumnArray, type ColumnArrays, QueryResult } from './pull-through/result.js'
export type { SqliteOptions } from './pull-through/sqlite.js'
export {
  type Ask,
  defineTable,
  type PrimaryNames,
  type Range,
  type RangeNames,
  type Table,
} from './pull-through/table.js'
export type { SqlValue } from './query.js'
export type { SetOptions } from './set-options.js'
export type { SharedMemoryOptions, SharedSetOptions } from './shared/options.js'
export { SharedMemoryCache, type SharedMemoryMetrics } from './shared-memory-cache.js'
export type { Connection } from './tables/database.js'
export type { ColumnValues } from './tables/decode.js'
export type { Progress, QueryOptions } from './tables/interrupt.js'
export type { Parameters, Query } from './tables/query.js'
export type { ColumnsSource, FileSource, RowsSource, TableSource } from './tables/source.js'
export { TableCache } from './tables/table-cache.js'
export type {
  TableCacheInfo,
  TableCacheOptions,
  TableFacts,
  TablePolicy,
  WriteOptions,
} from './tables/table-options.js'
export { type Instrumentation, type InstrumentationOptions, openTelemetry, prometheus } from './tracing.js'
export type { LoadCacheOptions, LoadedCache, SavedCache } from './transfer.js'
export { type LimiterOptions, type RateLimiter, rateLimiter, type Taken } from './utilities/limiter.js'
export { type Lease, type LeaseOptions, lock } from './utilities/lock.js'
export { type OnceOptions, once, onceKey } from './utilities/once.js'
export { defineHandler, type Handler } from './values/index.js'
export type { IncrementOptions } from './verbs/changes.js'
export type { EntriesOptions, KeysOptions, ListedEntry } from './verbs/listing.js'
export type { Filter, FilterConditions, FilterValue, FrameScan } from './verbs/scan.js'
export type { StreamPiece, StreamSource } from './verbs/streams.js'
export type { SyncTransaction, Transaction, TransactionOptions } from './verbs/transaction.js'
export {
  type AnyFunction,
  type ItemOf,
  type WrapControls,
  type WrapOptions,
  type Wrapped,
  type WrappedGenerator,
  type WrappedSync,
  type WrapStats,
  wrap,
  wrapGenerator,
  wrapSync,
} from './wrap.js'
export { type Many, type WrapManyOptions, type WrappedMany, wrapMany } from './wrap-many.js'
