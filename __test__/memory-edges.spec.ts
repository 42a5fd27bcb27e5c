import { definePolicy, MemoryCache, type MemoryCacheOptions, type PolicyHooks } from 'tierce'
import { describe, expect, it, vi } from 'vitest'
import { fakeClock } from './helpers/clock.js'
import { codeOfSync } from './helpers/errors.js'
import { POLICIES } from './helpers/policies.js'
import { tempDir } from './helpers/temp.js'

describe('hooks that throw', () => {
  const throws = (): never => {
    throw new Error('on purpose')
  }
  const oldest: PolicyHooks<string> = { victim: (cache) => cache.keys().next().value as string }
  const hooks: Record<string, PolicyHooks<string>> = {
    victim: { victim: throws },
    'victim that is none': { victim: () => 'nobody' },
    onAdd: { ...oldest, onAdd: throws },
    onDelete: { ...oldest, onDelete: throws },
    onAccess: { ...oldest, onAccess: throws, onUpdate: throws, onClear: throws },
  }
  const bounds: MemoryCacheOptions<string, number>[] = [
    { max: 3 },
    { maxSize: 30, weigher: (weight) => weight },
  ]
  for (const [name, hook] of Object.entries(hooks)) {
    it(`${name}: what is held stays within the bounds, and the account of it right`, () => {
      definePolicy(`throwing ${name}`, hook)
      for (const bound of bounds) {
        const cache = new MemoryCache<string, number>({ ...bound, policy: `throwing ${name}` })
        for (let at = 0; at < 200; at++) {
          const verbs = [
            () => cache.set(`k${at % 7}`, 1 + ((at * 5) % 16)),
            () => cache.get(`k${(at * 3) % 7}`),
            () => at % 5 === 0 && cache.delete(`k${(at * 2) % 7}`),
            () => at % 17 === 0 && cache.clear(),
          ]
          for (const verb of verbs) {
            try {
              verb()
            } catch (error) {
              expect((error as Error).message).toMatch(/on purpose|nobody/)
            }
            expect(cache.check()).toBe('')
          }
        }
      }
    })
  }

  it('a value that would be too heavy beside the others, where no victim is named, leaves the one there was', () => {
    definePolicy('names none', { victim: throws })
    const options = { maxSize: 30, weigher: (weight: number) => weight, policy: 'names none' }
    const cache = new MemoryCache<string, number>(options).set('a', 10).set('b', 15)
    expect(() => cache.set('a', 20, { ttl: 1 })).toThrow('on purpose')
    expect([cache.get('a'), cache.ttl('a'), cache.bytes]).toEqual([10, Infinity, 25])
  })
})

describe('onEvict that uses the cache while it is told', () => {
  const acts: Record<string, (cache: MemoryCache<string, number>, at: number) => unknown> = {
    set: (cache, at) => cache.set(`x${at}`, 1),
    setMany: (cache, at) => cache.setMany([`p${at}`, `q${at}`].map((key) => [key, 1])),
    getOrSet: (cache, at) => cache.getOrSet(`y${at}`, () => 1),
    delete: (cache, at) => cache.delete(`k${at % 9}`),
    clear: (cache) => cache.clear(),
    cleanup: (cache) => cache.cleanup(),
    close: (cache) => cache.close(),
  }
  it.each(POLICIES)('%s: leaves the bound and the account as they should be', (policy) => {
    for (const [name, act] of Object.entries(acts)) {
      let depth = 0
      const cache: MemoryCache<string, number> = new MemoryCache({
        max: 4,
        policy,
        onEvict() {
          if (depth > 3) return
          depth++
          act(cache, depth)
          depth--
        },
      })
      for (let at = 0; at < 50; at++) {
        const code = codeOfSync(() => cache.set(`k${at}`, at))
        expect(code).toBe(name === 'close' && at > 4 ? 'E_CLOSED' : undefined)
        if (name === 'close' && at >= 4) continue
        expect([cache.size <= 4, cache.check()]).toEqual([true, ''])
      }
    }
  })
})

describe('a clock that is set back', () => {
  it('by years leaves nothing that has expired behind a cleanup', () => {
    const clock = fakeClock(5e12)
    const cache = new MemoryCache<string, number>({ max: 100, clock })
    cache.set('before', 1, { ttl: 1000 })
    clock.advance(-1e12)
    cache.set('after', 2, { ttl: 1000 })
    clock.advance(1500)
    expect(cache.cleanup()).toBe(1)
    expect([...cache.keys()]).toEqual(['before'])
    clock.advance(1e12)
    expect([cache.cleanup(), cache.size]).toEqual([1, 0])
  })

  it('and forward again, as when it was wrong for a moment, changes nothing', () => {
    const clock = fakeClock(1e12)
    const cache = new MemoryCache<number, number>({ max: 100, clock })
    for (let key = 0; key < 50; key++) cache.set(key, key, { ttl: 1000 * (key + 1) })
    clock.advance(-1e9)
    expect(cache.cleanup()).toBe(0)
    clock.advance(1e9)
    for (let key = 0; key < 50; key++) {
      clock.advance(999)
      expect(cache.cleanup()).toBe(0)
      clock.advance(1)
      expect(cache.cleanup()).toBe(1)
    }
  })
})

