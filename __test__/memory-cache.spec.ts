import { join } from 'node:path'
import {
  definePolicy,
  InvalidKeyError,
  InvalidOptionError,
  InvalidTtlError,
  KeyExpiredError,
  KeyNotFoundError,
  MemoryCache,
  type MemoryCacheOptions,
  type RemovalReason,
  UnserializableError,
  ValueTooLargeError,
} from 'tierce'
import { describe, expect, it } from 'vitest'
import { fakeClock } from './helpers/clock.js'
import { codeOfSync } from './helpers/errors.js'
import { POLICIES } from './helpers/policies.js'
import { tempDir } from './helpers/temp.js'

describe('values', () => {
  it('gives back the very value that was set', () => {
    const cache = new MemoryCache<string, unknown>({ max: 10 })
    for (const value of [
      null,
      0,
      false,
      '',
      Number.NaN,
      42n,
      { a: 1 },
      [undefined],
      () => 1,
      Symbol.iterator,
    ]) {
      expect(cache.set('key', value).get('key')).toBe(value)
      expect(cache.has('key')).toBe(true)
    }
  })

  it('refuses undefined and keeps what there was', () => {
    const cache = new MemoryCache<string, unknown>({ max: 10 }).set('key', 1)
    expect(() => cache.set('key', undefined)).toThrow(UnserializableError)
    expect(cache.get('key')).toBe(1)
  })

  it('holds strings, numbers, bigints and objects as keys, each for itself', () => {
    const cache = new MemoryCache<string | number | bigint | object, string>({ max: 100 })
    const [one, two] = [{}, {}]
    const keys = ['1', 1, 1n, -1, -2, 1.5, Number.NaN, one, two, '', 'a/b', '../../escape', 'é'.repeat(300)]
    for (const [index, key] of keys.entries()) cache.set(key, `value ${index}`)
    expect(cache.getMany(keys)).toEqual(keys.map((_, index) => `value ${index}`))
    expect(cache.size).toBe(keys.length)
    expect(cache.get({})).toBeUndefined()
  })

  it('refuses keys that are none', () => {
    const cache = new MemoryCache<never, unknown>({ max: 10 })
    for (const key of [undefined, null, true, Symbol('s')]) {
      expect(() => cache.set(key as never, 1)).toThrow(InvalidKeyError)
    }
  })
})

