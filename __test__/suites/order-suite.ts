/** Writes and reads without awaiting, reopening, and bounds. */
import { describe, expect, it } from 'vitest'
import { codeOf } from '../helpers/errors.js'
import { expectSame } from '../helpers/same.js'
import { openCache, tempDir } from '../helpers/temp.js'
import { optionsFor, type Tiers } from './cache-suite.js'

/** Small values are written on this thread, larger ones on the thread pool: both orders must hold. */
const SIZES = [10, 5000, 40_000]

/** The order of what was asked for is the order of what happens. */
export function orderSuite(tiers: Tiers): void {
  const make = () => openCache(optionsFor(tiers))
  const value = (tag: number, size: number) => Buffer.alloc(size, tag)

  describe.each(SIZES)('un-awaited writes of %i bytes', (size) => {
    it('get_sees_a_set_of_the_same_tick', async () => {
      const cache = make()
      const stored = cache.set('a', value(1, size))
      const [got, has, many, entry] = await Promise.all([
        cache.get('a'),
        cache.has('a'),
        cache.getMany(['a']),
        cache.entry('a'),
      ])
      expectSame(got, value(1, size))
      expect(has).toBe(true)
      expectSame(many, [value(1, size)])
      expectSame(entry?.value, value(1, size))
      await stored
    })

    it('the_last_of_sets_and_deletes_wins', async () => {
      const cache = make()
      const done: Promise<unknown>[] = []
      done.push(cache.set('a', value(1, size)), cache.set('a', value(2, size)))
      done.push(cache.set('b', value(1, size)), cache.delete('b'))
      done.push(cache.set('c', value(1, size)), cache.delete('c'), cache.set('c', value(3, size)))
      const early = cache.getMany(['a', 'b', 'c'])
      done.push(cache.delete('a'))
      await Promise.all(done)
      expectSame((await early).slice(1), [undefined, value(3, size)])
      expectSame(await cache.getMany(['a', 'b', 'c']), [undefined, undefined, value(3, size)])
    })

    it('no_read_sees_less_than_the_writes_before_it', async () => {
      const cache = make()
      const reads: Promise<Buffer | undefined>[] = []
      for (let tag = 1; tag <= 24; tag++) {
        cache.set('a', value(tag, size)).catch(() => {})
        reads.push(cache.get<Buffer>('a'))
      }
      for (const [index, read] of (await Promise.all(reads)).entries()) {
        expect(read?.[0]).toBeGreaterThanOrEqual(index + 1)
        expectSame(read, value(read?.[0] ?? 0, size))
      }
      expectSame(await cache.get('a'), value(24, size))
    })

    it('a_sync_write_after_an_un_awaited_one_has_the_last_word', async () => {
      const cache = make()
      const first = cache.set('a', value(1, size))
      cache.setSync('a', value(2, size))
      const second = cache.set('b', value(1, size))
      cache.deleteSync('b')
      await Promise.all([first, second])
      expectSame(await cache.get('a'), value(2, size))
      expect(await cache.get('b')).toBeUndefined()
      if (tiers.disk) expectSame((await cache.entry('a'))?.value, value(2, size))
    })
  })

  describe('many at once', () => {
    it('all_of_5000_un_awaited_sets_of_one_tick_are_stored', async () => {
      const cache = make()
      const count = 5000
      const stored = Promise.all(
        Array.from({ length: count }, (_, index) => cache.set(`k${index}`, { index })),
      )
      expect(await cache.get(`k${count - 1}`)).toEqual({ index: count - 1 })
      await stored
      expect(await cache.size()).toBe(count)
      const values = await cache.getMany(Array.from({ length: count }, (_, index) => `k${index}`))
      expect(values.every((value, index) => (value as { index: number }).index === index)).toBe(true)
    })

    it('one_bad_set_of_a_tick_does_not_fail_the_others', async () => {
      if (!tiers.disk) return
      const cache = openCache(optionsFor(tiers, { maxSize: '1MiB', codec: 'none' }))
      const outcomes = await Promise.allSettled([
        cache.set('a', 1),
        cache.set('big', Buffer.alloc(5 << 20)),
        cache.set('b', 2),
        cache.set('c', () => {}),
      ])
      expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'rejected'])
      expect(outcomes[1]).toMatchObject({ reason: { code: 'E_VALUE_TOO_LARGE' } })
      expect(await cache.getMany(['a', 'b', 'big', 'c'])).toEqual([1, 2, undefined, undefined])
    })
  })

  describe.runIf(tiers.disk)('reopening', () => {
    it('everything_is_there_again', async () => {
      const options = optionsFor(tiers)
      const cache = openCache(options)
      await cache.set({ b: 1, a: 2 }, 'structured')
      await cache.set('large', value(7, 100_000))
      await cache.set('null', null, { ttl: '1h' })
      await cache.set('gone', 1)
      await cache.delete('gone')
      await cache.close()
      const again = openCache(options)
      expect(await again.size()).toBe(3)
      expect(await again.get({ a: 2, b: 1 })).toBe('structured')
      expectSame(await again.get('large'), value(7, 100_000))
      expect(await again.get('null')).toBeNull()
      expect((await again.entry('null'))?.expiresAt).toBeLessThan(Number.POSITIVE_INFINITY)
    })

    it('two_caches_on_one_directory_see_each_other_at_once', async () => {
      const options = optionsFor(tiers)
      const [a, b] = [openCache(options), openCache(options)]
      for (let round = 1; round <= 50; round++) {
        await a.set('k', round)
        expect(await b.get('k')).toBe(round)
        expect(b.getSync('k')).toBe(round)
        await b.set('k', -round)
        expect(await a.get('k')).toBe(-round)
      }
      await a.delete('k')
      expect(await b.get('k')).toBeUndefined()
      await a.set('k', 1)
      await b.get('k')
      await a.clear()
      expect(await b.get('k')).toBeUndefined()
    })
  })

  describe('bounds', () => {
    it.runIf(tiers.memory)('max_and_maxSize_of_memory_hold_after_every_call', async () => {
      const cache = openCache({
        ...(tiers.disk ? { dir: tempDir() } : {}),
        memory: { max: 10, maxSize: 20_000 },
      })
      for (let index = 0; index < 100; index++) {
        const stored = cache.set(`k${index}`, 'x'.repeat((index * 97) % 3000))
        const { memory } = await cache.stats()
        expect(memory.entries).toBeLessThanOrEqual(10)
        expect(memory.size).toBeLessThanOrEqual(20_000)
        await stored
      }
      expect(await cache.get('k99')).toHaveLength((99 * 97) % 3000)
      if (tiers.disk) expect(await cache.size()).toBe(100)
    })

    it.runIf(tiers.memory && !tiers.disk)('the_least_recently_used_goes_first', async () => {
      const cache = openCache({ memory: { max: 3, policy: 'lru' } })
      for (const key of ['a', 'b', 'c']) await cache.set(key, key)
      await cache.get('a')
      await cache.has('b') // no access
      await cache.set('d', 'd')
      expect(await cache.getMany(['a', 'b', 'c', 'd'])).toEqual(['a', undefined, 'c', 'd'])
    })

    it.runIf(tiers.memory)('a_value_over_the_memory_bound_empties_nothing', async () => {
      const cache = openCache({ ...(tiers.disk ? { dir: tempDir() } : {}), memory: { maxSize: 5000 } })
      await cache.set('small', 1)
      const stored = cache.set('large', 'x'.repeat(50_000))
      if (tiers.disk) await stored
      else expect(await codeOf(stored)).toBe('E_VALUE_TOO_LARGE')
      expect((await cache.stats()).memory.entries).toBe(1)
      expect(await cache.get('small')).toBe(1)
      expect(await cache.get('large')).toBe(tiers.disk ? 'x'.repeat(50_000) : undefined)
    })

    it.runIf(tiers.disk)('a_value_over_the_disk_bound_is_refused_and_empties_nothing', async () => {
      const cache = openCache(optionsFor(tiers, { maxSize: '1MiB', codec: 'none' }))
      await cache.set('small', 1)
      expect(await codeOf(cache.set('large', Buffer.alloc(5 << 20)))).toBe('E_VALUE_TOO_LARGE')
      expect(await codeOf(() => cache.setSync('large', Buffer.alloc(5 << 20)))).toBe('E_VALUE_TOO_LARGE')
      expect(await cache.getMany(['small', 'large'])).toEqual([1, undefined])
      expect(await cache.has('large')).toBe(false)
    })

    it.runIf(tiers.disk)('overwrites_do_not_evict_others', async () => {
      const cache = openCache(optionsFor(tiers, { maxSize: '4MiB', codec: 'none' }))
      await cache.set('other', 'keep me')
      for (let round = 0; round < 60; round++) await cache.set('same', Buffer.alloc(200_000, round))
      expect(await cache.get('other')).toBe('keep me')
      expect((await cache.stats()).entries).toBe(2)
    })
  })
}
