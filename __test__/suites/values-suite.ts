/** Values through a `Cache`: what comes out is what went in. */
import { describe, expect, it } from 'vitest'
import { failure } from '../helpers/errors.js'
import { expectSame } from '../helpers/same.js'
import { openCache, tempDir } from '../helpers/temp.js'
import { optionsFor, type Tiers } from './cache-suite.js'

const VALUES: [string, unknown][] = [
  ['null', null],
  ['false', false],
  ['zero', 0],
  ['minus zero', -0],
  ['NaN', Number.NaN],
  ['the empty string', ''],
  ['42', 42],
  ['"42"', '42'],
  ['a bigint', 2n ** 80n],
  ['text', 'Zoë 🦊 \0'],
  ['bytes', Buffer.from([0, 255, 1])],
  ['no bytes', Buffer.alloc(0)],
  ['a Uint8Array', new Uint8Array([1, 2, 3])],
  ['an ArrayBuffer', new Uint8Array([9, 8]).buffer],
  ['a Float64Array', new Float64Array([1.5, Number.NaN])],
  ['a plain object', { a: [{ b: null }, { c: '1' }] }],
  ['an array of objects', [{ a: 1 }, { a: 2 }]],
  ['undefined inside', { a: undefined, b: [undefined] }],
  ['a Date', new Date(1e12)],
  [
    'a Map with integer keys',
    new Map<unknown, unknown>([
      [1, 'a'],
      ['1', 'b'],
    ]),
  ],
  ['a Set', new Set([1, 'a', null])],
  ['a RegExp', /a+/giu],
  ['a long text', 'lorem ipsum '.repeat(10_000)],
  ['long bytes', Buffer.from(Array.from({ length: 200_000 }, (_, index) => (index * 7919) % 251))],
  ['a large object', Array.from({ length: 5000 }, (_, id) => ({ id, name: `user ${id}` }))],
]

