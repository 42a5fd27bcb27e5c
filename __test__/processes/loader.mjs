// Asks for one key many times at once, with one load on the whole machine. Each load notes that it began.
import { appendFileSync } from 'node:fs'
import { Cache } from '../../dist/index.mjs'

const [dir, log, callers, ms, sync] = process.argv.slice(2)
const cache = new Cache({ dir, memory: process.env.TIERCE_MEMORY !== 'false' })
cache.on('error', (error) => {
  throw error
})
const options = { singleFlight: 'machine' }
const begin = () => appendFileSync(log, `${process.pid}\n`)

function loadSync() {
  begin()
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(ms))
  return { by: process.pid }
}

async function load() {
  begin()
  console.log('loading')
  await new Promise((resolve) => setTimeout(resolve, Number(ms)))
  return { by: process.pid }
}

const ask =
  sync === 'sync'
    ? () => cache.getOrSetSync({ job: 1 }, loadSync, options)
    : () => cache.getOrSet({ job: 1 }, load, options)

console.log('ready')
process.stdin.once('data', async () => {
  process.stdin.pause()
  const values = await Promise.all(Array.from({ length: Number(callers) }, () => ask()))
  console.log(`done ${new Set(values.map(({ by }) => by)).size} ${values[0].by}`)
  await cache.close()
})
