/** Options of `SharedMemoryCache`, parsed and checked once. */
import { makeError } from '../errors.js'
import { ORDERS } from '../memory/ordered.js'
import type { PolicyName } from '../memory/policies.js'
import { boolean, checkOptions, oneOf, parseDuration, parseSize } from '../options.js'
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
  /** Whether each use of an entry starts its TTL again. Default `false`. */
  sliding?: boolean | undefined
}

/** Options of one entry. */
export interface SharedSetOptions {
  /** Time to live: milliseconds or `'90s'`, `'1h'`; `Infinity` or `'never'` for no expiry. Default: the cache's. */
  ttl?: number | string | undefined
  /** Whether each use starts the TTL again. Default: the cache's. */
  sliding?: boolean | undefined
}

/** The same, complete. */
export interface ParsedSharedOptions {
  name: string
  maxSize: number
  policy: string
  lease: Lease
}

/** Milliseconds that an entry is held, `Infinity` for ever; negative where each use starts them again. */
export type Lease = number

const NAMES = ['name', 'maxSize', 'policy', 'ttl', 'sliding']
/** The names of crates/tierce/src/policy/kind.rs: a policy written in TypeScript runs on one thread. */
const POLICIES = [...Object.keys(ORDERS), 'sieve', 'lfu', 's3-fifo', 'w-tinylfu', 'auto']
const LEAST = 64 * 1024

/**
 * @throws InvalidOptionError `E_INVALID_OPTION`, naming the option and what is accepted
 * @throws InvalidTtlError `E_INVALID_TTL`
 */
export function parseSharedOptions(options: SharedMemoryOptions): ParsedSharedOptions {
  checkOptions(options, NAMES, 'SharedMemoryCache')
  const { name, maxSize, policy, ttl, sliding } = options ?? {}
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
    lease: leaseOf(ttl, sliding, Infinity),
  }
}

/** @throws InvalidTtlError `E_INVALID_TTL`, InvalidOptionError `E_INVALID_OPTION` */
export function parseLease(given: SharedSetOptions | undefined, lease: Lease): Lease {
  checkOptions(given, ['ttl', 'sliding'], 'set')
  return leaseOf(given?.ttl, given?.sliding, lease)
}

/** What is not given is that of another lease. */
function leaseOf(ttl: unknown, sliding: unknown, other: Lease): Lease {
  const time = ttl === undefined ? Math.abs(other) : parseDuration(ttl, 'ttl')
  const slides = sliding === undefined ? other < 0 : boolean(sliding, 'sliding')
  return slides && time !== Infinity ? -time : time
}

function invalid(option: string, message: string): Error {
  return makeError('E_INVALID_OPTION', `Invalid ${option}: ${message}.`, { name: option })
}
