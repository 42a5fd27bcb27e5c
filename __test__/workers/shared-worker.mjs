// Reads and writes values that say of what key and write they are, and looks at every one that it gets.
import { parentPort, workerData } from 'node:worker_threads'
import { SharedMemoryCache } from '../../dist/index.mjs'

const { options, me, steps, round } = workerData
const cache = new SharedMemoryCache(options)
let state = (me + 1) * 2654435761
const random = (below) => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0
  return Math.floor((state / 2 ** 32) * below)
}
/** All bytes of a value are the same, and it says how many there are: a torn one shows. */
const makeValue = (key) => {
  const length = random(50) === 0 ? random(100_000) : random(400)
  const tag = random(256)
  return random(2) === 0
    ? { key, tag, length, bytes: new Uint8Array(length).fill(tag) }
    : { key, tag, length, text: '\u00e9'.repeat(length) }
}
const check = (key, value) => {
  if (value === undefined) return
  const isWhole =
    value.key === key &&
    (value.bytes?.length ?? value.text.length) === value.length &&
    (value.bytes?.every((byte) => byte === value.tag) ?? value.text === '\u00e9'.repeat(value.length))
  if (!isWhole) throw new Error(`the value of ${key} is torn: ${JSON.stringify(value).slice(0, 200)}`)
}

// In a cache from which nothing goes, one of all threads that add a key at once does.
const once = new SharedMemoryCache({ name: 'once', maxSize: '2MB' })
let added = 0
for (let id = 0; id < 500; id++) if (once.add(`${round}-${id}`, null, { ttl: '1h' })) added += 1
for (let step = 0; step < steps; step++) {
  const key = `k${random(3000)}`
  const action = random(20)
  if (action < 9) check(key, cache.get(key))
  else if (action < 14)
    cache.set(
      key,
      makeValue(key),
      action === 13 ? { ttl: 1 + random(20), sliding: key.length > 4 } : undefined,
    )
  else if (action === 14) cache.delete(key)
  else if (action === 15) cache.update(key, makeValue(key))
  else if (action === 16) cache.add(key, makeValue(key))
  else if (action === 17) check(key, cache.peek(key))
  else if (action === 18) cache.touch(key)
  else if (random(2000) === 0) cache.clear()
  else if (random(500) === 0) cache.cleanup()
  else if (random(200) === 0) {
    for (const [held, value] of cache.entries()) if (held.startsWith('k')) check(held, value)
  } else if (random(20) === 0) cache.expire(key, 1 + random(20))
  if (step % 64 === 0 && cache.bytes > cache.maxSize)
    throw new Error(`${cache.bytes} bytes are over the bound`)
}
parentPort.postMessage({ operations: steps, added })