describe('verbs', () => {
  it('add stores only what is absent, update only what is there', () => {
    const cache = new MemoryCache<string, number>({ max: 10 })
    expect(cache.update('a', 1)).toBe(false)
    expect(cache.add('a', 1)).toBe(true)
    expect(cache.add('a', 2)).toBe(false)
    expect(cache.get('a')).toBe(1)
    expect(cache.update('a', 3)).toBe(true)
    expect(cache.get('a')).toBe(3)
    expect(cache.delete('a')).toBe(true)
    expect(cache.delete('a')).toBe(false)
  })

  it('a key that was missed, set, deleted, missed and set again is there once', () => {
    const cache = new MemoryCache<string | number, number>({ max: 3, policy: 'lru' })
    for (const key of ['a', 0, -0, Number.NaN]) {
      for (let round = 0; round < 3; round++) {
        expect(cache.get(key)).toBeUndefined()
        cache
          .set('other', 1)
          .set(key, round)
          .set(key, round + 1)
        expect([cache.get(key), cache.size]).toEqual([round + 1, 2])
        expect(cache.check()).toBe('')
        cache.delete(key)
      }
    }
    cache.get('x')
    cache.clear()
    expect(cache.set('x', 1).set('x', 2).size).toBe(1)
    expect(cache.check()).toBe('')
  })

  it('many-forms keep the order of the keys', () => {
    const cache = new MemoryCache<string, number>({ max: 10 })
    cache
      .setMany([
        ['a', 1],
        ['b', 2],
      ])
      .setMany(new Map([['c', 3]]))
      .setMany({ d: 4 })
    expect(cache.getMany(['d', 'x', 'a', 'a'])).toEqual([4, undefined, 1, 1])
    expect(cache.deleteMany(['a', 'x', 'b'])).toBe(2)
    expect(cache.size).toBe(2)
  })

  it('setMany stores nothing where one value is refused', () => {
    const cache = new MemoryCache<string, string>({ maxSize: 1000, weigher: (value) => value.length })
    expect(() =>
      cache.setMany([
        ['a', 'x'],
        ['b', 'x'.repeat(1001)],
      ]),
    ).toThrow(ValueTooLargeError)
    expect(cache.size).toBe(0)
  })

  it('getOrThrow says whether an entry has expired or was never there', () => {
    const clock = fakeClock()
    const cache = new MemoryCache<string, number>({ max: 10, clock })
    cache.set('a', 1, { ttl: 10 })
    expect(cache.getOrThrow('a')).toBe(1)
    clock.advance(10)
    expect(() => cache.getOrThrow('a')).toThrow(KeyExpiredError)
    expect(() => cache.getOrThrow('b')).toThrow(KeyNotFoundError)
    expect(new KeyExpiredError('E_KEY_EXPIRED', '')).toBeInstanceOf(KeyNotFoundError)
  })

  it('touch is a use that is no read', () => {
    const clock = fakeClock()
    const cache = new MemoryCache<string, number>({ max: 2, policy: 'lru', clock })
    cache.set('a', 1, { ttl: 100, sliding: true }).set('b', 2)
    clock.advance(60)
    expect([cache.touch('a'), cache.touch('none')]).toEqual([true, false])
    expect(cache.metrics()).toMatchObject({ hits: 0, misses: 0 })
    cache.set('c', 3)
    expect([...cache.keys()]).toEqual(['a', 'c'])
    clock.advance(60)
    expect(cache.ttl('a')).toBe(40)
    clock.advance(41)
    expect([cache.touch('a'), cache.size]).toEqual([false, 1])
  })

  it('keysWithExpiry and expiredCount say what has a time, and whose is over', () => {
    const clock = fakeClock(1_000_000)
    const cache = new MemoryCache<string, number>({ max: 10, policy: 'fifo', clock })
    expect(cache.expiredCount()).toBe(0)
    cache.set('a', 1, { ttl: 100 }).set('b', 2).set('c', 3, { ttl: '1s' })
    expect([...cache.keysWithExpiry()]).toEqual([
      ['a', 1_000_100],
      ['c', 1_001_000],
    ])
    clock.advance(100)
    expect([...cache.keysWithExpiry()]).toEqual([['c', 1_001_000]])
    expect([cache.expiredCount(), cache.size, cache.validSize]).toEqual([1, 3, 2])
    cache.cleanup()
    expect([cache.expiredCount(), cache.size]).toEqual([0, 2])
  })

  it('the background cleanup can be stopped and started again', async () => {
    const cache = new MemoryCache<string, number>({ max: 10, cleanupInterval: false })
    const gone = new Promise<void>((resolve) => {
      const told = new MemoryCache<string, number>({
        max: 10,
        cleanupInterval: '1h',
        onEvict: () => resolve(),
      })
      told.set('a', 1, { ttl: 1 })
      told.stopCleanup()
      told.startCleanup('1ms')
    })
    await gone
    cache.set('a', 1, { ttl: 1 })
    expect(() => cache.startCleanup(0)).toThrow(InvalidTtlError)
    cache.startCleanup(1)
    while (cache.size > 0) await new Promise((resolve) => setTimeout(resolve, 1))
    cache.stopCleanup()
  })

  it('peek and has are no uses', () => {
    const cache = new MemoryCache<string, number>({ max: 2, policy: 'lru' })
    cache.set('a', 1).set('b', 2)
    expect(cache.peek('a')).toBe(1)
    expect(cache.has('a')).toBe(true)
    cache.set('c', 3)
    expect(cache.has('a')).toBe(false)
    expect(cache.metrics().hits + cache.metrics().misses).toBe(0)
  })

  it('iterates from the next victim to the last one', () => {
    const cache = new MemoryCache<string, number>({ max: 3, policy: 'lru' })
    cache.set('a', 1).set('b', 2).set('c', 3).get('a')
    expect([...cache.keys()]).toEqual(['b', 'c', 'a'])
    expect([...cache]).toEqual([
      ['b', 2],
      ['c', 3],
      ['a', 1],
    ])
    expect([...cache.values()]).toEqual([2, 3, 1])
  })

  it('entries may be deleted and added while they are iterated', () => {
    const cache = new MemoryCache<string, number>({ max: 3, policy: 'lru' })
    cache.set('a', 1).set('b', 2).set('c', 3)
    const seen: string[] = []
    for (const [key] of cache) {
      seen.push(key)
      cache.delete('b')
      cache.set(`new ${key}`, 0)
    }
    expect(seen).toEqual(['a', 'c'])
    expect(cache.check()).toBe('')
  })

  it('a closed cache refuses every use', () => {
    const cache = new MemoryCache<string, number>({ max: 3 }).set('a', 1)
    cache.close()
    expect(codeOfSync(() => cache.get('a'))).toBe('E_CLOSED')
    expect(codeOfSync(() => cache.set('a', 1))).toBe('E_CLOSED')
    expect(codeOfSync(() => cache.size)).toBe('E_CLOSED')
  })
})

