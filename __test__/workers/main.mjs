// A process with 20 worker threads on one directory, all of which are terminated while they write. Prints what was acknowledged.
import { Worker } from 'node:worker_threads'
import { Cache } from '../../dist/index.mjs'

const [dir, count, rounds] = process.argv.slice(2)
const acknowledged = {}
let messages = 0
const own = new Cache({ dir })

async function start(me) {
  const worker = new Worker(new URL('writer.mjs', import.meta.url), {
    workerData: { dir, me, memory: me % 2 === 0 },
  })
  let failure
  worker.on('error', (error) => {
    failure = error
  })
  await new Promise((resolve, reject) => {
    worker.on('message', (message) => {
      if (message === 'ready') resolve()
      else {
        acknowledged[message[0]] = message[1]
        messages++
      }
    })
    worker.on('error', reject)
  })
  return async () => {
    await worker.terminate()
    if (failure !== undefined) throw failure
  }
}

for (let round = 0; round < Number(rounds); round++) {
  const workers = await Promise.all(Array.from({ length: Number(count) }, (_, me) => start(me)))
  const until = messages + 200
  for (let turn = 0; messages < until; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 25))
    await own.set('main', turn)
  }
  await Promise.all(workers.map((end) => end()))
}
await own.set('main', 'alive')
if ((await own.get('main')) !== 'alive') throw new Error('the cache of the main thread is broken')
await own.close()
console.log(JSON.stringify(acknowledged))
