import { type Cache, TierceError } from 'tierce'
import { describe, expect, it, vi } from 'vitest'
import { codeOf } from './helpers/errors.js'
import { failDisk, READS, WRITES } from './helpers/failing.js'
import { openCache, tempDir } from './helpers/temp.js'

/** A load that ends when it is told to. */
function gate<T>() {
  let open!: (value: T) => void
  let fail!: (error: unknown) => void
  const promise = new Promise<T>((resolve, reject) => {
    open = resolve
    fail = reject
  })
  return { promise, open, fail }
}

const soon = () => new Promise((resolve) => setImmediate(resolve))

/** The faults that a cache reports. */
function faultsOf(cache: Cache): TierceError[] {
  const faults: TierceError[] = []
  cache.on('error', (error) => faults.push(error))
  return faults
}

describe.each([
  { tiers: 'memory', make: () => openCache() },
  { tiers: 'disk', make: () => openCache({ dir: tempDir(), memory: false }) },
  { tiers: 'memory and disk', make: () => openCache({ dir: tempDir() }) },
])('single flight in $tiers', ({ make }) => {
  it('a_thousand_callers_at_once_are_one_load', async () => {
    const cache = make()
    const load = vi.fn(async () => ({ loaded: true }))
    const values = await Promise.all(Array.from({ length: 1000 }, () => cache.getOrSet({ k: 1 }, load)))
    expect(load).toHaveBeenCalledTimes(1)
    expect(values.every((value) => value.loaded)).toBe(true)
    expect(await cache.get({ k: 1 })).toEqual({ loaded: true })
  })

  it('a_load_counts_as_failed_once_what_it_gave_rejects_also_where_that_is_no_promise', async () => {
    const cache = make()
    const error = new Error('the query failed')
    // biome-ignore lint/suspicious/noThenProperty: as the builders of queries are
    const query = { then: (_: unknown, reject: (why: Error) => void) => reject(error) }
    await expect(cache.getOrSet('k', () => query as unknown as Promise<number>)).rejects.toBe(error)
    await expect(cache.getOrSet('k', () => Promise.reject(error))).rejects.toBe(error)
    expect(await cache.getOrSet('k', () => 1)).toBe(1)
    expect(cache.metrics()).toMatchObject({ loads: 3, loadFailures: 2 })
  })

  it('loads_of_different_keys_do_not_wait_for_each_other', async () => {
    const cache = make()
    const slow = gate<string>()
    const first = cache.getOrSet('slow', () => slow.promise)
    expect(await cache.getOrSet('fast', () => 'fast')).toBe('fast')
    slow.open('slow')
    expect(await first).toBe('slow')
  })

  it('an_error_reaches_everyone_untouched_and_is_not_cached', async () => {
    const cache = make()
    const faults = faultsOf(cache)
    const error = new RangeError('mine')
    const load = vi.fn(async () => {
      throw error
    })
    const outcomes = await Promise.allSettled(Array.from({ length: 10 }, () => cache.getOrSet('k', load)))
    expect(outcomes.every((one) => one.status === 'rejected' && one.reason === error)).toBe(true)
    expect(load).toHaveBeenCalledTimes(1)
    expect(await cache.getOrSet('k', () => 'works')).toBe('works')
    expect(faults).toEqual([])
  })

  it('a_load_that_throws_at_once_rejects_and_one_that_is_synchronous_counts', async () => {
    const cache = make()
    const broken = cache.getOrSet('k', () => {
      throw new Error('at once')
    })
    await expect(broken).rejects.toThrow('at once')
    expect(() =>
      cache.getOrSetSync('k', () => {
        throw new Error('in sync')
      }),
    ).toThrow('in sync')
    expect(await cache.getOrSet('k', () => 5)).toBe(5)
  })

  it('undefined_is_returned_and_not_stored', async () => {
    const cache = make()
    const faults = faultsOf(cache)
    const load = vi.fn(() => undefined)
    expect(await cache.getOrSet('k', load)).toBeUndefined()
    expect(await cache.getOrSet('k', load)).toBeUndefined()
    expect(cache.getOrSetSync('k', load)).toBeUndefined()
    expect(await cache.refresh('k', load)).toBeUndefined()
    expect(load).toHaveBeenCalledTimes(4)
    expect(await cache.has('k')).toBe(false)
    expect(faults).toEqual([])
  })

  it.each<[string, (cache: Cache) => unknown, unknown]>([
    ['delete', (cache) => cache.delete('k'), undefined],
    ['deleteSync', (cache) => cache.deleteSync('k'), undefined],
    ['deleteMany', (cache) => cache.deleteMany(['k']), undefined],
    ['clear', (cache) => cache.clear(), undefined],
    ['set', (cache) => cache.set('k', 'set'), 'set'],
    ['setSync', (cache) => cache.setSync('k', 'set'), 'set'],
    ['setMany', (cache) => cache.setMany([['k', 'set']]), 'set'],
    ['refresh', (cache) => cache.refresh('k', () => 'set'), 'set'],
    ['refreshSync', (cache) => cache.refreshSync('k', () => 'set'), 'set'],
  ])('%s during a load: the load never overwrites it', async (_, invalidate, left) => {
    const cache = make()
    const old = gate<string>()
    const first = cache.getOrSet('k', () => old.promise)
    await soon()
    await invalidate(cache)
    // Whoever asks from now on is not given the old flight.
    const second = cache.getOrSet('k', () => 'newer')
    expect(await second).toBe(left ?? 'newer')
    old.open('old')
    expect(await first).toBe('old')
    await soon()
    expect(await cache.get('k')).toBe(left ?? 'newer')
    expect(cache.getSync('k')).toBe(left ?? 'newer')
  })

  it('a_slow_refresh_does_not_overwrite_a_newer_one', async () => {
    const cache = make()
    const slow = gate<string>()
    const first = cache.refresh('k', () => slow.promise)
    expect(await cache.refresh('k', () => 'newer')).toBe('newer')
    slow.open('older')
    expect(await first).toBe('older')
    expect(await cache.get('k')).toBe('newer')
  })

  it('close_during_a_load_gives_the_value_and_reports_nothing', async () => {
    const cache = make()
    const faults = faultsOf(cache)
    const late = gate<string>()
    const loaded = cache.getOrSet('k', () => late.promise)
    await soon()
    await cache.close()
    late.open('late')
    expect(await loaded).toBe('late')
    expect(faults).toEqual([])
  })

  it('a_closed_cache_loads_stores_nothing_and_reports_E_CLOSED', async () => {
    const cache = make()
    const faults = faultsOf(cache)
    await cache.set('k', 'cached')
    await cache.close()
    expect(await cache.getOrSet('k', () => 'loaded')).toBe('loaded')
    expect(await cache.refresh('k', async () => 'again')).toBe('again')
    expect(cache.getOrSetSync('k', () => 'sync')).toBe('sync')
    expect(cache.refreshSync('k', () => 'sync')).toBe('sync')
    expect(faults.map(({ code }) => code)).toEqual(Array(4).fill('E_CLOSED'))
    expect(await codeOf(cache.getOrSet({ f: () => {} }, () => 1))).toBe('E_INVALID_KEY')
  })
})

