/** Random verbs without awaiting, against a plain Map; and reads beside writers that never stop. */
import { describe, expect, it } from 'vitest'
import { openCache } from '../helpers/temp.js'
import { optionsFor, type Tiers } from './cache-suite.js'

const SEEDS = Number(process.env.TIERCE_SEEDS ?? 12)
const SIZES = [3, 900, 20_000, 40_000]

/** The last word on each key is that of the program's order. */
export function modelSuite(tiers: Tiers): void {
  describe('against a model', () => {
    it.each(Array.from({ length: SEEDS }, (_, seed) => seed + 1))('random verbs, seed %i', async (seed) => {
      const random = randomOf(seed)
      const pick = (count: number) => Math.floor(random() * count)
      const options = optionsFor(tiers)
      const cache = openCache(options)
      const model = new Map<string, Buffer>()
      /** Numbers go up, so that a read can be told to be too old. */
      const newest = new Map<string, number>()
      const pending: Promise<unknown>[] = []
      for (let number = 1; number <= 150; number++) {
        const key = `k${pick(5)}`
        const value = Buffer.alloc(SIZES[pick(SIZES.length)] ?? 3)
        value.writeUIntLE(number, 0, 3)
        const action = random()
        if (action < 0.45) {
          pending.push(cache.set(key, value))
          model.set(key, value)
        } else if (action < 0.55) {
          cache.setSync(key, value)
          model.set(key, value)
        } else if (action < 0.65) {
          pending.push(cache.delete(key))
          model.delete(key)
        } else if (action < 0.7) {
          cache.deleteSync(key)
          model.delete(key)
        } else if (action < 0.72) {
          pending.push(cache.clear())
          model.clear()
        } else if (action < 0.92) {
          const least = model.get(key)?.readUIntLE(0, 3) ?? 0
          const known = model.has(key)
          const readers = [() => cache.get<Buffer>(key), async () => (await cache.getMany<Buffer>([key]))[0]]
          const read = readers[pick(2)] as () => Promise<Buffer | undefined>
          const asked = number
          pending.push(
            read().then((back) => {
              const seen = back?.readUIntLE(0, 3)
              // Later writes may be seen already; what is gone must have gone later.
              if (seen !== undefined) expect(seen).toBeGreaterThanOrEqual(least)
              else if (known) expect(newest.get(key) ?? 0).toBeGreaterThan(asked)
            }),
          )
        } else await Promise.all(pending.splice(0))
        if (action < 0.72) {
          for (const name of action >= 0.7 ? ['k0', 'k1', 'k2', 'k3', 'k4'] : [key]) newest.set(name, number)
        }
        if (random() < 0.1) await new Promise(setImmediate)
      }
      await Promise.all(pending)
      const check = async (where: typeof cache) => {
        for (const key of ['k0', 'k1', 'k2', 'k3', 'k4']) {
          const back = await where.get<Buffer>(key)
          const expected = model.get(key)
          expect(back?.readUIntLE(0, 3), key).toBe(expected?.readUIntLE(0, 3))
          expect(back?.length, key).toBe(expected?.length)
          expect(await where.has(key)).toBe(expected !== undefined)
        }
        expect(await where.size()).toBe(model.size)
      }
      await check(cache)
      if (!tiers.disk) return
      await cache.close()
      await check(openCache(options))
    })

    it.runIf(tiers.disk && !tiers.memory)('reads_are_answered_while_writers_never_stop', async () => {
      const cache = openCache(optionsFor(tiers, { codec: 'none' }))
      await cache.set('read', 1)
      let writes = 0
      let isDone = false
      // One writer comes while the last is under way: there is always something to write.
      const writers = Array.from({ length: 8 }, async (_, index) => {
        while (!isDone && writes < 4000) {
          writes++
          await Promise.all([cache.set(`w${index}`, Buffer.alloc(20_000, writes)), new Promise(setImmediate)])
        }
      })
      for (let turn = 0; turn < 20; turn++) {
        expect(await cache.get('read')).toBe(1)
        expect(await cache.has('read')).toBe(true)
        expect(await cache.getMany(['read'])).toEqual([1])
      }
      isDone = true
      expect(writes).toBeLessThan(4000)
      await Promise.all(writers)
    })
  })
}

function randomOf(seed: number): () => number {
  let state = seed * 2654435761
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}
