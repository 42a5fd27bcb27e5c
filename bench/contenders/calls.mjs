// Each caches the results of an asynchronous function of one string, in memory, as its own documents say; all give promises.
// They are loaded one by one: each process has only the one that it measures.
const recordOf = (key) => ({ key, active: true, roles: ['reader'] })
const CAPACITY = 10_000
const load = async (key) => recordOf(key)

export const callContenders = {
  'Map of promises': async () => {
    const known = new Map()
    return (key) => {
      const found = known.get(key)
      if (found !== undefined) return found
      const promise = load(key)
      known.set(key, promise)
      return promise
    }
  },
  'lru-cache fetch': async () => {
    const { LRUCache } = await import('lru-cache')
    const cache = new LRUCache({ max: CAPACITY, fetchMethod: load })
    return (key) => cache.fetch(key)
  },
  'async-cache-dedupe': async () => {
    const { createCache } = await import('async-cache-dedupe')
    const cache = createCache({ ttl: 3600, storage: { type: 'memory', options: { size: CAPACITY } } })
    cache.define('user', load)
    return (key) => cache.user(key)
  },
  'p-memoize': async () => {
    const { default: pMemoize } = await import('p-memoize')
    return pMemoize(load)
  },
  'cache-manager': async () => {
    const { createCache } = await import('cache-manager')
    const cache = createCache({ ttl: 3_600_000 })
    return (key) => cache.wrap(key, () => load(key))
  },
  bentocache: async () => {
    const { BentoCache, bentostore } = await import('bentocache')
    const { memoryDriver } = await import('bentocache/drivers/memory')
    const store = bentostore().useL1Layer(memoryDriver({ maxItems: CAPACITY, serialize: false }))
    const cache = new BentoCache({ default: 'memory', stores: { memory: store } })
    return (key) => cache.getOrSet({ key, ttl: '1h', factory: () => load(key) })
  },
  tierce: async () => {
    const { Cache, wrap } = await import('../../dist/index.mjs')
    return wrap(new Cache({ memory: { max: CAPACITY } }), load, { name: 'user' })
  },
  'tierce with a TTL': async () => {
    const { Cache, wrap } = await import('../../dist/index.mjs')
    return wrap(new Cache({ memory: { max: CAPACITY } }), load, { name: 'user', ttl: '1h' })
  },
  'tierce getOrSet': async () => {
    const { Cache } = await import('../../dist/index.mjs')
    const cache = new Cache({ memory: { max: CAPACITY } })
    return (key) => cache.getOrSet(key, () => load(key))
  },
}

/** Makers of keys from an object of five fields. */
export const keyContenders = {
  ohash: async () => (await import('ohash')).hash,
  tierce: async () => (await import('../../build/keys.js')).keyText,
}
