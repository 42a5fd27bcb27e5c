/**
 * Long random programs on `Cache`, in each make-up of tiers and the product of their options, with up to 12,000 entries, filled, cleared,
 * evicted, invalidated, reopened and filled again; on disk by two objects. For what only the size, the length of a run or options together
 * bring out: memory that kept what the disk had evicted out of the reach of its tags, arrays that grew and were cleared, accounts that
 * drifted. The models in `suites/` have three or five keys, and each option alone.
 */

import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { Cache, type CacheOptions, type SetOptions } from 'tierce'
import { describe, expect, it } from 'vitest'
import { fakeClock } from './helpers/clock.js'
import { type Random, randomOf } from './helpers/random.js'
import { tempDir } from './helpers/temp.js'

/** Programs of each make-up; a failing one is named by its seed. */
const PROGRAMS = Number(process.env.TIERCE_SEEDS ?? 6)
const STEPS = 400
const TAGS = ['red', 'green', 'blue']
const DISK = ['lru', 'lfu', 'fifo', 'lifo', 'mru', 'sieve', 's3-fifo'] as const
const MEMORY = [...DISK, 'w-tinylfu', 'auto']
/** Around the borders of rows and of the buffer that is shared with the addon. */
const LENGTHS = [0, 1, 100, 4000, 32_700, 32_768, 40_000, 65_536, 150_000]

interface Known {
  value: unknown
  expires: number
  tags: readonly string[]
}

class Soak {
  readonly #random: Random
  readonly #options: CacheOptions
  readonly #clock = fakeClock()
  readonly #known = new Map<string, Known>()
  readonly #caches: Cache[]
  readonly #faults: unknown[] = []
  readonly #spread: number
  /** Nothing has to go for room. */
  readonly #fits: boolean
  #number = 0

