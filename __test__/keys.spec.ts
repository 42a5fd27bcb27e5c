import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvalidKeyError } from '../build/errors.js'
import { callText, keyFromText, keyText } from '../build/keys.js'
import { anyKey, isSameKey, reordered } from './helpers/any-key.js'

type AnyKey = Parameters<typeof keyText>[0]

const text = (key: unknown) => keyText(key as AnyKey)
const same = (a: unknown, b: unknown) => text(a) === text(b)
const refused = (key: unknown): InvalidKeyError => {
  try {
    text(key)
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidKeyError)
    return error as InvalidKeyError
  }
  throw new Error('the key was accepted')
}

describe('a string key', () => {
  it('is its own text, whatever characters it has', () => {
    for (const key of ['', 'user:1', '../../escape', 'a/b', 'x'.repeat(300), 'Zoë 🦊', '{}', 's1:a']) {
      expect(text(key)).toBe(key)
      expect(keyFromText(key)).toBe(key)
    }
  })

  it('that starts with U+0000 is never taken for structured text', () => {
    for (const key of ['\0', '\0n', `\0#${'0'.repeat(64)}`, '\0s1:a']) {
      expect(text(key)).toBe(`\0s${key.length}:${key}`)
      expect(keyFromText(text(key))).toBe(key)
    }
  })

  it('with a lone surrogate keeps its identity in well-formed text', () => {
    const keys = ['\ud800', '\udc00', 'a\ud800', '\ufffd']
    expect(new Set(keys.map(text)).size).toBe(keys.length)
    for (const key of keys) {
      expect(text(key).isWellFormed()).toBe(true)
      expect(keyFromText(text(key))).toBe(key)
    }
  })
})

describe('keys that are not the same have different texts', () => {
  it('a_separator_inside_a_string_is_not_a_separator', () => {
    expect(same(['a,str:b'], ['a', 'b'])).toBe(false)
    expect(same(['a]s1:b'], ['a', 'b'])).toBe(false)
    expect(same({ a: '1s1:b' }, { a: '1', b: '' })).toBe(false)
  })

  it('values_nested_more_than_ten_deep_do_not_collide', () => {
    const deep = (leaf: unknown) =>
      Array.from({ length: 60 }).reduce<unknown>((inner) => ({ inner: [inner] }), leaf)
    expect(same(deep(1), deep(2))).toBe(false)
    expect(same(deep(1), deep(1))).toBe(true)
  })

  it('minus_one_and_minus_two_are_two_keys', () => {
    expect(same([-1], [-2])).toBe(false)
  })

  it('kinds_that_print_alike_are_not_mixed_up', () => {
    const date = new Date(0)
    const alike = [
      1,
      '1',
      1n,
      true,
      'true',
      null,
      'null',
      NaN,
      'NaN',
      -0,
      0,
      '0',
      Infinity,
      -Infinity,
      [],
      {},
      [undefined],
    ]
    const more = [
      [null],
      [[]],
      { '0': 1 },
      [1],
      new Set([1]),
      new Map([[1, 1]]),
      date,
      date.toISOString(),
      0.5,
      /a/,
      '/a/',
    ]
    const binary = [
      new Uint8Array(2),
      new Int8Array(2),
      new Uint16Array(1),
      new ArrayBuffer(2),
      new DataView(new ArrayBuffer(2)),
    ]
    const all = [
      ...alike,
      ...more,
      ...binary,
      'http://a/',
      new URL('http://a/'),
      /a/g,
      { a: 1 },
      { a: '1' },
      { a: null },
    ]
    expect(new Set(all.map(text)).size).toBe(all.length)
  })

  it('the_name_and_the_version_of_a_function_belong_to_its_key', () => {
    expect(callText('add', '1', [2, 5])).not.toBe(callText('mul', '1', [2, 5]))
    expect(callText('add', '1', [2, 5])).not.toBe(callText('add', '2', [2, 5]))
    expect(callText('a', '', ['b'])).not.toBe(callText('a', 'b', []))
  })
})

