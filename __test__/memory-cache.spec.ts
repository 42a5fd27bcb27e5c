import {
  InvalidKeyError,
  InvalidTtlError,
  KeyExpiredError,
  KeyNotFoundError,
  MemoryCache,
  UnserializableError,
  ValueTooLargeError,
} from 'tierce'
import { describe, expect, it } from 'vitest'
import { fakeClock } from './helpers/clock.js'
import { codeOfSync } from './helpers/errors.js'

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