  constructor(random: Random, tiers: string, spread: number) {
    this.#random = random
    this.#spread = spread
    const memory = {
      policy: random.pick(MEMORY),
      ...random.pick([{}, {}, { max: 100 }, { maxSize: 100_000 }, { max: 3000, maxSize: 2_000_000 }]),
    }
    const bound = random.pick([{}, {}, { max: 40 }, { max: 2000 }, { maxSize: '2MiB' }])
    const disk = {
      dir: join(tempDir(), 'cache'),
      policy: random.pick(DISK),
      codec: random.pick(['auto', 'fast', 'none', 'zstd'] as const),
      ...bound,
      ...random.pick([
        {},
        {},
        { encryption: { key: Buffer.alloc(32, 7) } },
        { storeKeys: false },
        { integrity: false },
      ]),
      journal: random.chance(0.5),
    }
    this.#options = {
      clock: this.#clock,
      values: random.pick(['shared', 'copy']),
      memory: tiers === 'disk' ? false : memory,
      ...(tiers === 'memory' ? {} : disk),
      ...(random.chance(0.3) ? { ttl: random.pick([40, 5000, '1h']) } : {}),
    }
    this.#fits = Object.keys(tiers === 'memory' ? memory : bound).length <= (tiers === 'memory' ? 1 : 0)
    this.#caches = Array.from({ length: tiers === 'memory' ? 1 : 2 }, () => this.#open())
  }

  async run(): Promise<void> {
    for (let step = 0; step < STEPS; step++) {
      await this.#step()
      if (step % 130 === 129) await this.#all()
    }
    for (const cache of this.#caches) await cache.close()
  }

  #open(): Cache {
    return new Cache(this.#options).on('error', (error) => this.#faults.push(error))
  }

  get #cache(): Cache {
    return this.#random.pick(this.#caches)
  }

  async #step(): Promise<void> {
    const random = this.#random
    const cache = this.#cache
    const key = this.#key()
    const action = random()
    if (action < 0.25) await this.#set(cache, [key])
    else if (action < 0.3)
      await this.#set(
        cache,
        Array.from({ length: random.below(this.#spread / 2) }, () => this.#key()),
      )
    else if (action < 0.55) this.#seen(key, random.chance(0.5) ? await cache.get(key) : cache.getSync(key))
    else if (action < 0.65) {
      const keys = Array.from({ length: 50 }, () => this.#key())
      for (const [index, value] of (await cache.getMany(keys)).entries()) this.#seen(keys[index]!, value)
    } else if (action < 0.75) await this.#delete(cache, key)
    else if (action < 0.8) await this.#add(cache, key)
    else if (action < 0.83) {
      const live = this.#live(key)
      if (await cache.expire(key, 700)) live!.expires = this.#clock() + 700
    } else if (action < 0.87) await this.#invalidate(cache)
    else if (action < 0.9) this.#clock.advance(random.pick([1, 30, 6000]))
    else if (action < 0.92) await cache.cleanup()
    else if (action < 0.94) {
      await cache.clear()
      this.#known.clear()
    } else if (action < 0.96 && this.#options.dir !== undefined) {
      const which = random.below(2)
      await this.#caches[which]!.close()
      this.#caches[which] = this.#open()
    } else this.#seen(key, (await cache.entry(key))?.value)
  }

  #key(): string {
    const random = this.#random
    return `key ${random.below(random.chance(0.5) ? this.#spread : Math.max(1, this.#spread / 20))}`
  }

  #live(key: string): Known | undefined {
    const known = this.#known.get(key)
    return known !== undefined && known.expires > this.#clock() ? known : undefined
  }

  /** Small ones where there are many. */
  #value(isOne: boolean): unknown {
    const random = this.#random
    const number = ++this.#number
    return random.pick([
      () => number,
      () => `text ${number}`,
      () => ({ number, list: [1, { deep: null }] }),
      () => BigInt(number),
      () => Buffer.alloc(isOne ? random.pick(LENGTHS) : 60, number),
      () => Float64Array.from({ length: isOne ? random.below(5000) : 5 }, (_, index) => index * number),
    ])()
  }

  #setOptions(): SetOptions {
    const random = this.#random
    return {
      ...(random.chance(0.2) ? { ttl: random.pick([20, 3000, 'never']) } : {}),
      ...(random.chance(0.5) ? { tags: TAGS.filter(() => random.chance(0.4)) } : {}),
    }
  }

  #note(key: string, value: unknown, { ttl = this.#options.ttl ?? 'never', tags = [] }: SetOptions): void {
    const time = ttl === 'never' ? Infinity : ttl === '1h' ? 3_600_000 : Number(ttl)
    this.#known.set(key, { value, expires: this.#clock() + time, tags })
  }

  async #set(cache: Cache, keys: string[]): Promise<void> {
    const options = this.#setOptions()
    const entries = new Map(keys.map((key) => [key, this.#value(keys.length === 1)]))
    try {
      if (this.#random.chance(0.5)) await cache.setMany(entries, options)
      else cache.setManySync(entries, options)
    } catch (error) {
      expect(error).toMatchObject({ code: 'E_VALUE_TOO_LARGE' }) // all or none
      return
    }
    for (const [key, value] of entries) this.#note(key, value, options)
  }

  async #add(cache: Cache, key: string): Promise<void> {
    const [value, options] = [this.#value(false), this.#setOptions()]
    if (await cache.add(key, value, options)) this.#note(key, value, options)
    else expect(this.#live(key)).toBeDefined()
  }

  async #delete(cache: Cache, key: string): Promise<void> {
    const live = this.#live(key) !== undefined
    const isDeleted = this.#random.chance(0.5) ? await cache.delete(key) : cache.deleteSync(key)
    if (this.#fits) expect(isDeleted).toBe(live)
    this.#known.delete(key)
  }

  async #invalidate(cache: Cache): Promise<void> {
    const tag = this.#random.pick(TAGS)
    const tagged = [...this.#known.keys()].filter((key) => this.#known.get(key)!.tags.includes(tag))
    const live = tagged.filter((key) => this.#live(key) !== undefined).length
    const removed = await cache.invalidateTags(tag)
    if (this.#fits) expect(removed).toBe(live)
    for (const key of tagged) this.#known.delete(key)
  }

  /** What comes is what was stored last, and neither removed nor expired; all of it comes where there is room. */
  #seen(key: string, value: unknown): void {
    const live = this.#live(key)
    if (value === undefined && !this.#fits) return
    if (!isDeepStrictEqual(value, live?.value)) expect(value, key).toStrictEqual(live?.value)
  }

  /** Every key by every object, their listings, counts and bounds. */
  async #all(): Promise<void> {
    const { max = Infinity, memory } = this.#options
    for (const cache of this.#caches) {
      const keys = [...this.#known.keys()]
      for (const [index, value] of cache.getManySync(keys).entries()) this.#seen(keys[index]!, value)
      let [listed, size] = [0, 0]
      for await (const entry of cache.entries()) {
        listed++
        size += entry.size
      }
      const [stats, valid, expired] = [
        await cache.stats(),
        await cache.validSize(),
        await cache.expiredCount(),
      ]
      expect([valid, stats.entries]).toEqual([listed, listed + expired])
      if (expired === 0) expect(stats.size).toBe(size)
      if (this.#fits) expect(listed).toBe(keys.filter((key) => this.#live(key) !== undefined).length)
      expect(stats.entries).toBeLessThanOrEqual(max)
      const bound = typeof memory === 'object' ? memory : {}
      expect(stats.memory.entries).toBeLessThanOrEqual(bound.max ?? Infinity)
      expect(stats.memory.size).toBeLessThanOrEqual(Number(bound.maxSize ?? Infinity))
      if (this.#random.chance(0.3)) expect((await cache.check()).problems).toEqual([])
    }
    expect(this.#faults).toEqual([])
  }
}

describe('long random programs with many entries and options together', () => {
  for (const tiers of ['memory', 'disk', 'memory and disk']) {
    it(tiers, async () => {
      for (let seed = 1; seed <= PROGRAMS; seed++) {
        const spread = [12_000, 60, 1500][seed % 3]!
        try {
          await new Soak(randomOf(seed * 17 + tiers.length), tiers, spread).run()
        } catch (error) {
          throw new Error(`seed ${seed}, ${spread} keys: ${(error as Error).message}`, { cause: error })
        }
      }
    })
  }
})
