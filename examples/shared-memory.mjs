// One cache for all worker threads: what one thread computed, the others read.
import { isMainThread, parentPort, threadId, Worker, workerData } from 'node:worker_threads'
import { SharedMemoryCache } from 'tierce'

const cache = new SharedMemoryCache({ name: 'primes', maxSize: '16MB', ttl: '1h' })

/** Slow on purpose: the primes below a number, by trial division. */
function primesBelow(limit) {
  const primes = []
  for (let number = 2; number < limit; number++) {
    if (primes.every((prime) => prime * prime > number || number % prime !== 0)) primes.push(number)
  }
  return Uint32Array.from(primes)
}

if (isMainThread) {
  const limits = Array.from({ length: 20 }, (_, index) => 1000 * (index + 1))
  const computed = []
  for (let worker = 0; worker < 4; worker++) {
    const thread = new Worker(new URL(import.meta.url), { workerData: limits })
    computed.push(await new Promise((resolve, reject) => thread.on('message', resolve).on('error', reject)))
  }
  const { hits, size, bytes } = cache.metrics()
  console.log(
    `computed by each worker: ${computed.join(', ')}; ${hits} hits; ${size} entries in ${bytes} bytes`,
  )
  if (computed.join() !== '20,0,0,0') throw new Error('a worker computed what another had')
  if (cache.get(20_000).length !== 2262) throw new Error('the primes are wrong')
  cache.close()
} else {
  let computed = 0
  for (const limit of workerData) {
    const primes = cache.getOrSet(limit, () => {
      computed += 1
      return primesBelow(limit)
    })
    if (primes[0] !== 2) throw new Error(`worker ${threadId} got something else`)
  }
  parentPort.postMessage(computed)
}
