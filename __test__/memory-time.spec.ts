/** Times to live of a `MemoryCache`. */
import { InvalidTtlError, MemoryCache } from 'tierce'
import { describe, expect, it } from 'vitest'
import { fakeClock } from './helpers/clock.js'

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

  it('a sliding TTL is that of its entry: it stays while the cache grows, and goes with it', () => {
    const clock = fakeClock()
    const cache = new MemoryCache<number, number>({ max: 1000, ttl: 100, sliding: true, clock })
    for (let key = 0; key < 500; key++) cache.set(key, key)
    for (let step = 0; step < 3; step++) {
      clock.advance(60)
      for (let key = 0; key < 500; key++) expect(cache.get(key)).toBe(key)
    }
    // In the slot of one that slid.
    cache.delete(499)
    cache.set(500, 500, { ttl: 'never' })
    cache.expire(500, 100)
    for (const left of [100, 40]) {
      expect(cache.ttl(500)).toBe(left)
      cache.get(500)
      clock.advance(60)
    }
    expect(cache.get(500)).toBeUndefined()
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
