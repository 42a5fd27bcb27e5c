// Writes until it is told to stop: new keys, keys that have expired and are written again, and times that are put off. Says how
// many writes there were. What it wrote last of each key is what `cleanup.spec.ts` expects.
import { Cache } from '../../dist/index.mjs'

const [dir, keys] = process.argv.slice(2)
const cache = new Cache({ dir, memory: false, lockTimeout: 30_000 })
let stopped = false
process.stdin.on('data', () => {
  stopped = true
})

let writes = 0
for (let at = 0; !stopped; at++) {
  const some = Array.from({ length: 20 }, (_, index) => (at * 20 + index) % Number(keys))
  // A key of the expired ones, written again: a row that was found expired has a live value when its turn comes.
  await Promise.all(some.map((key) => cache.set(`expired:${key}`, `again ${key}`)))
  await cache.set(`new:${at}`, at)
  cache.setSync(`short:${at}`, at, { ttl: 1 })
  await cache.expire(`live:${at % 100}`, '1h')
  writes += 22
  if (at === 3) console.log('writing')
}
await cache.close()
console.log(`${writes} writes`)
process.stdin.destroy()
