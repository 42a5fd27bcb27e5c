// Each opens a cache of serialized values of at most `bytes`: a reader gets a value of its own.
import { deserialize, serialize } from 'node:v8'
import { LRUCache } from 'lru-cache'
import { SharedMemoryCache } from '../../dist/index.mjs'

let opened = 0
const tierce = (policy) => (bytes) => {
  const cache = new SharedMemoryCache({ name: `bench-${opened++}`, maxSize: bytes, policy })
  return { get: (key) => cache.get(key), set: (key, value) => cache.set(key, value) }
}

/** On the heap of one thread: what a program would write that wants neither the live objects nor their weight in the collector. */
function lruAndV8(bytes) {
  const cache = new LRUCache({ maxSize: bytes, sizeCalculation: (data, key) => data.length + 2 * key.length })
  return {
    get: (key) => {
      const data = cache.get(key)
      return data === undefined ? undefined : deserialize(data)
    },
    set: (key, value) => cache.set(key, serialize(value)),
  }
}

function lruAndJson(bytes) {
  const cache = new LRUCache({
    maxSize: bytes,
    sizeCalculation: (data, key) => 2 * (data.length + key.length),
  })
  return {
    get: (key) => {
      const data = cache.get(key)
      return data === undefined ? undefined : JSON.parse(data)
    },
    set: (key, value) => cache.set(key, JSON.stringify(value)),
  }
}

export const sharedContenders = {
  'tierce shared lru': tierce('lru'),
  'tierce shared w-tinylfu': tierce('w-tinylfu'),
  'lru-cache + v8.serialize': lruAndV8,
  'lru-cache + JSON': lruAndJson,
}