describe('getOrSet', () => {
  it('calls a loader once for all who ask at one time', async () => {
    const cache = new MemoryCache<string, number>({ max: 10 })
    let loads = 0
    const load = async () => ++loads
    const results = await Promise.all(Array.from({ length: 50 }, () => cache.getOrSet('a', load)))
    expect(new Set(results)).toEqual(new Set([1]))
    expect(cache.getOrSet('a', load)).toBe(1)
    expect(loads).toBe(1)
  })

  it('a loader that gives undefined is asked again, and nothing is stored', async () => {
    const cache = new MemoryCache<string, number>({ max: 10 })
    let loads = 0
    const load = async () => {
      loads++
      return undefined
    }
    expect(await cache.getOrSet('a', load)).toBeUndefined()
    expect(await cache.getOrSet('a', load)).toBeUndefined()
    expect(loads).toBe(2)
    expect(cache.size).toBe(0)
  })

  it('null and false are stored and not loaded again', () => {
    const cache = new MemoryCache<string, unknown>({ max: 10 })
    let loads = 0
    for (const value of [null, false, 0, '']) {
      cache.getOrSet(String(value), () => ++loads && value)
      expect(cache.getOrSet(String(value), () => ++loads)).toBe(value)
    }
    expect(loads).toBe(4)
  })

  it('the error of a load reaches all who wait, untouched, and the next call loads again', async () => {
    const cache = new MemoryCache<string, number>({ max: 10 })
    const failure = new Error('mine')
    const waiting = Array.from({ length: 5 }, () => cache.getOrSet('a', () => Promise.reject(failure)))
    for (const outcome of await Promise.allSettled(waiting)) {
      expect((outcome as PromiseRejectedResult).reason).toBe(failure)
    }
    expect(await cache.getOrSet('a', async () => 7)).toBe(7)
    expect(() =>
      cache.getOrSet('b', () => {
        throw failure
      }),
    ).toThrow(failure)
    expect(cache.metrics()).toMatchObject({ loads: 3, loadFailures: 2 })
  })

  it('a result that comes after the key was written, deleted or cleared is not stored', async () => {
    const cache = new MemoryCache<string, number>({ max: 10 })
    const start = (key: string) => {
      let land!: (value: number) => void
      const result = cache.getOrSet(
        key,
        () =>
          new Promise<number>((resolve) => {
            land = resolve
          }),
      )
      return { result, land }
    }
    const flights = ['set', 'delete', 'clear'].map(start)
    cache.set('set', 5)
    cache.delete('delete')
    for (const { land } of flights.slice(0, 2)) land(1)
    await Promise.all(flights.slice(0, 2).map(({ result }) => result))
    expect(cache.get('set')).toBe(5)
    expect(cache.has('delete')).toBe(false)
    cache.clear()
    flights[2]?.land(1)
    expect(await flights[2]?.result).toBe(1)
    expect(cache.has('clear')).toBe(false)
  })

  it('a value that is too large is returned and not stored', () => {
    const cache = new MemoryCache<string, string>({ maxSize: 10, weigher: (value) => value.length })
    expect(cache.getOrSet('a', () => 'x'.repeat(11))).toHaveLength(11)
    expect(cache.size).toBe(0)
    expect(cache.metrics().rejected).toBe(1)
  })
})

