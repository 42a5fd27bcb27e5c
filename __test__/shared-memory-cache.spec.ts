import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import {
  definePolicy,
  InvalidOptionError,
  InvalidTtlError,
  NdArray,
  ndarray,
  SharedMemoryCache,
} from 'tierce'
import { describe, expect, it } from 'vitest'
import { anyValue } from './helpers/any-value.js'
import { runScript } from './helpers/child.js'
import { POLICIES } from './helpers/policies.js'
import { expectSame } from './helpers/same.js'

let names = 0
function open(options: Partial<ConstructorParameters<typeof SharedMemoryCache>[0]> = {}) {
  return new SharedMemoryCache<never, unknown>({
    name: `spec-${names++}`,
    maxSize: '1MB',
    ...options,
  }) as unknown as SharedMemoryCache<string | object, unknown>
}

describe('values', () => {
  it('come back as they went in, each time for the reader alone', () => {
    const cache = open()
    const value = {
      when: new Date(0),
      list: [1n, new Map([['a', new Float64Array([1, 2])]])],
      text: '\u{1f600}',
    }
    cache.set('a', value)
    expectSame(cache.get('a'), value)
    expect(cache.get('a')).not.toBe(cache.get('a'))
    const first = cache.get('a') as typeof value
    first.list.length = 0
    expectSame(cache.peek('a'), value)
    value.text = 'changed'
    expect((cache.get('a') as typeof value).text).toBe('\u{1f600}')
  })

  it('of every kind and size, around the size of the buffer that they cross in', () => {
    const cache = open({ maxSize: '16MB' })
    for (const length of [0, 1, 100, 16_383, 16_384, 21_845, 65_000, 65_528, 65_529, 65_536, 1_000_000]) {
      cache
        .set('bytes', Buffer.alloc(length, 7))
        .set('text', '\u00e9'.repeat(length))
        .set('ascii', 'x'.repeat(length))
      cache.set('numbers', ndarray(new Float32Array(length).fill(0.5), [length]))
      expectSame(cache.get('bytes'), Buffer.alloc(length, 7))
      expectSame(cache.get('text'), '\u00e9'.repeat(length))
      expectSame(cache.get('ascii'), 'x'.repeat(length))
      expect(cache.get('numbers')).toBeInstanceOf(NdArray)
    }
    const long = 'k'.repeat(100_000)
    cache.set(long, 1).set({ long }, 2)
    expect(cache.getMany([long, { long }])).toEqual([1, 2])
    expect(cache.check()).toBe('')
  })

  it('whatever they are', () => {
    const cache = open({ maxSize: '16MB' })
    fc.assert(
      fc.property(anyValue(), (value) => {
        if (value === undefined) return
        cache.set('any', value)
        expectSame(cache.get('any'), value)
      }),
      { numRuns: 300 },
    )
  })

  it('null is one and undefined is none; what has no stored form is refused and changes nothing', () => {
    const cache = open()
    cache.set('a', null)
    expect([cache.get('a'), cache.has('a'), cache.get('b')]).toEqual([null, true, undefined])
    for (const value of [undefined, () => 1, Symbol('s')]) {
      expect(() => cache.set('a', value)).toThrow(expect.objectContaining({ code: 'E_UNSERIALIZABLE' }))
    }
    expect(cache.get('a')).toBeNull()
  })
})

