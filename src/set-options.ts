/** Options of one entry, parsed and checked once. */
import { type Codec, type Duration, parseCoding } from './cache-options.js'
import { checkOptions, parseDuration } from './options.js'
import type { Storing } from './tiers/stack.js'

/** Options of one entry. */
export interface SetOptions {
  /** Time to live. Default: the cache's. */
  ttl?: Duration | undefined
  /** Compression on disk. Default: that of the value's kind, else the cache's. */
  codec?: Codec | undefined
  /** Level of the codec, where it has one. */
  level?: number | undefined
}

/**
 * @param ttl of entries that are set without one, in milliseconds
 * @throws InvalidTtlError `E_INVALID_TTL`, InvalidOptionError `E_INVALID_OPTION`
 */
export function parseSetOptions(options: SetOptions, ttl: number, now: number): Storing {
  checkOptions(options, ['ttl', 'codec', 'level'], 'an entry')
  const own = options.ttl === undefined ? ttl : parseDuration(options.ttl, 'ttl')
  return { expiresAt: now + own, freshUntil: Number.POSITIVE_INFINITY, cost: 0, coding: parseCoding(options) }
}
