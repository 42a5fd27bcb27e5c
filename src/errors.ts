/**
 * The code of a failure: the contract that callers match on. The Rust crates keep the same list in `error.rs`.
 */
export type ErrorCode =
  | 'E_KEY_NOT_FOUND'
  | 'E_KEY_EXPIRED'
  | 'E_INVALID_KEY'
  | 'E_INVALID_TTL'
  | 'E_INVALID_OPTION'
  | 'E_UNSERIALIZABLE'
  | 'E_INVALID_ROW'
  | 'E_VALUE_TOO_LARGE'
  | 'E_CORRUPT'
  | 'E_STORAGE_FULL'
  | 'E_READ_ONLY'
  | 'E_FORMAT'
  | 'E_ENCRYPTION'
  | 'E_LOCK_TIMEOUT'
  | 'E_TIMEOUT'
  | 'E_CONSTRAINT'
  | 'E_TRANSACTION'
  | 'E_QUERY'
  | 'E_CLOSED'
  | 'E_UNAVAILABLE'
  | 'E_COLUMNAR_MISSING'
  | 'E_INTERNAL'

/** What a failure is about, as plain data: the option's name, the path inside a value, a file. */
export type ErrorContext = Record<string, unknown>

/** Says of which class an error is, to every copy of this library that a program holds. */
const BRAND = Symbol.for('tierce.error')

/** The parent of every error this library makes. A loader's own error is never wrapped in one. */
export class TierceError extends Error {
  /** The kind of failure; stable between releases, unlike the message. */
  readonly code: ErrorCode
  /** What the failure is about, where there is something to say. */
  declare readonly context?: ErrorContext

  constructor(code: ErrorCode, message: string, context?: ErrorContext, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    if (context !== undefined) this.context = context
  }
}

/** `E_KEY_NOT_FOUND`: the key is not in the cache. */
export class KeyNotFoundError extends TierceError {}
/** `E_KEY_EXPIRED`: the key was there, and its TTL has passed. */
export class KeyExpiredError extends KeyNotFoundError {}
/** `E_INVALID_KEY`: the key holds something that has no stable text, such as a function or a class instance. */
export class InvalidKeyError extends TierceError {}
/** `E_INVALID_TTL`: a duration that is not positive or cannot be read. */
export class InvalidTtlError extends TierceError {}
/** `E_INVALID_OPTION`: an option with an unknown name or a value out of range; `context.name` is the option. */
export class InvalidOptionError extends TierceError {}
/** `E_UNSERIALIZABLE`: the value holds something that would not come back as it went in. */
export class UnserializableError extends TierceError {}
/** `E_INVALID_ROW`: a row that was fetched does not fit its table, or what was asked; nothing of that fetch was stored. */
export class InvalidRowError extends TierceError {}
/** `E_VALUE_TOO_LARGE`: the value alone is over the limit; nothing was stored and nothing evicted. */
export class ValueTooLargeError extends TierceError {}
/** `E_CORRUPT`: stored bytes are damaged. */
export class CorruptError extends TierceError {}
/** `E_STORAGE_FULL`: the disk or the remote store has no room. */
export class StorageFullError extends TierceError {}
/** `E_READ_ONLY`: a write to a cache that was opened for reading, or lies on a read-only file system. */
export class ReadOnlyError extends TierceError {}
/** `E_FORMAT`: a directory or a file that this release cannot read. */
export class FormatError extends TierceError {}
/** `E_ENCRYPTION`: a directory or a file is encrypted with another key, or a key was given for what is not; nothing was changed. */
export class EncryptionError extends TierceError {}
/** `E_LOCK_TIMEOUT`: another process kept a lock for longer than the limit. */
export class LockTimeoutError extends TierceError {}
/** `E_TIMEOUT`: a loader or a tier did not answer in time. */
export class TimeoutError extends TierceError {}
/** `E_CONSTRAINT`: a unique column has the value already, or a column that needs a value has none; nothing was stored. */
export class ConstraintError extends TierceError {}
/** `E_TRANSACTION`: a transaction met a conflict, or was used after its end. */
export class TransactionError extends TierceError {}
/** `E_QUERY`: a statement given to a database failed; `context.type` is the database's name for the failure. */
export class QueryError extends TierceError {}
/** `E_CLOSED`: the cache is closed. */
export class ClosedError extends TierceError {}
/** `E_UNAVAILABLE`: a tier cannot be reached, or a stored form is unknown to this release or this run time. */
export class UnavailableError extends TierceError {}
/** `E_COLUMNAR_MISSING`: the feature needs the package `@tierce/columnar`. */
export class ColumnarMissingError extends TierceError {}
/** `E_INTERNAL`: a fault of this library. */
export class InternalError extends TierceError {}