/** Every kind of value. */
export function valuesSuite(tiers: Tiers): void {
  const make = () => openCache(optionsFor(tiers))

  describe('values', () => {
    it.each(VALUES)('%s comes back with its type', async (_, value) => {
      const options = optionsFor(tiers)
      const cache = openCache(options)
      await cache.set('v', value)
      const check = (back: unknown) => {
        expectSame(back, value)
        expect(Object.prototype.toString.call(back)).toBe(Object.prototype.toString.call(value))
        expect(Buffer.isBuffer(back)).toBe(Buffer.isBuffer(value))
      }
      check(await cache.get('v'))
      check(cache.getSync('v'))
      check((await cache.getMany(['v']))[0])
      check((await cache.entry('v'))?.value)
      if (!tiers.disk) return
      await cache.close()
      check(await openCache(options).get('v'))
    })

    it('falsy_values_hit_and_are_not_loaded_again', async () => {
      const cache = make()
      const load = () => {
        throw new Error('loaded again')
      }
      for (const value of [null, false, 0, '', Number.NaN, 0n]) {
        await cache.set('v', value)
        expect(await cache.getOrSet('v', load)).toBe(value)
        expect(cache.getOrSetSync('v', load)).toBe(value)
        expect(await cache.has('v')).toBe(true)
      }
    })

    it('an_error_comes_back_as_one', async () => {
      const cache = make()
      await cache.set('v', new TypeError('bad', { cause: 'why' }))
      const back = await cache.get<Error>('v')
      expect(back).toBeInstanceOf(TypeError)
      expect(back).toMatchObject({ message: 'bad', cause: 'why' })
    })

    it('a_cycle_comes_back_as_one', async () => {
      const cache = make()
      const value: { name: string; self?: object } = { name: 'x' }
      value.self = value
      await cache.set('v', value)
      const back = await cache.get<typeof value>('v')
      expect(back?.self).toBe(back)
    })

    it.runIf(tiers.disk).each<[string, unknown, string]>([
      ['a function', { a: [1, () => {}] }, 'value.a[1]'],
      ['a WeakMap', new WeakMap(), 'value'],
      ['a promise', { p: Promise.resolve() }, 'value.p'],
      ['a class instance', { user: new (class User {})() }, 'value.user'],
    ])('%s is E_UNSERIALIZABLE with its path, and the old value stays', async (_, value, path) => {
      const cache = make()
      await cache.set('v', 'old')
      for (const run of [() => cache.set('v', value), () => cache.setSync('v', value)]) {
        const error = await failure(run)
        expect(error.code).toBe('E_UNSERIALIZABLE')
        expect(error.context).toMatchObject({ path })
        expect(error.message).toContain(path)
      }
      expect(await cache.get('v')).toBe('old')
    })

    it('a_promise_is_refused_by_every_verb_and_one_that_is_rejected_does_not_end_the_process', async () => {
      const cache = make()
      await cache.set('v', 'old')
      const verbs: [string, (promise: unknown) => unknown][] = [
        ['set', (promise) => cache.set('v', promise)],
        ['setSync', (promise) => cache.setSync('v', promise)],
        ['setMany', (promise) => cache.setMany({ v: promise, w: 1 })],
        ['setManySync', (promise) => cache.setManySync({ v: promise, w: 1 })],
        ['add', (promise) => cache.add('w', promise)],
        ['addSync', (promise) => cache.addSync('w', promise)],
        ['update', (promise) => cache.update('v', promise)],
        ['updateSync', (promise) => cache.updateSync('v', promise)],
      ]
      if (tiers.metadata !== 'json')
        verbs.push(['transaction', (promise) => cache.transaction((tx) => tx.set('v', promise))])
      for (const [verb, run] of verbs) {
        for (const make of [
          () => Promise.resolve(1),
          () => Promise.reject(new Error('nobody waits for it')),
          () => new (class Later<T> extends Promise<T> {})(() => {}),
        ]) {
          const fault = await failure(() => run(make()))
          expect(fault.code, verb).toBe('E_UNSERIALIZABLE')
          expect(fault.message).toMatch(
            /^Cannot store this value: value is a promise\. Give .*await it first/,
          )
        }
      }
      await new Promise(setImmediate) // a rejection that nobody handles is told by now
      expect(await cache.getMany(['v', 'w'])).toEqual(['old', undefined])
    })

    it.runIf(!tiers.disk && tiers.values !== 'copy')('memory_alone_keeps_functions_and_symbols', async () => {
      const cache = make()
      for (const value of [() => 1, Symbol('s'), new (class User {})(), new WeakMap()]) {
        await cache.set('v', value)
        expect(await cache.get('v')).toBe(value)
      }
    })

    it.runIf(tiers.disk && !tiers.memory)('a_buffer_may_change_right_after_set', async () => {
      const cache = make()
      for (const size of [10, 5000, 20_000, 300_000]) {
        const bytes = Buffer.alloc(size, 1)
        const stored = cache.set(`b${size}`, bytes)
        bytes.fill(2)
        await stored
        expect((await cache.get<Buffer>(`b${size}`))?.equals(Buffer.alloc(size, 1)), `${size}`).toBe(true)
        bytes.fill(3)
        cache.setSync('sync', bytes)
        bytes.fill(4)
        expect(cache.getSync<Buffer>('sync')?.equals(Buffer.alloc(size, 3)), `${size}`).toBe(true)
      }
    })

    it.runIf(tiers.disk && !tiers.memory)('values_read_do_not_change_with_the_next_read', async () => {
      const cache = make()
      await cache.setMany([
        ['a', Buffer.alloc(100, 1)],
        ['b', Buffer.alloc(100, 2)],
      ])
      const first = await cache.get<Buffer>('a')
      const second = cache.getSync<Buffer>('b')
      await cache.set('c', Buffer.alloc(100, 3))
      expect(first?.every((byte) => byte === 1)).toBe(true)
      expect(second?.every((byte) => byte === 2)).toBe(true)
    })

    it.runIf(tiers.memory && tiers.values !== 'copy')('memory_hands_out_the_live_value', async () => {
      const cache = make()
      const value = { shared: true }
      await cache.set('v', value)
      expect(await cache.get('v')).toBe(value)
      expect(cache.getSync('v')).toBe(value)
    })

    it.runIf(tiers.disk).each(['auto', 'fast', 'none', 'lz4', 'zstd', 'pco'] as const)(
      'codec %s keeps every byte and auto never makes a value larger',
      async (codec) => {
        const cache = openCache({ dir: tempDir(), memory: tiers.memory, codec })
        const values = [Buffer.alloc(0), Buffer.alloc(50_000, 7), noise(50_000), 'x'.repeat(3000)]
        await cache.setMany(values.map((value, index) => [index, value]))
        expectSame(await cache.getMany([0, 1, 2, 3]), values)
        const entry = await cache.entry(2)
        if (codec === 'auto') expect(entry?.storedSize).toBeLessThanOrEqual(entry?.size ?? 0)
        if (codec === 'none') expect((await cache.entry(1))?.storedSize).toBe(50_000)
        if (codec === 'zstd') expect((await cache.entry(1))?.storedSize).toBeLessThan(5000)
      },
    )
  })
}

function noise(size: number): Buffer {
  let state = 1
  return Buffer.from(
    Array.from({ length: size }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      return state >>> 24
    }),
  )
}
