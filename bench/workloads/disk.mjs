import { diskContenders } from '../contenders/disk.mjs'
import { keysFor, valuesFor } from '../lib/data.mjs'
import { measure } from '../lib/measure.mjs'
import { permutation } from '../lib/random.mjs'

const AT_ONCE = 256
const SIZES = [
  { name: '100 B', bytes: 100, count: 50_000 },
  { name: '10 KB', bytes: 10_000, count: 5_000 },
]

async function each(kind, count, step) {
  if (kind === 'async') for (let at = 0; at < count; at += 1) await step(at)
  else for (let at = 0; at < count; at += 1) step(at)
}

function groups(count) {
  return Array.from({ length: Math.ceil(count / AT_ONCE) }, (_, group) => {
    const from = group * AT_ONCE
    return Array.from({ length: Math.min(AT_ONCE, count - from) }, (_, index) => from + index)
  })
}

// The three ways a program asks. A synchronous store has nothing to overlap: at once is one after the other for it.
const ways = {
  one: {
    set: (store, { keys, values }) =>
      each(store.writes, keys.length, (at) => store.set(keys[at], values[at])),
    async get(store, { keys, order, seen }) {
      if (store.reads === 'sync') for (const at of order) seen(at, store.get(keys[at]))
      else for (const at of order) seen(at, await store.get(keys[at]))
    },
  },
  'at-once': {
    async set(store, { keys, values }) {
      for (const group of groups(keys.length))
        await Promise.all(group.map((at) => store.set(keys[at], values[at])))
    },
    async get(store, { keys, order, seen }) {
      for (const group of groups(keys.length)) {
        const found = await Promise.all(group.map((at) => store.get(keys[order[at]])))
        for (const [index, at] of group.entries()) seen(order[at], found[index])
      }
    },
  },
  many: {
    async set(store, { keys, values }) {
      for (const group of groups(keys.length)) await store.setMany(group.map((at) => [keys[at], values[at]]))
    },
    async get(store, { keys, order, seen }) {
      for (const group of groups(keys.length)) {
        const found = await store.getMany(group.map((at) => keys[order[at]]))
        for (const [index, at] of group.entries()) seen(order[at], found[index])
      }
    },
    async delete(store, { keys, order }) {
      for (const group of groups(keys.length)) await store.deleteMany(group.map((at) => keys[order[at]]))
    },
  },
}

/**
 * Sets all keys in an empty folder, closes and opens the store, and gets all keys in another order: from the operating
 * system's cache, since they were just written. Every value that comes back has its length checked under the clock, and is
 * compared byte by byte after it. A way that deletes does so at last.
 */
async function setThenGet({ contender, scale, folder }, { bytes, count }, way) {
  const keys = keysFor(Math.ceil(count * scale))
  const values = valuesFor(keys.length, bytes)
  const found = new Array(keys.length)
  const seen = (at, value) => {
    if (value?.length !== bytes) throw new Error(`${contender}: ${keys[at]} did not come back`)
    found[at] = value
  }
  const job = { keys, values, order: permutation(keys.length, 5), seen }

  const writer = diskContenders[contender](folder)
  const set = await measure(() => way.set(writer, job))
  await writer.close()
  const reader = diskContenders[contender](folder)
  const get = await measure(() => way.get(reader, job))
  for (const [at, value] of values.entries()) {
    if (Buffer.compare(value, found[at]) !== 0) throw new Error(`${contender}: ${keys[at]} came back changed`)
  }
  const deleted = way.delete && (await measure(() => way.delete(reader, job)))
  if (deleted && (await reader.get(keys[0])) !== undefined)
    throw new Error(`${contender}: nothing was deleted`)
  await reader.close()
  const figures = { set, get, ...(deleted && { delete: deleted }) }
  return Object.fromEntries(
    Object.entries(figures).map(([id, figure]) => [id, { ...figure, ops: keys.length }]),
  )
}

const TITLES = { one: 'one at a time', 'at-once': `${AT_ONCE} at once`, many: `${AT_ONCE} in one call` }

export const workloads = SIZES.flatMap((size) =>
  Object.entries(ways).map(([id, way]) => ({
    id: `disk-${size.bytes}-${id}`,
    group: 'disk',
    // The synchronous verbs differ from the others in the first way only.
    contenders: Object.keys(diskContenders).filter((name) => id === 'one' || !name.startsWith('tierce sync')),
    run: (options) => setThenGet(options, size, way),
    rows: Object.fromEntries(Object.keys(way).map((verb) => [verb, `${verb} ${size.name}, ${TITLES[id]}`])),
  })),
)
