/** What a namespace adds to a cache: its own keys, tags, defaults, counts. What its verbs do is tested with the cache's. */
import { inspect } from 'node:util'
import { Cache, type CacheOptions, HashedKey } from 'tierce'
import { describe, expect, it } from 'vitest'
import { fakeClock } from './helpers/clock.js'
import { codeOf } from './helpers/errors.js'
import { openCache, tempDir } from './helpers/temp.js'

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const item of items) list.push(item)
  return list
}

it('is_shown_by_its_facts', async () => {
  const space = new Cache().namespace('users')
  await space.get('none')
  const shown = "Namespace { name: 'users', dir: undefined, hits: 0, misses: 1, isClosed: false }"
  expect(inspect(space, { breakLength: 200 })).toBe(shown)
})

it('has_the_type_of_its_values', async () => {
  const ages = new Cache().namespace<number>('ages', { ttl: (age) => age + 1 })
  await ages.set('ada', 36)
  const age: number | undefined = await ages.get('ada')
  expect([age, ages.getSync('ada')?.toFixed(1)]).toEqual([36, '36.0'])
  for await (const [, value] of ages) expect(value.toFixed(1)).toBe('36.0')
  // @ts-expect-error A text is no age.
  await ages.set('ada', 'old')
  const text: string | undefined = await ages.get<string>('ada')
  expect(text).toBe('old')
})

