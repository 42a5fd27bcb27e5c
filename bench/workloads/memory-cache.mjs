// The memory cache alone, at two sizes, with string keys and number keys, with and without a TTL, and what an entry takes.
import { timed, untimed } from '../contenders/tierce-memory.mjs'
import { measure } from '../lib/measure.mjs'
import { permutation, zipf } from '../lib/random.mjs'

const TTL = 3_600_000
const value = { active: true }

/** Keys in an order that has nothing to do with time. */
function keysOf(kind, count) {
  const ids = permutation(count, 11)
  return Array.from(ids, (id) => (kind === 'string' ? `user:${String(id).padStart(8, '0')}:profile` : id))
}

const open = ({ contender, capacity, ttl }) => (ttl ? timed : untimed)[contender](capacity, ttl ? TTL : 0)

/** Every key is there, some are asked for far more often than others. */
async function hits(setup) {
  const cache = open(setup)
  const keys = keysOf(setup.kind, setup.capacity)
  for (const key of keys) cache.set(key, value)
  const order = zipf(keys.length, 1, setup.ops, 1)
  let misses = 0
  const run = () => {
    for (let at = 0; at < order.length; at += 1) if (cache.get(keys[order[at]]) === undefined) misses += 1
  }
  run()
  const times = await measure(run)
  if (misses > 0 && setup.contender !== 'flru') throw new Error(`${setup.contender}: ${misses} misses`)
  return { ...times, ops: order.length }
}

/** Every set is of a key that is not there, into a full cache: each evicts. */
async function inserts(setup) {
  const cache = open(setup)
  const keys = keysOf(setup.kind, setup.capacity * 3)
  let next = 0
  const run = (count) => {
    for (let at = 0; at < count; at += 1) {
      cache.set(keys[next], value)
      next = next + 1 === keys.length ? 0 : next + 1
    }
  }
  run(keys.length)
  const times = await measure(() => run(setup.ops))
  return { ...times, ops: setup.ops }
}

/** A cache in use: three to ten times as many keys as fit. */
async function getOrSet(setup) {
  const cache = open(setup)
  const keys = keysOf(setup.kind, setup.capacity * (setup.capacity > 500_000 ? 3 : 10))
  const order = zipf(keys.length, 0.9, setup.ops, 3)
  let misses = 0
  // Full before anything counts, however few the operations are.
  for (const key of keys) cache.set(key, value)
  const run = () => {
    for (let at = 0; at < order.length; at += 1) {
      const key = keys[order[at]]
      if (cache.get(key) !== undefined) continue
      misses += 1
      cache.set(key, value)
    }
  }
  run()
  misses = 0
  const times = await measure(run)
  return { ...times, ops: order.length, hitRatio: 1 - misses / order.length }
}

const RUNS = { hits, inserts, getOrSet }
const TITLES = {
  hits: 'get, hits only, Zipf 1.0',
  inserts: 'set of a new key, each evicts',
  getOrSet: 'get or set, Zipf 0.9',
}

function workload(name, capacity, kind, ttl) {
  const size = capacity >= 1e6 ? '1 M' : '100 k'
  return {
    id: `memory-cache-${name}-${size.replace(' ', '')}-${kind}${ttl ? '-ttl' : ''}`,
    group: 'memory-cache',
    contenders: Object.keys(ttl ? timed : untimed),
    rows: { [name]: `${TITLES[name]}; ${size} entries, ${kind} keys${ttl ? ', TTL' : ''}` },
    async run({ contender, scale }) {
      const ops = (capacity >= 1e6 ? 2_000_000 : 1_000_000) * scale
      return { [name]: await RUNS[name]({ contender, capacity, kind, ttl, ops }) }
    },
  }
}

export const workloads = Object.keys(RUNS).flatMap((name) =>
  [100_000, 1_000_000].flatMap((capacity) =>
    ['string', 'number'].flatMap((kind) => [false, true].map((ttl) => workload(name, capacity, kind, ttl))),
  ),
)
