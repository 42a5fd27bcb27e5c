// Each opens a cache of at most `capacity` entries. `waits` says that its verbs give promises, which the loop then awaits one by
// one, as a program would.
import { LRUCache } from 'lru-cache'
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

function lru(capacity) {
  const cache = new LRUCache({ max: capacity })
  const getOrSet = (key, load) => {
    const found = cache.get(key)
    if (found !== undefined) return found
    const value = load(key)
    cache.set(key, value)
    return value
  }
  return { get: (key) => cache.get(key), set: (key, value) => cache.set(key, value), getOrSet }
}

// Beside the count that is given, tierce holds its default of 64 MB: it estimates every value's size, which the others do not.
function tierce(capacity) {
  const cache = new Cache({ memory: { max: capacity } })
  return {
    waits: true,
    get: (key) => cache.get(key),
    set: (key, value) => cache.set(key, value),
    getOrSet: (key, load) => cache.getOrSet(key, () => load(key)),
  }
}

function tierceSync(capacity) {
  const cache = new Cache({ memory: { max: capacity } })
  return {
    get: (key) => cache.getSync(key),
    set: (key, value) => cache.setSync(key, value),
    getOrSet: (key, load) => cache.getOrSetSync(key, () => load(key)),
  }
}

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
async function keyvOf(capacity) {
  const [{ Keyv }, { KeyvCacheableMemory }] = await Promise.all([import('keyv'), import('cacheable')])
  return new Keyv({
    store: new KeyvCacheableMemory({ lruSize: capacity, useClone: false }),
    serialize: undefined,
    deserialize: undefined,
  })
}

async function keyv(capacity) {
  const cache = await keyvOf(capacity)
  return {
    waits: true,
    get: (key) => cache.get(key),
    set: (key, value) => cache.set(key, value),
    getOrSet: getThenSet(cache),
  }
}

async function cacheManager(capacity) {
  const { createCache } = await import('cache-manager')
  const cache = createCache({ stores: [await keyvOf(capacity)] })
  return {
    waits: true,
    get: (key) => cache.get(key),
    set: (key, value) => cache.set(key, value),
    getOrSet: (key, load) => cache.wrap(key, () => load(key)),
  }
}

async function bentocache(capacity) {
  const { BentoCache, bentostore } = await import('bentocache')
  const { memoryDriver } = await import('bentocache/drivers/memory')
  const store = bentostore().useL1Layer(memoryDriver({ maxItems: capacity, serialize: false }))
  const cache = new BentoCache({ default: 'memory', stores: { memory: store } })
  return {
    waits: true,
    get: (key) => cache.get({ key }),
    set: (key, value) => cache.set({ key, value }),
    getOrSet: (key, load) => cache.getOrSet({ key, factory: () => load(key) }),
  }
}

export const memoryContenders = {
  tierce,
  'tierce sync': tierceSync,
  Map: map,
  'lru-cache': lru,
  keyv,
  'cache-manager': cacheManager,
  bentocache,
}
