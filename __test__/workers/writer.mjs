// In a worker thread: writes until it is terminated, and posts each key and number that was acknowledged.
import { parentPort, workerData } from 'node:worker_threads'
import { Cache } from '../../dist/index.mjs'
import { make, SIZES } from '../processes/values.mjs'

const { dir, me, memory } = workerData
const cache = new Cache({ dir, memory, codec: 'none' })
const say = (key, number) => parentPort.postMessage([key, number])

parentPort.postMessage('ready')
for (let number = 1; ; number++) {
  const key = `w${me}-${number % 50}`
  const size = SIZES[number % SIZES.length]
  if (number % 3 === 0) {
    cache.setSync(key, make(key, number, size))
    say(key, number)
  } else {
    await cache.set(key, make(key, number, size))
    say(key, number)
  }
  // Left behind on purpose: reads and writes under way when the end comes.
  if (number % 7 === 0) cache.get(`w${(me + 1) % 20}-${number % 50}`).catch(() => {})
  if (number % 11 === 0) cache.set(`loose-${me}`, make(`loose-${me}`, number, 70_000)).catch(() => {})
  if (number % 50 === 0) await new Promise(setImmediate)
}
