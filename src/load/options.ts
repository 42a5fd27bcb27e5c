/** Options of a load, parsed and checked once: how fresh, who loads, what is kept. */
import type { Duration } from '../cache-options.js'
import { makeError } from '../errors.js'
import { boolean, callback, checkOptions, invalid, parseDuration, signalOption } from '../options.js'
import { SET_OPTIONS, type SetOptions } from '../set-options.js'
import type { Storing } from '../tiers/entries.js'
import { type LockLike, parseSingleFlight, type SingleFlight } from './barriers.js'
import type { NotModified, StaleEntry } from './flight.js'
import { type AnySchema, parseSchema } from './schema.js'

/** What `validate` may answer. */
export type Validated<V> = V | NotModified | undefined

/** How long to wait for a load. */
export interface TimeoutOptions {
  /** After so long a stale value is given, if there is one inside its window; the load goes on. */
  soft?: Duration | undefined
  /** After so long a waiter gives up: it gets a stale value inside its window, else `E_TIMEOUT`. */
  hard?: Duration | undefined
}

/** Options of a load on this thread. */
export interface GetOrSetSyncOptions<V = unknown, Args extends unknown[] = []>
  extends Omit<SetOptions, 'ttl' | 'tags'> {
  /** Time to live, or how to tell it from the value. Default: the cache's. */
  ttl?: Duration | ((value: V, ...args: Args) => Duration) | undefined
  /** Names under which entries are invalidated together, or how to tell them from the value. */
  tags?: readonly string[] | ((value: V, ...args: Args) => readonly string[]) | undefined
  /** Each hit starts the time to live again. On disk it is exact to a 64th of it. Default false. */
  sliding?: boolean | undefined
  /** Each time to live is shorter by a random part of this: a fraction up to 1, or a duration. Keeps entries from expiring together. */
  jitter?: number | string | undefined
  /** For so long after it has gone stale a value is given where a load fails (RFC 5861). */
  staleIfError?: Duration | undefined
  /**
   * A value may be loaded anew before it is stale, the more likely the nearer that is and the longer its load took, so that
   * not all who share it do so at once: XFetch of Vattani, Chierichetti and Lowenstein, Optimal Probabilistic Cache Stampede
   * Prevention, PVLDB 8(8), 2015. A number is its beta: above 1 is earlier. Default false; true is 1.
   */
  early?: boolean | number | undefined
  /** Whether a result is stored; a promise of it where the load is asynchronous. Default: every one but `undefined`. */
  shouldCache?: ((value: V) => boolean | Promise<boolean>) | undefined
  /** For so long an error of the load is given again, in this process, without asking it. Default: not at all. */
  cacheErrors?: Duration | undefined
  /**
   * Asked in the place of the load where an old value is there, which is then kept until it is evicted. Answers `notModified`
   * to keep and renew it, a new value, or `undefined` to have the load asked.
   */
  validate?: ((old: StaleEntry<V>, ...args: Args) => Validated<V> | Promise<Validated<V>>) | undefined
  /** A Standard Schema: a stored value that does not pass is a miss, and a loaded one that does not is given and not stored. */
  schema?: AnySchema | undefined
  /**
   * Of all who ask at one time, one loads: in this process (`process`, the default), on this machine (`machine`: by a lock in
   * the cache's directory that dies with its holder), or by a lock of yours.
   */
  singleFlight?: SingleFlight | undefined
  /** After waiting so long for another process, or for your lock, the load is asked all the same. Default 30 s. */
  lockTimeout?: Duration | undefined
}

/** Options of a load. */
export interface GetOrSetOptions<V = unknown, Args extends unknown[] = []>
  extends GetOrSetSyncOptions<V, Args> {
  /** For so long after it has gone stale a value is given at once, and loaded anew in the background (RFC 5861). */
  staleWhileRevalidate?: Duration | undefined
  /** How long to wait; a duration is `{ hard }`. Default: as long as it takes. */
  timeout?: Duration | TimeoutOptions | undefined
  /** Ends this waiter's wait. The load is told to stop when its last waiter has left. */
  signal?: AbortSignal | undefined
}

/** The same, parsed. Times in milliseconds. */
export interface LoadPlan {
  /** What the entry gets, checked. */
  entry: SetOptions
  /** The same, parsed; its times are not those of what is loaded. */
  storing: Storing
  /** Undefined for the cache's. */
  ttl: number | undefined
  ttlOf: ((value: unknown, ...args: unknown[]) => Duration) | undefined
  tagsOf: ((value: unknown, ...args: unknown[]) => readonly string[]) | undefined
  sliding: boolean
  /** A fraction of the time to live up to 1, or from `jitterMs`. */
  jitter: number
  jitterMs: number
  staleWhileRevalidate: number
  staleIfError: number
  soft: number
  hard: number
  /** XFetch's beta; 0 for none. */
  early: number
  shouldCache: ((value: unknown) => boolean | Promise<boolean>) | undefined
  cacheErrors: number
  validate: ((old: StaleEntry<unknown>, ...args: unknown[]) => unknown) | undefined
  schema: AnySchema | undefined
  signal: AbortSignal | undefined
  /** Undefined for this process alone. */
  barrier: 'machine' | LockLike | undefined
  lockTimeout: number
  /** A live value can be given as it is found. */
  isPlain: boolean
}

const SYNC_NAMES = [
  'sliding',
  'jitter',
  'staleIfError',
  'early',
  'shouldCache',
  'cacheErrors',
  'validate',
  'schema',
  'singleFlight',
  'lockTimeout',
] as const
const ASYNC_NAMES = ['staleWhileRevalidate', 'timeout', 'signal'] as const
/** The names of the options of a load, those of its entry included. */
export const LOAD_OPTIONS: readonly string[] = [...SET_OPTIONS, ...SYNC_NAMES, ...ASYNC_NAMES]
const SYNC_OPTIONS: readonly string[] = [...SET_OPTIONS, ...SYNC_NAMES]
const LOCK_TIMEOUT = 30_000

