// A process with worker threads on one shared cache. `mode` mixed: all end by themselves; killed: all are terminated in the middle,
// round after round. Prints one line of what was seen.
import { Worker } from 'node:worker_threads'
import { SharedMemoryCache } from '../../dist/index.mjs'

const [mode, policy, rounds, count] = process.argv.slice(2)
const options = { name: 'mixed', maxSize: '2MB', policy }
const cache = new SharedMemoryCache(options)
const once = new SharedMemoryCache({ name: 'once', maxSize: '2MB' })
const seen = { looks: 0, most: 0, operations: 0, added: 0, faults: [] }

function look() {
  seen.looks += 1
  seen.most = Math.max(seen.most, cache.bytes)
}

for (let round = 0; round < Number(rounds); round++) {
  let running = Number(count)
  const workers = Array.from({ length: running }, (_, me) => {
    const workerData = {
      options,
      me: round * 100 + me,
      steps: mode === 'killed' ? Infinity : Number(process.env.TIERCE_SHARED_STEPS ?? 10_000),
      round,
    }
    const worker = new Worker(new URL('shared-worker.mjs', import.meta.url), { workerData })
    worker.on('error', (error) => seen.faults.push(String(error)))
    worker.on('message', ({ operations, added }) => {
      seen.operations += operations
      seen.added += added
    })
    worker.on('exit', () => {
      running -= 1
    })
    return worker
  })
  const until = performance.now() + 300 + 100 * round
  while (running > 0 && (mode === 'mixed' || performance.now() < until)) {
    look()
    cache.set('main', { round })
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  await Promise.all(workers.map((worker) => worker.terminate()))
  look()
  if (cache.check() !== '') seen.faults.push(cache.check())
}
cache.set('main', 'alive')
seen.alive = cache.get('main')
// Every handle is gone: the name is free for other options.
cache.close()
once.close()
const next = new SharedMemoryCache({ ...options, maxSize: '3MB' })
seen.left = next.size + new SharedMemoryCache({ name: 'once', maxSize: '3MB' }).size
process.stdout.write(`${JSON.stringify(seen)}\n`)