describe('time', () => {
  it('an entry lives for its whole TTL and not a millisecond longer', () => {
    const clock = fakeClock()
    const cache = new MemoryCache<string, number>({ max: 10, ttl: 1000, clock })
    cache.set('default', 1).set('own', 2, { ttl: '2s' }).set('never', 3, { ttl: 'never' })
    clock.advance(999)
    expect(cache.getMany(['default', 'own', 'never'])).toEqual([1, 2, 3])
    expect(cache.ttl('default')).toBe(1)
    clock.advance(1)
    expect(cache.getMany(['default', 'own', 'never'])).toEqual([undefined, 2, 3])
    expect(cache.ttl('default')).toBeUndefined()
    expect(cache.ttl('own')).toBe(1000)
    expect(cache.ttl('never')).toBe(Infinity)
  })

  it('set starts the TTL again, and add after expiry is no lost write', () => {
    const clock = fakeClock()
    const cache = new MemoryCache<string, number>({ max: 10, ttl: 100, clock })
    cache.set('a', 1)
    clock.advance(99)
    cache.set('a', 2)
    clock.advance(99)
    expect(cache.get('a')).toBe(2)
    clock.advance(1)
    expect(cache.update('a', 3)).toBe(false)
    expect(cache.add('a', 4)).toBe(true)
    expect(cache.get('a')).toBe(4)
    cache.set('a', 5, { ttl: 'never' })
    clock.advance(1e12)
    expect(cache.get('a')).toBe(5)
  })

  it('a sliding TTL starts again at each get, and not at peek or has', () => {
    const clock = fakeClock()
    const cache = new MemoryCache<string, number>({ max: 10, ttl: 100, sliding: true, clock })
    cache.set('a', 1).set('b', 1).set('c', 1, { sliding: false })
    for (let step = 0; step < 5; step++) {
      clock.advance(60)
      cache.get('a')
      cache.peek('b')
      cache.has('b')
    }
    expect([cache.has('a'), cache.has('b'), cache.has('c')]).toEqual([true, false, false])
    clock.advance(100)
    expect(cache.cleanup()).toBe(3)
  })

  it('fractions of a millisecond are a TTL, and infinity does not overflow', () => {
    const clock = fakeClock()
    const cache = new MemoryCache<string, number>({ max: 10, clock })
    cache
      .set('half', 1, { ttl: 0.5 })
      .set('long', 1, { ttl: Number.MAX_VALUE })
      .set('infinite', 1, { ttl: Infinity })
    expect(cache.has('half')).toBe(true)
    expect(cache.ttl('long')).toBe(Infinity)
    expect(cache.ttl('infinite')).toBe(Infinity)
  })

  it.each([0, -1, Number.NaN, -Infinity, '', '0s', 'soon', null])(
    'refuses a TTL of %j and names never',
    (ttl) => {
      const cache = new MemoryCache<string, number>({ max: 10 })
      expect(() => cache.set('a', 1, { ttl: ttl as number })).toThrow(InvalidTtlError)
      expect(() => cache.set('a', 1, { ttl: ttl as number })).toThrow(/Infinity.*'never'/)
      expect(() => new MemoryCache({ ttl: ttl as number })).toThrow(InvalidTtlError)
      expect(cache.size).toBe(0)
    },
  )

  it('expire gives another TTL to live entries only', () => {
    const clock = fakeClock()
    const cache = new MemoryCache<string, number>({ max: 10, clock }).set('a', 1)
    expect(cache.expire('a', '1s')).toBe(true)
    expect(cache.ttl('a')).toBe(1000)
    clock.advance(1000)
    expect(cache.expire('a', '1s')).toBe(false)
  })

  it('size counts expired entries until cleanup removes them, validSize does not', () => {
    const clock = fakeClock()
    const cache = new MemoryCache<number, number>({ max: 1000, clock })
    for (let key = 0; key < 100; key++) cache.set(key, key, { ttl: key < 30 ? 10 + key : 'never' })
    clock.advance(20)
    expect([cache.size, cache.validSize]).toEqual([100, 89])
    expect(cache.cleanup()).toBe(11)
    expect([cache.size, cache.validSize]).toEqual([89, 89])
  })

  it('cleanup finds entries of every TTL, from milliseconds to decades', () => {
    const clock = fakeClock(1_700_000_000_123)
    const cache = new MemoryCache<number, number>({ max: 1000, clock, cleanupInterval: 1 })
    const ttls = Array.from({ length: 42 }, (_, power) => Math.floor(1.9 ** power) + power)
    for (const [key, ttl] of ttls.entries()) cache.set(key, ttl, { ttl })
    let passed = 0
    for (const [key, ttl] of ttls.entries()) {
      clock.advance(ttl - passed - 1)
      expect(cache.cleanup()).toBe(0)
      clock.advance(1)
      expect(cache.cleanup()).toBe(1)
      expect(cache.size).toBe(ttls.length - key - 1)
      passed = ttl
    }
  })

  it('a fake Date is believed', () => {
    const real = Date.now
    const cache = new MemoryCache<string, number>({ max: 10, ttl: '1h' }).set('a', 1)
    try {
      expect(cache.get('a')).toBe(1)
      const later = real() + 3_600_001
      Date.now = () => later
      expect(cache.get('a')).toBeUndefined()
    } finally {
      Date.now = real
    }
  })
})

