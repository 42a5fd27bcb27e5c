import { join } from 'node:path'
import { type Cache, type CacheOptions, cached, controls, wrap, wrapGenerator, wrapSync } from 'tierce'
import { describe, expect, expectTypeOf, it, vi } from 'vitest'
import { fakeClock } from './helpers/clock.js'
import { codeOf } from './helpers/errors.js'
import { openCache, tempDir } from './helpers/temp.js'

const soon = () => new Promise((resolve) => setImmediate(resolve))

describe.each<{ tiers: string; make: (options?: CacheOptions) => Cache }>([
  { tiers: 'memory', make: (options) => openCache(options) },
  { tiers: 'disk', make: (options) => openCache({ dir: tempDir(), memory: false, ...options }) },
  { tiers: 'memory and disk', make: (options) => openCache({ dir: tempDir(), ...options }) },
])('wrapped functions in $tiers', ({ make }) => {
  it.each<[string, (cache: Cache, key: never) => unknown]>([
    ['delete', (cache, key) => cache.delete(key)],
    ['deleteSync', (cache, key) => cache.deleteSync(key)],
    ['deleteMany', (cache, key) => cache.deleteMany([key])],
    ['clear', (cache) => cache.clear()],
    ['invalidateTags', (cache) => cache.invalidateTags('all')],
    ['invalidateTagsSync', (cache) => cache.invalidateTagsSync(['all', 'none'])],
    ['expiry', (cache) => (cache as unknown as { advance(): void }).advance()],
  ])('a_result_found_many_times_is_gone_at_once_after_%s', async (_, remove) => {
    const clock = fakeClock()
    const cache = make({ clock })
    Object.assign(cache, { advance: () => clock.advance(60_000) })
    const load = vi.fn(async (id: string) => ({ id, call: load.mock.calls.length }))
    const user = wrap(cache, load, { name: 'user', ttl: '1m', tags: ['all'] })
    for (let round = 0; round < 5; round++) expect(await user('a')).toEqual({ id: 'a', call: 1 })
    await remove(cache, user.key('a') as never)
    expect(await user('a')).toEqual({ id: 'a', call: 2 })
    expect(await user('a')).toEqual({ id: 'a', call: 2 })
    await cache.set(user.key('a'), 'set')
    expect(await user('a')).toBe('set')
    const length = wrapSync(cache, (text: string) => text.length, {
      name: 'length',
      tags: ['all'],
      ttl: '1m',
    })
    for (let round = 0; round < 3; round++) expect(length('abc')).toBe(3)
    cache.setSync(length.key('abc'), 5, { tags: ['all'], ttl: '1m' })
    expect(length('abc')).toBe(5)
    await remove(cache, length.key('abc') as never)
    expect(length('abc')).toBe(3)
  })

  it('single_arguments_of_all_kinds_are_told_apart_also_when_they_are_found_again', async () => {
    const cache = make()
    const show = wrap(cache, async (value?: unknown) => `${typeof value} ${Object.is(value, -0) ? '-0' : String(value)}`, { name: 'show' }) // biome-ignore format: one call
    const values = [
      0,
      -0,
      1,
      '1',
      1n,
      true,
      'true',
      null,
      'null',
      Number.NaN,
      'NaN',
      '',
      undefined,
      '\ud800',
      [1],
    ]
    const first = await Promise.all(values.map((value) => show(value)))
    for (let round = 0; round < 3; round++) {
      for (const [index, value] of values.entries()) expect(await show(value)).toBe(first[index])
    }
    expect(new Set(first).size).toBe(values.length)
    expect(show.stats()).toEqual({ calls: values.length * 4, loads: values.length, errors: 0 })
  })

  it('peek_never_calls_and_stats_count', async () => {
    const cache = make()
    const load = wrap(cache, async (ok: boolean) => {
      if (!ok) throw new Error('no')
      return 'yes'
    }, { name: 'load' }) // biome-ignore format: one call
    expect(await load.peek(true)).toBeUndefined()
    await Promise.all([load(true), load(true)])
    expect(await load.peek(true)).toBe('yes')
    await expect(load(false)).rejects.toThrow('no')
    expect(load.stats()).toEqual({ calls: 3, loads: 2, errors: 1 })
  })

  it('keyThis_tells_objects_apart', async () => {
    const cache = make()
    class Api {
      constructor(readonly host: string) {}
      async get(path: string): Promise<string> {
        return this.host + path
      }
    }
    const get = wrap(cache, Api.prototype.get, { name: 'get', keyThis: (self: Api) => self.host })
    const [a, b] = [new Api('a'), new Api('b')]
    expect([await get.call(a, '/'), await get.call(b, '/'), await get.call(a, '/')]).toEqual([
      'a/',
      'b/',
      'a/',
    ])
    expect(await get.invalidate.call(a as never, '/')).toBe(true)
    expect(await get.peek.call(b as never, '/')).toBe('b/')
    const plain = wrap(cache, async function (this: { v: number }) { return this.v }, { name: 'plain', keyThis: true }) // biome-ignore format: one call
    expect([await plain.call({ v: 1 }), await plain.call({ v: 2 })]).toEqual([1, 2])
    expect(await codeOf(plain.call(a as never))).toBe('E_INVALID_KEY')
  })

  it('ttl_tags_and_validate_get_the_arguments_of_the_call', async () => {
    const clock = fakeClock()
    const cache = make({ clock })
    const seen: unknown[] = []
    const user = wrap(cache, async (id: string) => ({ id, ms: id.length * 1000 }), {
      name: 'user',
      ttl: (result, id) => seen.push([result.id, id]) && result.ms,
      tags: (result, id) => [`user:${id}`, `ms:${result.ms}`],
      validate: (old, id) => {
        seen.push(['validate', old.value.id, id])
        return undefined
      },
    })
    await user('a')
    await user('bb')
    clock.advance(1000)
    await user('a')
    expect(seen).toEqual([
      ['a', 'a'],
      ['bb', 'bb'],
      ['validate', 'a', 'a'],
      ['a', 'a'],
    ])
    expect(await cache.invalidateTags(['user:bb', 'ms:1000'])).toBe(2)
    expect(await user.peek('bb')).toBeUndefined()
  })

  it('a_generator_is_stored_when_it_was_consumed_to_its_end_and_not_before', async () => {
    const cache = make()
    const runs = vi.fn()
    const count = wrapGenerator(cache, async function* (to: number) {
      runs()
      for (let at = 1; at <= to; at++) yield at
    }, { name: 'count' }) // biome-ignore format: one call
    expectTypeOf(count(1)).toEqualTypeOf<AsyncGenerator<number, void, undefined>>()
    for await (const item of count(3)) if (item === 2) break
    expect(await count.peek(3)).toBeUndefined()
    const collect = async (items: AsyncIterable<number>) => { const all = []; for await (const item of items) all.push(item); return all } // biome-ignore format: one line
    expect(await collect(count(3))).toEqual([1, 2, 3])
    expect(await collect(count(3))).toEqual([1, 2, 3])
    expect(runs).toHaveBeenCalledTimes(2)
    expect(await count.peek(3)).toEqual([1, 2, 3])
    // What was invalidated while it was consumed is not stored.
    const items = count(2)
    await items.next()
    await cache.delete(count.key(2))
    expect(await collect(items)).toEqual([2])
    expect(await count.peek(2)).toBeUndefined()
    const broken = wrapGenerator(cache, function* () { yield 1; throw new Error('broken') }, { name: 'broken' }) // biome-ignore format: one call
    await expect(collect(broken())).rejects.toThrow('broken')
    expect(await broken.peek()).toBeUndefined()
    expect(broken.stats()).toEqual({ calls: 1, loads: 1, errors: 1 })
  })

  it('tags_invalidate_together_and_a_load_under_way_with_them_is_not_stored', async () => {
    const cache = make()
    await cache.set('a', 1, { tags: ['x', 'y'] })
    await cache.set('b', 2, { tags: ['y'] })
    await cache.set('c', 3, { tags: ['z'] })
    await cache.set('d', 4)
    let give!: (value: string) => void
    const late = cache.getOrSet('late', () => new Promise<string>((resolve) => { give = resolve }), { tags: ['y'] }) // biome-ignore format: one call
    let giveOther!: (value: string) => void
    const other = cache.getOrSet('other', () => new Promise<string>((resolve) => { giveOther = resolve }), { tags: ['z'] }) // biome-ignore format: one call
    await soon()
    expect(await cache.invalidateTags('y')).toBe(2)
    give('old')
    giveOther('kept')
    expect([await late, await other]).toEqual(['old', 'kept'])
    await soon()
    expect(await cache.getMany(['a', 'b', 'c', 'd', 'late', 'other'])).toEqual([undefined, undefined, 3, 4, undefined, 'kept']) // biome-ignore format: one line
    await cache.set('a', 1, { tags: ['x'] })
    await cache.set('a', 2)
    expect(await cache.invalidateTags('x')).toBe(0)
    expect(await cache.get('a')).toBe(2)
    void cache.set('e', 5, { tags: ['q'] })
    expect(await cache.invalidateTags('q')).toBe(1)
    expect(await cache.get('e')).toBeUndefined()
    expect(await codeOf(cache.invalidateTags([5 as never]))).toBe('E_INVALID_OPTION')
  })

  it('stampede_protection_holds_while_a_value_is_stale', async () => {
    const clock = fakeClock()
    const cache = make({ clock })
    const load = vi.fn(async () => load.mock.calls.length)
    const get = wrap(cache, load, { name: 'get', ttl: 1000, staleWhileRevalidate: '1h' })
    await get()
    clock.advance(5000)
    expect(new Set(await Promise.all(Array.from({ length: 1000 }, () => get())))).toEqual(new Set([1]))
    await soon()
    expect(load).toHaveBeenCalledTimes(2)
    expect(await get()).toBe(2)
  })

  it('decorated_methods_have_controls', async () => {
    const cache = make()
    let calls = 0
    class Api {
      async user(id: number): Promise<string> {
        return `${id} ${++calls}`
      }
    }
    const descriptor = Object.getOwnPropertyDescriptor(Api.prototype, 'user')!
    const decorate = cached({ cache, ttl: (_, id: number) => id * 1000 })
    Object.defineProperty(Api.prototype, 'user', decorate(Api.prototype, 'user', descriptor))
    const api = new Api()
    expect(await api.user(1)).toBe('1 1')
    expect(await controls(api.user).peek(1)).toBe('1 1')
    expect(await controls(api.user).invalidate(1)).toBe(true)
    expect(await api.user(1)).toBe('1 2')
    expect(await controls(api.user, api).fresh(1)).toBe('1 3')
    expect(controls(api.user).stats()).toEqual({ calls: 2, loads: 3, errors: 0 })
    expect(await codeOf(() => controls(() => 1))).toBe('E_INVALID_OPTION')
  })
})