describe('a fault of the disk never breaks a load', () => {
  it('a_full_disk_gives_the_loaded_value_and_an_error_event', async () => {
    const cache = openCache({ dir: tempDir(), memory: false })
    const faults = faultsOf(cache)
    failDisk(WRITES)
    expect(await cache.getOrSet('k', () => 1)).toBe(1)
    expect(await cache.getOrSet('k', () => 2)).toBe(2)
    expect(await cache.refresh('k', () => 3)).toBe(3)
    expect(cache.getOrSetSync('k', () => 4)).toBe(4)
    expect(cache.refreshSync('k', () => 5)).toBe(5)
    expect(faults.map(({ code }) => code)).toEqual(Array(5).fill('E_STORAGE_FULL'))
    expect(faults[0]).toBeInstanceOf(TierceError)
    expect(faults[0]?.context).toEqual({ path: '/full' })
  })

  it('an_explicit_set_on_a_full_disk_throws_and_memory_forgets_it', async () => {
    const cache = openCache({ dir: tempDir() })
    failDisk(WRITES)
    expect(await codeOf(cache.set('k', 1))).toBe('E_STORAGE_FULL')
    expect(await codeOf(() => cache.setSync('k', 1))).toBe('E_STORAGE_FULL')
    expect(await codeOf(cache.setMany([['k', 1]]))).toBe('E_STORAGE_FULL')
    expect(await cache.get('k')).toBeUndefined()
  })

  it('each_call_of_a_failing_batch_is_told', async () => {
    const cache = openCache({ dir: tempDir() })
    failDisk(WRITES)
    const outcomes = await Promise.allSettled([
      cache.set('a', 1),
      cache.set('b', 2),
      cache.delete('c'),
      cache.clear(),
    ])
    expect(outcomes.map((one) => one.status === 'rejected' && one.reason.code)).toEqual(
      Array(4).fill('E_STORAGE_FULL'),
    )
  })

  it('a_disk_that_cannot_be_read_gives_the_loaded_value_and_explicit_reads_throw', async () => {
    const cache = openCache({ dir: tempDir(), memory: false })
    const faults = faultsOf(cache)
    failDisk(READS, 'E_UNAVAILABLE')
    expect(await cache.getOrSet('k', () => 1)).toBe(1)
    expect(cache.getOrSetSync('k', () => 2)).toBe(2)
    expect(faults.map(({ code }) => code)).toEqual(['E_UNAVAILABLE', 'E_UNAVAILABLE'])
    for (const read of [
      () => cache.get('k'),
      () => cache.getSync('k'),
      () => cache.has('k'),
      () => cache.getMany(['k']),
    ]) {
      expect(await codeOf(read), String(read)).toBe('E_UNAVAILABLE')
    }
  })

  it('a_value_that_cannot_be_stored_is_returned_and_reported', async () => {
    const cache = openCache({ dir: tempDir() })
    const faults = faultsOf(cache)
    const loaded = await cache.getOrSet('k', () => ({ f: () => 5 }))
    expect(loaded.f()).toBe(5)
    expect(cache.getOrSetSync('k', () => ({ f: () => 6 })).f()).toBe(6)
    expect(faults.map(({ code }) => code)).toEqual(['E_UNSERIALIZABLE', 'E_UNSERIALIZABLE'])
  })

  it('after_the_fault_the_cache_works_again', async () => {
    const cache = openCache({ dir: tempDir() })
    faultsOf(cache)
    await cache.getOrSet('k', () => ({ f: () => 5 }))
    expect(await cache.getOrSet('k', () => 'fine')).toBe('fine')
    expect(await cache.get('k')).toBe('fine')
  })
})

