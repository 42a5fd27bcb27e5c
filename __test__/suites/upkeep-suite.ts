/** What a cache does and tells about what it holds: misses that are errors, cleanups, events, metrics. */
import { type Cache, type CacheOptions, KeyExpiredError, KeyNotFoundError } from 'tierce'
import { describe, expect, it } from 'vitest'
import { fakeClock } from '../helpers/clock.js'
import { codeOf, failure } from '../helpers/errors.js'
import { openCache } from '../helpers/temp.js'
import { optionsFor, type Tiers } from './cache-suite.js'

const turn = () => new Promise(setImmediate)

export function upkeepSuite(tiers: Tiers): void {
  const make = (more: CacheOptions = {}) => {
    const clock = fakeClock()
    return { clock, cache: openCache(optionsFor(tiers, { clock, ...more })) }
  }
  const fill = async (cache: Cache, count: number, ttl?: number) => {
    const entries = Array.from({ length: count }, (_, index): [string, number] => [
      `${ttl ?? 'never'}:${index}`,
      index,
    ])
    await cache.setMany(entries, ttl === undefined ? {} : { ttl })
  }

  describe('misses that are errors', () => {
    it('getOrThrow_tells_what_expired_from_what_never_was', async () => {
      const { clock, cache } = make()
      await cache.set('a', null, { ttl: 10 })
      expect(await cache.getOrThrow('a')).toBeNull()
      expect(cache.getOrThrowSync('a')).toBeNull()
      const never = await failure(cache.getOrThrow({ b: 1 }))
      expect(never).toBeInstanceOf(KeyNotFoundError)
      expect(never).not.toBeInstanceOf(KeyExpiredError)
      expect(never.context).toEqual({ key: { b: 1 } })
      expect(await codeOf(() => cache.getOrThrowSync('b'))).toBe('E_KEY_NOT_FOUND')
      clock.advance(10)
      const expired = await failure(() => cache.getOrThrowSync('a'))
      expect(expired).toBeInstanceOf(KeyExpiredError)
      expect(expired).toBeInstanceOf(KeyNotFoundError)
      if (tiers.disk) expect(await codeOf(cache.getOrThrow('a'))).toBe('E_KEY_EXPIRED') // it is there until it is removed
      await cache.cleanup()
      expect(await codeOf(cache.getOrThrow('a'))).toBe('E_KEY_NOT_FOUND')
    })
  })

  describe('cleanup', () => {
    it('validSize_counts_what_keys_lists_and_stale_entries_are_in_size_alone', async () => {
      const { clock, cache } = make()
      await fill(cache, 3)
      const options = { ttl: 10, staleIfError: 20 }
      await cache.getOrSet('stale', () => 1, options)
      const counts = async () => [await cache.size(), await cache.validSize(), await cache.expiredCount()]
      expect(await counts()).toEqual([4, 4, 0])
      clock.advance(10)
      expect(await cache.has('stale')).toBe(false)
      expect(await counts()).toEqual([4, 3, 0])
      const keys = []
      for await (const key of cache.keys()) keys.push(key)
      expect(keys).toHaveLength(3)
      await cache.cleanup() // it is kept for the load
      const failing = () => cache.getOrSet('stale', () => Promise.reject(new Error('down')), options)
      cache.on('error', () => {})
      expect(await failing()).toBe(1)
      clock.advance(20)
      expect(await counts()).toEqual([4, 3, 1])
    })

    it('removes_what_has_expired_and_nothing_else', async () => {
      const { clock, cache } = make()
      await fill(cache, 50)
      await fill(cache, 70, 10)
      await fill(cache, 30, 20)
      expect(await cache.expiredCount()).toBe(0)
      expect(await cache.cleanup()).toBe(0)
      clock.advance(10)
      expect([await cache.size(), await cache.validSize(), await cache.expiredCount()]).toEqual([150, 80, 70])
      expect(await cache.cleanup()).toBeGreaterThanOrEqual(70)
      expect([await cache.size(), await cache.validSize(), await cache.expiredCount()]).toEqual([80, 80, 0])
      clock.advance(10)
      await cache.cleanup()
      expect(await cache.size()).toBe(50)
      expect(await cache.get('never:49')).toBe(49)
      expect(await cache.cleanup()).toBe(0)
    })

    it('what_was_given_a_longer_time_stays_and_a_shorter_one_goes', async () => {
      const { clock, cache } = make()
      await cache.set('longer', 1, { ttl: 10 })
      await cache.set('shorter', 1)
      await cache.set('again', 1, { ttl: 10 })
      await cache.expire('longer', 100)
      await cache.expire('shorter', 5)
      await cache.set('again', 2)
      clock.advance(50)
      await cache.cleanup()
      expect(await cache.getMany(['longer', 'shorter', 'again'])).toEqual([1, undefined, 2])
      expect(await cache.size()).toBe(2)
    })

    it('in_the_background_it_removes_what_expires_and_stops_when_it_is_told', async () => {
      const { clock, cache } = make()
      await fill(cache, 20, 5)
      const removed = new Promise<number>((resolve) => {
        cache.on('cleanup', (event) => resolve(event.removed))
      })
      clock.advance(5)
      cache.startCleanup(2)
      expect(await removed).toBeGreaterThanOrEqual(20)
      expect(await cache.size()).toBe(0)
      cache.stopCleanup()
      await fill(cache, 20, 5)
      clock.advance(5)
      await new Promise((resolve) => setTimeout(resolve, 30))
      expect(await cache.size()).toBe(20)
      cache.startCleanup()
      cache.startCleanup('1s') // once more is another interval
      expect(await codeOf(() => cache.startCleanup(0))).toBe('E_INVALID_TTL')
      await cache.close()
      expect(await codeOf(() => cache.startCleanup())).toBe('E_CLOSED')
      cache.stopCleanup()
    })
  })

  describe('events', () => {
    it.runIf(tiers.memory)('entries_that_leave_memory_are_told_after_the_change', async () => {
      const { clock, cache } = make({ memory: { max: 3, policy: 'lru' } })
      const told: unknown[] = []
      cache.on('evict', ({ key, tier }) => {
        told.push(['evict', key, tier])
        cache.setSync('from a listener', 1) // a listener may use the cache
        cache.off('evict', listener)
      })
      const listener = () => told.push('never')
      cache.on('expire', ({ key }) => told.push(['expire', key]))
      for (const key of ['a', { b: 1 }, 'c', 'd']) await cache.set(key, 1, { ttl: 10 })
      await turn()
      expect(told[0]).toEqual(['evict', 'a', 'memory'])
      clock.advance(10)
      await cache.get('d')
      await turn()
      expect(told).toContainEqual(['expire', 'd'])
    })

    it('unknown_events_and_listeners_that_are_none_are_refused', async () => {
      const { cache } = make()
      expect(await codeOf(() => cache.on('evicted' as 'evict', () => {}))).toBe('E_INVALID_OPTION')
      expect(await codeOf(() => cache.on('evict', 5 as never))).toBe('E_INVALID_OPTION')
      expect(await codeOf(() => cache.off('evicted' as 'evict', () => {}))).toBe('E_INVALID_OPTION')
    })
  })

  describe('metrics', () => {
    it('count_what_was_done_and_start_again', async () => {
      const { clock, cache } = make()
      await cache.set('a', 1)
      await cache.setMany([
        ['b', 1],
        ['c', 1],
      ])
      await cache.get('a')
      cache.getSync('a')
      await cache.getMany(['a', 'x'])
      await cache.get('y')
      await cache.add('a', 1) // no set
      await cache.add('d', 1)
      await cache.update('d', 2)
      if (tiers.metadata === undefined) await cache.increment('n')
      else await cache.set('n', 1)
      await cache.delete('a')
      await cache.delete('a')
      await cache.getOrSet('l', () => 1)
      await cache.getOrSet('l', () => 2)
      await cache.getOrSet('m', () => Promise.reject(new Error('mine'))).catch(() => {})
      expect(() =>
        cache.getOrSetSync('m', () => {
          throw new Error('mine')
        }),
      ).toThrow('mine')
      const metrics = cache.metrics()
      expect(metrics).toMatchObject({ sets: 7, loads: 3, loadFailures: 2, rejected: 0 })
      expect(metrics.removals.delete).toBe(1)
      expect(metrics.hits).toBeGreaterThanOrEqual(4)
      expect(metrics.misses).toBeGreaterThanOrEqual(4)
      expect(metrics.hitRatio).toBeCloseTo(metrics.hits / (metrics.hits + metrics.misses))
      expect(metrics.loadTime).toBeGreaterThanOrEqual(0)
      if (tiers.memory) expect(metrics.bytes).toBeGreaterThan(0)
      await cache.set('e', 1, { ttl: 1 })
      clock.advance(1)
      await cache.cleanup()
      expect(cache.metrics().expired).toBe(1)
      await cache.clear()
      expect(cache.metrics().removals).toMatchObject({ expire: 1, clear: 5 })
      cache.resetMetrics()
      expect(cache.metrics()).toMatchObject({ hits: 0, misses: 0, sets: 0, loads: 0, expired: 0 })
    })

    it('values_that_were_refused_are_counted', async () => {
      const { cache } = make(
        tiers.disk ? { maxSize: '1MiB', codec: 'none' } : { memory: { maxSize: 10_000 } },
      )
      const large = Buffer.alloc(5 << 20)
      await cache.set('a', 1)
      expect(await codeOf(cache.set('large', large))).toBe('E_VALUE_TOO_LARGE')
      expect(await codeOf(() => cache.setSync('large', large))).toBe('E_VALUE_TOO_LARGE')
      expect(await codeOf(cache.add('large', large))).toBe('E_VALUE_TOO_LARGE')
      expect(cache.metrics().rejected).toBe(3)
      expect(await cache.get('a')).toBe(1)
    })
  })
}
