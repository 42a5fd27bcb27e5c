import fc from 'fast-check'
import { definePolicy, MemoryCache, type RemovalReason } from 'tierce'
import { describe, expect, it } from 'vitest'
import { Ghosts } from '../build/memory/ghosts.js'

interface Entry {
  key: number
  value: number
  weight: number
  expires: number
  slides: number
  uses: number
  used: number
  visited: boolean
}

/** The exact policies, as naive as can be: entries in a list, oldest first. */
class Model {
  list: Entry[] = []
  /** Of sieve: the key where the hand stands; undefined for the oldest. */
  hand: number | undefined
  time = 0
  clock = 0

  constructor(
    readonly policy: string,
    readonly max: number,
    readonly maxWeight: number,
  ) {}

  find(key: number): Entry | undefined {
    const entry = this.list.find((one) => one.key === key)
    if (entry === undefined || entry.expires > this.time) return entry
    return undefined
  }

  /** Reading and writing remove an entry that has expired. */
  claim(key: number): Entry | undefined {
    const entry = this.find(key)
    if (entry === undefined) this.remove(key)
    return entry
  }

  remove(key: number): boolean {
    const at = this.list.findIndex((one) => one.key === key)
    if (at < 0) return false
    if (this.hand === key) this.hand = this.list[at + 1]?.key
    this.list.splice(at, 1)
    return true
  }

  use(entry: Entry): void {
    entry.uses++
    entry.used = ++this.clock
    entry.visited = true
    if (this.policy === 'lru' || this.policy === 'mru') {
      this.list.splice(this.list.indexOf(entry), 1)
      this.list.push(entry)
    }
  }

  get(key: number): number | undefined {
    const entry = this.claim(key)
    if (entry === undefined) return undefined
    if (entry.slides > 0) entry.expires = this.time + entry.slides
    this.use(entry)
    return entry.value
  }

  evict(): void {
    if (this.policy === 'sieve') {
      let at = this.hand === undefined ? 0 : this.list.findIndex((one) => one.key === this.hand)
      for (; this.list[at]!.visited; at = (at + 1) % this.list.length) this.list[at]!.visited = false
      this.hand = this.list[at + 1]?.key
      this.list.splice(at, 1)
    } else if (this.policy === 'lfu') {
      const first = this.list.reduce((a, b) =>
        b.uses < a.uses || (b.uses === a.uses && b.used < a.used) ? b : a,
      )
      this.remove(first.key)
    } else if (this.policy === 'lifo' || this.policy === 'mru') this.list.pop()
    else this.list.shift()
  }

  weight(): number {
    return this.list.reduce((sum, one) => sum + one.weight, 0)
  }

  set(key: number, value: number, weight: number, ttl: number, sliding: boolean): void {
    const entry = this.claim(key)
    const expires = this.time + ttl
    const slides = sliding && ttl !== Infinity ? ttl : 0
    if (entry !== undefined) {
      Object.assign(entry, { value, expires, slides })
      this.use(entry)
      return
    }
    while (this.list.length >= this.max || this.weight() + weight > this.maxWeight) this.evict()
    this.list.push({ key, value, weight, expires, slides, uses: 1, used: ++this.clock, visited: false })
  }
}

const key = fc.nat(14)
const operation = fc.oneof(
  { weight: 30, arbitrary: fc.record({ op: fc.constant('get' as const), key }) },
  {
    weight: 30,
    arbitrary: fc.record({
      op: fc.constant('set' as const),
      key,
      ttl: fc.constantFrom(Infinity, Infinity, 5, 50, 5000, 500_000),
      sliding: fc.boolean(),
    }),
  },
  { weight: 5, arbitrary: fc.record({ op: fc.constant('delete' as const), key }) },
  { weight: 5, arbitrary: fc.record({ op: fc.constant('peek' as const), key }) },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant('advance' as const),
      by: fc.constantFrom(1, 4, 60, 4000, 300_000),
    }),
  },
  { weight: 5, arbitrary: fc.record({ op: fc.constant('cleanup' as const) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('clear' as const) }) },
)

/** Whether the invariants are checked after each operation: not always, as that makes the native policies read their log each time. */
const isWatched = fc.boolean()

/** What an entry of a key weighs: of one key always the same, so that the model says what a change of weight would blur. */
const weightOf = (key: number) => 1 + (key % 4)

const EXACT = ['lru', 'lfu', 'fifo', 'lifo', 'mru', 'sieve']
const ALL = [...EXACT, 's3-fifo', 'w-tinylfu', 'auto']

