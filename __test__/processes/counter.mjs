// Adds to one counter beside other processes, and prints the sums that it was given.
import { Cache } from '../../dist/index.mjs'

const [dir, verb, count, memory] = process.argv.slice(2)
const cache = new Cache({ dir, memory: memory === 'true' })

const ADD = {
  increment: () => cache.increment('n'),
  incrementSync: () => cache.incrementSync('n'),
  transaction: () =>
    cache.transaction(
      async (tx) => {
        const n = ((await tx.get('n')) ?? 0) + 1
        await tx.set('n', n)
        return n
      },
      { retries: Number.POSITIVE_INFINITY },
    ),
  transactionSync: () =>
    cache.transactionSync(
      (tx) => {
        const n = (tx.get('n') ?? 0) + 1
        tx.set('n', n)
        return n
      },
      { retries: Number.POSITIVE_INFINITY },
    ),
  bigint: () => cache.increment('n', 1n).then(Number),
}

await cache.get('n')
console.log('ready')
await new Promise((resolve) => process.stdin.once('data', resolve))
process.stdin.destroy()
const sums = []
for (let turn = 0; turn < Number(count); turn++) sums.push(await ADD[verb]())
console.log(sums.join(' '))
await cache.close()