describe('verbs', () => {
  it('add stores only what is absent, update only what is there, delete what is', () => {
    const cache = open()
    expect([cache.update('a', 1), cache.add('a', 2), cache.add('a', 3), cache.get('a')]).toEqual([
      false,
      true,
      false,
      2,
    ])
    expect([cache.update('a', 4), cache.get('a'), cache.delete('a'), cache.delete('a')]).toEqual([
      true,
      4,
      true,
      false,
    ])
  })

  it('keys are those of Cache, and come back as they were given', () => {
    const cache = open()
    const keys = ['a', '\0b', { model: 'x', version: 1 }, [1, '1', 1n], 'é\u{1f600}'] as (string | object)[]
    for (const [index, key] of keys.entries()) cache.set(key, index)
    expect(cache.get({ version: 1, model: 'x' })).toBe(2)
    expect([...cache.keys()]).toHaveLength(keys.length)
    for (const [key, value] of cache) expectSame(key, keys[value as number])
    expect(() => cache.get(Symbol('s') as never)).toThrow(expect.objectContaining({ code: 'E_INVALID_KEY' }))
  })

  it('many-forms keep the order of the keys; setMany stores all or nothing', () => {
    const cache = open()
    cache.setMany({ a: 1, b: 2 }).setMany(new Map([['c', 3]]))
    expect(cache.getMany(['c', 'none', 'a'])).toEqual([3, undefined, 1])
    expect(() =>
      cache.setMany([
        ['d', 4],
        ['e', undefined],
      ]),
    ).toThrow(expect.objectContaining({ code: 'E_UNSERIALIZABLE' }))
    expect(() =>
      cache.setMany([
        ['d', 4],
        ['e', Buffer.alloc(2e6)],
      ]),
    ).toThrow(expect.objectContaining({ code: 'E_VALUE_TOO_LARGE' }))
    expect([cache.has('d'), cache.deleteMany(['a', 'b', 'none']), cache.size]).toEqual([false, 2, 1])
    cache.clear()
    expect([cache.size, cache.bytes]).toEqual([0, 0])
  })

  it('getOrSet loads once for all in a thread who ask at one time, and gives the error of a load untouched', async () => {
    const cache = open()
    let loads = 0
    const load = async () => {
      loads++
      return { made: loads }
    }
    const all = await Promise.all([1, 2, 3].map(() => cache.getOrSet('a', load)))
    expect([loads, all[2]]).toEqual([1, { made: 1 }])
    expect(cache.getOrSet('a', load)).toEqual({ made: 1 })
    expect(cache.getOrSet('b', () => undefined)).toBeUndefined()
    expect(cache.has('b')).toBe(false)
    const error = new Error('load')
    await expect(cache.getOrSet('c', async () => Promise.reject(error))).rejects.toBe(error)
    expect(() =>
      cache.getOrSet('c', () => {
        throw error
      }),
    ).toThrow(error)
    expect(cache.getOrSet('large', () => 'x'.repeat(2e6))).toHaveLength(2e6)
    const late = cache.getOrSet('late', async () => 'loaded')
    cache.set('late', 'set')
    expect([await late, cache.get('late')]).toEqual(['loaded', 'set'])
  })

  it('metrics count the calls of all handles', () => {
    const [one, two] = [open({ name: 'counted' }), open({ name: 'counted' })]
    one.set('a', 1)
    two.get('a')
    two.get('b')
    one.peek('a')
    const { bytes } = one
    expect(bytes).toBeGreaterThan(100)
    expect(one.metrics()).toEqual({
      hits: 1,
      misses: 1,
      hitRatio: 0.5,
      sets: 1,
      expired: 0,
      evicted: 0,
      size: 1,
      bytes,
      maxSize: 1e6,
    })
    two.resetMetrics()
    expect(one.metrics()).toMatchObject({ hits: 0, misses: 0, hitRatio: 0, sets: 0 })
  })
})

describe('time', () => {
  const until = async (isSo: () => boolean) => {
    while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 1))
  }

  it('an entry whose TTL has passed is a miss for every verb, and add finds room', async () => {
    const cache = open({ ttl: '1h' })
    cache.set('a', 1, { ttl: 2 }).set('b', 2).set('c', 3, { ttl: 'never' })
    await until(() => !cache.has('a'))
    expect([cache.peek('a'), cache.ttl('a'), cache.expire('a', '1h'), cache.update('a', 2)]).toEqual([
      undefined,
      undefined,
      false,
      false,
    ])
    expect([...cache.keys()].toSorted()).toEqual(['b', 'c'])
    expect([cache.size, cache.cleanup(), cache.size, cache.add('a', 4)]).toEqual([3, 1, 2, true])
    expect(cache.ttl('b')).toBeGreaterThan(3_500_000)
    expect([cache.ttl('c'), cache.ttl('none')]).toEqual([Infinity, undefined])
    expect(cache.expire('c', 1)).toBe(true)
    await until(() => cache.get('c') === undefined)
    expect(cache.metrics().expired).toBe(2)
  })

  it('a TTL that slides starts again with each get and touch, and with no look', async () => {
    const cache = open({ ttl: 300, sliding: true })
    cache.set('got', 1).set('touched', 2).set('looked', 3).set('fixed', 4, { sliding: false })
    const start = performance.now()
    while (cache.has('looked') || cache.has('fixed')) {
      cache.peek('looked')
      cache.ttl('looked')
      expect([cache.get('got'), cache.touch('touched')]).toEqual([1, true])
      cache.get('fixed')
      if (performance.now() - start > 20_000) throw new Error('nothing expired')
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    expect([cache.touch('looked'), cache.touch('none')]).toEqual([false, false])
    expect([cache.size, cache.validSize, cache.expiredCount()].at(1)).toBe(2)
    expect([...cache.values()].toSorted()).toEqual([1, 2])
    const expiries = new Map(cache.set('ever', 5, { ttl: 'never' }).keysWithExpiry())
    expect([...expiries.keys()].toSorted()).toEqual(['got', 'touched'])
    expect(Math.abs(expiries.get('got')! - Date.now())).toBeLessThan(10_000)
    expect(cache.expire('got', '1h')).toBe(true)
    expect(cache.get('got')).toBe(1)
    expect(cache.ttl('got')).toBeGreaterThan(3_500_000)
    expect(() => cache.set('a', 1, { sliding: 1 as never })).toThrow(InvalidOptionError)
  })

  it('refuses a TTL that is none', () => {
    const cache = open()
    for (const ttl of [0, -1, NaN, '1 fortnight']) {
      expect(() => cache.set('a', 1, { ttl })).toThrow(InvalidTtlError)
      expect(() => cache.expire('a', ttl)).toThrow(InvalidTtlError)
    }
    expect(cache.size).toBe(0)
  })
})

