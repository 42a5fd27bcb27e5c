/** Options of `MemoryCache`, parsed and checked once. */
import { makeError } from '../errors.js'
import {
  boolean,
  callback,
  checkOptions,
  clockOption,
  oneOf,
  parseDuration,
  parseSize,
  positiveInteger,
} from '../options.js'
import { describe, isUnreadable } from '../refusal.js'
import { weigh } from '../tiers/weigh.js'
import { coarseNow } from './clock.js'
import { type PolicyName, parsePolicy } from './policies.js'
import { serializerNames } from './serializers.js'
import { MOST_ENTRIES, type RemovalReason } from './store.js'

/** What a key may be: equal as in a `Map`, so objects by identity. */
export type MemoryKey = string | number | bigint | object

/** Options of one entry. */
export interface MemorySetOptions {
  /** Time to live: milliseconds or `'90s'`, `'1h'`; `Infinity` or `'never'` for no expiry. Default: the cache's. */
  ttl?: number | string | undefined
  /** Whether each `get` starts the TTL again. Default: the cache's. */
  sliding?: boolean | undefined
}

/** The time of one entry, in milliseconds. */
export interface EntryTime {
  /** `Infinity` never expires. */
  ttl: number
  /** What each use starts again; 0 for nothing. */
  slide: number
}

/** Options of a `MemoryCache`. At least one of `max`, `maxSize` and `ttl` bounds it; without any, `max` is 2^24. */
export interface MemoryCacheOptions<K extends MemoryKey = MemoryKey, V = unknown> {
  /** Entries: 1 to 16,777,216 (2^24). Default: that. */
  max?: number | undefined
  /** Bytes, as the weigher counts them, or a text such as `'64MB'`. Default: no bound. */
  maxSize?: number | string | undefined
  /**
   * Bytes that an entry counts for `maxSize`: a positive number, rounded up. Default: an estimate of the value and the key,
   * and 64 for the entry; it is exact for strings and binary data.
   */
  weigher?: ((value: V, key: K) => number) | undefined
  /** Time to live of entries that are set without one: milliseconds or `'90s'`, `'1h'`. Default: no expiry. */
  ttl?: number | string | undefined
  /** Whether each `get` starts the TTL again. Default false. */
  sliding?: boolean | undefined
  /**
   * Which entry goes first: `'lru'`, `'lfu'`, `'fifo'`, `'lifo'`, `'mru'`, `'sieve'`, `'s3-fifo'`, `'w-tinylfu'` (default),
   * `'auto'`, or a name given to `definePolicy`.
   */
  policy?: PolicyName | (string & {}) | undefined
  /**
   * Called after an entry has left, when the cache is in order again: it may use the cache. What it throws reaches the caller,
   * after all entries that left were told of; in a background cleanup, which has none, it is a process warning and a message on
   * `tierce:error`. Nobody waits for a promise that it gives: if that rejects, it is the program's.
   */
  onEvict?: ((key: K, value: V, reason: RemovalReason) => void) | undefined
  /** `false` counts nothing. Default true. */
  metrics?: boolean | undefined
  /**
   * How often expired entries are removed in the background: milliseconds or a text; `false` for never. The timer starts
   * with the first entry that has a TTL, and keeps no process alive. Default 500 ms.
   */
  cleanupInterval?: number | string | false | undefined
  /** Where `save()` and `load()` look for a file that is given by no path, or a relative one. Default: the current directory. */
  dir?: string | undefined
  /** The name of that file, without its extension. Default `'cache'`. */
  filename?: string | undefined
  /** `'structured'` (default), `'json'`, or a name given to `defineSerializer`. */
  serializer?: 'structured' | 'json' | (string & {}) | undefined
  /**
   * Where the time comes from, in milliseconds since the Unix epoch; asked at each look at a TTL. Default: the system's time,
   * which is looked at once a millisecond.
   */
  clock?: (() => number) | undefined
}

/** The same, complete. */
export interface ParsedMemoryOptions {
  max: number
  maxSize: number
  weigher: (value: unknown, key: unknown) => number
  ttl: number
  sliding: boolean
  policy: string
  onEvict: ((key: never, value: never, reason: RemovalReason) => void) | undefined
  metrics: boolean
  /** Milliseconds; `Infinity` for never. */
  cleanupInterval: number
  dir: string
  filename: string
  serializer: string
  now: () => number
}