const PLAIN: Omit<LoadPlan, 'entry' | 'storing'> = {
  ttl: undefined,
  ttlOf: undefined,
  tagsOf: undefined,
  sliding: false,
  jitter: 0,
  jitterMs: 0,
  staleWhileRevalidate: 0,
  staleIfError: 0,
  soft: Infinity,
  hard: Infinity,
  early: 0,
  shouldCache: undefined,
  cacheErrors: 0,
  validate: undefined,
  schema: undefined,
  signal: undefined,
  barrier: undefined,
  lockTimeout: LOCK_TIMEOUT,
  isPlain: true,
}

/** Options of any value and any arguments. */
// biome-ignore lint/suspicious/noExplicitAny: only `any` accepts callbacks of every value
export type AnyGetOrSetOptions = GetOrSetOptions<any, any[]>

/**
 * @param options of names that `LOAD_OPTIONS` has
 * @param check parses options of the entry, and refuses those that are not accepted
 * @throws InvalidOptionError `E_INVALID_OPTION`, InvalidTtlError `E_INVALID_TTL`
 */
export function parseLoadOptions(
  options: AnyGetOrSetOptions,
  check: (entry: SetOptions) => Storing,
): LoadPlan {
  const entry = entryOf(options)
  const plan: LoadPlan = { ...PLAIN, entry, storing: check(entry) }
  if (entry.ttl !== undefined) plan.ttl = parseDuration(entry.ttl, 'ttl')
  if (typeof options.ttl === 'function') plan.ttlOf = callback(options.ttl, 'ttl')
  if (typeof options.tags === 'function') plan.tagsOf = callback(options.tags, 'tags')
  if (options.sliding !== undefined) plan.sliding = boolean(options.sliding, 'sliding')
  if (options.jitter !== undefined) parseJitter(options.jitter, plan)
  if (options.early !== undefined) plan.early = parseEarly(options.early)
  plan.staleWhileRevalidate = duration(options.staleWhileRevalidate, 'staleWhileRevalidate')
  plan.staleIfError = duration(options.staleIfError, 'staleIfError')
  plan.cacheErrors = duration(options.cacheErrors, 'cacheErrors')
  if (options.timeout !== undefined) parseTimeout(options.timeout, plan)
  if (options.shouldCache !== undefined) plan.shouldCache = callback(options.shouldCache, 'shouldCache')
  if (options.validate !== undefined) plan.validate = callback(options.validate, 'validate')
  if (options.schema !== undefined) plan.schema = parseSchema(options.schema)
  if (options.signal !== undefined) plan.signal = signalOption(options.signal)
  plan.barrier = parseSingleFlight(options.singleFlight)
  if (options.lockTimeout !== undefined) {
    plan.lockTimeout = parseDuration(options.lockTimeout, 'lockTimeout')
  }
  plan.isPlain = !plan.sliding && plan.early === 0 && plan.schema === undefined
  return plan
}

/** As `parseLoadOptions`, for a load on this thread: what takes time to pass is refused. */
export function parseLoadSyncOptions(
  options: AnyGetOrSetOptions,
  check: (entry: SetOptions) => Storing,
): LoadPlan {
  const idle = ASYNC_NAMES.find((name) => options[name] !== undefined)
  if (idle !== undefined) {
    throw makeError(
      'E_INVALID_OPTION',
      `${idle} needs an asynchronous load: use getOrSet, wrap or cached. Accepted here: ${SYNC_OPTIONS.join(', ')}.`,
      { name: idle },
    )
  }
  return parseLoadOptions(options, check)
}

/** The defaults of a cache, as far as they mean something for a load on this thread. */
export function withoutAsync(options: AnyGetOrSetOptions): AnyGetOrSetOptions {
  const { staleWhileRevalidate: _, timeout: __, signal: ___, ...rest } = options
  return rest
}

function entryOf(options: AnyGetOrSetOptions): SetOptions {
  const entry: Record<string, unknown> = {}
  for (const name of SET_OPTIONS) {
    const value = options[name as keyof AnyGetOrSetOptions]
    if (value === undefined || typeof value === 'function') continue
    entry[name] = value
  }
  return entry
}

function duration(value: Duration | undefined, name: string): number {
  return value === undefined ? 0 : parseDuration(value, name)
}

function parseTimeout(timeout: Duration | TimeoutOptions, plan: LoadPlan): void {
  if (typeof timeout !== 'object') {
    plan.hard = parseDuration(timeout, 'timeout')
    return
  }
  checkOptions(timeout, ['soft', 'hard'], 'timeout')
  if (timeout.soft !== undefined) plan.soft = parseDuration(timeout.soft, 'timeout.soft')
  if (timeout.hard !== undefined) plan.hard = parseDuration(timeout.hard, 'timeout.hard')
}

function parseJitter(jitter: unknown, plan: LoadPlan): void {
  if (typeof jitter === 'string') plan.jitterMs = parseDuration(jitter, 'jitter')
  else if (typeof jitter === 'number' && jitter > 0 && jitter <= 1) plan.jitter = jitter
  else throw invalid('jitter', jitter, "a fraction above 0 and up to 1, or a duration as a string, as '30s'")
}

function parseEarly(early: unknown): number {
  if (typeof early === 'boolean') return early ? 1 : 0
  if (typeof early === 'number' && early > 0 && early < Infinity) return early
  throw invalid('early', early, 'true, false, or a positive beta')
}
