/** Keys through a `Cache`: each is found again, and only by itself. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { HashedKey, type Key } from 'tierce'
import { describe, expect, it } from 'vitest'
import { codeOf } from '../helpers/errors.js'
import { openCache, tempDir } from '../helpers/temp.js'
import { optionsFor, type Tiers } from './cache-suite.js'

const STRINGS = [
  '../../escape',
  '..',
  '/etc/passwd',
  'a/b',
  'a\\b',
  'C:\\x',
  'x'.repeat(300),
  'ключ 鍵 🔑',
  '',
  ' ',
  '\0',
  'a\0b',
  '\0i1;',
  "'; DROP TABLE entries; --",
  'a,str:b',
  '__proto__',
  'a\ud800b',
  'é',
  'e\u0301',
  '1',
  'null',
]

const STRUCTURED: Key[] = [
  1,
  1n,
  -0,
  0,
  true,
  false,
  null,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  -1,
  -2,
  1.5,
  [],
  {},
  ['a', 'b'],
  ['a,str:b'],
  [1, [2, [3]]],
  [[1, 2], [3]],
  { a: 1 },
  { a: '1' },
  { a: null },
  { a: { b: { c: { d: { e: { f: { g: { h: { i: { j: { k: 1 } } } } } } } } } } },
  { a: { b: { c: { d: { e: { f: { g: { h: { i: { j: { k: 2 } } } } } } } } } } },
  new Date(0),
  { at: new Date(1) },
  new Uint8Array([1, 2]),
  new Uint8Array([1, 3]),
  new Int16Array([1, 2]),
  new Map([[1, 2]]),
  new Map([['1', 2]]),
  new Set([1, 2]),
  /a/g,
]

/** Every key is its own. */
export function keysSuite(tiers: Tiers): void {
  const make = () => openCache(optionsFor(tiers))

  describe('keys', () => {
    it('every_string_is_its_own_key', async () => {
      const parent = tempDir() // of nobody else: others may make files in the system's at any time
      const cache = openCache(optionsFor(tiers, tiers.disk ? { dir: join(parent, 'cache') } : {}))
      for (const [index, key] of STRINGS.entries()) await cache.set(key, index)
      expect(await cache.getMany(STRINGS)).toEqual(STRINGS.map((_, index) => index))
      for (const [index, key] of STRINGS.entries()) expect(cache.getSync(key)).toBe(index)
      const listed: unknown[] = []
      for await (const key of cache.keys()) listed.push(key)
      expect(new Set(listed)).toEqual(new Set(STRINGS))
      expect(readdirSync(parent)).toEqual(tiers.disk ? ['cache'] : [])
      for (const key of STRINGS) expect(await cache.delete(key), JSON.stringify(key)).toBe(true)
    })

    it('every_structured_key_is_its_own_and_is_found_by_an_equal_one', async () => {
      const cache = make()
      for (const [index, key] of STRUCTURED.entries()) await cache.set(key, index)
      expect(await cache.size()).toBe(STRUCTURED.length)
      expect(await cache.getMany(STRUCTURED.map((key) => structuredClone(key)))).toEqual(
        STRUCTURED.map((_, index) => index),
      )
    })

    it('property_order_does_not_matter_at_any_depth', async () => {
      const cache = make()
      await cache.set(
        { model: 'x', opts: { a: 1, b: { c: 2, d: [3, { e: 4, f: 5 }] } }, gone: undefined },
        'hit',
      )
      expect(await cache.get({ opts: { b: { d: [3, { f: 5, e: 4 }], c: 2 }, a: 1 }, model: 'x' })).toBe('hit')
    })

    it('NaN_hits_and_minus_zero_is_not_zero', async () => {
      const cache = make()
      await cache.set({ n: Number.NaN }, 1)
      expect(await cache.get({ n: Number.NaN })).toBe(1)
      await cache.set(0, 'zero')
      expect(await cache.get(-0)).toBeUndefined()
    })

    it('a_key_over_1_KB_is_found_and_is_not_another_with_the_same_start', async () => {
      const cache = make()
      const long = 'k'.repeat(5000)
      const huge = { data: 'ü'.repeat(100_000) }
      await cache.set(long, 1)
      await cache.set(`${long}!`, 2)
      await cache.set(huge, 3)
      expect(await cache.getMany([long, `${long}!`, { ...huge }, `${long}?`])).toEqual([1, 2, 3, undefined])
      expect(await cache.has(huge)).toBe(true)
      expect(cache.getSync(huge)).toBe(3)
      if (tiers.disk) {
        for await (const key of cache.keys()) {
          expect(key).toBeInstanceOf(HashedKey)
          expect(await cache.has(key)).toBe(true)
        }
      }
      expect(await cache.delete(huge)).toBe(true)
      expect(await cache.get(huge)).toBeUndefined()
    })

    it.each<[string, unknown, string]>([
      ['a function', { f: () => {} }, 'key.f'],
      ['a symbol', Symbol('s'), 'key'],
      ['undefined', undefined, 'key'],
      ['a class instance', { a: [new (class User {})()] }, 'key.a[0]'],
      ['a cycle', cyclic(), 'key'],
    ])('%s is E_INVALID_KEY in every verb', async (_, key, path) => {
      const cache = make()
      const bad = key as Key
      const verbs: (() => unknown)[] = [
        () => cache.set(bad, 1),
        () => cache.get(bad),
        () => cache.getSync(bad),
        () => cache.has(bad),
        () => cache.delete(bad),
        () => cache.getMany(['a', bad]),
        () => cache.setMany([[bad, 1]]),
        () => cache.deleteMany([bad]),
        () => cache.entry(bad),
        () => cache.getOrSet(bad, () => 1),
        () => cache.getOrSetSync(bad, () => 1),
      ]
      for (const verb of verbs) expect(await codeOf(verb), String(verb)).toBe('E_INVALID_KEY')
      await expect(cache.get(bad)).rejects.toMatchObject({ context: { path: expect.stringContaining(path) } })
    })
  })
}

function cyclic(): object {
  const key: { self?: object } = {}
  key.self = key
  return key
}
