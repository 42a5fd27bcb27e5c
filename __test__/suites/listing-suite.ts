/** Listings: pages, prefixes, patterns, and going on behind a key. */
import type { CacheOptions, KeysOptions } from 'tierce'
import { describe, expect, it } from 'vitest'
import { fakeClock } from '../helpers/clock.js'
import { codeOf } from '../helpers/errors.js'
import { openCache } from '../helpers/temp.js'
import { optionsFor, type Tiers } from './cache-suite.js'

async function all<T>(listing: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of listing) items.push(item)
  return items
}

export function listingSuite(tiers: Tiers): void {
  const make = (more: CacheOptions = {}) => openCache(optionsFor(tiers, more))

  describe('listings', () => {
    it('prefix_and_match_look_at_string_keys', async () => {
      const cache = make()
      const given = [
        'user:1',
        'user:2',
        'user:10',
        'users',
        'log-7',
        'log-x',
        'a*b',
        'axb',
        'ключ:1',
        'ключ:😀',
        '',
        '\0user:1',
        'user:\uD800',
        7,
        { prefix: 'user:1' },
        ['user:1'],
      ]
      for (const key of given) await cache.set(key, 1)
      const list = async (options: KeysOptions) => (await all(cache.keys(options))).map(String).sort()
      expect(await list({ prefix: 'user:' })).toEqual(['user:1', 'user:10', 'user:2', 'user:\uD800'])
      expect(await list({ prefix: '\0user' })).toEqual(['\0user:1'])
      expect(await list({ prefix: 'ключ:' })).toEqual(['ключ:1', 'ключ:😀'])
      expect(await list({ match: 'user:?' })).toEqual(['user:1', 'user:2', 'user:\uD800'])
      expect(await list({ match: 'user:*' })).toHaveLength(4)
      expect(await list({ match: '*:1*' })).toEqual(['\0user:1', 'user:1', 'user:10', 'ключ:1'])
      expect(await list({ match: 'log-[0-9]' })).toEqual(['log-7'])
      expect(await list({ match: 'log-[!0-9]' })).toEqual(['log-x'])
      expect(await list({ match: 'a\\*b' })).toEqual(['a*b'])
      expect(await list({ match: 'a[*]b' })).toEqual(['a*b'])
      expect(await list({ match: 'a*b' })).toEqual(['a*b', 'axb'])
      expect(await list({ match: 'ключ:?' })).toEqual(['ключ:1', 'ключ:😀'])
      expect(await list({ match: '' })).toEqual([''])
      expect(await list({ prefix: 'user', match: '*s' })).toEqual(['users'])
      expect(await list({ prefix: 'log', match: 'user*' })).toEqual([])
      expect(await all(cache.keys())).toHaveLength(given.length)
      expect(await all(cache.keys({ prefix: '' }))).toHaveLength(given.length)
    })

    it('after_goes_on_behind_a_key_also_when_that_is_gone', async () => {
      const cache = make()
      const given = Array.from({ length: 250 }, (_, index) => (index % 5 === 0 ? { index } : `k${index}`))
      await cache.setMany(given.map((key) => [key, 1]))
      const whole = await all(cache.keys())
      expect(await all(cache.keys())).toEqual(whole) // the order stays the same
      const resumed: unknown[] = []
      let after: KeysOptions['after']
      for (;;) {
        const some = await all(cache.keys({ limit: 30, after }))
        if (some.length === 0) break
        expect(some.length).toBeLessThanOrEqual(30)
        resumed.push(...some)
        after = some.at(-1)
        await cache.delete(after as string)
      }
      expect(resumed).toEqual(whole)
      const users = await all(cache.keys({ match: 'k1*', limit: 3 }))
      expect(users).toHaveLength(3)
      const rest = await all(cache.keys({ match: 'k1*', after: users[2] }))
      const matching = (await all(cache.keys())).filter((key) => String(key).startsWith('k1'))
      expect([...users, ...rest]).toEqual(expect.arrayContaining(matching))
    })

    it('entries_say_what_is_known_without_the_values_unless_asked', async () => {
      const clock = fakeClock()
      const cache = make({ clock })
      await cache.set('a', 'text', { ttl: 1000 })
      await cache.set({ b: 1 }, { n: [1] }, { tags: ['t'], description: 'd' })
      await cache.set('gone', 1, { ttl: 5 })
      clock.advance(5)
      const listed = await all(cache.entries())
      expect(listed.map(({ key }) => key)).toEqual(expect.arrayContaining(['a', { b: 1 }]))
      expect(listed).toHaveLength(2)
      const a = listed.find(({ key }) => key === 'a')
      expect(a).toMatchObject({ createdAt: clock() - 5, expiresAt: clock() + 995, hits: 0, tags: [] })
      expect('value' in (a ?? {})).toBe(false)
      expect(a?.tier).toBe(tiers.memory ? 'memory' : 'disk')
      expect(a?.size).toBeGreaterThan(0)
      const b = listed.find(({ key }) => key !== 'a')
      expect(b).toMatchObject({ tags: ['t'], description: 'd', expiresAt: Number.POSITIVE_INFINITY })
      const valued = await all(cache.entries({ values: true }))
      expect(valued.map(({ value }) => value)).toEqual(expect.arrayContaining(['text', { n: [1] }]))
      expect(await all(cache.entries({ prefix: 'a', values: true }))).toMatchObject([
        { key: 'a', value: 'text' },
      ])
      const pairs = await all(cache)
      expect(pairs).toEqual(
        expect.arrayContaining([
          ['a', 'text'],
          [{ b: 1 }, { n: [1] }],
        ]),
      )
      expect(await all(cache.keysWithExpiry())).toEqual([['a', clock() + 995]])
      await cache.expire('a', 'never')
      expect(await all(cache.keysWithExpiry())).toEqual([])
    })

    it('entries_that_come_or_go_meanwhile_disturb_no_others', async () => {
      const cache = make()
      const given = Array.from({ length: 2500 }, (_, index) => `k${index}`)
      await cache.setMany(given.map((key) => [key, 1]))
      const seen: string[] = []
      for await (const { key } of cache.entries<number>()) {
        seen.push(key as string)
        if (seen.length === 10) await cache.setMany(given.map((one) => [`new${one}`, 1]))
        if (seen.length === 20) await cache.deleteMany(given.slice(0, 100))
      }
      const known = new Set(seen)
      expect(known.size).toBe(seen.length)
      for (const key of given.slice(100)) expect(known.has(key), key).toBe(true)
    })

    it('bad_options_are_refused', async () => {
      const cache = make()
      const bad: object[] = [
        { prefix: 5 },
        { match: 5 },
        { match: '[a' },
        { match: 'a\\' },
        { match: '[z-a]' },
        { limit: 0 },
        { limit: 1.5 },
        { from: 'a' },
      ]
      for (const options of bad) {
        expect(await codeOf(cache.keys(options).next()), JSON.stringify(options)).toBe('E_INVALID_OPTION')
      }
      expect(await codeOf(cache.keys({ after: (() => 1) as never }).next())).toBe('E_INVALID_KEY')
      expect(await codeOf(cache.entries({ values: 1 as never }).next())).toBe('E_INVALID_OPTION')
      expect(await codeOf(cache.keys({ values: true } as object).next())).toBe('E_INVALID_OPTION')
    })

    it('a_closed_cache_lists_nothing', async () => {
      const cache = make()
      await cache.set('a', 1)
      await cache.close()
      for (const listing of [
        cache.keys(),
        cache.entries(),
        cache.keysWithExpiry(),
        cache[Symbol.asyncIterator](),
      ]) {
        expect(await codeOf((listing as AsyncGenerator).next())).toBe('E_CLOSED')
      }
    })
  })
}
