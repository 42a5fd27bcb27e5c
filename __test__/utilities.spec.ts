import fc from 'fast-check'
import {
  type Cache,
  type CacheOptions,
  lock,
  NamespacedKey,
  once,
  onceKey,
  rateLimiter,
  wrap,
  wrapMany,
} from 'tierce'
import { describe, expect, it, vi } from 'vitest'
import { fakeClock } from './helpers/clock.js'
import { codeOf } from './helpers/errors.js'
import { openCache, tempDir } from './helpers/temp.js'

describe.each<{ tiers: string; make: (options?: CacheOptions) => Cache }>([
  { tiers: 'memory', make: (options) => openCache(options) },
  { tiers: 'disk', make: (options) => openCache({ dir: tempDir(), memory: false, ...options }) },
  { tiers: 'memory and disk', make: (options) => openCache({ dir: tempDir(), ...options }) },
])('in $tiers', ({ make }) => {
  it('a_namespace_has_keys_tags_stats_and_a_clear_of_its_own', async () => {
    const cache = make()
    const [a, b] = [cache.namespace('a'), cache.namespace('b')]
    await cache.set('k', 'whole', { tags: ['t'] })
    await a.set('k', 'of a', { tags: ['t'] })
    await b.setMany([['k', 'of b'], [{ id: 1 }, 'object']]) // biome-ignore format: short
    expect([await cache.get('k'), await a.get('k'), b.getSync('k')]).toEqual(['whole', 'of a', 'of b'])
    expect(await b.getMany([{ id: 1 }, 'none'])).toEqual(['object', undefined])
    expect((await a.entry('k'))?.tags).toEqual(['t'])
    const keys = []
    for await (const key of b.keys()) keys.push(key)
    expect(keys).toHaveLength(2)
    expect(keys).toEqual(expect.arrayContaining(['k', { id: 1 }]))
    const all = []
    for await (const key of cache.keys()) all.push(key)
    expect(all).toHaveLength(4)
    for (const key of all) expect(await cache.has(key as never)).toBe(true)
    expect(all.filter((key) => key instanceof NamespacedKey)).toHaveLength(3)
    expect(await b.stats()).toMatchObject({ entries: 2, hits: 2, misses: 1 })
    expect(await a.invalidateTags('t')).toBe(1)
    expect([await cache.has('k'), await a.has('k'), await b.has('k')]).toEqual([true, false, true])
    expect(await b.clear()).toBe(2)
    expect([await b.size(), await cache.size()]).toEqual([0, 1])
    for (const name of ['', 'a\0b', 5, 'x'.repeat(300)])
      expect(await codeOf(() => cache.namespace(name as never))).toBe('E_INVALID_OPTION')
  })

  it('getOrThrow_and_touch_of_a_namespace_know_its_keys_alone', async () => {
    const cache = make()
    const space = cache.namespace('n')
    await cache.set('outside', 1)
    await space.set('inside', 2)
    expect(await space.getOrThrow('inside')).toBe(2)
    await expect(space.getOrThrow('outside')).rejects.toMatchObject({ code: 'E_KEY_NOT_FOUND' })
    expect([await space.touch('inside'), await space.touch('outside')]).toEqual([true, false])
    expect(await space.stats()).toMatchObject({ entries: 1, hits: 1, misses: 1 })
  })

  it('defaults_of_a_namespace_hold_for_its_sets_loads_and_wrapped_functions', async () => {
    const clock = fakeClock()
    const cache = make({ clock })
    const tenant = cache.namespace('tenant', { ttl: 1000, staleIfError: 5000, tags: ['base'] })
    cache.on('error', () => {})
    await tenant.set('set', 1)
    await tenant.getOrSet('load', () => 1)
    const get = wrap(tenant, async (id: string) => id, { name: 'get' })
    for (let round = 0; round < 3; round++) await get('a')
    expect(get.stats()).toEqual({ calls: 3, loads: 1, errors: 0 })
    expect(await tenant.size()).toBe(3)
    expect(await get.peek('a')).toBe('a')
    expect(await tenant.get(get.key('a'))).toBe('a')
    expect(await cache.get(get.key('a'))).toBeUndefined()
    clock.advance(1000)
    expect(await tenant.has('set')).toBe(false)
    expect(await tenant.getOrSet('load', () => Promise.reject(new Error('down')))).toBe(1)
    expect(tenant.getOrSetSync('load', () => { throw new Error('down') })).toBe(1) // biome-ignore format: short
    await get('a')
    expect(await tenant.invalidateTags('base')).toBe(1)
    await get('a')
    await tenant.clear()
    expect(await get.peek('a')).toBeUndefined()
    await get('b')
    expect(get.stats().loads).toBe(4)
  })

  it('wrapMany_is_one_call_for_the_missing_keys_of_a_tick', async () => {
    const cache = make()
    const load = vi.fn(async (ids: number[]) =>
      ids.map((id) => (id < 0 ? new RangeError(`no ${id}`) : id === 0 ? undefined : `user ${id}`)),
    )
    const user = wrapMany(cache, load, { name: 'user', ttl: '1h' })
    expect(await Promise.all([user(1), user(2), user(1), user.many([2, 3])])).toEqual([
      'user 1',
      'user 2',
      'user 1',
      ['user 2', 'user 3'],
    ])
    expect(load.mock.calls).toEqual([[[1, 2, 3]]])
    expect(await user.many([3, 4, 1])).toEqual(['user 3', 'user 4', 'user 1'])
    expect(load.mock.calls[1]).toEqual([[4]])
    const mixed = await Promise.allSettled([user(-1), user(5), user(0)])
    expect(mixed.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled'])
    expect(await user(0)).toBeUndefined()
    expect(await user.invalidate(5)).toBe(true)
    expect(await cache.get(user.key(1))).toBe('user 1')
    const batched = vi.fn(async (ids: string[]) => new Map(ids.map((id) => [id, id.length])))
    const length = wrapMany(cache, batched, { name: 'length', maxBatch: 2 })
    expect(await length.many(['a', 'bb', 'ccc'])).toEqual([1, 2, 3])
    expect(batched.mock.calls).toEqual([[['a', 'bb']], [['ccc']]])
    const short = wrapMany(cache, async (_: string[]) => [], { name: 'short' })
    expect(await codeOf(short('a'))).toBe('E_INVALID_OPTION')
    const failing = wrapMany(
      cache,
      (_: string[]): Promise<string[]> => Promise.reject(new RangeError('all')),
      { name: 'failing' },
    )
    await expect(failing.many(['a', 'b'])).rejects.toThrow('all')
  })

  it('a_lock_is_one_holders_until_it_is_released_or_its_lease_ends', async () => {
    const clock = fakeClock()
    const cache = make({ clock })
    const first = await lock(cache, 'job', { lease: 1000 })
    expect(first.isHeld()).toBe(true)
    expect(await codeOf(lock(cache, 'job', { timeout: 20 }))).toBe('E_LOCK_TIMEOUT')
    const controller = new AbortController()
    const aborted = lock(cache, 'job', { signal: controller.signal })
    controller.abort(new Error('enough'))
    await expect(aborted).rejects.toThrow('enough')
    const other = await lock(cache, 'other')
    const waiting = lock(cache, 'job')
    clock.advance(999)
    expect(first.extend(1000)).toBe(true)
    clock.advance(999)
    expect(first.isHeld()).toBe(true)
    clock.advance(1)
    const second = await waiting
    expect([first.isHeld(), first.extend(), first.release(), second.isHeld()]).toEqual([
      false,
      false,
      false,
      true,
    ])
    expect(second.release()).toBe(true)
    await second[Symbol.asyncDispose]()
    expect(other.release()).toBe(true)
    expect(await codeOf(lock(cache, ''))).toBe('E_INVALID_OPTION')
    expect(await codeOf(lock(cache.namespace('n'), 'job', { lease: 0 }))).toBe('E_INVALID_TTL')
  })

  it('once_is_once_also_when_it_gives_undefined_and_not_when_it_throws', async () => {
    const cache = make()
    const run = vi.fn(async () => undefined)
    await Promise.all([once(cache, 'a', run), once(cache, 'a', run)])
    expect(await once(cache, 'a', run)).toBeUndefined()
    expect(run).toHaveBeenCalledTimes(1)
    await expect(once(cache, 'b', () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    expect(await once(cache, 'b', () => 5)).toBe(5)
    expect(await cache.delete(onceKey('b'))).toBe(true)
    expect(await once(cache, 'b', () => 6)).toBe(6)
  })

  it('a_bucket_gives_its_burst_and_refills_evenly_and_a_window_never_gives_more', async () => {
    const clock = fakeClock()
    const cache = make({ clock })
    const bucket = rateLimiter(cache, { name: 'b', limit: 10, per: 1000, burst: 3 })
    expect([1, 2, 3, 4].map(() => bucket.tryTake('u'))).toEqual([
      { allowed: true, remaining: 2, retryAfter: 0 },
      { allowed: true, remaining: 1, retryAfter: 0 },
      { allowed: true, remaining: 0, retryAfter: 0 },
      { allowed: false, remaining: 0, retryAfter: 100 },
    ])
    expect(bucket.tryTake('other').allowed).toBe(true)
    clock.advance(99)
    expect(bucket.tryTake('u').allowed).toBe(false)
    clock.advance(1)
    expect(bucket.tryTake('u').allowed).toBe(true)
    bucket.reset('u')
    expect(bucket.tryTake('u', 3).allowed).toBe(true)
    expect(await codeOf(() => bucket.tryTake('u', 4))).toBe('E_INVALID_OPTION')
    const window = rateLimiter(cache, { name: 'w', limit: 3, per: 1000, algorithm: 'sliding-window' })
    for (const _ of [1, 2, 3]) { expect(window.tryTake().allowed).toBe(true); clock.advance(100) } // biome-ignore format: short
    expect(window.tryTake()).toEqual({ allowed: false, remaining: 0, retryAfter: 700 })
    clock.advance(700)
    expect(window.tryTake()).toEqual({ allowed: true, remaining: 0, retryAfter: 0 })
    for (const bad of [{ limit: 0 }, { per: 0 }, { algorithm: 'leaky' }, { burst: 0 }, { name: '' }]) {
      expect(['E_INVALID_OPTION', 'E_INVALID_TTL']).toContain(
        await codeOf(() => rateLimiter(cache, { name: 'x', limit: 1, per: 1, ...bad } as never)),
      )
    }
  })
})

it('take_waits_for_its_turn_and_a_signal_ends_the_wait', async () => {
  const cache = openCache()
  const limiter = rateLimiter(cache, { name: 'l', limit: 1, per: 30 })
  const started = performance.now()
  for (let round = 0; round < 3; round++) await limiter.take()
  expect(performance.now() - started).toBeGreaterThan(40)
  const slow = rateLimiter(cache, { name: 's', limit: 1, per: '1h' })
  await slow.take()
  const controller = new AbortController()
  const waiting = slow.take('', 1, controller.signal)
  controller.abort(new Error('enough'))
  await expect(waiting).rejects.toThrow('enough')
})

it('no_window_of_any_takes_holds_more_than_the_limit', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(40), fc.integer({ min: 1, max: 3 })), { maxLength: 60 }),
      (takes) => {
        const clock = fakeClock()
        const limiter = rateLimiter(openCache({ clock }), {
          name: 'w',
          limit: 4,
          per: 100,
          algorithm: 'sliding-window',
        })
        const allowed: number[] = []
        for (const [ms, cost] of takes) {
          clock.advance(ms)
          const now = clock()
          const held = allowed.filter((at) => at > now - 100).length
          expect(limiter.tryTake('', cost).allowed).toBe(held + cost <= 4)
          if (held + cost <= 4) for (let one = 0; one < cost; one++) allowed.push(now)
        }
      },
    ),
    { numRuns: 50 },
  )
})