describe('exact policies do what a naive model does, operation by operation', () => {
  for (const policy of EXACT) {
    for (const bytes of [false, true]) {
      it(`${policy}, bounded by ${bytes ? 'bytes and entries' : 'entries'}`, () => {
        fc.assert(
          fc.property(
            fc.integer({ min: 1, max: 9 }),
            fc.array(operation, { maxLength: 300 }),
            isWatched,
            (max, operations, watched) => {
              const maxWeight = bytes ? Math.max(4, 2 * max) : Infinity
              const model = new Model(policy, max, maxWeight)
              const cache = new MemoryCache<number, number>({
                max,
                policy,
                clock: () => model.time,
                cleanupInterval: 10,
                ...(bytes ? { maxSize: maxWeight, weigher: (_: number, key: number) => weightOf(key) } : {}),
              })
              for (const [step, one] of operations.entries()) {
                if (one.op === 'get') expect(cache.get(one.key)).toBe(model.get(one.key))
                else if (one.op === 'set') {
                  cache.set(one.key, step, { ttl: one.ttl, sliding: one.sliding })
                  model.set(one.key, step, bytes ? weightOf(one.key) : 1, one.ttl, one.sliding)
                } else if (one.op === 'delete') {
                  const entry = model.claim(one.key)
                  expect(cache.delete(one.key)).toBe(entry !== undefined)
                  model.remove(one.key)
                } else if (one.op === 'peek') expect(cache.peek(one.key)).toBe(model.find(one.key)?.value)
                else if (one.op === 'advance') model.time += one.by
                else if (one.op === 'clear') {
                  cache.clear()
                  model.list = []
                  model.hand = undefined
                } else {
                  const expired = model.list.filter((entry) => entry.expires <= model.time)
                  expect(cache.cleanup()).toBe(expired.length)
                  for (const { key } of expired) model.remove(key)
                }
                expect(cache.size).toBe(model.list.length)
                if (watched) expect(cache.check()).toBe('')
              }
              expect(cache.check()).toBe('')
              const live = model.list.filter((entry) => entry.expires > model.time)
              expect(cache.validSize).toBe(live.length)
              expect([...cache.keys()].sort()).toEqual(live.map(({ key }) => key).sort())
            },
          ),
          { numRuns: 150 },
        )
      })
    }
  }
})

definePolicy<number>('model-fifo', { victim: (cache) => cache.keys().next().value as number })

describe('every policy keeps its bounds and its account after each operation', () => {
  for (const policy of [...ALL, 'model-fifo']) {
    it(policy, () => {
      const many = fc.array(fc.tuple(operation, fc.integer({ min: 1, max: 40 })), { maxLength: 250 })
      fc.assert(
        fc.property(
          fc.constantFrom(1, 2, 7, 100, 300),
          fc.boolean(),
          many,
          isWatched,
          (max, bytes, operations, watched) => {
            let now = 1000
            const held = new Map<number, number>()
            const left: [number, number, RemovalReason][] = []
            const maxSize = bytes ? Math.max(40, 8 * max) : undefined
            const cache = new MemoryCache<number, number>({
              max,
              policy,
              clock: () => now,
              onEvict: (...removal) => left.push(removal),
              ...(bytes ? { maxSize, weigher: (value: number) => 1 + (value % 40) } : {}),
            })
            /** Entries leave with the value that was set last, `newcomer` aside, and each only once. */
            const settle = (newcomer?: number) => {
              let isIn = newcomer !== undefined
              for (const [key, value] of left.splice(0)) {
                if (value === newcomer) isIn = false
                else expect(held.get(key)).toBe(value)
                if (held.get(key) === value) held.delete(key)
              }
              return isIn
            }
            for (const [step, [one, spread]] of operations.entries()) {
              const key = 'key' in one ? one.key * spread : 0
              if (one.op === 'get') {
                const value = cache.get(key)
                settle()
                if (value !== undefined) expect(held.get(key)).toBe(value)
              } else if (one.op === 'set') {
                const value = step * 40 + spread - 1
                cache.set(key, value, { ttl: one.ttl, sliding: one.sliding })
                if (settle(value)) held.set(key, value)
              } else if (one.op === 'delete') cache.delete(key)
              else if (one.op === 'advance') now += one.by
              else if (one.op === 'cleanup') cache.cleanup()
              else if (one.op === 'clear') cache.clear()
              settle()
              expect(cache.size).toBeLessThanOrEqual(max)
              if (maxSize !== undefined) expect(cache.bytes).toBeLessThanOrEqual(maxSize)
              expect(cache.size).toBe(held.size)
              if (watched) expect(cache.check()).toBe('')
            }
            expect(cache.check()).toBe('')
          },
        ),
        { numRuns: 60 },
      )
    })
  }
})

describe('the ghosts of s3-fifo are those of a naive queue', () => {
  const step = fc.record({
    hash: fc.integer({ min: -150, max: 150 }),
    weight: fc.nat(9),
    isTaken: fc.boolean(),
  })
  const bounds = fc.record({
    most: fc.integer({ min: 1, max: 900 }),
    entries: fc.integer({ min: 1, max: 200 }),
  })

  for (const isWeighted of [false, true]) {
    it(isWeighted ? 'with weights' : 'without', () => {
      fc.assert(
        fc.property(
          fc.array(step, { minLength: 100, maxLength: 1500 }),
          bounds,
          (steps, { most, entries }) => {
            const ghosts = new Ghosts(isWeighted)
            const queue: { hash: number; weight: number }[] = []
            const forget = (hash: number) => {
              const at = queue.findIndex((one) => one.hash === hash)
              if (at >= 0) queue.splice(at, 1)
              return at >= 0
            }
            for (const { hash, weight: given, isTaken } of steps) {
              const weight = isWeighted ? given : 1
              if (isTaken) expect(ghosts.take(hash)).toBe(forget(hash))
              else {
                ghosts.push(hash, weight, most, entries)
                if (weight > most) continue
                forget(hash)
                const total = () => queue.reduce((sum, one) => sum + one.weight, weight)
                while (queue.length > 0 && (total() > most || queue.length >= entries)) queue.shift()
                queue.push({ hash, weight })
              }
              expect(ghosts.check()).toBe('')
            }
            for (const { hash } of [...queue]) expect(ghosts.take(hash)).toBe(true)
            expect(ghosts.check()).toBe('')
          },
        ),
        { numRuns: 30 },
      )
    })
  }
})
