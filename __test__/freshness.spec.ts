import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import {
  type AnySchema,
  type Cache,
  type CacheOptions,
  type GetOrSetOptions,
  type LockLike,
  notModified,
  type TierceError,
} from 'tierce'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { codeOf, failure } from './helpers/errors.js'
import { openCache, tempDir } from './helpers/temp.js'

// Times pass when a test says so: the cache asks Date.now, and its timers are those of setTimeout.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'], now: 1_700_000_000_000 })
})
afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms)
const turn = () => new Promise((resolve) => setImmediate(resolve))

/** A load whose answers a test gives one by one. */
function loader<V>() {
  const waiting: { give(value: V): void; fail(error: unknown): void; signal: AbortSignal }[] = []
  const load = vi.fn(
    ({ signal }: { signal: AbortSignal }) =>
      new Promise<V>((give, fail) => {
        waiting.push({ give, fail, signal })
      }),
  )
  return { load, waiting }
}

function faultsOf(cache: Cache): TierceError[] {
  const faults: TierceError[] = []
  cache.on('error', (error) => faults.push(error))
  return faults
}

describe.each<{ tiers: string; make: (options?: CacheOptions) => Cache }>([
  { tiers: 'memory', make: (options) => openCache(options) },
  { tiers: 'disk', make: (options) => openCache({ dir: tempDir(), memory: false, ...options }) },
  { tiers: 'memory and disk', make: (options) => openCache({ dir: tempDir(), ...options }) },
])('freshness in $tiers', ({ make }) => {
  it('a_stale_value_is_given_at_once_and_loaded_anew_once_behind', async () => {
    const cache = make()
    const options = { ttl: '1m', staleWhileRevalidate: '1m' }
    await cache.getOrSet('k', () => 'first', options)
    await pass(60_000)
    const { load, waiting } = loader<string>()
    const values = await Promise.all(Array.from({ length: 100 }, () => cache.getOrSet('k', load, options)))
    expect(new Set(values)).toEqual(new Set(['first']))
    await turn()
    expect(load).toHaveBeenCalledTimes(1)
    expect(await cache.getOrSet('k', load, options)).toBe('first')
    expect(load).toHaveBeenCalledTimes(1)
    waiting[0]!.give('second')
    await turn()
    await turn()
    expect(await cache.getOrSet('k', load, options)).toBe('second')
    expect(await cache.get('k')).toBe('second')
  })

  it('the_end_of_an_entry_that_programs_are_told_is_that_of_plain_reads', async () => {
    const cache = make()
    const now = Date.now()
    await cache.getOrSet('window', () => 1, { ttl: '1m', staleIfError: '1h' })
    await cache.getOrSet('kept', () => 1, { ttl: '1m', validate: () => undefined })
    await cache.set('never', 1)
    for (const key of ['window', 'kept']) {
      expect([await cache.ttl(key), cache.ttlSync(key)], key).toEqual([60_000, 60_000])
      expect((await cache.entry(key))?.expiresAt).toBe(now + 60_000)
      const inside = [cache.transaction((tx) => tx.ttl(key)), cache.transactionSync((tx) => tx.ttl(key))]
      expect(await Promise.all(inside)).toEqual([60_000, 60_000])
    }
    const [listed, expiring] = [new Map<unknown, number>(), new Map<unknown, number>()]
    for await (const { key, expiresAt } of cache.entries()) listed.set(key, expiresAt)
    for await (const [key, expiresAt] of cache.keysWithExpiry()) expiring.set(key, expiresAt)
    const times = { window: now + 60_000, kept: now + 60_000 }
    expect(Object.fromEntries(listed)).toEqual({ ...times, never: Infinity })
    expect(Object.fromEntries(expiring)).toEqual(times)
    await pass(60_000)
    expect(await cache.ttl('window')).toBeUndefined()
  })

  it('plain_reads_treat_what_is_stale_as_expired', async () => {
    const cache = make()
    await cache.getOrSet('k', () => 'old', { ttl: '1m', staleIfError: '1h' })
    expect((await cache.entry('k'))?.value).toBe('old')
    await pass(60_000)
    expect(await cache.get('k')).toBeUndefined()
    expect(cache.getSync('k')).toBeUndefined()
    expect(await cache.getMany(['k'])).toEqual([undefined])
    expect(await cache.has('k')).toBe(false)
    expect(await cache.entry('k')).toBeUndefined()
    for await (const key of cache.keys()) expect(key).toBe('there is none')
    const late = await cache.getOrSet('k', () => Promise.reject(new Error('down')), { staleIfError: '1h' })
    expect(late).toBe('old')
    expect(await cache.delete('k')).toBe(false)
    await expect(
      cache.getOrSet('k', () => Promise.reject(new Error('down')), { staleIfError: '1h' }),
    ).rejects.toThrow('down')
  })

  it('an_error_gives_the_stale_value_inside_its_window_and_the_error_after_it', async () => {
    const cache = make()
    const faults = faultsOf(cache)
    const options = { ttl: '1m', staleIfError: '1m' }
    await cache.getOrSet('k', () => 'old', options)
    await pass(119_999)
    const error = new RangeError('down')
    const fail = vi.fn(() => Promise.reject(error))
    const values = await Promise.all(Array.from({ length: 50 }, () => cache.getOrSet('k', fail, options)))
    expect(new Set(values)).toEqual(new Set(['old']))
    expect(fail).toHaveBeenCalledTimes(1)
    expect(faults).toHaveLength(1)
    expect(faults[0]).toMatchObject({ code: 'E_UNAVAILABLE', cause: error })
    expect(cache.getOrSetSync('k', () => { throw error }, options)).toBe('old') // biome-ignore format: short
    await pass(1)
    await expect(cache.getOrSet('k', fail, options)).rejects.toBe(error)
    expect(() => cache.getOrSetSync('k', () => { throw error }, options)).toThrow(error) // biome-ignore format: short
  })

  it('soft_gives_the_stale_value_and_the_load_goes_on_and_is_stored', async () => {
    const cache = make()
    const options = { ttl: '1m', staleIfError: '1h', timeout: { soft: 100 } }
    await cache.getOrSet('k', () => 'old', options)
    await pass(60_000)
    const { load, waiting } = loader<string>()
    const asked = cache.getOrSet('k', load, options)
    await turn()
    await pass(100)
    expect(await asked).toBe('old')
    expect(waiting[0]!.signal.aborted).toBe(false)
    waiting[0]!.give('new')
    await turn()
    await turn()
    expect(await cache.get('k')).toBe('new')
  })

  it('soft_waits_where_there_is_no_stale_value_to_give', async () => {
    const cache = make()
    const { load, waiting } = loader<string>()
    const asked = cache.getOrSet('k', load, { timeout: { soft: 100 } })
    await turn()
    await pass(10_000)
    waiting[0]!.give('late')
    expect(await asked).toBe('late')
  })

  it('hard_gives_the_stale_value_or_E_TIMEOUT_and_stops_the_load', async () => {
    const cache = make()
    faultsOf(cache)
    const options: GetOrSetOptions<string> = { ttl: '1m', staleIfError: '1h', timeout: '1s' }
    const { load, waiting } = loader<string>()
    const first = cache.getOrSet('k', load, options)
    const caught = failure(first)
    await turn()
    await pass(1000)
    expect(await caught).toMatchObject({ code: 'E_TIMEOUT', context: { key: 'k', ms: 1000 } })
    expect(waiting[0]!.signal.aborted).toBe(true)
    waiting[0]!.give('too late')
    await turn()
    expect(await cache.get('k')).toBeUndefined()
    expect(await cache.getOrSet('k', () => 'old', options)).toBe('old')
    await pass(60_000)
    const second = cache.getOrSet('k', load, options)
    await turn()
    await pass(1000)
    expect(await second).toBe('old')
  })

  it('a_load_stops_when_its_last_waiter_has_left_and_not_before', async () => {
    const cache = make()
    const { load, waiting } = loader<string>()
    const [a, b] = [new AbortController(), new AbortController()]
    const first = cache.getOrSet('k', load, { signal: a.signal })
    const second = cache.getOrSet('k', load, { signal: b.signal })
    await turn()
    a.abort(new Error('a left'))
    await expect(first).rejects.toThrow('a left')
    expect(waiting[0]!.signal.aborted).toBe(false)
    b.abort(new Error('b left'))
    await expect(second).rejects.toThrow('b left')
    expect(waiting[0]!.signal.aborted).toBe(true)
    // Whoever comes now starts a load of its own, and what the old one brings is not stored.
    const third = cache.getOrSet('k', load)
    await turn()
    expect(load).toHaveBeenCalledTimes(2)
    waiting[0]!.give('of the old one')
    await turn()
    waiting[1]!.give('new')
    expect(await third).toBe('new')
    await turn()
    expect(await cache.get('k')).toBe('new')
    await expect(cache.getOrSet('k', load, { signal: b.signal })).rejects.toThrow('b left')
  })

  it('one_that_waits_without_a_signal_keeps_the_load_going', async () => {
    const cache = make()
    const { load, waiting } = loader<string>()
    const controller = new AbortController()
    const first = cache.getOrSet('k', load, { signal: controller.signal })
    const second = cache.getOrSet('k', load)
    await turn()
    controller.abort()
    await expect(first).rejects.toMatchObject({ name: 'AbortError' })
    expect(waiting[0]!.signal.aborted).toBe(false)
    waiting[0]!.give('value')
    expect(await second).toBe('value')
  })

  it('sliding_starts_the_time_again_with_each_hit', async () => {
    const cache = make()
    const options = { ttl: 1000, sliding: true }
    await cache.getOrSet('k', () => 1, options)
    for (let round = 0; round < 5; round++) {
      await pass(900)
      expect(await cache.getOrSet('k', () => 2, options)).toBe(1)
      await turn()
    }
    expect(await cache.get('k')).toBe(1)
    await pass(900)
    expect(cache.getOrSetSync('k', () => 2, options)).toBe(1)
    await turn()
    await pass(1000)
    expect(await cache.get('k')).toBeUndefined()
    expect(await cache.getOrSet('k', () => 2, options)).toBe(2)
  })

  it('jitter_shortens_by_its_part_at_most_and_not_by_the_same_each_time', async () => {
    const cache = make()
    const lives: number[] = []
    for (let index = 0; index < 40; index++) {
      await cache.getOrSet(`k${index}`, () => 1, { ttl: 10_000, jitter: index % 2 === 0 ? 0.1 : '1s' })
      lives.push((await cache.entry(`k${index}`))!.expiresAt - Date.now())
    }
    expect(Math.min(...lives)).toBeGreaterThan(9000 - 1)
    expect(Math.max(...lives)).toBeLessThanOrEqual(10_000)
    expect(new Set(lives).size).toBeGreaterThan(10)
  })

  it('early_renews_behind_before_the_end_the_sooner_the_longer_the_load_took', async () => {
    const random = vi.spyOn(Math, 'random').mockReturnValue(1 - Math.exp(-1)) // log is -1: cost * beta ms ahead
    const cache = make()
    const options = { ttl: 10_000, early: 2 }
    const slow = vi.fn(async () => {
      await new Promise((resolve) => setTimeout(resolve, 500))
      return slow.mock.calls.length
    })
    const first = cache.getOrSet('k', slow, options)
    await turn()
    await pass(500)
    expect(await first).toBe(1)
    await pass(8999)
    expect(await cache.getOrSet('k', slow, options)).toBe(1)
    await turn()
    expect(slow).toHaveBeenCalledTimes(1)
    await pass(1)
    expect(await cache.getOrSet('k', slow, options)).toBe(1)
    expect(await cache.getOrSet('k', slow, options)).toBe(1)
    await turn()
    expect(slow).toHaveBeenCalledTimes(2)
    await pass(500)
    await turn()
    await turn()
    expect(await cache.get('k')).toBe(2)
    random.mockReturnValue(0)
    await pass(9999)
    expect(await cache.getOrSet('k', slow, { early: true })).toBe(2)
    expect(slow).toHaveBeenCalledTimes(2)
  })

  it('shouldCache_says_what_is_stored', async () => {
    const cache = make()
    const options = { shouldCache: (value: { ok: boolean }) => value.ok }
    expect(await cache.getOrSet('k', () => ({ ok: false }), options)).toEqual({ ok: false })
    expect(await cache.has('k')).toBe(false)
    expect(cache.getOrSetSync('k', () => ({ ok: false }), options)).toEqual({ ok: false })
    await cache.getOrSet('k', () => ({ ok: true }), options)
    expect(await cache.get('k')).toEqual({ ok: true })
  })

  it('shouldCache_may_take_its_time_where_the_load_does', async () => {
    const cache = make()
    const faults: unknown[] = []
    cache.on('error', (fault) => faults.push(fault))
    const options = { shouldCache: async (value: number) => value > 1 }
    expect(await cache.getOrSet('k', () => 1, options)).toBe(1)
    expect(await cache.has('k')).toBe(false)
    expect(await cache.getOrSet('k', () => 2, options)).toBe(2)
    expect(await cache.get('k')).toBe(2)
    expect(cache.getOrSetSync('other', () => 2, options as never)).toBe(2)
    expect(faults).toMatchObject([{ code: 'E_INVALID_OPTION' }])
    // What it throws breaks no load.
    const fails = { shouldCache: () => Promise.reject(new Error('mine')) }
    expect(await cache.getOrSet('third', () => 3, fails)).toBe(3)
    expect(faults).toHaveLength(2)
    expect(await cache.has('third')).toBe(false)
  })

  it('cacheErrors_gives_the_error_again_for_its_time_and_a_write_ends_it', async () => {
    const cache = make()
    const error = new Error('down')
    const load = vi.fn((): Promise<number> => Promise.reject(error))
    const options = { cacheErrors: 1000 }
    for (let round = 0; round < 3; round++)
      await expect(cache.getOrSet('k', load, options)).rejects.toBe(error)
    expect(load).toHaveBeenCalledTimes(1)
    await pass(1000)
    await expect(cache.getOrSet('k', load, options)).rejects.toBe(error)
    expect(load).toHaveBeenCalledTimes(2)
    await cache.set('k', 1)
    expect(await cache.getOrSet('k', load, options)).toBe(1)
    await cache.delete('k')
    await expect(cache.getOrSet('k', load, options)).rejects.toBe(error)
    await cache.delete('k')
    await expect(cache.getOrSet('k', load, options)).rejects.toBe(error)
    expect(load).toHaveBeenCalledTimes(4)
  })

  it('cacheErrors_beside_a_stale_value_spares_the_load_and_gives_the_value', async () => {
    const cache = make()
    faultsOf(cache)
    const options = { ttl: 1000, staleIfError: 10_000, staleWhileRevalidate: 5000, cacheErrors: 2000 }
    await cache.getOrSet('k', () => 'old', options)
    await pass(1000)
    const load = vi.fn(() => Promise.reject(new Error('down')))
    for (let round = 0; round < 5; round++) {
      expect(await cache.getOrSet('k', load, options)).toBe('old')
      await turn()
    }
    expect(load).toHaveBeenCalledTimes(1)
    await pass(6000)
    for (let round = 0; round < 5; round++) expect(await cache.getOrSet('k', load, options)).toBe('old')
    expect(load).toHaveBeenCalledTimes(2)
  })

  it('validate_keeps_renews_replaces_or_leaves_it_to_the_load', async () => {
    const cache = make()
    const seen: unknown[] = []
    const answers: unknown[] = [notModified, 'newer', undefined]
    const load = vi.fn(async () => 'loaded')
    const options: GetOrSetOptions<string> = {
      ttl: 1000,
      validate: async (old) => {
        seen.push(old.value)
        return answers.shift() as string
      },
    }
    const made = Date.now()
    expect(await cache.getOrSet('k', load, options)).toBe('loaded')
    await pass(50_000)
    expect(await cache.getOrSet('k', load, options)).toBe('loaded')
    expect(await cache.entry('k')).toMatchObject({ value: 'loaded', createdAt: made })
    expect(load).toHaveBeenCalledTimes(1)
    expect(await cache.getOrSet('k', load, options)).toBe('loaded')
    await pass(1000)
    expect(await cache.getOrSet('k', load, options)).toBe('newer')
    await pass(1000)
    expect(await cache.getOrSet('k', load, options)).toBe('loaded')
    expect(load).toHaveBeenCalledTimes(2)
    expect(seen).toEqual(['loaded', 'loaded', 'newer'])
  })

  it('a_load_may_answer_notModified_where_it_was_given_an_old_value', async () => {
    const cache = make()
    const options = { ttl: 1000, staleIfError: '1h' }
    const load = vi.fn(async ({ old }: { old: { value: number } | undefined }) =>
      old === undefined ? 5 : notModified,
    )
    expect(await cache.getOrSet<number>('k', load, options)).toBe(5)
    await pass(1000)
    expect(await cache.getOrSet<number>('k', load, options)).toBe(5)
    expect(await cache.get('k')).toBe(5)
    await pass(999)
    expect(await cache.get('k')).toBe(5)
    await pass(1)
    expect(cache.getOrSetSync<number>('k', ({ old }) => (old ? notModified : 0), options)).toBe(5)
    expect(cache.getSync('k')).toBe(5)
    await cache.delete('k')
    expect(await codeOf(cache.getOrSet<number>('k', () => notModified))).toBe('E_INVALID_OPTION')
  })

  it('a_stored_value_that_does_not_pass_its_schema_is_a_miss_and_replaced', async () => {
    const cache = make()
    const faults = faultsOf(cache)
    await cache.set('k', { v: 1 })
    const load = vi.fn(() => ({ v: 'one' }))
    expect(await cache.getOrSet('k', load, { schema: SCHEMA })).toEqual({ v: 'one' })
    expect(await cache.getOrSet('k', load, { schema: SCHEMA })).toEqual({ v: 'one' })
    expect(load).toHaveBeenCalledTimes(1)
    await cache.set('k', { v: 1 })
    expect(cache.getOrSetSync('k', load, { schema: SCHEMA })).toEqual({ v: 'one' })
    expect(await cache.get('k')).toEqual({ v: 'one' })
    await cache.set('k', { v: 1 })
    expect(await cache.getOrSet('k', load, { schema: LATER })).toEqual({ v: 'one' })
    expect(faults).toEqual([])
    await cache.delete('k')
    const bad = () => ({ v: 2 }) as never
    expect(await cache.getOrSet('k', bad, { schema: SCHEMA })).toEqual({ v: 2 })
    expect(cache.getOrSetSync('k', bad, { schema: SCHEMA })).toEqual({ v: 2 })
    expect(await cache.has('k')).toBe(false)
    expect(faults.map(({ code }) => code)).toEqual(['E_UNSERIALIZABLE', 'E_UNSERIALIZABLE'])
    await cache.set('k', { v: 'x' })
    expect(await codeOf(() => cache.getOrSetSync('k', load, { schema: LATER }))).toBe('E_INVALID_OPTION')
  })

  it('ttl_may_depend_on_the_value_and_a_bad_one_breaks_no_load', async () => {
    const cache = make()
    const faults = faultsOf(cache)
    const options = { ttl: (value: { seconds: number }) => value.seconds * 1000 }
    await cache.getOrSet('k', () => ({ seconds: 2 }), options)
    await pass(1999)
    expect(await cache.has('k')).toBe(true)
    await pass(1)
    expect(await cache.has('k')).toBe(false)
    expect(await cache.getOrSet('k', () => ({ seconds: -1 }), options)).toEqual({ seconds: -1 })
    expect(faults.map(({ code }) => code)).toEqual(['E_INVALID_TTL'])
  })

  it('defaults_of_the_cache_hold_unless_the_call_says_otherwise', async () => {
    const cache = make({ defaults: { ttl: 1000, staleIfError: 1000, timeout: { hard: 50 } } })
    faultsOf(cache)
    await cache.getOrSet('k', () => 'old')
    await pass(1000)
    expect(await cache.getOrSet('k', () => Promise.reject(new Error('down')))).toBe('old')
    expect(cache.getOrSetSync('k', () => { throw new Error('down') })).toBe('old') // biome-ignore format: short
    await cache.getOrSet('l', () => 'old', { ttl: 5000 })
    await pass(4999)
    expect(await cache.get('l')).toBe('old')
    await expect(cache.getOrSet('k', () => Promise.reject(new Error('down')))).rejects.toThrow('down')
  })

  it('a_hung_load_behind_is_given_up_after_hard_and_tried_again', async () => {
    const cache = make()
    const faults = faultsOf(cache)
    const options = { ttl: 1000, staleWhileRevalidate: '1h', timeout: 500 }
    await cache.getOrSet('k', () => 'old', options)
    await pass(1000)
    const { load, waiting } = loader<string>()
    expect(await cache.getOrSet('k', load, options)).toBe('old')
    await turn()
    await pass(500)
    expect(waiting[0]!.signal.aborted).toBe(true)
    expect(faults).toHaveLength(1)
    expect(await cache.getOrSet('k', load, options)).toBe('old')
    await turn()
    expect(load).toHaveBeenCalledTimes(2)
    waiting[1]!.give('new')
    await turn()
    await turn()
    expect(await cache.get('k')).toBe('new')
  })

  it('what_is_invalidated_while_it_is_validated_stays_away', async () => {
    const cache = make()
    const options: GetOrSetOptions<string> = { ttl: 1000, staleIfError: '1h' }
    await cache.getOrSet('k', () => 'old', options)
    await pass(1000)
    const { load, waiting } = loader<string | typeof notModified>()
    const asked = cache.getOrSet<string>('k', load, options)
    await turn()
    await cache.delete('k')
    waiting[0]!.give(notModified)
    expect(await asked).toBe('old')
    await turn()
    expect(await cache.get('k')).toBeUndefined()
    const again = cache.getOrSet('k', () => Promise.reject(new Error('down')), options)
    await expect(again).rejects.toThrow('down')
  })

  it('a_lock_of_the_users_is_held_around_the_load_and_only_then', async () => {
    const cache = make()
    const log: string[] = []
    const lock: LockLike = {
      acquire: async (key) => log.push(`acquire ${key}`) && 'token',
      release: async (key, token) => log.push(`release ${key} ${token}`),
    }
    const options = { singleFlight: lock }
    await cache.getOrSet('k', () => log.push('load'), options)
    await cache.getOrSet('k', () => log.push('load'), options)
    expect(log).toEqual(['acquire k', 'load', 'release k token'])
    log.length = 0
    const sync = { acquire: () => log.push('acquire'), release: () => log.push('release') }
    cache.getOrSetSync('l', () => log.push('load'), { singleFlight: sync })
    await cache.getOrSet('m', () => log.push('load'), { singleFlight: sync })
    expect(log).toEqual(['acquire', 'load', 'release', 'acquire', 'load', 'release'])
    expect(await codeOf(() => cache.getOrSetSync('n', () => 1, options))).toBe('E_INVALID_OPTION')
    await turn()
  })

  it('whoever_gets_the_lock_after_a_wait_finds_the_value_and_does_not_load', async () => {
    const cache = make()
    const load = vi.fn(() => 'mine')
    const lock: LockLike = {
      acquire: () => cache.set('k', 'of another process'),
      release: () => {},
    }
    expect(await cache.getOrSet('k', load, { singleFlight: lock })).toBe('of another process')
    expect(load).not.toHaveBeenCalled()
  })

  it('a_lock_that_fails_or_is_late_or_refuses_keeps_nobody_from_loading', async () => {
    const cache = make()
    const faults = faultsOf(cache)
    const released: unknown[] = []
    let giveLate!: (token: string) => void
    const locks: LockLike[] = [
      { acquire: () => Promise.reject(new Error('no redis')), release: () => released.push(1) },
      { acquire: () => false, release: () => released.push(2) },
      { acquire: () => new Promise((give) => { giveLate = give }), release: (_, token) => released.push(token) }, // biome-ignore format: short
    ]
    for (const [index, singleFlight] of locks.slice(0, 2).entries()) {
      expect(await cache.getOrSet(`k${index}`, () => index, { singleFlight })).toBe(index)
    }
    const late = cache.getOrSet('late', () => 'by itself', { singleFlight: locks[2]!, lockTimeout: 100 })
    await turn()
    await pass(100)
    expect(await late).toBe('by itself')
    giveLate('late token')
    await turn()
    expect(released).toEqual(['late token'])
    expect(faults.map(({ code }) => code)).toEqual(['E_INTERNAL'])
  })

  it('an_invalidation_lets_others_in_before_the_load_has_ended', async () => {
    const cache = make()
    let held = 0
    const singleFlight = { acquire: () => ++held, release: () => --held }
    const { load, waiting } = loader<string>()
    const first = cache.getOrSet('k', load, { singleFlight })
    await turn()
    await turn()
    expect(held).toBe(1)
    await cache.delete('k')
    await turn()
    expect(held).toBe(0)
    waiting[0]!.give('old')
    expect(await first).toBe('old')
    await turn()
    expect(held).toBe(0)
  })
})

