/** Verbs that depend on what a key holds: add, update, touch, expire, ttl, increment. */
import type { Cache, CacheOptions } from 'tierce'
import { describe, expect, it } from 'vitest'
import { fakeClock } from '../helpers/clock.js'
import { codeOf, failure } from '../helpers/errors.js'
import { openCache } from '../helpers/temp.js'
import { optionsFor, type Tiers } from './cache-suite.js'

/** The two forms of a verb, so that each claim is made of both. */
interface Verbs {
  add(key: string, value: unknown, options?: object): boolean | Promise<boolean>
  update(key: string, value: unknown, options?: object): boolean | Promise<boolean>
  touch(key: string): boolean | Promise<boolean>
  expire(key: string, ttl: number | string): boolean | Promise<boolean>
  ttl(key: string): number | undefined | Promise<number | undefined>
  increment(key: string, by?: number | bigint, options?: object): unknown
}

function asyncVerbs(cache: Cache): Verbs {
  return {
    add: (key, value, options) => cache.add(key, value, options),
    update: (key, value, options) => cache.update(key, value, options),
    touch: (key) => cache.touch(key),
    expire: (key, ttl) => cache.expire(key, ttl),
    ttl: (key) => cache.ttl(key),
    increment: (key, by, options) => cache.increment(key, by as number, options),
  }
}

function syncVerbs(cache: Cache): Verbs {
  return {
    add: (key, value, options) => cache.addSync(key, value, options),
    update: (key, value, options) => cache.updateSync(key, value, options),
    touch: (key) => cache.touchSync(key),
    expire: (key, ttl) => cache.expireSync(key, ttl),
    ttl: (key) => cache.ttlSync(key),
    increment: (key, by, options) => cache.incrementSync(key, by as number, options),
  }
}

