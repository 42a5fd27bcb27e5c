import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { codeOf, failure } from './helpers/errors.js'
import { faultsOf, holdTime, loader, pass, TIERS, turn } from './helpers/loads.js'
import { openCache, tempDir } from './helpers/temp.js'

holdTime()

describe.each(TIERS)('freshness in $tiers', ({ make }) => {
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
})

describe('on disk', () => {
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
