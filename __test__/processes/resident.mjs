// Fills a cache, or uses one for a while and prints what is resident beyond Node and its heap: `fill` or `use`, directory, entries.
import { readFileSync } from 'node:fs'
import { getHeapStatistics } from 'node:v8'
import { Cache } from '../../dist/index.mjs'

const [role, dir, count] = process.argv.slice(2)
const entries = Number(count)
const value = Buffer.alloc(100, 7)
const keyOf = (at) => `key:${at}`

/** Mebibytes of the process's own memory that are not V8's heap. */
function beyondTheHeap() {
  const [, kibibytes] = /RssAnon:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))
  return (Number(kibibytes) * 1024 - getHeapStatistics().total_physical_size) / 2 ** 20
}

const before = beyondTheHeap()
const cache = new Cache({ dir, memory: false, maxSize: 2 ** 33 })
if (role === 'fill') {
  const size = 10_000
  for (let from = 0; from < entries; from += size)
    await cache.setMany(Array.from({ length: size }, (_, at) => [keyOf(from + at), value]))
} else {
  let at = 0
  const next = () => {
    at = (at + 102_947) % entries // a prime
    return keyOf(at)
  }
  for (let round = 0; round < 3; round++) {
    for (let reads = 0; reads < 10_000; reads++)
      if ((await cache.get(next())) === undefined) throw new Error(`${keyOf(at)} is missing`)
    for (let sets = 0; sets < 2000; sets++) await cache.set(next(), value)
    for (let times = 0; times < 20; times++)
      await Promise.all(Array.from({ length: 256 }, () => cache.set(next(), value)))
    for await (const _ of cache.entries({ limit: 10_000 })) at++
    await cache.stats()
  }
  console.log((beyondTheHeap() - before).toFixed(1))
}
await cache.close()
