import { frontContenders, memoryContenders, timedContenders } from '../contenders/memory.mjs'
import { keysFor } from '../lib/data.mjs'
import { measure } from '../lib/measure.mjs'
import { zipf } from '../lib/random.mjs'

const CAPACITY = 10_000
const TTL = 3_600_000
const all = { ...memoryContenders, ...frontContenders }
const open = ({ contender, folder }, ttl) => all[contender](CAPACITY, ttl, folder)
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

/** Every key is in the cache, some are asked for far more often than others. */
async function filled(setup, ttl) {
  const cache = await open(setup, ttl)
  const keys = keysFor(CAPACITY)
  const values = keys.map(recordOf)
  for (let index = 0; index < keys.length; index += 1) await cache.set(keys[index], values[index])
  return { cache, keys, values, order: zipf(keys.length, 1, 2_000_000 * setup.scale, 1) }
}

/** Hits only. */
async function get(setup, ttl) {
  const { cache, keys, order } = await filled(setup, ttl)
  let misses = 0
  const count = (value) => {
    if (value === undefined) misses += 1
  }
  const step = cache.waits
    ? async (index) => count(await cache.get(keys[index]))
    : (index) => count(cache.get(keys[index]))
  const result = await timed('get', order, cache.waits, step)
  if (misses > 0) throw new Error(`${setup.contender}: ${misses} misses where every key was set`)
  return result
}

/** Every set is of a key that is there. */
async function setKnown(setup, ttl) {
  const { cache, keys, values, order } = await filled(setup, ttl)
  return timed('set', order, cache.waits, (index) => cache.set(keys[index], values[index]))
}

/** Hits only: nothing is loaded. */
async function getOrSetHit(setup, ttl) {
  const { cache, keys, order } = await filled(setup, ttl)
  const load = (key) => {
    throw new Error(`${setup.contender}: a miss of ${key}, which was set`)
  }
  return timed('getOrSet', order, cache.waits, (index) => cache.getOrSet(keys[index], load))
}

/** Every set is of a key that is not there, into a cache that is full: each one evicts. */
async function set(setup) {
  const { scale } = setup
  const cache = await open(setup)
  const keys = keysFor(CAPACITY * 10)
  const values = keys.map(recordOf)
  for (let index = 0; index < keys.length; index += 1) await cache.set(keys[index], values[index])
  const order = Uint32Array.from({ length: 1_000_000 * scale }, (_, at) => at % keys.length)
  return timed('set', order, cache.waits, (index) => cache.set(keys[index], values[index]))
}

/** A cache in use: ten times as many keys as fit. A load makes a small object, so the time is the cache's own. */
async function getOrSet(setup) {
  const { scale } = setup
  const cache = await open(setup)
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

const contenders = Object.keys(memoryContenders)
const HITS = [
  { id: 'get', run: get, row: { get: 'get, hits only, Zipf 1.0' }, more: Object.keys(frontContenders) },
  { id: 'set-known', run: setKnown, row: { set: 'set of a key that is there, Zipf 1.0' }, more: [] },
  {
    id: 'get-or-set-hit',
    run: getOrSetHit,
    row: { getOrSet: 'get or set, hits only, Zipf 1.0' },
    more: Object.keys(frontContenders),
  },
]

const hits = HITS.flatMap(({ id, run, row, more }) =>
  [undefined, TTL].map((ttl) => ({
    id: `memory-${id}${ttl ? '-ttl' : ''}`,
    group: 'memory',
    contenders: [...Object.keys(ttl ? timedContenders : memoryContenders), ...more],
    run: (setup) => run(setup, ttl),
    rows: Object.fromEntries(Object.entries(row).map(([key, title]) => [key, ttl ? `${title}; TTL` : title])),
  })),
)

export const workloads = [
  ...hits,
  { id: 'memory-set', group: 'memory', contenders, run: set, rows: { set: 'set of a new key, each evicts' } },
  {
    id: 'memory-get-or-set',
    group: 'memory',
    contenders,
    run: getOrSet,
    rows: { getOrSet: 'get or set, Zipf 0.9, a tenth of the keys fits' },
  },
]