describe('the background cleanup', () => {
  it('of a closed cache does not start, and no timer is left to throw later', () => {
    const cache = new MemoryCache<string, number>()
    cache.close()
    const start = vi.spyOn(globalThis, 'setInterval')
    try {
      expect(codeOfSync(() => cache.startCleanup(1))).toBe('E_CLOSED')
      expect(start).not.toHaveBeenCalled()
    } finally {
      start.mockRestore()
    }
  })

  it('ends with its cache', () => {
    const start = vi.spyOn(globalThis, 'setInterval')
    const end = vi.spyOn(globalThis, 'clearInterval')
    try {
      const cache = new MemoryCache<string, number>().set('a', 1, { ttl: '1h' })
      cache.close()
      expect(end).toHaveBeenCalledWith(start.mock.results[0]!.value)
    } finally {
      start.mockRestore()
      end.mockRestore()
    }
  })

  it('waits no longer than a timer can, which would fire at once', () => {
    const start = vi.spyOn(globalThis, 'setInterval')
    try {
      const cache = new MemoryCache<string, number>({ cleanupInterval: '60d' }).set('a', 1, { ttl: 1 })
      for (const interval of [2 ** 31, '30d', 1e12]) cache.startCleanup(interval)
      cache.startCleanup('never')
      cache.close()
      expect(start.mock.calls.map(([, interval]) => interval)).toEqual(Array(4).fill(2 ** 31 - 1))
    } finally {
      start.mockRestore()
    }
  })
})

describe('an entry in the place of another', () => {
  it.each(POLICIES)('%s: one that never expires does not end with the TTL of the victim', (policy) => {
    const clock = fakeClock()
    const cache = new MemoryCache<number, number>({ max: 4, policy, clock })
    for (let key = 0; key < 4; key++) cache.set(key, key, { ttl: 10 })
    for (let key = 4; key < 40; key++) cache.set(key, key)
    const held = [...cache.keys()].filter((key) => key >= 4)
    expect(held.length).toBeGreaterThan(0)
    expect(held.map((key) => cache.ttl(key))).toEqual(held.map(() => Infinity))
    clock.advance(10)
    cache.cleanup()
    expect([...cache.keys()]).toEqual(held)
  })

  it('of its own key that has expired: that one has expired, and was not replaced', () => {
    const clock = fakeClock()
    const told: unknown[] = []
    const cache = new MemoryCache<string, number>({ max: 4, clock, onEvict: (...all) => told.push(all) })
    cache.set('a', 1, { ttl: 10 })
    clock.advance(10)
    cache.set('a', 2)
    expect(told).toEqual([['a', 1, 'expire']])
    expect(cache.metrics()).toMatchObject({ sets: 2, expired: 1 })
  })

  it('by load: a load of its key that comes later is not stored', async () => {
    const dir = tempDir()
    const cache = new MemoryCache<string, number>({ dir }).set('a', 1)
    cache.saveSync()
    cache.clear()
    let resolve = (_value: number): void => {}
    const loading = cache.getOrSet('a', () => new Promise<number>((settle) => (resolve = settle)))
    cache.loadSync()
    resolve(2)
    expect([await loading, cache.get('a')]).toEqual([2, 1])
  })
})

it('expire gives an entry that slides a TTL that slides', () => {
  const clock = fakeClock()
  const cache = new MemoryCache<string, number>({ clock }).set('a', 1, { ttl: 10, sliding: true })
  cache.expire('a', 100)
  for (let step = 0; step < 3; step++) {
    clock.advance(60)
    expect(cache.get('a')).toBe(1)
    expect(cache.ttl('a')).toBe(100)
  }
})

it('metrics count each entry that left, by room in bytes and by clear', () => {
  const cache = new MemoryCache<number, number>({ maxSize: 30, weigher: (weight) => weight, policy: 'lru' })
  for (let key = 0; key < 5; key++) cache.set(key, 10)
  expect(cache.metrics().removals).toEqual({ evict: 2, expire: 0, delete: 0, clear: 0 })
  cache.clear()
  expect(cache.metrics().removals).toEqual({ evict: 2, expire: 0, delete: 0, clear: 3 })
})

it('an entry that the weigher finds light as nothing weighs 1, so that maxSize bounds those too', () => {
  const cache = new MemoryCache<number, number>({ maxSize: 10, weigher: (weight) => weight })
  for (let key = 0; key < 50; key++) cache.set(key, key % 2 === 0 ? 0 : 0.25)
  expect([cache.size, cache.bytes, cache.check()]).toEqual([10, 10, ''])
})

it('setMany refuses a TTL that is none also where there is nothing to set', () => {
  expect(codeOfSync(() => new MemoryCache().setMany([], { ttl: 0 }))).toBe('E_INVALID_TTL')
})

it('metrics add up the time in loaders, those that throw included', () => {
  const cache = new MemoryCache<string, number>()
  const load = (key: string): number => {
    const start = performance.now()
    while (performance.now() - start < 2) {}
    if (key === 'bad') throw new Error('on purpose')
    return 1
  }
  cache.getOrSet('a', load)
  expect(() => cache.getOrSet('bad', load)).toThrow('on purpose')
  expect(cache.metrics().loadTime).toBeGreaterThanOrEqual(4)
  expect(cache.metrics()).toMatchObject({ loads: 2, loadFailures: 1 })
})
