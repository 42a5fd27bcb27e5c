/**
 * Long random programs on `MemoryCache` against a `Map` with times: the product of its options (policy, bounds by entries and by
 * bytes, times that slide, kinds of keys, who listens), each with more entries than any array has at first, filled, cleared and filled
 * again. For what only the size, the length of a run or two options together bring out: arrays that grew and shrank, slots
 * that are used again, entries that grow before anything ever had to go. The other models have few keys and one option at a time.
 */
import { MemoryCache, type MemoryCacheOptions, type MemoryKey, type MemorySetOptions } from 'tierce'
import { describe, expect, it } from 'vitest'
import { POLICIES } from './helpers/policies.js'
import { type Random, randomOf } from './helpers/random.js'

/** Programs of each policy; a failing one is named by its seed. */
const PROGRAMS = Number(process.env.TIERCE_SEEDS ?? 12)
/** Entries: around the lengths that arrays have at first, and far above them. */
const SIZES = [1, 2, 63, 64, 65, 130, 1000, 12_000]
const TIMES = [1, 50, 5000, 100_000, Infinity]

interface Value {
  number: number
  weight: number
}
interface Known {
  value: Value
  ttl: number
  expires: number
  slides: boolean
}
type Options = MemoryCacheOptions<MemoryKey, Value>

/** What a cache may hold of what was given to it: less than that is the policy's business, more or other is wrong. */
class Soak {
  readonly #random: Random
  readonly #options: Options
  readonly #cache: MemoryCache<MemoryKey, Value>
  readonly #known = new Map<MemoryKey, Known>()
  readonly #keys: MemoryKey[]
  readonly #fits: boolean
  #now = 1e12
  #number = 0

  constructor(random: Random, policy: string, size: number) {
    this.#random = random
    const isWeighed = random.chance(0.6)
    const options: Options = {
      policy,
      clock: () => this.#now,
      cleanupInterval: false,
      metrics: random.chance(0.5),
      ...(isWeighed
        ? { maxSize: size * random.pick([1, 8, 50]), weigher: ({ weight }: Value) => weight }
        : { max: size }),
      ...(isWeighed && random.chance(0.3) ? { max: size } : {}),
      ...(random.chance(0.3) ? { ttl: random.pick(TIMES), sliding: random.chance(0.5) } : {}),
      ...(random.chance(0.3) ? { onEvict: () => {} } : {}),
    }
    this.#options = options
    this.#cache = new MemoryCache(options)
    const kind = random.below(4)
    const spread = Math.ceil(size * random.pick([0.5, 1.2, 3])) + 1
    const keyOf = [String, Number, (key: number) => BigInt(key), (key: number) => ({ key })][kind]!
    this.#keys = Array.from({ length: spread }, (_, key) => keyOf(key))
    this.#fits = !isWeighed && spread <= size
  }

  run(steps: number): void {
    const random = this.#random
    for (let step = 0; step < steps; step++) {
      this.#step()
      if (step % 1499 === 0) this.#compare()
      if (random.chance(2 / steps)) {
        this.#cache.clear()
        this.#known.clear()
        expect([this.#cache.size, this.#cache.bytes]).toEqual([0, 0])
      }
    }
    this.#compare()
    this.#cache.close()
  }

  #step(): void {
    const random = this.#random
    const few = random.chance(0.5) ? Math.max(1, this.#keys.length / 10) : this.#keys.length
    const key = this.#keys[random.below(few)]!
    const action = random()
    const cache = this.#cache
    if (action < 0.4) this.#store(key, (value, times) => cache.set(key, value, times) === cache)
    else if (action < 0.43) this.#store(key, (value, times) => cache.add(key, value, times))
    else if (action < 0.46) this.#store(key, (value, times) => cache.update(key, value, times))
    else if (action < 0.49) {
      this.#store(key, (value, times) => {
        const given = cache.getOrSet(key, () => value, times)
        if (given !== value) this.#seen(key, given, true)
        return given === value
      })
    } else if (action < 0.8) this.#seen(key, cache.get(key), true)
    else if (action < 0.85) this.#seen(key, cache.peek(key), false)
    else if (action < 0.9) {
      const live = this.#live(key) !== undefined
      if (cache.delete(key)) expect(live).toBe(true)
      this.#known.delete(key)
    } else if (action < 0.92) this.#expire(key)
    else if (action < 0.94) this.#now += random.pick([1, 40, 700, 30_000])
    else if (action < 0.945) cache.cleanup()
    else expect(cache.ttl(key) ?? this.#left(key)).toBe(this.#left(key))
  }

  #live(key: MemoryKey): Known | undefined {
    const known = this.#known.get(key)
    return known !== undefined && known.expires > this.#now ? known : undefined
  }

