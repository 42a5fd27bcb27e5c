/** How a `Cache` behaves, whatever its tiers are. */
import type { Cache, CacheOptions } from 'tierce'
import { describe, expect, it } from 'vitest'
import { fakeClock } from '../helpers/clock.js'
import { codeOf, failure } from '../helpers/errors.js'
import { openCache, tempDir } from '../helpers/temp.js'

/** Which tiers are under test. */
export interface Tiers {
  memory: boolean
  disk: boolean
  values?: 'shared' | 'copy'
  /** Without a database: what takes one is refused. */
  metadata?: 'json'
  /** More options of the cache under test. */
  options?: CacheOptions
}

/** Options of a cache with these tiers, in a new directory if there is one. */
export function optionsFor(tiers: Tiers, more: CacheOptions = {}): CacheOptions {
  const { memory, values, metadata, options } = tiers
  return { ...(tiers.disk ? { dir: tempDir(), metadata } : {}), memory, values, ...options, ...more }
}

/** Each verb, and how they fit together. */
export function verbsSuite(tiers: Tiers): void {
  const make = (more: CacheOptions = {}) => openCache(optionsFor(tiers, more))

  describe('verbs', () => {
    it('get_gives_what_set_stored_and_undefined_for_the_rest', async () => {
      const cache = make()
      expect(await cache.get('a')).toBeUndefined()
      await cache.set('a', { b: [1] })
      expect(await cache.get('a')).toEqual({ b: [1] })
      expect(cache.getSync('a')).toEqual({ b: [1] })
      await cache.set('a', 2)
      expect(await cache.get('a')).toBe(2)
    })

    it('sync_and_async_forms_see_each_other', async () => {
      const cache = make()
      cache.setSync('s', 'sync')
      expect(await cache.get('s')).toBe('sync')
      await cache.set('t', 'async')
      expect(cache.getSync('t')).toBe('async')
      expect(cache.deleteSync('t')).toBe(true)
      expect(cache.deleteSync('t')).toBe(false)
      expect(await cache.get('t')).toBeUndefined()
      expect(await cache.delete('s')).toBe(true)
      expect(cache.getSync('s')).toBeUndefined()
    })

    it('the_sync_forms_of_verbs_of_many_keys_do_what_the_others_do', async () => {
      const cache = make()
      const late = cache.set('late', 0)
      cache.setManySync([
        ['a', 1],
        ['b', { c: 2 }],
      ])
      cache.setManySync({ d: 3 })
      expect(cache.getManySync(['d', 'z', 'b', 'late'])).toEqual([3, undefined, { c: 2 }, 0])
      await late
      expect(await cache.getMany(['a', 'b', 'd'])).toEqual([1, { c: 2 }, 3])
      expect([cache.hasSync('a'), cache.hasSync('z')]).toEqual([true, false])
      expect(cache.deleteManySync(['a', 'a', 'z', 'd'])).toBe(2)
      expect(await cache.has('a')).toBe(false)
      const wrong: unknown[] = [
        () => cache.getManySync('ab'),
        () => cache.deleteManySync(5 as never),
        () => cache.setManySync('ab' as never),
      ]
      for (const call of wrong) expect(await codeOf(call as () => unknown)).toBe('E_INVALID_OPTION')
      expect(await codeOf(() => cache.setManySync({ e: 1, f: undefined }))).toBe('E_UNSERIALIZABLE')
      expect(cache.hasSync('e')).toBe(false)
      const onItsWay = cache.set('g', 1)
      cache.clearSync()
      await onItsWay
      expect([cache.hasSync('b'), await cache.size()]).toEqual([false, 0])
      expect(cache.metrics().removals.clear).toBeGreaterThan(0)
    })

    it('has_delete_and_deleteMany_tell_what_was_there', async () => {
      const cache = make()
      await cache.setMany([
        ['a', 1],
        ['b', 2],
        ['c', 3],
      ])
      expect(await cache.has('a')).toBe(true)
      expect(await cache.has('z')).toBe(false)
      expect(await cache.delete('a')).toBe(true)
      expect(await cache.delete('a')).toBe(false)
      expect(await cache.has('a')).toBe(false)
      expect(await cache.deleteMany(['a', 'b', 'z', 'c'])).toBe(2)
      expect(await cache.size()).toBe(0)
    })

    it('getMany_is_aligned_with_its_keys', async () => {
      const cache = make()
      await cache.setMany([
        ['a', null],
        [{ n: 1 }, 'x'],
      ])
      expect(await cache.getMany(['z', 'a', { n: 1 }, 'y', 'a'])).toEqual([
        undefined,
        null,
        'x',
        undefined,
        null,
      ])
      expect(await cache.getMany([])).toEqual([])
      await cache.setMany([])
      expect(await cache.deleteMany([])).toBe(0)
    })

    it('setMany_takes_the_last_value_of_a_key_that_is_given_twice', async () => {
      const cache = make()
      await cache.setMany([
        ['a', 1],
        ['a', 2],
      ])
      expect(await cache.get('a')).toBe(2)
      expect(await cache.size()).toBe(1)
    })

    it('setMany_stores_all_or_nothing', async () => {
      const cache = make()
      const writes: [string, unknown][] = [
        ['a', 1],
        ['b', undefined],
      ]
      expect(await codeOf(cache.setMany(writes))).toBe('E_UNSERIALIZABLE')
      expect(await cache.get('a')).toBeUndefined()
    })

    it('entry_tells_what_is_known', async () => {
      const clock = fakeClock()
      const cache = make({ clock })
      expect(await cache.entry('a')).toBeUndefined()
      await cache.set('a', 'text', { ttl: '1s' })
      clock.advance(10)
      await cache.get('a')
      const entry = await cache.entry<string>('a')
      expect(entry).toMatchObject({ value: 'text', createdAt: clock() - 10, expiresAt: clock() + 990 })
      expect(entry?.tier).toBe(tiers.memory ? 'memory' : 'disk')
      expect(entry?.kind).toBe(tiers.disk || tiers.values === 'copy' ? 'string' : 'live')
      expect(entry?.size).toBeGreaterThan(0)
      await cache.set('b', 1)
      expect((await cache.entry('b'))?.expiresAt).toBe(Number.POSITIVE_INFINITY)
    })

    it('keys_come_back_as_they_were_given', async () => {
      const cache = make()
      const given = ['user:1', 'user:2', 'x', '', 7, { a: [1, { b: 2n }] }, null]
      for (const key of given) await cache.set(key, 1)
      const listed: unknown[] = []
      for await (const key of cache.keys()) listed.push(key)
      expect(listed).toHaveLength(given.length)
      expect(listed).toEqual(expect.arrayContaining(given))
      const users: unknown[] = []
      for await (const key of cache.keys({ prefix: 'user:' })) users.push(key)
      expect(users.sort()).toEqual(['user:1', 'user:2'])
      const some: unknown[] = []
      for await (const key of cache.keys({ limit: 3 })) some.push(key)
      expect(some).toHaveLength(3)
    })

    it('keys_lists_each_of_thousands_once', async () => {
      const cache = make()
      const given = Array.from({ length: 2500 }, (_, index) => `k${index}`)
      await cache.setMany(given.map((key) => [key, 1]))
      const listed: unknown[] = []
      for await (const key of cache.keys()) listed.push(key)
      expect(listed.length).toBe(2500)
      expect(new Set(listed)).toEqual(new Set(given))
    })

    it('clear_removes_everything_also_what_is_on_its_way', async () => {
      const cache = make()
      await cache.set('a', 1)
      const late = cache.set('b', 2)
      await cache.clear()
      await late
      expect(await cache.getMany(['a', 'b'])).toEqual([undefined, undefined])
      expect(await cache.size()).toBe(0)
      await cache.set('a', 3)
      expect(await cache.get('a')).toBe(3)
    })

    it('size_and_stats_count_entries_once_however_often_they_are_overwritten', async () => {
      const cache = make()
      for (let round = 0; round < 5; round++) await cache.set('a', 'x'.repeat(100))
      await cache.set('b', 'y')
      expect(await cache.size()).toBe(2)
      await cache.get('a')
      await cache.get('nothing')
      const stats = await cache.stats()
      expect(stats).toMatchObject({ entries: 2, hits: 1, misses: 1 })
      if (tiers.disk) expect(stats.size).toBe(101)
      expect(stats.memory.entries).toBe(tiers.memory ? 2 : 0)
      expect(stats.diskSize > 0).toBe(tiers.disk)
    })

    it('getOrSet_loads_once_and_stores', async () => {
      const cache = make()
      let loads = 0
      const load = async () => ++loads
      expect(await cache.getOrSet('a', load)).toBe(1)
      expect(await cache.getOrSet('a', load)).toBe(1)
      expect(cache.getOrSetSync('a', () => 99)).toBe(1)
      expect(await cache.refresh('a', load)).toBe(2)
      expect(await cache.get('a')).toBe(2)
      expect(cache.refreshSync('a', () => ++loads)).toBe(3)
      expect(cache.getSync('a')).toBe(3)
      expect(cache.getOrSetSync('b', () => 'loaded')).toBe('loaded')
      expect(await cache.get('b')).toBe('loaded')
    })

    it('undefined_is_refused_and_nothing_changes', async () => {
      const cache = make()
      await cache.set('a', 1)
      expect(await codeOf(cache.set('a', undefined))).toBe('E_UNSERIALIZABLE')
      expect(await codeOf(() => cache.setSync('a', undefined))).toBe('E_UNSERIALIZABLE')
      expect(await cache.get('a')).toBe(1)
    })

    it('misspelt_options_are_refused', async () => {
      const cache = make()
      const options = { tll: 5 } as object
      expect((await failure(cache.set('a', 1, options))).message).toContain("'ttl'")
      expect(await codeOf(cache.getOrSet('a', () => 1, options))).toBe('E_INVALID_OPTION')
      expect(await codeOf(cache.getOrSet('a', 5 as never))).toBe('E_INVALID_OPTION')
      expect(await codeOf(() => cache.on('eror' as 'error', () => {}))).toBe('E_INVALID_OPTION')
      expect(await codeOf(cache.keys({ max: 5 } as object).next())).toBe('E_INVALID_OPTION')
    })
  })

  closingSuite(tiers)
}

