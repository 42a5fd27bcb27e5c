/** The public entry of `tierce`. */
export { NdArray, type NumberArray, ndarray, Series, series } from './arrays.js'
export { Cache, type CacheStats, type KeysOptions } from './cache.js'
export type { CacheOptions, Codec, Durability, Duration, MemoryOptions, Size } from './cache-options.js'
export {
  boolean,
  Column,
  type Columns,
  type ColumnType,
  type ColumnTypes,
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
export { type CachedDecorator, type CachedOptions, cached, cachedSync } from './decorators.js'
export type { CacheEntry } from './entry.js'
export {
  ClosedError,
  ColumnarMissingError,
  ConstraintError,
  CorruptError,
  type ErrorCode,
  FormatError,
  InternalError,
  InvalidKeyError,
  InvalidOptionError,
  InvalidTtlError,
  KeyExpiredError,
  KeyNotFoundError,
  LockTimeoutError,
  ReadOnlyError,
  StorageFullError,
  TierceError,
  TimeoutError,
  TransactionError,
  UnavailableError,
  UnserializableError,
  ValueTooLargeError,
} from './errors.js'
export type { ErrorListener } from './events.js'
export type { Comparison, FindOptions, Found, OrderBy, Where } from './find.js'
export { CallKey, HashedKey, type Key, keyFromText as keyOf } from './keys.js'
export type { CheckOptions, CheckProblem, CheckReport } from './manage.js'
export { definePolicy, type PolicyHooks, type PolicyView } from './memory/custom.js'
export type { SaveOptions } from './memory/files.js'
export type { MemoryEntries } from './memory/input.js'
export type { MemoryMetrics } from './memory/metrics.js'
export type { MemoryCacheOptions, MemoryKey, MemorySetOptions } from './memory/options.js'
export type { PolicyName } from './memory/policies.js'
export type { LoadOptions } from './memory/saving.js'
export { defineSerializer, type Serializer } from './memory/serializers.js'
export type { RemovalReason } from './memory/store.js'
export { MemoryCache } from './memory-cache.js'
export type { MetaInput, MetaRows, MetaTables, NoMeta } from './meta.js'
export type { QueryParam } from './query.js'
export type { SetOptions } from './set-options.js'
export { defineHandler, type Handler } from './values/index.js'
export {
  type WrapControls,
  type WrapOptions,
  type Wrapped,
  type WrappedSync,
  wrap,
  wrapSync,
} from './wrap.js'
