// Each opens a cache of at most `capacity` entries, with a TTL of `ttl` milliseconds where one is asked for. `waits` says that its verbs give promises, which the loop then awaits one by
// one, as a program would.
import { join } from 'node:path'
import { LRUCache } from 'lru-cache'
import { entrySize } from '../../build/tiers/memory.js'
import { weigh } from '../../build/tiers/weigh.js'
import { Cache } from '../../dist/index.mjs'

/** A Map that drops its oldest entry when it is full: what people write by hand. It is FIFO; the others keep an exact LRU order. */
function map(capacity) {
  const entries = new Map()
  const set = (key, value) => {
    if (entries.size >= capacity && !entries.has(key)) entries.delete(entries.keys().next().value)
    entries.set(key, value)
  }
  const getOrSet = (key, load) => {
    const found = entries.get(key)
    if (found !== undefined) return found
    const value = load(key)
    set(key, value)
    return value
  }
  return { get: (key) => entries.get(key), set, getOrSet }
}

function lru(capacity, ttl, bound) {
  const cache = new LRUCache({ max: capacity, ...(ttl && { ttl }), ...bound })
  const getOrSet = (key, load) => {
    const found = cache.get(key)
    if (found !== undefined) return found
    const value = load(key)
    cache.set(key, value)
    return value
  }
  return { get: (key) => cache.get(key), set: (key, value) => cache.set(key, value), getOrSet }
}

/** Bounded by bytes as tierce is, by the same estimate of each value. */
const lruWeighed = (capacity, ttl) =>
  lru(capacity, ttl, {
    maxSize: 64_000_000,
    sizeCalculation: (value, key) => entrySize(key, weigh(value)),
  })

/** What a program pays that awaits what it gets, as it does of those that give promises. */
function lruAwaited(capacity, ttl) {
  const { get, set, getOrSet } = lru(capacity, ttl)
  return {
    waits: true,
    get: (key) => Promise.resolve(get(key)),
    set: (key, value) => Promise.resolve(set(key, value)),
    getOrSet: (key, load) => Promise.resolve(getOrSet(key, load)),
  }
}

// Beside the count that is given, tierce holds its default of 64 MB: it estimates every value's size, which of the others `lru-cache weighed` alone does.
const openTierce = (capacity, ttl, dir) => new Cache({ dir, ttl, memory: { max: capacity } })

function awaited(cache) {
  return {
    waits: true,
    get: (key) => cache.get(key),
    set: (key, value) => cache.set(key, value),
    getOrSet: (key, load) => cache.getOrSet(key, () => load(key)),
  }
}

function sync(cache) {
  return {
    get: (key) => cache.getSync(key),
    set: (key, value) => cache.setSync(key, value),
    getOrSet: (key, load) => cache.getOrSetSync(key, () => load(key)),
  }
}

/** Directories to put entries in, for what is asked of the memory in front of them. */
const before = (verbs) => (capacity, ttl, folder) => verbs(openTierce(capacity, ttl, join(folder, 'cache')))
const tierce = (capacity, ttl) => awaited(openTierce(capacity, ttl))
const tierceSync = (capacity, ttl) => sync(openTierce(capacity, ttl))

// Those below give promises for all they do, as the tierce that is compared with them does; each is loaded only where it is measured.

/** Of those that have no verb for it: two who miss at one time both load. */
const getThenSet = (cache) => async (key, load) => {
  const found = await cache.get(key)
  if (found !== undefined) return found
  const value = load(key)
  await cache.set(key, value)
  return value
}

/** The bounded store in memory of keyv's makers. It keeps the live values. */
async function keyvOf(capacity, ttl) {
  const [{ Keyv }, { KeyvCacheableMemory }] = await Promise.all([import('keyv'), import('cacheable')])
  return new Keyv({
    store: new KeyvCacheableMemory({ lruSize: capacity, useClone: false }),
    serialize: undefined,
    deserialize: undefined,
    ttl,
  })
}

async function keyv(capacity, ttl) {
  const cache = await keyvOf(capacity, ttl)
  return {
    waits: true,
    get: (key) => cache.get(key),
    set: (key, value) => cache.set(key, value),
    getOrSet: getThenSet(cache),
  }
}

async function cacheManager(capacity, ttl) {
  const { createCache } = await import('cache-manager')
  const cache = createCache({ stores: [await keyvOf(capacity)], ttl })
  return {
    waits: true,
    get: (key) => cache.get(key),
    set: (key, value) => cache.set(key, value),
    getOrSet: (key, load) => cache.wrap(key, () => load(key)),
  }
}

async function bentocache(capacity, ttl) {
  const { BentoCache, bentostore } = await import('bentocache')
  const { memoryDriver } = await import('bentocache/drivers/memory')
  const store = bentostore().useL1Layer(memoryDriver({ maxItems: capacity, serialize: false }))
  const cache = new BentoCache({ default: 'memory', stores: { memory: store }, ...(ttl && { ttl }) })
  return {
    waits: true,
    get: (key) => cache.get({ key }),
    set: (key, value) => cache.set({ key, value }),
    getOrSet: (key, load) => cache.getOrSet({ key, factory: () => load(key) }),
  }
}

/** The contenders that know a TTL. */
export const timedContenders = {
  tierce,
  'tierce sync': tierceSync,
  'lru-cache': lru,
  'lru-cache weighed': lruWeighed,
  'lru-cache awaited': lruAwaited,
  keyv,
  'cache-manager': cacheManager,
  bentocache,
}

export const memoryContenders = { ...timedContenders, Map: map }

/** Where all that is asked for is in memory. */
export const frontContenders = {
  'tierce before a disk': before(awaited),
  'tierce before a disk, sync': before(sync),
}
