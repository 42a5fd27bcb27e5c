import { memoryContenders } from '../contenders/memory.mjs'
import { keysFor } from '../lib/data.mjs'
import { measure } from '../lib/measure.mjs'
import { zipf } from '../lib/random.mjs'

const CAPACITY = 10_000
const contenders = Object.keys(memoryContenders)
const recordOf = (key) => ({ key, active: true, roles: ['reader'] })

// One loop for those that give promises and one for those that do not: an await costs, and only who needs it pays.
async function repeat(waits, order, step) {
  if (waits) for (let at = 0; at < order.length; at += 1) await step(order[at])
  else for (let at = 0; at < order.length; at += 1) step(order[at])
}

/** Runs a fifth of the steps for the compiler, then all of them for the clock. */
async function timed(name, order, waits, step) {
  await repeat(waits, order.subarray(0, order.length / 5), step)
  const times = await measure(() => repeat(waits, order, step))
  return { [name]: { ...times, ops: order.length } }
}

/** Hits only: every key is in the cache, some are asked for far more often than others. */
async function get({ contender, scale }) {
  const cache = await memoryContenders[contender](CAPACITY)
  const keys = keysFor(CAPACITY)
  for (const key of keys) await cache.set(key, recordOf(key))
  const order = zipf(keys.length, 1, 2_000_000 * scale, 1)
  let misses = 0
  const count = (value) => {
    if (value === undefined) misses += 1
  }
  const step = cache.waits
    ? async (index) => count(await cache.get(keys[index]))
    : (index) => count(cache.get(keys[index]))
  const result = await timed('get', order, cache.waits, step)
  if (misses > 0) throw new Error(`${contender}: ${misses} misses where every key was set`)
  return result
}

/** Every set is of a key that is not there, into a cache that is full: each one evicts. */
async function set({ contender, scale }) {
  const cache = await memoryContenders[contender](CAPACITY)
  const keys = keysFor(CAPACITY * 10)
  const values = keys.map(recordOf)
  for (let index = 0; index < keys.length; index += 1) await cache.set(keys[index], values[index])
  const order = Uint32Array.from({ length: 1_000_000 * scale }, (_, at) => at % keys.length)
  return timed('set', order, cache.waits, (index) => cache.set(keys[index], values[index]))
}

/** A cache in use: ten times as many keys as fit. A load makes a small object, so the time is the cache's own. */
async function getOrSet({ contender, scale }) {
  const cache = await memoryContenders[contender](CAPACITY)
  const keys = keysFor(CAPACITY * 10)
  const order = zipf(keys.length, 0.9, 1_000_000 * scale, 3)
  let loads = 0
  const load = (key) => {
    loads += 1
    return recordOf(key)
  }
  const result = await timed('getOrSet', order, cache.waits, (index) => cache.getOrSet(keys[index], load))
  result.getOrSet.hitRatio = 1 - loads / (order.length * 1.2)
  return result
}

export const workloads = [
  { id: 'memory-get', group: 'memory', contenders, run: get, rows: { get: 'get, hits only, Zipf 1.0' } },
  { id: 'memory-set', group: 'memory', contenders, run: set, rows: { set: 'set of a new key, each evicts' } },
  {
    id: 'memory-get-or-set',
    group: 'memory',
    contenders,
    run: getOrSet,
    rows: { getOrSet: 'get or set, Zipf 0.9, a tenth of the keys fits' },
  },
]
