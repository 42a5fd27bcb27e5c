// Each opens a cache of at most `capacity` entries, with a TTL of `ttl` milliseconds where one is asked for; all are synchronous.
import flru from 'flru'
import { LRUCache } from 'lru-cache'
import { LRUMap } from 'mnemonist'
import { lru as tinyLru } from 'tiny-lru'
import { MemoryCache } from '../../dist/index.mjs'

const verbs = (cache) => ({ get: (key) => cache.get(key), set: (key, value) => cache.set(key, value) })
const tierce = (policy) => (capacity, ttl) =>
  verbs(new MemoryCache({ max: capacity, policy, ...(ttl > 0 ? { ttl } : {}) }))

/** No bound at all: what any cache over a `Map` can at best come near to. */
const map = () => verbs(new Map())

/** The contenders that know a TTL. */
export const timed = {
  'tierce lru': tierce('lru'),
  'tierce sieve': tierce('sieve'),
  'tierce w-tinylfu': tierce('w-tinylfu'),
  'lru-cache': (capacity, ttl) => verbs(new LRUCache({ max: capacity, ...(ttl > 0 ? { ttl } : {}) })),
}

/** mnemonist's LRUMap is its LRU over a `Map`. flru keeps up to twice its capacity in two generations: it has no hard bound. */
export const untimed = {
  ...timed,
  Map: map,
  'tiny-lru': (capacity) => verbs(tinyLru(capacity)),
  mnemonist: (capacity) => verbs(new LRUMap(capacity)),
  flru: (capacity) => verbs(flru(capacity)),
}