  #left(key: MemoryKey): number | undefined {
    const known = this.#live(key)
    return known && known.expires - this.#now
  }

  #store(key: MemoryKey, store: (value: Value, times: MemorySetOptions | undefined) => boolean): void {
    const random = this.#random
    const { ttl = Infinity, sliding = false, maxSize } = this.#options
    const most = maxSize === undefined ? 1 : Number(maxSize)
    const weight = 1 + random.below(random.chance(0.02) ? most : Math.max(1, most / 10))
    const times = random.chance(0.3) ? { ttl: random.pick(TIMES), sliding: random.chance(0.3) } : undefined
    const value = { number: ++this.#number, weight }
    if (!store(value, times)) return
    const own = times?.ttl ?? Number(ttl)
    const slides = own !== Infinity && (times?.sliding ?? sliding)
    this.#known.set(key, { value, ttl: own, expires: this.#now + own, slides })
    expect(this.#cache.peek(key), 'what was set is there').toBe(value)
  }

  /** What is absent once stays so. */
  #seen(key: MemoryKey, value: Value | undefined, isUse: boolean): void {
    const live = this.#live(key)
    if (value === undefined) {
      if (this.#fits) expect(live).toBeUndefined()
      this.#known.delete(key)
      return
    }
    expect(value).toBe(live?.value)
    if (isUse && live!.slides) live!.expires = this.#now + live!.ttl
  }

  #expire(key: MemoryKey): void {
    const ttl = this.#random.pick(TIMES)
    const live = this.#live(key)
    if (!this.#cache.expire(key, ttl)) return
    expect(live).toBeDefined()
    Object.assign(live!, { ttl, expires: this.#now + ttl, slides: live!.slides && ttl !== Infinity })
  }

  /** The cache's account, its listing and its bounds. */
  #compare(): void {
    const { max = Infinity, maxSize } = this.#options
    const cache = this.#cache
    expect(cache.check()).toBe('')
    expect(cache.size).toBeLessThanOrEqual(max)
    let [entries, weight] = [0, 0]
    for (const [key, value] of cache) {
      if (this.#live(key)?.value !== value) expect(value).toBe(this.#live(key)?.value)
      entries++
      weight += value.weight
    }
    expect([cache.validSize, cache.size]).toEqual([entries, entries + cache.expiredCount()])
    if (maxSize === undefined) return
    expect(cache.bytes).toBeLessThanOrEqual(Number(maxSize))
    if (cache.expiredCount() === 0) expect(cache.bytes).toBe(weight)
  }
}

describe('long random programs with many entries and options together', () => {
  for (const policy of POLICIES) {
    it(policy, () => {
      for (let seed = 1; seed <= PROGRAMS; seed++) {
        const size = SIZES[seed % SIZES.length]!
        try {
          new Soak(randomOf(seed * 31 + policy.length), policy, size).run(600 + Math.min(4 * size, 40_000))
        } catch (error) {
          throw new Error(`seed ${seed}, ${size} entries: ${(error as Error).message}`, { cause: error })
        }
      }
    })
  }
})