describe('bounds', () => {
  it.each(POLICIES)('%s: all of max is in use, and never more', (policy) => {
    for (const max of [1, 2, 3, 10, 255, 257, 1000]) {
      const cache = new MemoryCache<string, number>({ max, policy })
      for (let index = 0; index < max; index++) cache.set(`key ${index}`, index)
      expect(cache.size).toBe(max)
      for (let index = 0; index < max; index++) expect(cache.peek(`key ${index}`)).toBe(index)
      for (let index = 0; index < 3 * max; index++) {
        cache.set(`other ${index}`, index)
        cache.get(`other ${index >> 1}`)
        expect(cache.size).toBe(max)
      }
      expect(cache.check()).toBe('')
    }
  })

  it.each(POLICIES)('%s: evicts after clear and refill, and after load, as it did before', async (policy) => {
    const cache = new MemoryCache<number, number>({ max: 50, policy })
    const fill = () => {
      for (let step = 0; step < 2000; step++) {
        const key = (step * 7919) % 131
        if (cache.get(key) === undefined) cache.set(key, step)
      }
      expect(cache.size).toBe(50)
      expect(cache.check()).toBe('')
    }
    fill()
    const order = [...cache.keys()]
    cache.clear()
    expect([cache.size, [...cache.keys()]]).toEqual([0, []])
    fill()
    expect([...cache.keys()]).toEqual(order)
    const file = join(tempDir(), 'saved')
    await cache.save(file)
    await cache.load(file)
    fill()
  })

  it.each(POLICIES)('%s: maxSize holds after each call, with weights that change', (policy) => {
    const cache = new MemoryCache<number, number>({
      maxSize: 1000,
      max: 50,
      policy,
      weigher: (value) => value,
    })
    for (let step = 0; step < 5000; step++) {
      cache.set((step * 7919) % 131, 1 + ((step * 104_729) % 90))
      if (step % 3 === 0) cache.get(step % 131)
      expect(cache.bytes).toBeLessThanOrEqual(1000)
      expect(cache.size).toBeLessThanOrEqual(50)
    }
    expect(cache.check()).toBe('')
    expect([...cache.values()].reduce((sum, weight) => sum + weight, 0)).toBe(cache.bytes)
  })

  it('overwrites do not inflate the account', () => {
    const cache = new MemoryCache<string, string>({ maxSize: 1000, policy: 'lru' })
    cache.set('other', 'x')
    for (let step = 0; step < 1000; step++) cache.set('key', 'x'.repeat(step % 100))
    expect(cache.has('other')).toBe(true)
    expect(cache.size).toBe(2)
  })

  it('a value over the limit is refused, and nothing else is lost', () => {
    const cache = new MemoryCache<string, string>({ maxSize: 100, weigher: (value) => value.length })
    cache.set('a', 'x'.repeat(50)).set('b', 'x'.repeat(50))
    expect(() => cache.set('c', 'x'.repeat(101))).toThrow(ValueTooLargeError)
    expect(() => cache.set('a', 'x'.repeat(101))).toThrow(ValueTooLargeError)
    expect([cache.get('a'), cache.get('b')]).toEqual(['x'.repeat(50), 'x'.repeat(50)])
    cache.set('c', 'x'.repeat(100))
    expect([...cache.keys()]).toEqual(['c'])
  })

  it.each([0, -1, 1.5, Number.NaN, '10', 2 ** 24 + 1])('refuses a max of %j with the reason', (max) => {
    expect(() => new MemoryCache({ max: max as number })).toThrow(InvalidOptionError)
  })

  it('names an option or a policy that is misspelt', () => {
    expect(() => new MemoryCache({ maxx: 1 } as never)).toThrow(/Did you mean 'max'/)
    expect(() => new MemoryCache({ policy: 'lur' })).toThrow(/lru/)
    expect(() => new MemoryCache({ max: 0 })).toThrow(/max/)
    expect(() => new MemoryCache({ maxSize: 0 })).toThrow(/maxSize/)
    expect(() => new MemoryCache({ max: 1, weigher: () => 1 })).toThrow(/maxSize/)
    expect(() => new MemoryCache({ maxSize: 9, weigher: () => Number.NaN }).set('a', 1)).toThrow(/weigher/)
  })

  it.each<MemoryCacheOptions<number, number>>([
    { max: 300 },
    { maxSize: 300, weigher: () => 1 },
    { maxSize: 3000, weigher: (key) => 1 + (key % 19), ttl: '1h', sliding: true },
  ])('a cache that was cleared fills again, under each policy, bounded by %o', (bounds) => {
    for (const policy of POLICIES) {
      const cache = new MemoryCache<number, number>({ ...bounds, policy })
      for (const keys of [1000, 1, 5000, 300]) {
        for (let key = 0; key < keys; key++) {
          cache.set(key, key)
          cache.get(key >> 1)
        }
        if (bounds.max !== undefined) expect(cache.size).toBe(Math.min(keys, 300))
        expect(cache.bytes).toBeLessThanOrEqual(bounds.maxSize === undefined ? 0 : Number(bounds.maxSize))
        expect(cache.get(keys - 1)).toBe(keys - 1)
        expect(cache.check()).toBe('')
        cache.clear()
        expect([cache.size, cache.bytes, [...cache]]).toEqual([0, 0, []])
      }
    }
  })

  it('entries that grow make others go, under each policy, though nothing ever had to go for a newcomer', () => {
    for (const policy of POLICIES) {
      const cache = new MemoryCache<string, number>({ maxSize: 10, weigher: (weight) => weight, policy })
      cache.set('a', 3).set('b', 3).set('c', 3).set('b', 6)
      expect([cache.get('b'), cache.size, cache.check()], policy).toEqual([6, 2, ''])
      cache.set('b', 10)
      expect([[...cache], cache.check()], policy).toEqual([[['b', 10]], ''])
    }
  })
})