function closingSuite(tiers: Tiers): void {
  const make = () => openCache(optionsFor(tiers))

  describe('closing', () => {
    it('closing_twice_is_closing_once_and_both_wait', async () => {
      const cache = make()
      await Promise.all([cache.close(), cache.close()])
      await cache.close()
    })

    it('every_verb_after_close_is_E_CLOSED', async () => {
      const cache = make()
      await cache.set('a', 1)
      await cache.close()
      const verbs: (() => unknown)[] = [
        () => cache.get('a'),
        () => cache.getSync('a'),
        () => cache.set('a', 2),
        () => cache.setSync('a', 2),
        () => cache.entry('a'),
        () => cache.has('a'),
        () => cache.delete('a'),
        () => cache.deleteSync('a'),
        () => cache.hasSync('a'),
        () => cache.getManySync(['a']),
        () => cache.setManySync({ a: 1 }),
        () => cache.deleteManySync(['a']),
        () => cache.clearSync(),
        () => cache.getMany(['a']),
        () => cache.setMany([['a', 2]]),
        () => cache.deleteMany(['a']),
        () => cache.clear(),
        () => cache.keys().next(),
        () => cache.size(),
        () => cache.stats(),
      ]
      for (const verb of verbs) expect(await codeOf(verb), String(verb)).toBe('E_CLOSED')
    })

    it('close_finishes_what_is_under_way', async () => {
      const cache = make()
      const writes = Array.from({ length: 20 }, (_, index) =>
        cache.set(`k${index}`, Buffer.alloc(20_000, index)),
      )
      const read = cache.get<Buffer>('k7')
      await cache.close()
      await Promise.all(writes)
      expect((await read)?.equals(Buffer.alloc(20_000, 7))).toBe(true)
    })

    it('await_using_closes', async () => {
      const cache: Cache = make()
      await cache[Symbol.asyncDispose]()
      expect(await codeOf(cache.get('a'))).toBe('E_CLOSED')
    })
  })
}
