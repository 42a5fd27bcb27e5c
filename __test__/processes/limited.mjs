// Takes of a limit, and counts up under a lock, beside other processes.
import { Cache, lock, once, rateLimiter } from '../../dist/index.mjs'

const [dir, tries, algorithm] = process.argv.slice(2)
const cache = new Cache({ dir })
const limiter = rateLimiter(cache, { name: 'shared', limit: 100, per: '1000d', algorithm })
console.log('ready')
process.stdin.once('data', async () => {
  let allowed = 0
  for (let index = 0; index < Number(tries); index++) if (limiter.tryTake('user').allowed) allowed++
  for (let index = 0; index < 10; index++) {
    const lease = await lock(cache, 'counter', { timeout: '30s' })
    const count = (await cache.get('count')) ?? 0
    await new Promise((resolve) => setTimeout(resolve, 1))
    await cache.set('count', count + 1)
    if (!lease.release()) throw new Error('the lease had ended')
  }
  const id = await once(cache, 'set up', async () => {
    await new Promise((resolve) => setTimeout(resolve, 50))
    return process.pid
  })
  console.log(`${allowed} ${id}`)
  await cache.close()
})