export function changesSuite(tiers: Tiers): void {
  /** What two processes may do at once takes a database. */
  const counts = tiers.metadata === undefined
  describe.each([
    { form: 'async', verbsOf: asyncVerbs },
    { form: 'sync', verbsOf: syncVerbs },
  ])('verbs that look first, $form', ({ verbsOf }) => {
    const make = (more: CacheOptions = {}) => {
      const clock = fakeClock()
      const cache = openCache(optionsFor(tiers, { clock, ...more }))
      return { clock, cache, verbs: verbsOf(cache) }
    }

    it('add_stores_only_where_nothing_lives', async () => {
      const { clock, cache, verbs } = make()
      expect(await verbs.add('a', 1, { ttl: 10 })).toBe(true)
      expect(await verbs.add('a', 2)).toBe(false)
      expect(await cache.get('a')).toBe(1)
      expect(await verbs.add('a', 3)).toBe(false) // in memory by now
      clock.advance(10)
      expect(await verbs.add('a', 4)).toBe(true)
      expect(await cache.get('a')).toBe(4)
      expect(await cache.ttl('a')).toBe(Number.POSITIVE_INFINITY)
      await cache.delete('a')
      expect(await verbs.add('a', null)).toBe(true)
      expect(await cache.get('a')).toBeNull()
      expect(await verbs.add('a', 5)).toBe(false) // a stored null is there
    })

    it('update_stores_only_where_something_lives_and_starts_its_time_anew', async () => {
      const { clock, cache, verbs } = make({ ttl: 100 })
      expect(await verbs.update('a', 1)).toBe(false)
      expect(await cache.get('a')).toBeUndefined()
      await cache.set('a', 1)
      clock.advance(60)
      expect(await verbs.update('a', 2)).toBe(true)
      expect(await cache.ttl('a')).toBe(100)
      expect(await verbs.update('a', 3, { ttl: 7 })).toBe(true)
      expect(await cache.get('a')).toBe(3)
      clock.advance(7)
      expect(await verbs.update('a', 4)).toBe(false)
      expect(await cache.get('a')).toBeUndefined()
    })

    it('large_values_are_added_and_updated_and_what_was_refused_leaves_nothing', async () => {
      const { cache, verbs } = make({ codec: tiers.disk ? 'none' : undefined })
      const value = (tag: number) => Buffer.alloc(100_000, tag)
      expect(await verbs.update('a', value(1))).toBe(false)
      expect(await verbs.add('a', value(2))).toBe(true)
      expect(await verbs.add('a', value(3))).toBe(false)
      expect((await cache.get<Buffer>('a'))?.[0]).toBe(2)
      expect(await verbs.update('a', value(4))).toBe(true)
      expect((await cache.get<Buffer>('a'))?.[0]).toBe(4)
      const sizeOfFiles = async () => {
        const { diskSize, logSize } = await cache.stats()
        return diskSize - logSize
      }
      await cache.set('b', 0) // a journal is made with the first plain set
      const before = await sizeOfFiles()
      for (let round = 0; round < 20; round++) await verbs.add('a', value(5))
      await cache.set('b', 1) // files that were not taken are forgotten in the next transaction
      expect(await sizeOfFiles()).toBeLessThanOrEqual(before + 50_000)
    })

    it('expire_gives_a_live_entry_another_time_and_ttl_says_what_is_left', async () => {
      const { clock, cache, verbs } = make()
      expect(await verbs.ttl('a')).toBeUndefined()
      expect(await verbs.expire('a', 10)).toBe(false)
      await cache.set('a', { deep: [1] })
      await cache.get('a')
      expect(await verbs.ttl('a')).toBe(Number.POSITIVE_INFINITY)
      expect(await verbs.expire('a', '1s')).toBe(true)
      clock.advance(400)
      expect(await verbs.ttl('a')).toBe(600)
      expect(await cache.get('a')).toEqual({ deep: [1] })
      expect(await verbs.ttl('a')).toBe(600)
      expect(await verbs.expire('a', 'never')).toBe(true)
      clock.advance(1000)
      expect(await cache.get('a')).toEqual({ deep: [1] })
      expect(await verbs.expire('a', 0.5)).toBe(true) // rounded to 1, not refused
      expect(await verbs.ttl('a')).toBe(1)
      clock.advance(1)
      expect(await verbs.ttl('a')).toBeUndefined()
      expect(await verbs.expire('a', 10)).toBe(false)
      expect(await cache.get('a')).toBeUndefined()
    })

    it.each([0, -1, Number.NaN, 'soon'])('a time to live of %o is E_INVALID_TTL', async (ttl) => {
      const { cache, verbs } = make()
      await cache.set('a', 1)
      expect(await codeOf(async () => verbs.expire('a', ttl))).toBe('E_INVALID_TTL')
      expect(await codeOf(async () => verbs.add('b', 1, { ttl }))).toBe('E_INVALID_TTL')
      expect(await codeOf(async () => verbs.increment('b', 1, { ttl }))).toBe('E_INVALID_TTL')
      expect(await cache.ttl('a')).toBe(Number.POSITIVE_INFINITY)
      expect(await cache.size()).toBe(1)
    })

    it('touch_is_an_access_and_tells_what_lives', async () => {
      const { clock, cache, verbs } = make()
      expect(await verbs.touch('a')).toBe(false)
      await cache.set('a', 1, { ttl: 100 })
      const before = (await cache.entry('a'))?.hits ?? 0
      clock.advance(50)
      expect(await verbs.touch('a')).toBe(true)
      const entry = await cache.entry('a')
      if (counts) expect(entry?.hits).toBeGreaterThan(before)
      expect(entry?.accessedAt).toBe(clock())
      expect(entry?.expiresAt).toBe(clock() + 50) // a time to live does not slide by itself
      clock.advance(50)
      expect(await verbs.touch('a')).toBe(false)
    })

    it.runIf(counts)('increment_adds_to_numbers_and_bigints', async () => {
      const { cache, verbs } = make()
      expect(await verbs.increment('n')).toBe(1)
      expect(await verbs.increment('n', 4)).toBe(5)
      expect(await cache.get('n')).toBe(5)
      expect(await verbs.increment('n', -7.5)).toBe(-2.5)
      expect(await verbs.increment('n', 2.5)).toBe(0)
      expect(Object.is(await cache.get('n'), 0)).toBe(true)
      expect(await verbs.increment('b', 2n ** 100n)).toBe(2n ** 100n)
      expect(await verbs.increment('b', -(2n ** 100n) - 1n)).toBe(-1n)
      expect(await cache.get('b')).toBe(-1n)
      await cache.set('n', 1e21)
      expect(await verbs.increment('n', 1e5)).toBe(1e21 + 1e5)
      await cache.set('n', -0)
      expect(await verbs.increment('n', 1)).toBe(1)
      await cache.set('b', 255n)
      expect(await verbs.increment('b', 1n)).toBe(256n)
      await cache.set('b', -(2n ** 127n) + 1n)
      expect(await verbs.increment('b', -1n)).toBe(-(2n ** 127n))
    })

    it.runIf(counts)('increment_keeps_the_time_of_what_is_there_and_gives_one_to_what_is_new', async () => {
      const { clock, cache, verbs } = make({ ttl: 1000 })
      await verbs.increment('n', 1, { ttl: 50 })
      const created = (await cache.entry('n'))?.createdAt
      clock.advance(20)
      await verbs.increment('n', 1, { ttl: 999 })
      expect(await cache.ttl('n')).toBe(30)
      expect((await cache.entry('n'))?.createdAt).toBe(created)
      clock.advance(30)
      expect(await verbs.increment('n')).toBe(1) // it had expired
      expect(await cache.ttl('n')).toBe(1000)
    })

    it.runIf(counts)('what_is_no_number_is_refused_and_stays', async () => {
      const { cache, verbs } = make()
      const others = ['5', null, true, [1], { n: 1 }, new Date(0), Buffer.from('5'), 'x'.repeat(100_000), 5n]
      for (const other of others) {
        await cache.set('k', other)
        const error = await failure(async () => verbs.increment('k', 1))
        expect(error.code, String(other).slice(0, 20)).toBe('E_INVALID_OPTION')
        expect(error.message).toContain('number')
        expect(await cache.get('k')).toEqual(other)
      }
      await cache.set('k', 5)
      expect(await codeOf(async () => verbs.increment('k', 1n))).toBe('E_INVALID_OPTION')
      for (const by of [Number.NaN, Number.POSITIVE_INFINITY, '1', null, {}, 2n ** 127n]) {
        expect(await codeOf(async () => verbs.increment('k', by as number)), String(by)).toBe(
          'E_INVALID_OPTION',
        )
      }
      await cache.set('k', Number.MAX_VALUE)
      expect(await codeOf(async () => verbs.increment('k', Number.MAX_VALUE))).toBe('E_INVALID_OPTION')
      await cache.set('k', 2n ** 127n - 1n)
      expect(await codeOf(async () => verbs.increment('k', 1n))).toBe('E_INVALID_OPTION')
      await cache.set('k', Number.NaN)
      expect(await codeOf(async () => verbs.increment('k', 1))).toBe('E_INVALID_OPTION')
      expect(await codeOf(async () => verbs.add('x', undefined))).toBe('E_UNSERIALIZABLE')
      expect(await codeOf(async () => verbs.update('x', undefined))).toBe('E_UNSERIALIZABLE')
      expect(await codeOf(async () => verbs.add('k', undefined))).toBe('E_UNSERIALIZABLE')
      expect(await codeOf(async () => verbs.add('x', 1, { tll: 1 }))).toBe('E_INVALID_OPTION')
      expect(await codeOf(async () => verbs.increment('x', 1, { codec: 'none' }))).toBe('E_INVALID_OPTION')
    })

    it('closed_is_E_CLOSED', async () => {
      const { cache, verbs } = make()
      await cache.close()
      const calls = [
        () => verbs.add('a', 1),
        () => verbs.update('a', 1),
        () => verbs.touch('a'),
        () => verbs.expire('a', 1),
        () => verbs.ttl('a'),
        () => verbs.increment('a'),
      ]
      for (const call of calls) expect(await codeOf(async () => call()), String(call)).toBe('E_CLOSED')
    })
  })

  describe('verbs that look first, un-awaited', () => {
    const make = () => openCache(optionsFor(tiers))

    it('of_many_adds_of_one_key_one_stores', async () => {
      const cache = make()
      const stored = await Promise.all(Array.from({ length: 50 }, (_, index) => cache.add('a', index)))
      expect(stored.filter((one) => one)).toHaveLength(1)
      expect(await cache.get('a')).toBe(stored.indexOf(true))
    })

    it.runIf(counts)('a_thousand_increments_of_one_tick_are_a_thousand', async () => {
      const cache = make()
      const sums = await Promise.all(Array.from({ length: 1000 }, () => cache.increment('n')))
      expect(sums).toEqual(Array.from({ length: 1000 }, (_, index) => index + 1))
      const big = await Promise.all(Array.from({ length: 3000 }, () => cache.increment('big', 1n)))
      expect(big.at(-1)).toBe(3000n)
    })

    it.runIf(counts)('verbs_come_in_the_order_of_the_program', async () => {
      const cache = make()
      const done = [
        cache.set('a', 1),
        cache.increment('a', 2),
        cache.add('a', 99),
        cache.get('a'),
        cache.update('a', 10),
        cache.increment('a'),
        cache.get('a'),
        cache.delete('a'),
        cache.update('a', 5),
        cache.get('a'),
        cache.add('a', 7),
        cache.expire('a', 1000),
        cache.has('a'),
      ]
      const [, sum, added, first, updated, second, read, deleted, late, gone, again, expired, has] =
        await Promise.all(done)
      expect([sum, added, updated, second, deleted, late, again, expired, has]).toEqual([
        3,
        false,
        true,
        11,
        true,
        false,
        true,
        true,
        true,
      ])
      // A read may see later writes, never earlier ones.
      expect(first).not.toBe(1)
      expect([11, undefined, 7]).toContain(read)
      expect([undefined, 7]).toContain(gone)
      expect(await cache.get('a')).toBe(7)
    })

    it.runIf(counts)('sync_verbs_come_after_what_is_on_its_way_and_are_applied_once', async () => {
      const cache = make()
      for (let round = 0; round < 10; round++) {
        const large = cache.set('large', Buffer.alloc(300_000, round)) // takes the thread pool
        const small = cache.set('n', 100)
        const queued = cache.increment('n')
        expect(cache.incrementSync('n')).toBe(102)
        expect(cache.addSync('n', 5)).toBe(false)
        expect(cache.updateSync('large', 'short')).toBe(true)
        cache.setSync('n', 7)
        expect(cache.incrementSync('n')).toBe(8)
        await Promise.all([large, small])
        expect(await queued).toBe(101)
        expect(await cache.get('n')).toBe(8)
        expect(await cache.get('large')).toBe('short')
      }
    })

    it('a_change_outdates_loads_under_way', async () => {
      const cache = make()
      let land: (value: number) => void = () => {}
      const load = () => new Promise<number>((resolve) => (land = resolve))
      await cache.set('a', 0)
      const changes: (() => Promise<unknown>)[] = [() => cache.update('a', 1)]
      if (counts) changes.push(() => cache.increment('a'))
      for (const change of changes) {
        const loaded = cache.refresh('a', load)
        await new Promise(setImmediate)
        await change()
        land(99)
        expect(await loaded).toBe(99)
        expect(await cache.get('a')).not.toBe(99)
      }
    })
  })

  it.runIf(tiers.disk)('two_caches_on_one_directory_see_each_others_changes_at_once', async () => {
    const clock = fakeClock()
    const options = optionsFor(tiers, { clock })
    const [a, b] = [openCache(options), openCache(options)]
    await a.set('k', 1)
    expect(await b.get('k')).toBe(1)
    if (counts) {
      expect(await a.increment('k')).toBe(2)
      expect(await b.get('k')).toBe(2)
      expect(b.incrementSync('k')).toBe(3)
    } else b.setSync('k', 3)
    expect(a.getSync('k')).toBe(3)
    expect(await b.update('k', 'x')).toBe(true)
    expect(await a.get('k')).toBe('x')
    expect(await a.expire('k', 10)).toBe(true)
    expect(await b.ttl('k')).toBe(10)
    clock.advance(10)
    expect(await b.get('k')).toBeUndefined()
    expect(await b.add('k', 1)).toBe(true)
    expect(await a.add('k', 2)).toBe(false)
    expect(await a.get('k')).toBe(1)
    await b.delete('k')
    expect(await a.update('k', 3)).toBe(false)
    expect(await a.add('k', 4)).toBe(true)
  })
}
