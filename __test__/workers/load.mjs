// In a worker thread: loads the addon, uses it once, and ends; by itself or not, closed or not.
import { parentPort, workerData } from 'node:worker_threads'
import { Cache } from '../../dist/index.mjs'

const { dir, round } = workerData
const cache = new Cache({ dir })
await cache.set(`round-${round}`, round)
if (round % 3 === 0) await cache.close()
parentPort.postMessage(await (round % 3 === 0 ? round : cache.get(`round-${round}`)))
if (round % 3 === 1) process.exit()