describe('keys that are the same have one text', () => {
  it('property_order_does_not_matter', () => {
    expect(same({ model: 'xgboost', version: '1.0' }, { version: '1.0', model: 'xgboost' })).toBe(true)
    const names = Array.from({ length: 40 }, (_, i) => `name${i}`)
    const make = (list: string[]) => Object.fromEntries(list.map((name) => [name, 1]))
    expect(same(make(names), make(names.toReversed()))).toBe(true)
  })

  it('nan_hits_nan', () => {
    expect(same(NaN, 0 / 0)).toBe(true)
    expect(same({ a: [NaN] }, { a: [Number.NaN] })).toBe(true)
  })

  it('1_and_1_0_are_one_key', () => {
    expect(same(1, 1.0)).toBe(true)
    expect(same([2 ** 31], [2147483648])).toBe(true)
  })

  it('an_undefined_property_is_an_absent_one_and_a_hole_is_undefined', () => {
    expect(same({ a: 1, b: undefined }, { a: 1 })).toBe(true)
    // biome-ignore lint/suspicious/noSparseArray: the hole is the point
    expect(same([1, , 2], [1, undefined, 2])).toBe(true)
  })

  it('trailing_undefined_arguments_are_one_call', () => {
    expect(callText('f', '', [1, undefined, undefined])).toBe(callText('f', '', [1]))
    expect(callText('f', '', [undefined, 1])).not.toBe(callText('f', '', [1]))
  })

  it('sets_and_maps_do_not_depend_on_insertion_order', () => {
    expect(same(new Set(['a', { b: 1 }]), new Set([{ b: 1 }, 'a']))).toBe(true)
    expect(
      same(
        new Map([
          ['a', 1],
          ['b', 2],
        ]),
        new Map([
          ['b', 2],
          ['a', 1],
        ]),
      ),
    ).toBe(true)
    const x = new Map([
      [{}, 1],
      [{}, 2],
    ])
    expect(
      same(
        x,
        new Map([
          [{}, 2],
          [{}, 1],
        ]),
      ),
    ).toBe(true)
  })

  it('a_view_is_keyed_by_the_bytes_it_shows_and_a_buffer_is_a_uint8array', () => {
    const big = new Uint8Array([9, 9, 1, 2, 9])
    expect(same(big.subarray(2, 4), new Uint8Array([1, 2]))).toBe(true)
    expect(same(Buffer.from([1, 2]), new Uint8Array([1, 2]))).toBe(true)
  })

  it('plain_data_of_another_realm_and_without_prototype_is_plain_data', () => {
    const other = runInNewContext(
      '({ a: [1, new Date(5), new Map([[1, 2]]), new Uint8Array([1])], b: /x/g })',
    )
    expect(same(other, { a: [1, new Date(5), new Map([[1, 2]]), new Uint8Array([1])], b: /x/g })).toBe(true)
    expect(same(Object.assign(Object.create(null), { a: 1 }), { a: 1 })).toBe(true)
  })

  it('texts_do_not_change_from_process_to_process', () => {
    const key = `{ b: new Set(['y', 'x']), a: new Date(1), c: [1.5, -0, 10n, 'é\\ud800'] }`
    const program = `console.log(JSON.stringify(require(process.argv[1]).keyText(${key})))`
    const path = new URL('../build/keys.js', import.meta.url).pathname
    const run = () => execFileSync(process.execPath, ['-e', program, path], { cwd: '/', encoding: 'utf8' })
    expect(run()).toBe(run())
    expect(JSON.parse(run())).toBe(
      text({ b: new Set(['x', 'y']), a: new Date(1), c: [1.5, -0, 10n, 'é\ud800'] }),
    )
  })
})