describe('the index of a wrapped function', () => {
  it('keeps_no_value_alive_and_follows_another_caches_writes', async () => {
    const dir = join(tempDir(), 'cache')
    const [one, other] = [openCache({ dir }), openCache({ dir })]
    const get = wrap(one, async (id: string) => `mine ${id}`, { name: 'get' })
    for (let round = 0; round < 3; round++) expect(await get('a')).toBe('mine a')
    await other.set(get.key('a'), 'of another')
    expect(await get('a')).toBe('of another')
    await other.delete(get.key('a'))
    expect(await get('a')).toBe('mine a')
  })

  it('copies_are_given_out_where_the_cache_promises_them', async () => {
    const cache = openCache({ values: 'copy' })
    const get = wrap(cache, async (id: string) => ({ id }), { name: 'get' })
    const first = await get('a')
    first.id = 'changed'
    for (let round = 0; round < 3; round++) {
      const again = await get('a')
      expect(again).toEqual({ id: 'a' })
      again.id = 'changed'
    }
  })

  it('entries_that_were_evicted_are_loaded_again', async () => {
    const cache = openCache({ memory: { max: 10, policy: 'lru' } })
    const load = vi.fn(async (id: number) => id)
    const get = wrap(cache, load, { name: 'get' })
    for (let id = 0; id < 3000; id++) {
      expect(await get(id)).toBe(id)
      expect(await get(id)).toBe(id)
    }
    expect(load).toHaveBeenCalledTimes(3000)
    for (let id = 0; id < 20; id++) expect(await get(id)).toBe(id)
    expect(load).toHaveBeenCalledTimes(3020)
  })

  it('a_load_is_neither_stopped_nor_lost_by_evictions_meanwhile', async () => {
    const cache = openCache({ memory: { max: 1 } })
    let give!: (value: string) => void
    let signal!: AbortSignal
    const slow = cache.getOrSet('slow', (context) => {
      signal = context.signal
      return new Promise<string>((resolve) => {
        give = resolve
      })
    })
    await soon()
    for (let index = 0; index < 10; index++) await cache.set(`other ${index}`, index)
    expect(signal.aborted).toBe(false)
    give('value')
    expect(await slow).toBe('value')
    expect(await cache.get('slow')).toBe('value')
  })

  it('hits_count_for_the_order_of_eviction', async () => {
    const cache = openCache({ memory: { max: 2, policy: 'lru' } })
    const load = vi.fn(async (id: number) => id)
    const get = wrap(cache, load, { name: 'get' })
    for (const id of [1, 1, 2, 2, 1, 3]) await get(id)
    await get(1)
    expect(load.mock.calls).toEqual([[1], [2], [3]])
    expect((await cache.entry(get.key(1)))?.hits).toBeGreaterThan(1)
  })
})