describe('onEvict', () => {
  const told = (options: object = {}) => {
    const log: [string, unknown, RemovalReason][] = []
    const clock = fakeClock()
    const cache = new MemoryCache<string, number>({
      max: 2,
      policy: 'lru',
      clock,
      onEvict: (...removal) => log.push(removal),
      ...options,
    })
    return { cache, log, clock }
  }

  it('says why each entry left', () => {
    const { cache, log, clock } = told()
    cache.set('a', 1).set('a', 2).set('b', 1, { ttl: 5 }).set('c', 1).delete('c')
    clock.advance(5)
    cache.get('b')
    cache.set('d', 1).set('e', 2).clear()
    expect(log).toEqual([
      ['a', 1, 'set'],
      ['a', 2, 'evict'],
      ['c', 1, 'delete'],
      ['b', 1, 'expire'],
      ['d', 1, 'clear'],
      ['e', 2, 'clear'],
    ])
  })

  it('may use the cache', () => {
    const calls: string[] = []
    const cache = new MemoryCache<string, number>({
      max: 4,
      policy: 'lru',
      onEvict(key, value, reason) {
        calls.push(key)
        expect(cache.check()).toBe('')
        expect(cache.has(key)).toBe(false)
        if (reason === 'evict' && key.length === 1) cache.set(`${key}!`, value)
        cache.get('a')
        cache.delete('b!')
      },
    })
    for (const key of 'abcdefgh') cache.set(key, 1)
    expect(calls.length).toBeGreaterThan(3)
    expect(cache.size).toBeLessThanOrEqual(4)
    expect(cache.check()).toBe('')
  })

  it('what it throws reaches the caller after all were told', () => {
    const seen: string[] = []
    const cache = new MemoryCache<string, number>({
      max: 10,
      onEvict(key) {
        seen.push(key)
        throw new Error(`about ${key}`)
      },
    })
    cache.set('a', 1).set('b', 2)
    expect(() => cache.clear()).toThrow(/about/)
    expect(seen).toHaveLength(2)
    expect(cache.size).toBe(0)
    expect(cache.set('c', 1).get('c')).toBe(1)
  })
})

