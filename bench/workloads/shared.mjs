// Serialized values outside the heap, on one thread, against what serves one thread: values on the heap in serialized form.
import { sharedContenders } from '../contenders/shared.mjs'
import { keysFor } from '../lib/data.mjs'
import { measure } from '../lib/measure.mjs'
import { zipf } from '../lib/random.mjs'

const ENTRIES = 20_000
const VALUES = {
  record: (id) => ({ id, name: `user ${id}`, active: true, roles: ['reader', 'writer'] }),
  bytes: (id) => new Uint8Array(1024).fill(id),
}

function workload(kind) {
  return {
    id: `shared-${kind}`,
    group: 'shared',
    contenders: Object.keys(sharedContenders).filter((name) => kind !== 'bytes' || !name.endsWith('JSON')), // which has no bytes
    rows: { get: `shared: get, ${kind}`, set: `shared: set, ${kind}` },
    async run({ contender, scale }) {
      const cache = sharedContenders[contender](128e6)
      const keys = keysFor(ENTRIES)
      const values = keys.map((_, id) => VALUES[kind](id))
      const order = zipf(ENTRIES, 0.9, 400_000 * scale, 1)
      const set = () => {
        for (let at = 0; at < order.length; at += 1) cache.set(keys[order[at]], values[order[at]])
      }
      let misses = 0
      const get = () => {
        for (let at = 0; at < order.length; at += 1) if (cache.get(keys[order[at]]) === undefined) misses += 1
      }
      for (let id = 0; id < ENTRIES; id += 1) cache.set(keys[id], values[id])
      get()
      const gets = await measure(get)
      const sets = await measure(set)
      if (misses > 0) throw new Error(`${contender}: ${misses} misses`)
      return { get: { ...gets, ops: order.length }, set: { ...sets, ops: order.length } }
    },
  }
}

export const workloads = Object.keys(VALUES).map(workload)
