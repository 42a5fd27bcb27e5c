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

export const memoryContenders = { tierce, 'tierce sync': tierceSync, Map: map, 'lru-cache': lru }
