/** Programs that are tested with fake timers, and modules that a runner loads anew. */
import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Cache, KeyNotFoundError, MemoryCache, TierceError } from 'tierce'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { tempDir } from './helpers/temp.js'

afterEach(() => {
  vi.useRealTimers()
})

const PLACES: [string, () => object][] = [
  ['memory', () => ({})],
  ['memory, as copies', () => ({ values: 'copy' })],
  ['a disk', () => ({ dir: tempDir(), memory: false })],
  ['memory before a disk', () => ({ dir: tempDir() })],
  ['a directory without locks', () => ({ dir: tempDir(), metadata: 'json', memory: true })],
]

describe.each(PLACES)('fake timers, in %s', (_place, options) => {
  let cache: Cache
  beforeEach(() => {
    cache = new Cache({ ...options(), ttl: '1h' })
  })
  afterEach(async () => {
    vi.useRealTimers()
    await cache.close()
  })

  it('a_cache_that_was_there_before_them_goes_by_their_time', async () => {
    await cache.set('before', 1)
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() })
    await cache.set('after', 2)
    expect(await cache.getMany(['before', 'after'])).toEqual([1, 2])
    vi.advanceTimersByTime(30 * 60_000)
    expect(await cache.get('after')).toBe(2)
    vi.advanceTimersByTime(31 * 60_000)
    expect([cache.getSync('before'), await cache.get('after')]).toEqual([undefined, undefined])
  })

  it('their_times_move_within_one_turn_of_the_event_loop', async () => {
    cache.setSync('key', 1)
    for (let asked = 0; asked < 100; asked++) cache.getSync('key') // from then on a clock that lags is asked, until the turn ends
    await new Promise(setImmediate)
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() })
    vi.advanceTimersByTime(61 * 60_000)
    expect(cache.getSync('key')).toBeUndefined()
    cache.setSync('key', 2, { ttl: 1000 })
    vi.advanceTimersByTime(999)
    expect(cache.getSync('key')).toBe(2)
    vi.advanceTimersByTime(1)
    expect(cache.getSync('key')).toBeUndefined()
  })

  it('a_date_of_theirs_is_a_date', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() })
    const at = new Date()
    await cache.set({ at }, { at, in: [new Map([[at, 1]])] })
    const found = await cache.get<{ at: Date }>({ at })
    vi.useRealTimers()
    const same = new Date(at.getTime())
    expect(found?.at.toISOString()).toBe(same.toISOString())
    expect(await cache.has({ at: same })).toBe(true)
  })
})

// In a process of its own: a runner needs them itself.
it('nothing_waits_for_ticks_microtasks_and_immediates_that_are_faked', async () => {
  const script = `
    const { Cache, wrapMany } = require(process.argv[1])
    process.nextTick = globalThis.queueMicrotask = globalThis.setImmediate = () => {}
    const use = async (options) => {
      const cache = new Cache(options)
      await cache.set('key', 1)
      await cache.setMany({ a: 1, b: 2 })
      const lengths = wrapMany(cache, async (words) => words.map((word) => word.length), { name: 'lengths' })
      const told = new Promise((resolve) => cache.on('cleanup', resolve))
      await cache.set('soon', 1, { ttl: 1 })
      await new Promise((resolve) => setTimeout(resolve, 20))
      const removed = await cache.cleanup()
      const found = [await cache.get('key'), await lengths('abc'), await cache.delete('a'), await cache.size()]
      require('node:fs').writeSync(1, JSON.stringify([...found, removed, (await told).removed]) + ' ')
      await cache.close()
    }
    use({}).then(() => use({ dir: process.argv[2] })).then(() => use({ dir: process.argv[3], metadata: 'json' }))`
  const build = fileURLToPath(new URL('../build/index.js', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', script, build, tempDir(), tempDir()])
  const found = JSON.stringify([1, 3, true, 3, 1, 1])
  expect(stdout.trim().split(' ')).toEqual([found, found, found])
})

it('a_subclass_of_Date_is_still_no_date', async () => {
  class Day extends Date {}
  await expect(new Cache({ values: 'copy' }).set('day', new Day())).rejects.toThrow('an instance of Day')
})

it('a_MemoryCache_that_was_there_before_fake_timers_goes_by_their_time', () => {
  const cache = new MemoryCache<string, number>({ ttl: '1h' }).set('key', 1)
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() })
  expect(cache.get('key')).toBe(1)
  vi.advanceTimersByTime(61 * 60_000)
  expect(cache.get('key')).toBeUndefined()
})

describe('a second copy of the package', () => {
  const require = createRequire(import.meta.url)
  /** As after `jest.resetModules()`, or where two versions are installed. */
  function secondCopy(): typeof import('tierce') {
    const entry = require.resolve('../build/index.js')
    const folder = entry.slice(0, -'index.js'.length)
    const saved = Object.entries(require.cache).filter(([path]) => path.startsWith(folder))
    for (const [path] of saved) delete require.cache[path]
    try {
      return require(entry)
    } finally {
      for (const [path, module] of saved) require.cache[path] = module
    }
  }

  it('its_errors_are_known_by_instanceof_and_no_others_are', async () => {
    const other = secondCopy()
    expect(other.TierceError).not.toBe(TierceError)
    const error = await new other.Cache().getOrThrow('none').catch((error: unknown) => error)
    expect(Object.getPrototypeOf(error)).toBe(other.KeyNotFoundError.prototype)
    expect(error).toBeInstanceOf(TierceError)
    expect(error).toBeInstanceOf(KeyNotFoundError)
    const expired = new other.KeyExpiredError('E_KEY_EXPIRED', 'gone')
    expect(expired).toBeInstanceOf(KeyNotFoundError)
    expect(error).not.toBeInstanceOf(other.KeyExpiredError)
    class Mine extends TierceError {}
    expect(error).not.toBeInstanceOf(Mine)
    expect(new Mine('E_CLOSED', 'mine')).toBeInstanceOf(TierceError)
    for (const nothing of [null, undefined, 'x', {}, new Error('x'), TierceError.prototype.constructor])
      expect(nothing instanceof TierceError).toBe(false)
  })

  it('shares_a_directory_with_the_first', async () => {
    const dir = tempDir()
    const [one, two] = [new Cache({ dir }), new (secondCopy().Cache)({ dir })]
    await one.set('key', new Date(1))
    expect(await two.get('key')).toEqual(new Date(1))
    await two.set('key', 2)
    expect(one.getSync('key')).toBe(2)
    await Promise.all([one.close(), two.close()])
  })
})
