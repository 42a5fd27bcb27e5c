/** Rate limits that all processes on a cache's directory share. */
import type { Duration } from '../cache-options.js'
import { type Caching, hostOf } from '../caching.js'
import { makeError } from '../errors.js'
import { CallKey, type Key, keyText } from '../keys.js'
import { checkOptions, oneOf, parseDuration, positiveInteger } from '../options.js'
import { exclusively } from './exclusive.js'

/** Options of `rateLimiter`. */
export interface LimiterOptions {
  /** Part of the key: limiters of one name share their counts, if they have one algorithm. */
  name: string
  /** So many in `per`. */
  limit: number
  /** The time that `limit` is for. */
  per: Duration
  /**
   * `token-bucket` (the default): `burst` at once, refilled evenly. `sliding-window`: never more than `limit` in any time of
   * `per`, exactly; it keeps the time of each.
   */
  algorithm?: 'token-bucket' | 'sliding-window' | undefined
  /** What a bucket holds. Default: `limit`. */
  burst?: number | undefined
}

/** What became of an attempt. */
export interface Taken {
  /** Whether it was taken. */
  allowed: boolean
  /** What is left just now. */
  remaining: number
  /** Milliseconds until this attempt would be allowed; 0 where it was. */
  retryAfter: number
}

/** A limit on a cache. Whoever makes one of the same name shares its counts. */
export interface RateLimiter {
  /** Takes `cost` for a key, if there is so much: at once, on this thread. */
  tryTake(key?: Key, cost?: number): Taken
  /** Waits until it is allowed. Rejects with the signal's reason. */
  take(key?: Key, cost?: number, signal?: AbortSignal): Promise<Taken>
  /** Forgets what was taken for a key. */
  reset(key?: Key): void
}

/** A rule on a state that is kept in the cache. Times in milliseconds. */
interface Rule {
  readonly most: number
  /** Undefined where nothing was taken yet. */
  take(state: unknown, cost: number, now: number): { state: unknown; taken: Taken; ttl: number }
}

/** Times that a sliding window keeps. */
const MOST_TIMES = 100_000

/** @throws InvalidOptionError `E_INVALID_OPTION` */
export function rateLimiter(cache: Caching, options: LimiterOptions): RateLimiter {
  checkOptions(options ?? null, ['name', 'limit', 'per', 'algorithm', 'burst'], 'a rate limiter')
  const { name } = options
  if (typeof name !== 'string' || name === '') {
    throw makeError(
      'E_INVALID_OPTION',
      'A rate limiter has a name, a text: limiters of one name share their counts.',
      { name: 'name' },
    )
  }
  const rule = ruleOf(options)
  const { tiers, prefix } = hostOf(cache)
  const keyOf = (key: Key) => new CallKey('tierce.limiter', '', [name, key])
  const step = <T>(key: Key, run: (at: CallKey) => T): T => {
    const at = keyOf(key)
    return exclusively(cache, `\0limiter ${prefix}${keyText(at)}`, () => run(at))
  }
  const tryTake = (key: Key = '', cost = 1): Taken => {
    positiveInteger(cost, 'cost')
    if (cost > rule.most) {
      throw makeError(
        'E_INVALID_OPTION',
        `cost is ${cost}, and the limiter never allows more than ${rule.most} at once.`,
        { name: 'cost' },
      )
    }
    return step(key, (at) => {
      const { state, taken, ttl } = rule.take(cache.getSync(at), cost, tiers.now())
      if (taken.allowed) cache.setSync(at, state, { ttl: Math.max(1, Math.ceil(ttl)) })
      return taken
    })
  }
  return {
    tryTake,
    async take(key, cost, signal) {
      for (;;) {
        signal?.throwIfAborted()
        const taken = tryTake(key, cost)
        if (taken.allowed) return taken
        await pause(taken.retryAfter, signal)
      }
    },
    reset: (key = '') => step(key, (at) => void cache.deleteSync(at)),
  }
}

function ruleOf(options: LimiterOptions): Rule {
  const limit = positiveInteger(options.limit, 'limit')
  const per = parseDuration(options.per, 'per')
  const algorithm = oneOf(options.algorithm ?? 'token-bucket', 'algorithm', [
    'token-bucket',
    'sliding-window',
  ])
  if (algorithm === 'token-bucket') {
    const burst = options.burst === undefined ? limit : positiveInteger(options.burst, 'burst')
    return per === Infinity ? tokenBucket(burst, 0, 1) : tokenBucket(burst, limit, per)
  }
  if (options.burst === undefined && limit <= MOST_TIMES) return slidingWindow(limit, per)
  throw makeError(
    'E_INVALID_OPTION',
    `A sliding window has no burst and a limit of at most ${MOST_TIMES}: for more, use algorithm 'token-bucket'.`,
    { name: options.burst === undefined ? 'limit' : 'burst' },
  )
}

/** A token is `per` parts, of which `limit` come in a millisecond: whole numbers, which do not drift as fractions do. */
function tokenBucket(most: number, limit: number, per: number): Rule {
  const whole = most * per
  return {
    most,
    take(state, cost, now) {
      const { parts, of, at } = bucketOf(state) ?? { parts: whole, of: per, at: now }
      const had = of === per ? parts : Math.floor((parts / of) * per) // another time was given then
      // A clock that went back refills nothing, and takes nothing away.
      const full = Math.min(whole, had + Math.max(0, now - at) * limit)
      const asked = cost * per
      const allowed = full >= asked
      const left = allowed ? full - asked : full
      const retryAfter = allowed ? 0 : Math.ceil((asked - full) / limit)
      const taken = { allowed, remaining: Math.floor(left / per), retryAfter }
      return { state: { parts: left, of: per, at: Math.max(now, at) }, taken, ttl: (whole - left) / limit }
    },
  }
}

/** Nothing where another algorithm has counted under this name. */
function bucketOf(state: unknown): { parts: number; of: number; at: number } | undefined {
  const bucket = state as { parts: number; of: number; at: number } | undefined
  return typeof bucket?.parts === 'number' ? bucket : undefined
}

function slidingWindow(most: number, per: number): Rule {
  return {
    most,
    take(state, cost, now) {
      const known = state instanceof Float64Array ? state : new Float64Array() // another algorithm counted otherwise
      const times = known.filter((at) => at > now - per)
      const allowed = times.length + cost <= most
      if (!allowed) {
        const first = times[times.length + cost - most - 1]!
        return {
          state: times,
          taken: { allowed, remaining: most - times.length, retryAfter: Math.max(1, first + per - now) },
          ttl: per,
        }
      }
      const grown = new Float64Array(times.length + cost)
      grown.set(times)
      grown.fill(now, times.length)
      grown.sort() // a clock that went back
      return { state: grown, taken: { allowed, remaining: most - grown.length, retryAfter: 0 }, ttl: per }
    },
  }
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer)
      reject(signal!.reason)
    }
    const timer = setTimeout(
      () => {
        signal?.removeEventListener('abort', stop)
        resolve()
      },
      Math.min(ms, 2 ** 31 - 1),
    )
    signal?.addEventListener('abort', stop, { once: true })
  })
}