const SCHEMA: AnySchema = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: (value) =>
      typeof (value as { v: unknown }).v === 'string'
        ? { value }
        : { issues: [{ message: 'v is no string' }] },
  },
}
const LATER: AnySchema = {
  '~standard': { ...SCHEMA['~standard'], validate: async (value) => SCHEMA['~standard'].validate(value) },
}

describe('what lasts', () => {
  it('a_value_that_was_evicted_while_it_was_validated_is_stored_again', async () => {
    const cache = openCache({ memory: { max: 1 } })
    const validate = async () => {
      await cache.set('another', 1)
      expect(await cache.size()).toBe(1)
      return notModified
    }
    const options: GetOrSetOptions<string> = { ttl: 1000, validate }
    await cache.getOrSet('k', () => 'value', options)
    await pass(1000)
    expect(await cache.getOrSet('k', () => 'other', options)).toBe('value')
    expect(await cache.get('k')).toBe('value')
  })

  it('stale_windows_outlive_the_process', async () => {
    const dir = join(tempDir(), 'cache')
    const first = openCache({ dir })
    await first.getOrSet('k', () => 'old', { ttl: 1000, staleIfError: '1h' })
    await first.close()
    await pass(5000)
    const cache = openCache({ dir })
    faultsOf(cache)
    expect(await cache.get('k')).toBeUndefined()
    const load = () => Promise.reject(new Error('down'))
    expect(await cache.getOrSet('k', load, { staleIfError: '1h' })).toBe('old')
  })

  it('a_download_is_validated_by_its_etag', async () => {
    vi.useRealTimers()
    let [bodies, version] = [0, 1]
    const server = createServer((request, response) => {
      const etag = `"v${version}"`
      const isSame = request.headers['if-none-match'] === etag
      if (!isSame) bodies++
      response.writeHead(isSame ? 304 : 200, { etag }).end(isSame ? undefined : `body ${version}`)
    }).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
    let now = Date.now()
    const cache = openCache({ dir: join(tempDir(), 'cache'), clock: () => now })
    const download = () =>
      cache.getOrSet<{ etag: string; body: string }>(
        url,
        async ({ old, signal }) => {
          const headers = new Headers(old && { 'if-none-match': old.value.etag })
          const response = await fetch(url, { headers, signal })
          if (response.status === 304) return notModified
          return { etag: response.headers.get('etag')!, body: await response.text() }
        },
        { ttl: '1m', staleIfError: '1d' },
      )
    try {
      for (let round = 0; round < 3; round++) {
        expect((await download()).body).toBe('body 1')
        now += 60_000
      }
      expect(bodies).toBe(1)
      version = 2
      expect((await download()).body).toBe('body 2')
      expect(bodies).toBe(2)
    } finally {
      server.close()
    }
  })
})

