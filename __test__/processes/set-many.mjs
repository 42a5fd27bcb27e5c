// Stores many values in one call and prints by how many mebibytes the process grew at most meanwhile: directory, entries, bytes of each.
import { readFileSync, writeFileSync } from 'node:fs'
import { Cache } from '../../dist/index.mjs'

const [dir, count, size] = process.argv.slice(2)
const resident = (field) =>
  Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync('/proc/self/status', 'utf8'))[1]) / 1024

const cache = new Cache({ dir, memory: false, maxSize: 2 ** 32 })
await cache.setMany([['first', 'warm']])
const entries = Array.from({ length: Number(count) }, (_, at) => {
  const value = Buffer.allocUnsafeSlow(Number(size))
  for (let word = 0, seed = at + 1; word + 4 <= value.length; word += 4) {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0 // nothing to compress
    value.writeUInt32LE(seed, word)
  }
  return [`key:${at}`, value]
})
writeFileSync('/proc/self/clear_refs', '5') // the peak is counted from here
const before = resident('VmRSS')
await cache.setMany(entries)
console.log((resident('VmHWM') - before).toFixed(1))
await cache.close()
