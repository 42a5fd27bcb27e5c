/** Who waits for a load, for how long, and who loads: timeouts, signals, locks of the user's. */
import type { GetOrSetOptions, LockLike } from 'tierce'
import { describe, expect, it, vi } from 'vitest'
import { codeOf, failure } from './helpers/errors.js'
import { faultsOf, holdTime, loader, pass, TIERS, turn } from './helpers/loads.js'

holdTime()

describe.each(TIERS)('waiting in $tiers', ({ make }) => {
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
