/** Time to live, to the millisecond, by a clock that stands still. */
import type { CacheOptions } from 'tierce'
import { describe, expect, it } from 'vitest'
import { type FakeClock, fakeClock } from '../helpers/clock.js'
import { codeOf } from '../helpers/errors.js'
import { openCache } from '../helpers/temp.js'
import { optionsFor, type Tiers } from './cache-suite.js'

/** Entries live as long as they should. */
export function timeSuite(tiers: Tiers): void {
  const make = (clock: FakeClock, more: CacheOptions = {}) => openCache(optionsFor(tiers, { clock, ...more }))

  describe('time to live', () => {
    it('an_entry_lives_to_the_millisecond_before_its_time_and_no_longer', async () => {
      const clock = fakeClock()
      const cache = make(clock)
      await cache.set('a', 1, { ttl: 1000 })
      clock.advance(999)
      expect(await cache.get('a')).toBe(1)
      expect(cache.getSync('a')).toBe(1)
      expect(await cache.has('a')).toBe(true)
      clock.advance(1)
      expect(await cache.get('a')).toBeUndefined()
      expect(cache.getSync('a')).toBeUndefined()
      expect(await cache.has('a')).toBe(false)
      expect(await cache.entry('a')).toBeUndefined()
      expect(await cache.getMany(['a'])).toEqual([undefined])
      expect(await cache.delete('a')).toBe(false)
      expect((await cache.keys().next()).done).toBe(true)
    })

    it('the_default_is_the_caches_and_an_entrys_own_goes_before', async () => {
      const clock = fakeClock()
      const cache = make(clock, { ttl: '1m' })
      await cache.setMany([['default', 1]])
      await cache.set('short', 1, { ttl: '1s' })
      await cache.set('never', 1, { ttl: 'never' })
      await cache.set('forever', 1, { ttl: Number.POSITIVE_INFINITY })
      clock.advance(1000)
      expect(await cache.getMany(['default', 'short', 'never'])).toEqual([1, undefined, 1])
      clock.advance(59_000)
      expect(await cache.getMany(['default', 'never', 'forever'])).toEqual([undefined, 1, 1])
    })

    it('set_replaces_the_old_time_and_a_batch_on_an_expired_key_is_no_lost_write', async () => {
      const clock = fakeClock()
      const cache = make(clock)
      await cache.set('a', 1, { ttl: 10 })
      await cache.set('a', 2)
      await cache.set('b', 1, { ttl: 10 })
      clock.advance(10)
      expect(await cache.get('a')).toBe(2)
      await cache.setMany([['b', 2]], { ttl: 20 })
      clock.advance(19)
      expect(await cache.get('b')).toBe(2)
      clock.advance(1)
      expect(await cache.get('b')).toBeUndefined()
    })

    it('fractions_count_and_huge_times_do_not_overflow', async () => {
      const clock = fakeClock()
      const cache = make(clock)
      await cache.set('half', 1, { ttl: 0.5 })
      await cache.set('more', 1, { ttl: 1.9 })
      await cache.set('huge', 1, { ttl: Number.MAX_VALUE })
      expect(await cache.get('half')).toBe(1)
      clock.advance(1)
      expect(await cache.getMany(['half', 'more', 'huge'])).toEqual([undefined, 1, 1])
      clock.advance(1e12)
      expect(await cache.get('huge')).toBe(1)
    })

    it.each([0, -1, Number.NaN, 'soon', '', null, {}])(
      'a time to live of %o is E_INVALID_TTL',
      async (ttl) => {
        const cache = make(fakeClock())
        const options = { ttl } as object
        expect(await codeOf(cache.set('a', 1, options))).toBe('E_INVALID_TTL')
        expect(await codeOf(() => cache.setSync('a', 1, options))).toBe('E_INVALID_TTL')
        expect(await codeOf(cache.setMany([['a', 1]], options))).toBe('E_INVALID_TTL')
        expect(await codeOf(cache.getOrSet('a', () => 1, options))).toBe('E_INVALID_TTL')
        expect(await codeOf(() => cache.getOrSetSync('a', () => 1, options))).toBe('E_INVALID_TTL')
        expect(await cache.get('a')).toBeUndefined()
      },
    )

    it('a_loaded_value_expires_and_is_loaded_again', async () => {
      const clock = fakeClock()
      const cache = make(clock)
      let loads = 0
      const load = () => ++loads
      expect(await cache.getOrSet('a', load, { ttl: 5 })).toBe(1)
      clock.advance(5)
      expect(await cache.getOrSet('a', load, { ttl: 5 })).toBe(2)
    })
  })
}