describe('options of a load', () => {
  it.each<[string, object]>([
    ['jitter', { jitter: 0 }],
    ['jitter', { jitter: 1.5 }],
    ['early', { early: -1 }],
    ['sliding', { sliding: 1 }],
    ['shouldCache', { shouldCache: true }],
    ['validate', { validate: 1 }],
    ['schema', { schema: {} }],
    ['signal', { signal: {} }],
    ['singleFlight', { singleFlight: 'cluster' }],
    ['singleFlight', { singleFlight: { acquire: () => {} } }],
    ['timeout', { timeout: { softly: 5 } }],
    ['staleIfErorr', { staleIfErorr: 5 }],
    ['ttl', { ttl: 0 }],
    ['cacheErrors', { cacheErrors: 'x' }],
  ])('%s given as %o is refused before anything is loaded', async (name, options) => {
    const cache = openCache()
    const load = vi.fn(() => 1)
    const error = await failure(cache.getOrSet('k', load, options))
    expect(['E_INVALID_OPTION', 'E_INVALID_TTL']).toContain(error.code)
    expect(error.message).toContain(name)
    expect(await codeOf(() => cache.getOrSetSync('k', load, options as never))).toBe(error.code)
    expect(await codeOf(() => openCache({ defaults: options }))).toBe(error.code)
    expect(load).not.toHaveBeenCalled()
  })

  it('what_takes_time_to_pass_is_refused_on_this_thread_and_machine_needs_a_directory', async () => {
    const cache = openCache()
    for (const options of [
      { staleWhileRevalidate: 5 },
      { timeout: 5 },
      { signal: new AbortController().signal },
    ]) {
      expect(await codeOf(() => cache.getOrSetSync('k', () => 1, options as never))).toBe('E_INVALID_OPTION')
    }
    expect(await codeOf(cache.getOrSet('k', () => 1, { singleFlight: 'machine' }))).toBe('E_INVALID_OPTION')
  })
})
