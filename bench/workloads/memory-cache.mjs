// The memory cache alone, at two sizes, with string keys and number keys, with and without a TTL.
//
// A string is joined, flat or made. `string` are joined ones, which V8 keeps in pieces and then as a head that leads to the characters; they
// are asked for with the object that was set. `flat` are as parsers and drivers give them. `made` are made anew for each operation, which counts.
import { timed, untimed } from '../contenders/tierce-memory.mjs'
import { measure } from '../lib/measure.mjs'
import { permutation, zipf } from '../lib/random.mjs'

const TTL = 3_600_000
const value = { active: true }

const textOf = (id) => `user:${String(id).padStart(8, '0')}:profile`
const MAKE = {
  string: textOf,
  flat: (id) => Buffer.from(textOf(id)).toString(),
  // As many digits, without a call for them.
  made: (id) => 10_000_000 + id,
  number: (id) => id,
}
/** What becomes of a key of the list when it is used. */
const USE = { made: (id) => `user:${id}:profile` }
const asItIs = (key) => key

/** Keys in an order that has nothing to do with time. */
function keysOf(kind, count) {
  return Array.from(permutation(count, 11), MAKE[kind])
}

const open = ({ contender, capacity, ttl }) => (ttl ? timed : untimed)[contender](capacity, ttl ? TTL : 0)

/** Every key is there, some are asked for far more often than others. */
async function hits(setup) {
  const cache = open(setup)
  const keys = keysOf(setup.kind, setup.capacity)
  const use = USE[setup.kind] ?? asItIs
  for (const key of keys) cache.set(use(key), value)
  const order = zipf(keys.length, 1, setup.ops, 1)
  let misses = 0
  const run = () => {
    for (let at = 0; at < order.length; at += 1)
      if (cache.get(use(keys[order[at]])) === undefined) misses += 1
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

/** A cache in use: three to ten times as many keys as fit. The same requests come twice: at a million entries all that they ask for fits. */
async function getOrSet(setup) {
  const order = zipf(keysFor(setup), 0.9, setup.ops, 3)
  return getOrSetAll(setup, order, order)
}

/** As `getOrSet`, but what is measured are other requests than those before: keys come that were not there. */
async function requests(setup) {
  return getOrSetAll(setup, zipf(keysFor(setup), 0.9, setup.ops, 3), zipf(keysFor(setup), 0.9, setup.ops, 4))
}

const keysFor = ({ capacity }) => capacity * (capacity > 500_000 ? 3 : 10)

async function getOrSetAll(setup, before, order) {
  const cache = open(setup)
  const keys = keysOf(setup.kind, keysFor(setup))
  const use = USE[setup.kind] ?? asItIs
  let misses = 0
  // Full before anything counts, however few the operations are.
  for (const key of keys) cache.set(use(key), value)
  const run = (order) => {
    for (let at = 0; at < order.length; at += 1) {
      const key = use(keys[order[at]])
      if (cache.get(key) !== undefined) continue
      misses += 1
      cache.set(key, value)
    }
  }
  run(before)
  misses = 0
  const times = await measure(() => run(order))
  return { ...times, ops: order.length, hitRatio: 1 - misses / order.length }
}

const RUNS = { hits, inserts, getOrSet, requests }
const TITLES = {
  hits: 'get, hits only, Zipf 1.0',
  inserts: 'set of a new key, each evicts',
  getOrSet: 'get or set, Zipf 0.9',
  requests: 'get or set, Zipf 0.9, new requests',
}
const KINDS = { string: 'string', number: 'number', flat: 'flat string', made: 'newly made string' }

function workload(name, capacity, kind, ttl) {
  const size = capacity >= 1e6 ? '1 M' : '100 k'
  return {
    id: `memory-cache-${name}-${size.replace(' ', '')}-${kind}${ttl ? '-ttl' : ''}`,
    group: 'memory-cache',
    contenders: Object.keys(ttl ? timed : untimed),
    rows: { [name]: `${TITLES[name]}; ${size} entries, ${KINDS[kind]} keys${ttl ? ', TTL' : ''}` },
    async run({ contender, scale }) {
      const ops = (capacity >= 1e6 ? 2_000_000 : 1_000_000) * scale
      return { [name]: await RUNS[name]({ contender, capacity, kind, ttl, ops }) }
    },
  }
}

const SIZES = [100_000, 1_000_000]

const byTime = ['hits', 'inserts', 'getOrSet'].flatMap((name) =>
  SIZES.flatMap((capacity) =>
    ['string', 'number'].flatMap((kind) => [false, true].map((ttl) => workload(name, capacity, kind, ttl))),
  ),
)

const forms = {
  hits: ['flat', 'made'],
  getOrSet: ['flat', 'made'],
  requests: ['string', 'flat', 'made', 'number'],
}
const byForm = Object.entries(forms).flatMap(([name, kinds]) =>
  SIZES.flatMap((capacity) => kinds.map((kind) => workload(name, capacity, kind, false))),
)

export const workloads = [...byTime, ...byForm]