describe("the 'error' event", () => {
  it('an_unheard_error_warns_once_a_code_and_never_throws', async () => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const [a, b] = [openCache({ dir: tempDir() }), openCache({ dir: tempDir() })]
    for (let round = 0; round < 3; round++) {
      await a.getOrSet('k', () => () => {})
      await b.getOrSet('k', () => () => {})
    }
    failDisk(WRITES)
    await a.getOrSet('k', () => 1)
    await b.getOrSet('k', () => 1)
    const codes = warned.mock.calls.map(([, options]) => (options as unknown as { code: string }).code)
    warned.mockRestore()
    expect(codes).toEqual(['E_UNSERIALIZABLE', 'E_STORAGE_FULL'])
  })

  it('every_listener_is_told_until_it_is_taken_off', async () => {
    const cache = openCache({ dir: tempDir() })
    const [first, second] = [vi.fn(), vi.fn()]
    expect(cache.on('error', first).on('error', second)).toBe(cache)
    await cache.getOrSet('k', () => () => {})
    cache.off('error', first)
    await cache.getOrSet('k', () => () => {})
    expect([first.mock.calls.length, second.mock.calls.length]).toEqual([1, 2])
  })

  it('a_listener_that_throws_breaks_no_load', async () => {
    const cache = openCache({ dir: tempDir() })
    const listeners = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    const uncaught = new Promise((resolve) => process.once('uncaughtException', resolve))
    cache.on('error', () => {
      throw new Error('of the listener')
    })
    expect(typeof (await cache.getOrSet('k', () => () => {}))).toBe('function')
    expect(await uncaught).toMatchObject({ message: 'of the listener' })
    for (const listener of listeners) process.on('uncaughtException', listener)
  })
})