describe('custom policies', () => {
  it('a policy of one hook evicts what it names', () => {
    definePolicy<string>('longest', {
      victim: (cache) => [...cache.keys()].reduce((a, b) => (b.length > a.length ? b : a)),
    })
    const cache = new MemoryCache<string, number>({ max: 3, policy: 'longest' })
    cache.set('aaa', 1).set('b', 2).set('cc', 3).set('d', 4)
    expect([...cache.keys()]).toEqual(['b', 'cc', 'd'])
  })

  it('hooks are told of everything, and each cache has hooks of its own', () => {
    const logs: string[][] = []
    definePolicy<string>('told', () => {
      const log: string[] = []
      const keys: string[] = []
      logs.push(log)
      return {
        onAdd: (key) => log.push(`add ${key}`) && keys.push(key),
        onUpdate: (key) => log.push(`update ${key}`),
        onAccess: (key) => log.push(`access ${key}`),
        onDelete: (key) => log.push(`delete ${key}`) && keys.splice(keys.indexOf(key), 1),
        victim: () => keys[0] as string,
      }
    })
    const cache = new MemoryCache<string, number>({ max: 2, policy: 'told' })
    const other = new MemoryCache<string, number>({ max: 2, policy: 'told' })
    other.set('x', 1)
    cache.set('a', 1).set('a', 2).set('b', 1).set('c', 1)
    cache.get('b')
    cache.delete('b')
    cache.clear()
    expect(logs[0]).toEqual([
      'add a',
      'update a',
      'add b',
      'delete a',
      'add c',
      'access b',
      'delete b',
      'delete c',
    ])
    expect(logs[1]).toEqual(['add x'])
  })

  it('a victim that is not in the cache is an error that names both', () => {
    definePolicy('lost', { victim: () => 'nobody' })
    const cache = new MemoryCache<string, number>({ max: 1, policy: 'lost' }).set('a', 1)
    expect(() => cache.set('b', 1)).toThrow(/'lost'.*"nobody"/)
    expect(cache.get('a')).toBe(1)
    expect(cache.check()).toBe('')
  })

  it('refuses a taken name and hooks without a victim', () => {
    definePolicy('once', { victim: () => 1 })
    expect(() => definePolicy('once', { victim: () => 1 })).toThrow(InvalidOptionError)
    expect(() => definePolicy('lru', { victim: () => 1 })).toThrow(/already/)
    expect(() => definePolicy('none', {} as never)).toThrow(/victim/)
    expect(() => new MemoryCache({ policy: 'unheard' })).toThrow(/'once'/)
  })
})

describe('metrics', () => {
  it('count what happened, and start again', () => {
    const clock = fakeClock()
    const cache = new MemoryCache<string, number>({ max: 2, policy: 'lru', clock })
    cache.set('a', 1).set('b', 1, { ttl: 5 }).get('a')
    cache.get('x')
    clock.advance(5)
    cache.get('b')
    cache.set('c', 1).set('d', 1)
    cache.delete('d')
    cache.clear()
    expect(cache.metrics()).toMatchObject({
      hits: 1,
      misses: 2,
      sets: 4,
      expired: 1,
      removals: { evict: 1, expire: 1, delete: 1, clear: 1 },
      size: 0,
    })
    cache.resetMetrics()
    expect(cache.metrics()).toMatchObject({ hits: 0, misses: 0, sets: 0, expired: 0 })
  })

  it('count nothing when they are off', () => {
    const cache = new MemoryCache<string, number>({ max: 2, metrics: false }).set('a', 1)
    cache.get('a')
    expect(cache.metrics()).toMatchObject({ hits: 0, sets: 0, size: 1 })
  })
})
