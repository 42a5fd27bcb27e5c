/** Options of `SharedMemoryCache`, parsed and checked once. */
import { makeError } from '../errors.js'
import { ORDERS } from '../memory/ordered.js'
import type { PolicyName } from '../memory/policies.js'
import { checkOptions, oneOf, parseDuration, parseSize } from '../options.js'
import { describe } from '../refusal.js'

/** Options of a `SharedMemoryCache`. All who open it by its name give the same. */
export interface SharedMemoryOptions {
  /** Under which all threads of the process find it. */
  name: string
  /** Bytes of keys, values and what holds them, or a text such as `'512MB'`: at least 64 KiB. */
  maxSize: number | string
  /** Which entry goes first. Default `'w-tinylfu'`. */
  policy?: PolicyName | undefined
  /** Time to live of entries that are set without one: milliseconds or `'90s'`, `'1h'`. Default: no expiry. */
  ttl?: number | string | undefined
}

/** Options of one entry. */
export interface SharedSetOptions {
  /** Time to live: milliseconds or `'90s'`, `'1h'`; `Infinity` or `'never'` for no expiry. Default: the cache's. */
  ttl?: number | string | undefined
}

/** The same, complete. */
export interface ParsedSharedOptions {
  name: string
  maxSize: number
  policy: string
  ttl: number
}

const NAMES = ['name', 'maxSize', 'policy', 'ttl']
/** The names of crates/tierce/src/policy/kind.rs: a policy written in TypeScript runs on one thread. */
const POLICIES = [...Object.keys(ORDERS), 'sieve', 'lfu', 's3-fifo', 'w-tinylfu', 'auto']
const LEAST = 64 * 1024

/**
 * @throws InvalidOptionError `E_INVALID_OPTION`, naming the option and what is accepted
 * @throws InvalidTtlError `E_INVALID_TTL`
 */
export function parseSharedOptions(options: SharedMemoryOptions): ParsedSharedOptions {
  checkOptions(options, NAMES, 'SharedMemoryCache')
  const { name, maxSize, policy, ttl } = options ?? {}
  if (typeof name !== 'string' || name === '') {
    throw invalid('name', `name is ${describe(name)}; give a text, the same in all threads`)
  }
  const size = parseSize(maxSize, 'maxSize')
  if (size < LEAST)
    throw invalid('maxSize', `maxSize is ${size} bytes; accepted are ${LEAST} (64 KiB) and more`)
  return {
    name,
    maxSize: size,
    policy: policy === undefined ? 'w-tinylfu' : oneOf(policy, 'policy', POLICIES),
    ttl: ttl === undefined ? Infinity : parseDuration(ttl, 'ttl'),
  }
}

/** @throws InvalidTtlError `E_INVALID_TTL`, InvalidOptionError `E_INVALID_OPTION` */
export function parseSharedTtl(given: SharedSetOptions | undefined, ttl: number): number {
  checkOptions(given, ['ttl'], 'set')
  return given?.ttl === undefined ? ttl : parseDuration(given.ttl, 'ttl')
}

function invalid(option: string, message: string): Error {
  return makeError('E_INVALID_OPTION', `Invalid ${option}: ${message}.`, { name: option })
}