describe('the bound in bytes', () => {
  it.each(POLICIES)('%s: holds after every call, and what was set is there at once', (policy) => {
    const cache = open({ policy, maxSize: 100_000 })
    for (let step = 0; step < 4000; step++) {
      const key = `k${(step * 7919) % 557}`
      const value = 'x'.repeat(step % 97 === 0 ? (step * 31) % 60_000 : (step * 31) % 900)
      cache.set(key, value)
      expect(cache.get(key) === value, `step ${step}`).toBe(true)
      expect(cache.bytes).toBeLessThanOrEqual(100_000)
      if (step % 7 === 0) cache.delete(`k${(step * 31) % 557}`)
    }
    expect(cache.check()).toBe('')
    expect(cache.metrics().evicted).toBeGreaterThan(1000)
    cache.close()
  })

  it('a value over it is refused, says what would fit, and nothing else is lost', () => {
    const cache = open({ maxSize: 100_000 })
    cache.set('a', 1).set('b', 'old')
    expect(() => cache.set('b', 'x'.repeat(100_000))).toThrow(
      expect.objectContaining({ code: 'E_VALUE_TOO_LARGE', message: expect.stringContaining('100000') }),
    )
    expect([cache.get('a'), cache.get('b')]).toEqual([1, 'old'])
  })
})

describe('names', () => {
  it('a name is one cache, until its last handle is closed', () => {
    const [one, two] = [open({ name: 'same' }), open({ name: 'same' })]
    one.set('a', 1)
    one.close()
    expect(() => one.get('a')).toThrow(expect.objectContaining({ code: 'E_CLOSED' }))
    expect(() => one.size).toThrow(expect.objectContaining({ code: 'E_CLOSED' }))
    one.close()
    expect(two.get('a')).toBe(1)
    two.close()
    const three = open({ name: 'same', maxSize: '2MB' })
    expect(three.size).toBe(0)
    three.close()
  })

  it('other options are refused, and named with those of the cache', () => {
    const held = open({ name: 'held', maxSize: 1e6, policy: 'lru' })
    for (const other of [
      { maxSize: 2e6 },
      { policy: 'sieve' },
      { ttl: 1000 },
      { sliding: true, ttl: 1000 },
    ] as const) {
      expect(() => open({ name: 'held', maxSize: 1e6, policy: 'lru', ...other })).toThrow(InvalidOptionError)
    }
    expect(() => open({ name: 'held', maxSize: 2e6, policy: 'sieve' })).toThrow(
      /"held".*maxSize 1000000 bytes, policy 'lru', ttl never.*maxSize 2000000 bytes, policy 'sieve', ttl never/,
    )
    held.close()
  })

  it('options that are none are refused by their names', () => {
    definePolicy('shared-own', { victim: (view) => view.keys().next().value })
    const bad = [
      [{ name: '' }, 'name'],
      [{ maxSize: 0 }, 'maxSize'],
      [{ maxSize: 1000 }, 'maxSize'],
      [{ policy: 'lur' }, 'policy'],
      [{ policy: 'shared-own' }, 'policy'],
      [{ max: 10 }, 'max'],
    ] as const
    for (const [options, name] of bad) {
      expect(() => open(options as never)).toThrow(expect.objectContaining({ code: 'E_INVALID_OPTION' }))
      expect(() => open(options as never)).toThrow(name)
    }
    expect(() => new SharedMemoryCache(undefined as never)).toThrow(InvalidOptionError)
    expect(() => open({ ttl: 0 })).toThrow(InvalidTtlError)
  })
})

describe('worker threads', () => {
  const main = fileURLToPath(new URL('workers/shared-main.mjs', import.meta.url))
  const run = async (...args: (string | number)[]) =>
    JSON.parse((await runScript(main, args).done).at(-1) ?? '{}')

  it.each(['w-tinylfu', 'lru', 'auto'])(
    '%s: eight workers at once never see a torn value or more than the bound',
    async (policy) => {
      const seen = await run('mixed', policy, 1, 8)
      expect(seen).toMatchObject({
        faults: [],
        operations: 8 * Number(process.env.TIERCE_SHARED_STEPS ?? 10_000),
        added: 500,
        alive: 'alive',
        left: 0,
      })
      expect(seen.most).toBeLessThanOrEqual(2e6)
      expect(seen.looks).toBeGreaterThan(3)
    },
  )

  it('workers that are terminated in the middle leave a sound cache, and no handle', async () => {
    const seen = await run('killed', 's3-fifo', 4, 8)
    expect(seen).toMatchObject({ faults: [], alive: 'alive', left: 0 })
    expect(seen.most).toBeLessThanOrEqual(2e6)
  })
})