const NAMES = [
  'max',
  'maxSize',
  'weigher',
  'ttl',
  'sliding',
  'policy',
  'onEvict',
  'metrics',
  'cleanupInterval',
  'dir',
  'filename',
  'serializer',
  'clock',
]

/** What an entry takes beside its key and value: its cell in the map and its slot. */
const OVERHEAD = 64

/**
 * @throws InvalidOptionError `E_INVALID_OPTION`, naming the option and what is accepted
 * @throws InvalidTtlError `E_INVALID_TTL`
 */
export function parseMemoryOptions(options: MemoryCacheOptions<never, never>): ParsedMemoryOptions {
  checkOptions(options, NAMES, 'MemoryCache')
  const { maxSize, weigher } = options
  if (weigher !== undefined && maxSize === undefined) {
    throw invalid('weigher', 'a weigher without maxSize has no effect: give maxSize too')
  }
  return {
    max: options.max === undefined ? MOST_ENTRIES : parseMax(options.max),
    maxSize: maxSize === undefined ? Infinity : parseSize(maxSize, 'maxSize'),
    weigher: weigher === undefined ? estimate : callback(weigher, 'weigher'),
    ttl: options.ttl === undefined ? Infinity : parseDuration(options.ttl, 'ttl'),
    sliding: options.sliding === undefined ? false : boolean(options.sliding, 'sliding'),
    policy: options.policy === undefined ? 'w-tinylfu' : parsePolicy(options.policy, 'policy'),
    onEvict: options.onEvict === undefined ? undefined : callback(options.onEvict, 'onEvict'),
    metrics: options.metrics === undefined ? true : boolean(options.metrics, 'metrics'),
    cleanupInterval: parseInterval(options.cleanupInterval),
    dir: options.dir === undefined ? '' : parseText(options.dir, 'dir', 'the path of a directory'),
    filename: options.filename === undefined ? 'cache' : parseFilename(options.filename),
    serializer:
      options.serializer === undefined
        ? 'structured'
        : oneOf(options.serializer, 'serializer', serializerNames()),
    now: options.clock === undefined ? coarseNow : clockOption(options.clock),
  }
}

/**
 * The time of an entry, by its options and those of its cache.
 * @throws InvalidTtlError `E_INVALID_TTL`, InvalidOptionError `E_INVALID_OPTION`
 */
export function entryTimeOf(
  given: MemorySetOptions | undefined,
  cache: Pick<ParsedMemoryOptions, 'ttl' | 'sliding'>,
): EntryTime {
  let { ttl, sliding } = cache
  if (given !== undefined) {
    if (isUnreadable(given) || given?.ttl === undefined || given.sliding !== undefined)
      checkOptions(given, ['ttl', 'sliding'], 'set')
    if (given.ttl !== undefined) ttl = parseDuration(given.ttl, 'ttl')
    if (given.sliding !== undefined) sliding = boolean(given.sliding, 'sliding')
  }
  return { ttl, slide: sliding && ttl !== Infinity ? ttl : 0 }
}

function parseMax(value: unknown): number {
  const max = positiveInteger(value, 'max')
  if (max <= MOST_ENTRIES) return max
  throw invalid(
    'max',
    `max is ${max}; accepted are 1 to ${MOST_ENTRIES} (2^24), as many as the arrays of V8 are made for. Use more than one cache, or SharedMemoryCache`,
  )
}

function parseInterval(value: unknown): number {
  if (value === false) return Infinity
  return value === undefined ? 500 : parseDuration(value, 'cleanupInterval')
}

function parseText(value: unknown, name: string, what: string): string {
  if (typeof value === 'string' && value !== '' && !value.includes('\0')) return value
  throw invalid(name, `${name} is ${describe(value)}; accepted is ${what}, as a text`)
}

function parseFilename(value: unknown): string {
  const name = parseText(value, 'filename', 'the name of a file')
  if (!/[/\\]/.test(name) && name !== '.' && name !== '..') return name
  throw invalid(
    'filename',
    `filename is ${describe(name)}; accepted is a name without a directory: give that as dir`,
  )
}

function estimate(value: unknown, key: unknown): number {
  return OVERHEAD + weigh(value) + (typeof key === 'string' ? 2 * key.length : 16)
}

function invalid(option: string, message: string): Error {
  return makeError('E_INVALID_OPTION', `Invalid ${option}: ${message}.`, { name: option })
}