describe('a key that has no stable text is refused with its path', () => {
  class Money {
    amount = 1
  }

  it.each<[string, unknown, string]>([
    ['a function', { filters: [1, 2, { fn() {} }] }, 'key.filters[2].fn'],
    ['a symbol', { 'a b': Symbol('s') }, 'key["a b"]'],
    ['a symbol as a name', { a: { [Symbol('s')]: 1 } }, 'key.a'],
    ['members that are hidden', { a: Math }, 'key.a'],
    ['a class instance', [new Money()], 'key[0]'],
    ['a subclass of a built-in', { d: new (class extends Date {})() }, 'key.d'],
    ['a boxed primitive', { n: Object(1) }, 'key.n'],
    ['a WeakMap', new WeakMap(), 'key'],
    ['a Promise', { p: Promise.resolve() }, 'key.p'],
    ['undefined', undefined, 'key'],
    ['shared memory', { m: new SharedArrayBuffer(1) }, 'key.m'],
    ['a view of shared memory', { m: new Uint8Array(new SharedArrayBuffer(1)) }, 'key.m'],
    ['a Map value', new Map([['k', () => 0]]), 'key.get("k")'],
    ['an impostor of a Date', { d: Object.create(Date.prototype) }, 'key.d'],
  ])('%s', (_name, key, path) => {
    const error = refused(key)
    expect(error.code).toBe('E_INVALID_KEY')
    expect(error.context).toEqual({ path })
    expect(error.message).toContain(path)
    expect(error.message).toMatch(/Give /)
  })

  it('a_cycle_is_named_as_a_cycle', () => {
    const key: Record<string, unknown> = { x: { y: [] } }
    ;(key.x as { y: unknown[] }).y.push(key)
    expect(refused(key).message).toContain('key.x.y[0] is a cycle, back to key')
  })

  it('a_throwing_proxy_is_refused_and_its_error_is_the_cause', () => {
    const boom = new Error('boom')
    const proxy = new Proxy(
      {},
      {
        ownKeys: () => {
          throw boom
        },
      },
    )
    const error = refused({ a: proxy })
    expect(error.context).toEqual({ path: 'key.a' })
    expect(error.cause).toBe(boom)
    const { proxy: revoked, revoke } = Proxy.revocable({}, {})
    revoke()
    refused(revoked)
  })

  it('nesting_has_a_limit_of_500_and_not_of_the_stack', () => {
    const nest = (depth: number) => Array.from({ length: depth - 1 }).reduce<unknown>((inner) => [inner], [])
    expect(text(nest(500))).toBe(`\0${'['.repeat(500)}${']'.repeat(500)}`)
    expect(keyFromText(text(nest(500)))).toEqual(nest(500))
    expect(refused(nest(501)).message).toContain('500')
    refused(nest(200_000))
  })

  it('an_object_met_at_every_level_ends_with_an_error_and_not_with_a_hang', () => {
    let key: object = {}
    for (let level = 0; level < 60; level++) key = { a: key, b: key }
    refused(key)
  })
})

describe('identity', () => {
  it('two_keys_have_one_text_if_and_only_if_they_are_the_same_key', () => {
    fc.assert(
      fc.property(anyKey(), anyKey(), (a, b) => {
        expect(same(a, b)).toBe(isSameKey(a, b))
      }),
      { numRuns: 4000 },
    )
  })

  it('a_key_rebuilt_in_another_order_has_the_same_text', () => {
    fc.assert(
      fc.property(anyKey(), (key) => {
        expect(text(reordered(key))).toBe(text(key))
      }),
      { numRuns: 1000 },
    )
  })

  it('every_key_comes_back_from_its_text', () => {
    fc.assert(
      fc.property(anyKey(), (key) => {
        expect(text(key).isWellFormed()).toBe(true)
        expect(isSameKey(keyFromText(text(key)), key)).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('fixtures shared with the Rust side', () => {
  interface Vector {
    name: string
    key?: unknown
    text: string
    hex_utf8: string
  }
  const vectors = JSON.parse(
    readFileSync(new URL('./fixtures/keys.json', import.meta.url), 'utf8'),
  ) as Vector[]

  it.each(vectors.map((vector) => [vector.name, vector] as const))('%s', (_name, vector) => {
    expect(Buffer.from(vector.text, 'utf8').toString('hex')).toBe(vector.hex_utf8)
    if ('key' in vector) expect(text(vector.key)).toBe(vector.text)
    expect(text(keyFromText(vector.text))).toBe(vector.text)
  })
})
