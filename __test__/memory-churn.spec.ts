import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const entry = fileURLToPath(new URL('../dist/index.js', import.meta.url))

/** Millions of operations after the first one. */
const millions = Number(process.env.TIERCE_CHURN ?? 2)

/** In a process of its own: its memory is the cache's alone. */
const program = (policy: string) => `
  const { MemoryCache } = require(${JSON.stringify(entry)})
  let now = 1e12
  const cache = new MemoryCache({ max: 20_000, policy: ${JSON.stringify(policy)}, clock: () => now })
  const churn = (from, to) => {
    for (let step = from; step < to; step++) {
      const key = (step * 7919) % 200_003
      if (cache.get(key) === undefined) cache.set(key, { step }, { ttl: 1 + (step % 5000) })
      if (step % 7 === 0) cache.delete((step * 31) % 200_003)
      if (step % 1000 === 0) { now += 10; cache.cleanup() }
    }
    gc()
    const { rss, heapUsed, external } = process.memoryUsage()
    return { rss, used: heapUsed + external }
  }
  const before = churn(0, 1_000_000)
  const after = churn(1_000_000, ${1e6 * (1 + millions)})
  if (cache.check() !== '') throw new Error(cache.check())
  process.stdout.write(JSON.stringify({ before, after }))
`

describe('millions of operations with churn', () => {
  // A young generation of fixed size: that of V8 grows by itself, with any program.
  const flags = ['--expose-gc', '--max-semi-space-size=1']
  for (const policy of ['lru', 'lfu', 'fifo', 'lifo', 'mru', 'sieve', 's3-fifo', 'w-tinylfu', 'auto']) {
    it(`${policy}: leave memory where it was before them, after a million to warm up`, () => {
      const { stdout, stderr } = spawnSync(process.execPath, [...flags, '-e', program(policy)], {
        encoding: 'utf8',
      })
      expect(stderr).toBe('')
      const { before, after } = JSON.parse(stdout) as Record<string, { rss: number; used: number }>
      expect(after!.used - before!.used).toBeLessThan(2 ** 20)
      expect(after!.rss - before!.rss).toBeLessThan(48 * 2 ** 20)
    })
  }

  it('hits alone take no memory, where victims are hit and named again and again', () => {
    const text = `
      const { MemoryCache } = require(${JSON.stringify(entry)})
      const cache = new MemoryCache({ max: 20_000, policy: "auto" })
      for (let key = 0; key < 20_000; key++) cache.set(key, key)
      const used = () => { gc(); return process.memoryUsage().heapUsed }
      const run = (steps) => { for (let step = 0; step < steps; step++) cache.get(step % 20_000) }
      run(1e6)
      const before = used()
      run(10e6)
      process.stdout.write(String(used() - before))
    `
    const { stdout } = spawnSync(process.execPath, [...flags, '-e', text], { encoding: 'utf8' })
    expect(Number(stdout)).toBeLessThan(1_000_000)
  })

  it('a cache with a timer keeps no process alive, and one that nobody holds is collected', () => {
    const text = `
      const { MemoryCache } = require(${JSON.stringify(entry)})
      const made = () => new WeakRef(new MemoryCache({ max: 10, cleanupInterval: 1, ttl: '1h' }).set('a', 1))
      const held = new MemoryCache({ max: 10, ttl: '1h' }).set('a', 1)
      const ref = made()
      setTimeout(() => { gc(); process.stdout.write(String(ref.deref() === undefined) + held.get('a')) }, 10)
    `
    const { stdout, status } = spawnSync(process.execPath, ['--expose-gc', '-e', text], {
      encoding: 'utf8',
      timeout: 300_000,
    })
    expect([stdout, status]).toEqual(['true1', 0])
  })
})
