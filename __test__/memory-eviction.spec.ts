/** What leaves a `MemoryCache`: bounds, policies of one's own, and who is told. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { join } from 'node:path'
import {
  definePolicy,
  InvalidOptionError,
  MemoryCache,
  type MemoryCacheOptions,
  type RemovalReason,
  ValueTooLargeError,
} from 'tierce'
import { describe, expect, it, vi } from 'vitest'
import { fakeClock } from './helpers/clock.js'
import { POLICIES } from './helpers/policies.js'
import { tempDir } from './helpers/temp.js'

describe('bounds', () => {
  it.each(POLICIES)('%s: all of max is in use, and never more', (policy) => {
    for (const max of [1, 2, 3, 10, 255, 257, 1000]) {
      const cache = new MemoryCache<string, number>({ max, policy })
      for (let index = 0; index < max; index++) cache.set(`key ${index}`, index)
      expect(cache.size).toBe(max)
      for (let index = 0; index < max; index++) expect(cache.peek(`key ${index}`)).toBe(index)
      for (let index = 0; index < 3 * max; index++) {
        cache.set(`other ${index}`, index)
        cache.get(`other ${index >> 1}`)
        expect(cache.size).toBe(max)
      }
      expect(cache.check()).toBe('')
    }
  })

  it.each(POLICIES)('%s: evicts after clear and refill, and after load, as it did before', async (policy) => {
    const cache = new MemoryCache<number, number>({ max: 50, policy })
    const fill = () => {
      for (let step = 0; step < 2000; step++) {
        const key = (step * 7919) % 131
        if (cache.get(key) === undefined) cache.set(key, step)
      }
      expect(cache.size).toBe(50)
      expect(cache.check()).toBe('')
    }
    fill()
    const order = [...cache.keys()]
    cache.clear()
    expect([cache.size, [...cache.keys()]]).toEqual([0, []])
    fill()
    expect([...cache.keys()]).toEqual(order)
    const file = join(tempDir(), 'saved')
    await cache.save(file)
    await cache.load(file)
    fill()
  })

  it.each(POLICIES)('%s: maxSize holds after each call, with weights that change', (policy) => {
    const cache = new MemoryCache<number, number>({
      maxSize: 1000,
      max: 50,
      policy,
      weigher: (value) => value,
    })
    for (let step = 0; step < 5000; step++) {
      cache.set((step * 7919) % 131, 1 + ((step * 104_729) % 90))
      if (step % 3 === 0) cache.get(step % 131)
      expect(cache.bytes).toBeLessThanOrEqual(1000)
      expect(cache.size).toBeLessThanOrEqual(50)
    }
    expect(cache.check()).toBe('')
    expect([...cache.values()].reduce((sum, weight) => sum + weight, 0)).toBe(cache.bytes)
  })

  it('overwrites do not inflate the account', () => {
    const cache = new MemoryCache<string, string>({ maxSize: 1000, policy: 'lru' })
    cache.set('other', 'x')
    for (let step = 0; step < 1000; step++) cache.set('key', 'x'.repeat(step % 100))
    expect(cache.has('other')).toBe(true)
    expect(cache.size).toBe(2)
  })

  it('a value over the limit is refused, and nothing else is lost', () => {
    const cache = new MemoryCache<string, string>({ maxSize: 100, weigher: (value) => value.length })
    cache.set('a', 'x'.repeat(50)).set('b', 'x'.repeat(50))
    expect(() => cache.set('c', 'x'.repeat(101))).toThrow(ValueTooLargeError)
    expect(() => cache.set('a', 'x'.repeat(101))).toThrow(ValueTooLargeError)
    expect([cache.get('a'), cache.get('b')]).toEqual(['x'.repeat(50), 'x'.repeat(50)])
    cache.set('c', 'x'.repeat(100))
    expect([...cache.keys()]).toEqual(['c'])
  })

  it.each([0, -1, 1.5, Number.NaN, '10', 2 ** 24 + 1])('refuses a max of %j with the reason', (max) => {
    expect(() => new MemoryCache({ max: max as number })).toThrow(InvalidOptionError)
  })

  it('names an option or a policy that is misspelt', () => {
    expect(() => new MemoryCache({ maxx: 1 } as never)).toThrow(/Did you mean 'max'/)
    expect(() => new MemoryCache({ policy: 'lur' })).toThrow(/lru/)
    expect(() => new MemoryCache({ max: 0 })).toThrow(/max/)
    expect(() => new MemoryCache({ maxSize: 0 })).toThrow(/maxSize/)
    expect(() => new MemoryCache({ max: 1, weigher: () => 1 })).toThrow(/maxSize/)
    expect(() => new MemoryCache({ maxSize: 9, weigher: () => Number.NaN }).set('a', 1)).toThrow(/weigher/)
  })

  it.each<MemoryCacheOptions<number, number>>([
    { max: 300 },
    { maxSize: 300, weigher: () => 1 },
    { maxSize: 3000, weigher: (key) => 1 + (key % 19), ttl: '1h', sliding: true },
  ])('a cache that was cleared fills again, under each policy, bounded by %o', (bounds) => {
    for (const policy of POLICIES) {
      const cache = new MemoryCache<number, number>({ ...bounds, policy })
      for (const keys of [1000, 1, 5000, 300]) {
        for (let key = 0; key < keys; key++) {
          cache.set(key, key)
          cache.get(key >> 1)
        }
        if (bounds.max !== undefined) expect(cache.size).toBe(Math.min(keys, 300))
        expect(cache.bytes).toBeLessThanOrEqual(bounds.maxSize === undefined ? 0 : Number(bounds.maxSize))
        expect(cache.get(keys - 1)).toBe(keys - 1)
        expect(cache.check()).toBe('')
        cache.clear()
        expect([cache.size, cache.bytes, [...cache]]).toEqual([0, 0, []])
      }
    }
  })

  it('entries that grow make others go, under each policy, though nothing ever had to go for a newcomer', () => {
    for (const policy of POLICIES) {
      const cache = new MemoryCache<string, number>({ maxSize: 10, weigher: (weight) => weight, policy })
      cache.set('a', 3).set('b', 3).set('c', 3).set('b', 6)
      expect([cache.get('b'), cache.size, cache.check()], policy).toEqual([6, 2, ''])
      cache.set('b', 10)
      expect([[...cache], cache.check()], policy).toEqual([[['b', 10]], ''])
    }
  })
})

describe('onEvict', () => {
  const told = (options: object = {}) => {
    const log: [string, unknown, RemovalReason][] = []
    const clock = fakeClock()
    const cache = new MemoryCache<string, number>({
      max: 2,
      policy: 'lru',
      clock,
      onEvict: (...removal) => log.push(removal),
      ...options,
    })
    return { cache, log, clock }
  }

  it('says why each entry left', () => {
    const { cache, log, clock } = told()
    cache.set('a', 1).set('a', 2).set('b', 1, { ttl: 5 }).set('c', 1).delete('c')
    clock.advance(5)
    cache.get('b')
    cache.set('d', 1).set('e', 2).clear()
    expect(log).toEqual([
      ['a', 1, 'set'],
      ['a', 2, 'evict'],
      ['c', 1, 'delete'],
      ['b', 1, 'expire'],
      ['d', 1, 'clear'],
      ['e', 2, 'clear'],
    ])
  })

  it('may use the cache', () => {
    const calls: string[] = []
    const cache = new MemoryCache<string, number>({
      max: 4,
      policy: 'lru',
      onEvict(key, value, reason) {
        calls.push(key)
        expect(cache.check()).toBe('')
        expect(cache.has(key)).toBe(false)
        if (reason === 'evict' && key.length === 1) cache.set(`${key}!`, value)
        cache.get('a')
        cache.delete('b!')
      },
    })
    for (const key of 'abcdefgh') cache.set(key, 1)
    expect(calls.length).toBeGreaterThan(3)
    expect(cache.size).toBeLessThanOrEqual(4)
    expect(cache.check()).toBe('')
  })

  it('what it throws reaches the caller after all were told', () => {
    const seen: string[] = []
    const cache = new MemoryCache<string, number>({
      max: 10,
      onEvict(key) {
        seen.push(key)
        throw new Error(`about ${key}`)
      },
    })
    cache.set('a', 1).set('b', 2)
    expect(() => cache.clear()).toThrow(/about/)
    expect(seen).toHaveLength(2)
    expect(cache.size).toBe(0)
    expect(cache.set('c', 1).get('c')).toBe(1)
  })

  it('what it throws in a background cleanup is told, and neither the process nor the timer ends', async () => {
    const boom = new Error('boom')
    const cache = new MemoryCache<string, number>({
      ttl: 1,
      cleanupInterval: 2,
      onEvict() {
        throw boom
      },
    })
    let heard = 0
    const hear = (fault: unknown) => {
      if ((fault as Error).cause === boom) heard++
    }
    subscribe('tierce:error', hear)
    try {
      for (const key of ['a', 'b']) {
        const before = heard
        cache.set(key, 1)
        await vi.waitFor(() => expect(heard).toBe(before + 1), { timeout: 60_000 })
      }
      expect(cache.size).toBe(0)
    } finally {
      unsubscribe('tierce:error', hear)
      cache.close()
    }
  }, 120_000)
})

describe('custom policies', () => {
  it('a policy of one hook evicts what it names', () => {
    definePolicy<string>('longest', {
      victim: (cache) => [...cache.keys()].reduce((a, b) => (b.length > a.length ? b : a)),
    })
    const cache = new MemoryCache<string, number>({ max: 3, policy: 'longest' })
    cache.set('aaa', 1).set('b', 2).set('cc', 3).set('d', 4)
    expect([...cache.keys()]).toEqual(['b', 'cc', 'd'])
  })

  it('hooks are told of everything, and each cache has hooks of its own', () => {
    const logs: string[][] = []
    definePolicy<string>('told', () => {
      const log: string[] = []
      const keys: string[] = []
      logs.push(log)
      return {
        onAdd: (key) => log.push(`add ${key}`) && keys.push(key),
        onUpdate: (key) => log.push(`update ${key}`),
        onAccess: (key) => log.push(`access ${key}`),
        onDelete: (key) => log.push(`delete ${key}`) && keys.splice(keys.indexOf(key), 1),
        victim: () => keys[0] as string,
      }
    })
    const cache = new MemoryCache<string, number>({ max: 2, policy: 'told' })
    const other = new MemoryCache<string, number>({ max: 2, policy: 'told' })
    other.set('x', 1)
    cache.set('a', 1).set('a', 2).set('b', 1).set('c', 1)
    cache.get('b')
    cache.delete('b')
    cache.clear()
    expect(logs[0]).toEqual([
      'add a',
      'update a',
      'add b',
      'delete a',
      'add c',
      'access b',
      'delete b',
      'delete c',
    ])
    expect(logs[1]).toEqual(['add x'])
  })

  it('a victim that is not in the cache is an error that names both', () => {
    definePolicy('lost', { victim: () => 'nobody' })
    const cache = new MemoryCache<string, number>({ max: 1, policy: 'lost' }).set('a', 1)
    expect(() => cache.set('b', 1)).toThrow(/'lost'.*"nobody"/)
    expect(cache.get('a')).toBe(1)
    expect(cache.check()).toBe('')
  })

  it('refuses a taken name and hooks without a victim', () => {
    definePolicy('once', { victim: () => 1 })
    expect(() => definePolicy('once', { victim: () => 1 })).toThrow(InvalidOptionError)
    expect(() => definePolicy('lru', { victim: () => 1 })).toThrow(/already/)
    expect(() => definePolicy('none', {} as never)).toThrow(/victim/)
    expect(() => new MemoryCache({ policy: 'unheard' })).toThrow(/'once'/)
  })
})