/** The one table from code to class; a code without a row does not compile. */
export const ERROR_CLASSES: Readonly<Record<ErrorCode, typeof TierceError>> = {
  E_KEY_NOT_FOUND: KeyNotFoundError,
  E_KEY_EXPIRED: KeyExpiredError,
  E_INVALID_KEY: InvalidKeyError,
  E_INVALID_TTL: InvalidTtlError,
  E_INVALID_OPTION: InvalidOptionError,
  E_UNSERIALIZABLE: UnserializableError,
  E_INVALID_ROW: InvalidRowError,
  E_VALUE_TOO_LARGE: ValueTooLargeError,
  E_CORRUPT: CorruptError,
  E_STORAGE_FULL: StorageFullError,
  E_READ_ONLY: ReadOnlyError,
  E_FORMAT: FormatError,
  E_ENCRYPTION: EncryptionError,
  E_LOCK_TIMEOUT: LockTimeoutError,
  E_TIMEOUT: TimeoutError,
  E_CONSTRAINT: ConstraintError,
  E_TRANSACTION: TransactionError,
  E_QUERY: QueryError,
  E_CLOSED: ClosedError,
  E_UNAVAILABLE: UnavailableError,
  E_COLUMNAR_MISSING: ColumnarMissingError,
  E_INTERNAL: InternalError,
}

// On the prototype, so that `name` is right in a stack and is not an own property of each error.
for (const type of [TierceError, ...Object.values(ERROR_CLASSES)]) {
  Object.defineProperty(type.prototype, 'name', { value: type.name, configurable: true, writable: true })
  Object.defineProperty(type.prototype, BRAND, { value: type.name })
}

/** `instanceof` knows the errors of another copy of this library: of another version, in a bundle, or loaded anew by a test. */
function isInstance(this: typeof TierceError, value: unknown): boolean {
  if (Function.prototype[Symbol.hasInstance].call(this, value)) return true
  const brand = brandOf(this.prototype)
  for (let at = value; typeof at === 'object' && at !== null; at = Object.getPrototypeOf(at)) {
    if (brand !== undefined && brandOf(at) === brand) return true
  }
  return false
}

// Its own: a subclass that a program makes is known by its identity alone.
function brandOf(prototype: object): unknown {
  return Object.hasOwn(prototype, BRAND) ? prototype[BRAND as never] : undefined
}

Object.defineProperty(TierceError, Symbol.hasInstance, { value: isInstance })

/** Makes an error of the class that belongs to `code`; its stack starts at the caller. */
export function makeError(
  code: ErrorCode,
  message: string,
  context?: ErrorContext,
  cause?: unknown,
): TierceError {
  const error = new ERROR_CLASSES[code](code, message, context, cause)
  Error.captureStackTrace?.(error, makeError)
  return error
}

/** Turns an error of the native side, which carries one of our codes, into its class; anything else passes untouched. */
export function fromNative(error: unknown): Error {
  if (!isCoded(error) || error instanceof TierceError) return error as Error
  const context = typeof error.context === 'object' && error.context !== null ? error.context : undefined
  return makeError(error.code, error.message, context as ErrorContext | undefined, error.cause)
}

interface CodedError extends Error {
  code: ErrorCode
  context?: unknown
}

// By shape and not by `instanceof Error`: an addon's errors may belong to another realm (vm contexts, test runners).
function isCoded(error: unknown): error is CodedError {
  if (typeof error !== 'object' || error === null) return false
  const { code, message } = error as Partial<CodedError>
  return typeof message === 'string' && typeof code === 'string' && Object.hasOwn(ERROR_CLASSES, code)
}