describe.each<{ tiers: string; make: (options?: CacheOptions) => Cache }>([
  { tiers: 'memory', make: (options) => openCache(options) },
  { tiers: 'disk', make: (options) => openCache({ dir: tempDir(), memory: false, ...options }) },
  { tiers: 'memory and disk', make: (options) => openCache({ dir: tempDir(), ...options }) },
])('in $tiers', ({ make }) => {
  it('what_increment_makes_is_of_the_namespace_and_has_its_defaults', async () => {
    const clock = fakeClock()
    const cache = make({ clock })
    const [space, other] = [cache.namespace('n', { ttl: 1000, tags: ['base'] }), cache.namespace('o')]
    expect(
      await Promise.all([space.increment('a'), space.increment('a', 2), space.increment('b', 5n)]),
    ).toEqual([1, 3, 5n])
    expect(space.incrementSync('c', 1.5)).toBe(1.5)
    expect(space.incrementSync('c', 1, { ttl: 50 })).toBe(2.5)
    expect([await other.has('a'), await cache.has('a')]).toEqual([false, false])
    expect((await space.entry('a'))?.tags).toEqual(['base'])
    expect([await space.ttl('a'), space.ttlSync('c')]).toEqual([1000, 1000])
    expect(await space.increment('short', 1, { ttl: 50 })).toBe(1)
    expect(await space.ttl('short')).toBe(50)
    expect(await codeOf(() => space.increment('a', 1, { tags: [] } as never))).toBe('E_INVALID_OPTION')
    await space.set('text', 'x')
    expect(await codeOf(() => space.increment('text'))).toBe('E_INVALID_OPTION')
    expect(await space.get('text')).toBe('x')
    expect(await space.invalidateTags('base')).toBe(5)
    expect([await space.get('a'), await space.increment('a')]).toEqual([undefined, 1])
    expect(space.clearSync()).toBe(1)
    expect(await cache.size()).toBe(0)
  })

  it('a_thousand_increments_of_one_tick_that_make_the_entry_are_a_thousand', async () => {
    const cache = make()
    const space = cache.namespace('n')
    await Promise.all(Array.from({ length: 1000 }, () => space.increment('k')))
    expect(await space.get('k')).toBe(1000)
    expect(await space.clear()).toBe(1)
  })

  it('a_transaction_sees_and_changes_the_keys_of_the_namespace_alone', async () => {
    const cache = make()
    const space = cache.namespace('n', { ttl: '1h', tags: ['base'] })
    await cache.set('a', 'outside')
    await space.set('a', 1)
    const seen = await space.transaction(async (tx) => {
      await tx.set('b', 2)
      await tx.increment('new', 7)
      await tx.increment('new')
      await tx.delete('a')
      return [await tx.getMany(['a', 'b', 'new']), await tx.has('a')]
    })
    expect(seen).toEqual([[undefined, 2, 8], false])
    expect([await cache.get('a'), await cache.has('b'), await space.getMany(['a', 'b', 'new'])]).toEqual([
      'outside',
      false,
      [undefined, 2, 8],
    ])
    expect((await space.entry('new'))?.tags).toEqual(['base'])
    expect(await space.ttl('new')).toBeGreaterThan(3_599_000)
    expect(space.transactionSync((tx) => tx.increment('new', 2))).toBe(10)
    await expect(
      space.transaction(async (tx) => {
        await tx.set('b', 3)
        throw new Error('no')
      }),
    ).rejects.toThrow('no')
    const torn = space.transaction(async (tx) => {
      await tx.get('b')
      space.setSync('b', 4)
      await tx.set('b', 5)
    })
    await expect(torn).rejects.toMatchObject({ code: 'E_TRANSACTION' })
    const inner = cache.transaction(() => space.transaction(() => 1))
    await expect(inner).rejects.toMatchObject({ code: 'E_TRANSACTION' })
    expect(await space.get('b')).toBe(4)
    expect(await space.invalidateTags('base')).toBe(2)
    expect(await cache.size()).toBe(1)
  })

  it('its_listings_are_of_its_keys_as_they_were_given', async () => {
    const clock = fakeClock()
    const cache = make({ clock })
    const space = cache.namespace('n')
    const ids = Array.from({ length: 250 }, (_, id) => `user:${String(id).padStart(3, '0')}`)
    await cache.setMany(ids.map((id) => [id, 'outside']))
    await cache.namespace('n2').setMany(ids.map((id) => [id, 'other']))
    await cache.namespace('m').setMany(ids.map((id) => [id, 'other']))
    await space.setMany(ids.map((id) => [id, id]))
    await space.set({ id: 1 }, 'object', { tags: ['t'], ttl: 1000 })
    await space.set('\ud800', 'ill-formed')
    const keys = await all(space.keys())
    expect(keys).toHaveLength(252)
    expect(keys).toEqual(expect.arrayContaining([...ids, { id: 1 }, '\ud800']))
    expect(await all(space.keys({ prefix: 'user:24' }))).toHaveLength(10)
    expect(await all(space.keys({ match: 'user:?0[12]' }))).toHaveLength(6)
    expect(await all(space.keys({ prefix: '\ud800' }))).toEqual(['\ud800'])
    const pages: unknown[] = []
    for (let after: unknown; ; after = pages.at(-1)) {
      const page = await all(
        space.keys({ limit: 100, ...(after === undefined ? {} : { after: after as string }) }),
      )
      if (page.length === 0) break
      pages.push(...page)
    }
    expect(pages).toEqual(keys)
    const entries = await all(space.entries<string>({ values: true }))
    expect(new Set(entries.map(({ value }) => value))).toEqual(new Set([...ids, 'object', 'ill-formed']))
    expect(entries.find(({ value }) => value === 'object')).toMatchObject({ key: { id: 1 }, tags: ['t'] })
    expect((await all(space.entries())).every((entry) => !('value' in entry))).toBe(true)
    expect(await all(space.keysWithExpiry())).toEqual([[{ id: 1 }, clock() + 1000]])
    expect(new Map(await all(space)).get('user:007')).toBe('user:007')
    expect(await space.stats()).toMatchObject({ entries: 252 })
    expect(await codeOf(() => all(space.keys({ limit: 0 })))).toBe('E_INVALID_OPTION')
    clock.advance(1000)
    expect(await space.size()).toBe(251)
  })

  it('streams_and_the_forms_on_this_thread_are_of_the_namespace', async () => {
    const cache = make()
    const space = cache.namespace('n')
    await space.setStream('s', [Buffer.from('ab'), 'cd'])
    expect(await cache.getStream('s')).toBeUndefined()
    const pieces = await all((await space.getStream('s')) as AsyncIterable<Buffer>)
    expect(Buffer.concat(pieces).toString()).toBe('abcd')
    space.setManySync({ a: 1, b: 2 })
    expect(space.getManySync(['a', 'b', 'none'])).toEqual([1, 2, undefined])
    expect([space.addSync('a', 3), space.addSync('c', 3), space.updateSync('c', 4)]).toEqual([
      false,
      true,
      true,
    ])
    expect([space.hasSync('c'), cache.hasSync('c'), space.touchSync('c')]).toEqual([true, false, true])
    expect([space.expireSync('c', 5000), space.getOrThrowSync('c')]).toEqual([true, 4])
    expect(() => space.getOrThrowSync('none')).toThrow(expect.objectContaining({ code: 'E_KEY_NOT_FOUND' }))
    expect(space.refreshSync('c', () => 6)).toBe(6)
    expect([space.getOrSetSync('c', () => 7), space.getOrSetSync('d', () => 7)]).toEqual([6, 7])
    expect(await space.stats()).toMatchObject({ entries: 5, hits: 5, misses: 3 })
    expect(space.deleteManySync(['a', 'b', 'none'])).toBe(2)
    space.setSync('t', 1, { tags: ['t'] })
    expect([space.invalidateTagsSync('t'), space.clearSync(), await cache.size()]).toEqual([1, 3, 0])
  })
})

it('keys_that_the_directory_does_not_name_are_told_of', async () => {
  const cache = openCache({ dir: tempDir(), storeKeys: false })
  const space = cache.namespace('n')
  await space.set('a', 1)
  expect(await codeOf(() => all(space.keys()))).toBe('E_INVALID_OPTION')
  expect(await codeOf(() => space.stats())).toBe('E_INVALID_OPTION')
  expect((await all(cache.keys()))[0]).toBeInstanceOf(HashedKey)
  expect([await space.increment('n', 2), await space.clear()]).toEqual([2, 2])
})

it('a_directory_without_a_database_has_no_increments_and_leaves_nothing_of_one', async () => {
  const cache = openCache({ dir: tempDir(), metadata: 'json' })
  const space = cache.namespace('n')
  expect(await codeOf(() => space.increment('k'))).toBe('E_UNAVAILABLE')
  expect(await codeOf(() => space.transaction(() => 1))).toBe('E_UNAVAILABLE')
  expect(await space.size()).toBe(0)
  await space.setMany({ a: 1, b: 2 })
  expect(await all(space.keys())).toHaveLength(2)
})
