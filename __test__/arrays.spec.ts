/** Arrays of numbers, alone, with a shape, and with a name and an index; and kinds that users add. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import {
  Cache,
  type Codec,
  defineHandler,
  type NdArray,
  type NumberArray,
  ndarray,
  Series,
  series,
} from 'tierce'
import { describe, expect, it } from 'vitest'
import { decode, encode } from '../build/values/index.js'
import { encodeStructured } from '../build/values/structured-encode.js'
import { ARRAY_CLASSES } from './helpers/array-classes.js'
import { failure } from './helpers/errors.js'
import { expectSame } from './helpers/same.js'
import { openCache, tempDir } from './helpers/temp.js'

const CODECS: Codec[] = ['auto', 'fast', 'none', 'lz4', 'zstd', 'pco']

/** Numbers that are neither all alike nor noise. */
function filled<T extends NumberArray>(array: T): T {
  for (let index = 0; index < array.length; index++) {
    const number = Math.round(Math.sin(index / 50) * 1000)
    array[index] = typeof array[0] === 'bigint' ? BigInt.asUintN(63, BigInt(number * 1e6)) : number
  }
  return array
}

/** Six bytes with facts behind them. */
function decodeWith(kind: number, facts: unknown): unknown {
  const tail = Buffer.from(encodeStructured(facts))
  const length = Buffer.alloc(4)
  length.writeUInt32LE(tail.length)
  const bytes = Buffer.concat([Buffer.alloc(6), tail, length])
  return decode(kind, bytes, 0, bytes.length, false)
}

describe.each(ARRAY_CLASSES.map((type) => [type.name, type] as const))('%s', (name, type) => {
  it.each([0, 1, 7, 100, 5000, 300_000])(
    'of %i elements comes back from disk with every codec',
    async (length) => {
      const dir = tempDir()
      const array = filled(new type(length))
      const values = {
        array,
        shaped: ndarray(array, [length, 1]),
        named: series(array, { name: 'n', index: array }),
      }
      const cache = openCache({ dir, memory: false })
      for (const codec of CODECS) {
        for (const [key, value] of Object.entries(values)) await cache.set([codec, key], value, { codec })
      }
      await cache.close()
      const again = openCache({ dir, memory: false })
      for (const codec of CODECS) {
        for (const [key, value] of Object.entries(values)) {
          for (const back of [await again.get([codec, key]), again.getSync([codec, key])]) {
            expect(Object.getPrototypeOf(back)).toBe(Object.getPrototypeOf(value))
            expectSame(back, value)
          }
          const entry = await again.entry([codec, key])
          expect(entry?.storedSize).toBeLessThanOrEqual(entry?.size ?? 0)
        }
      }
      const kind = name === 'Uint8Array' ? 'bytes' : 'typed-array'
      expect((await again.entry(['auto', 'array']))?.kind).toBe(kind)
      expect((await again.entry(['auto', 'shaped']))?.kind).toBe('ndarray')
      expect((await again.entry(['auto', 'named']))?.kind).toBe('series')
    },
  )
})

describe.each(ARRAY_CLASSES.map((type) => [type.name, type] as const))('%s with a shape', (_, type) => {
  it('of_any_number_of_axes_and_a_series_come_back_from_memory_and_disk', async () => {
    const dir = tempDir()
    const [array, none] = [filled(new type(24)), new type(0)]
    const shapes = [[24], [4, 6], [2, 3, 4], [1, 2, 3, 4, 1], [24, ...new Array<number>(63).fill(1)]]
    const values = [
      ...shapes.map((shape) => ndarray(array, shape)),
      ndarray(array.slice(0, 1) as NumberArray, []),
      ndarray(none, [0, 5]),
      series(array, { name: 'É\ud800', index: Array.from(array, String) }),
      series(array.subarray(3, 20) as NumberArray, { index: array.subarray(1, 18) as NumberArray }),
      series(none),
    ]
    const cache = openCache({ dir })
    await cache.setMany(values.map((value, at) => [at, value]))
    const keys = values.map((_, at) => at)
    expectSame(await cache.getMany(keys), values)
    await cache.close()
    expectSame(await openCache({ dir, memory: false }).getMany(keys), values)
    expect(values[2]).toMatchObject({ shape: [2, 3, 4] })
    expect((values[2] as NdArray).at(1, 2, 3)).toBe(array[23])
  })
})

describe('arrays of numbers', () => {
  it.each<[string, unknown]>([
    ['too large', [1e9, 1e9]],
    ['negative', [-2, -3]],
    ['no whole numbers', [1.5, 4]],
    ['no numbers', ['6']],
    ['no array', { 0: 6, length: 1 }],
    ['holes', Object.assign(new Array(2), { 0: 6 })],
    ['billions of holes', Object.assign([], { length: 4e9 })],
    ['more axes than there are', new Array(65).fill(1).with(0, 6)],
    ['NaN', [NaN]],
    ['cyclic', ((shape: unknown[]) => (shape[0] = shape))([])],
    ['nothing', undefined],
  ])('a_stored_shape_that_is_%s_is_E_CORRUPT', (_, shape) => {
    expect(() => decodeWith(33, shape)).toThrow(expect.objectContaining({ code: 'E_CORRUPT' }))
  })

  it.each<[string, unknown]>([
    ['no_list', 'x'],
    ['a_name_that_is_none', [5]],
    ['an_index_of_another_length', [undefined, [1]]],
    ['an_index_that_is_none', ['x', 'abcdef']],
  ])('stored_facts_of_a_series_that_are_%s_are_E_CORRUPT', (_, facts) => {
    expect(() => decodeWith(49, facts)).toThrow(expect.objectContaining({ code: 'E_CORRUPT' }))
  })

  it('facts_that_reach_beyond_their_value_are_refused', () => {
    const refused = expect.objectContaining({ code: expect.stringMatching(/^E_(CORRUPT|UNAVAILABLE)$/) })
    for (const length of [0, 1, 7, 100, 2 ** 31, 2 ** 32 - 1]) {
      for (const kind of [33, 34, 42, 49, 58]) {
        const bytes = Buffer.alloc(11)
        bytes.writeUInt32LE(length, 7)
        expect(() => decode(kind, bytes, 0, 11, false)).toThrow(refused)
        expect(() => decode(kind, bytes, 8, 11, true)).toThrow(refused)
      }
    }
  })

  it('every_bit_of_floats_is_kept', async () => {
    const cache = openCache({ dir: tempDir(), memory: false })
    const bits = new BigUint64Array([
      0x7ff8dead00000001n,
      0xfff0000000000000n,
      1n,
      1n << 63n,
      0x7ff0000000000001n,
    ])
    const many = new Float64Array(5000)
    for (let index = 0; index < many.length; index++)
      many.set(new Float64Array(bits.buffer, 8 * (index % 5), 1), index)
    for (const codec of CODECS) {
      await cache.set(codec, many, { codec })
      const back = await cache.get<Float64Array>(codec)
      expect(
        Buffer.from(back!.buffer, back!.byteOffset, back!.byteLength).equals(Buffer.from(many.buffer)),
      ).toBe(true)
    }
  })

  it('a_view_into_a_larger_buffer_stores_only_what_it_shows', async () => {
    const cache = openCache({ dir: tempDir(), memory: false })
    const large = filled(new Float64Array(100_000))
    const view = large.subarray(500, 700)
    await cache.set('view', view)
    expectSame(await cache.get('view'), new Float64Array(view))
    expect((await cache.entry('view'))?.size).toBe(1600)
    await cache.set('odd', new DataView(large.buffer, 3, 10))
    expect((await cache.entry('odd'))?.kind).toBe('structured')
  })

  it('regular_numbers_take_a_fraction_of_their_size', async () => {
    const cache = openCache({ dir: tempDir(), memory: false })
    const counting = Float64Array.from({ length: 100_000 }, (_, index) => index)
    const prices = Float64Array.from(
      { length: 100_000 },
      (_, index) => Math.round(Math.sin(index) * 1e4) / 100,
    )
    await cache.set('counting', counting)
    await cache.set('prices', ndarray(prices, [1000, 100]))
    expect((await cache.entry('counting'))?.storedSize).toBeLessThan(4000)
    expect((await cache.entry('prices'))?.storedSize).toBeLessThan(300_000)
    expect((await cache.entry('counting'))?.codec).toBe('shuffle')
    const sine = Float64Array.from({ length: 100_000 }, (_, index) => Math.sin(index / 1000))
    await cache.set('sine', sine)
    expect((await cache.entry('sine'))?.codec).toBe('pco')
    expect((await cache.entry('sine'))?.storedSize).toBeLessThan(300_000)
    await cache.set('sine', sine, { codec: 'zstd', level: 3 })
    expect((await cache.entry('sine'))?.codec).toBe('shuffle')
  })

  it('a_shape_and_an_index_have_to_fit', () => {
    const data = new Float32Array(6)
    expect(ndarray(data, [2, 3]).at(1, 2)).toBe(0)
    expect(ndarray(data, [2, 3]).at(2, 0)).toBeUndefined()
    expect(ndarray(data).shape).toEqual([6])
    let reads = 0
    const changing = Object.defineProperty([0], 0, { get: () => 6 + reads++ })
    expect(ndarray(data, changing).shape).toEqual([6])
    const bad: (() => unknown)[] = [
      () => ndarray(data, [2, 2]),
      () => ndarray(data, [-2, -3]),
      () => ndarray(data, [1.5, 4]),
      () => ndarray([1] as never),
      () => ndarray(Buffer.alloc(6) as never),
      () => series(data, { index: ['a'] }),
      () => series(data, { index: 'abcdef' as never }),
      () => series(data, { name: 5 as never }),
      () => new Series(new DataView(new ArrayBuffer(8)) as never),
    ]
    for (const make of bad)
      expect(make, String(make)).toThrow(expect.objectContaining({ code: 'E_INVALID_OPTION' }))
  })

  it('an_index_may_hold_anything_storable', async () => {
    const cache = openCache({ dir: tempDir(), memory: false })
    const value = series(new Int32Array([1, 2, 3]), { name: 'x', index: [new Date(0), 'b', { c: 1n }] })
    await cache.set('s', value)
    expectSame(await cache.get('s'), value)
    const bad = series(new Int32Array(1), { index: [() => {}] })
    expect((await failure(cache.set('s', bad))).code).toBe('E_UNSERIALIZABLE')
    expectSame(await cache.get('s'), value)
  })

  it('a_subclass_is_refused_and_an_array_of_shared_memory_too', async () => {
    const cache = openCache({ dir: tempDir() })
    class Mine extends Float64Array {}
    for (const value of [new Mine(2), new Float64Array(new SharedArrayBuffer(16))]) {
      expect((await failure(cache.set('x', value))).code).toBe('E_UNSERIALIZABLE')
      const shaped = () => cache.set('x', ndarray(value))
      expect(['E_UNSERIALIZABLE', 'E_INVALID_OPTION']).toContain((await failure(shaped)).code)
    }
  })
})

describe('options of compression', () => {
  it('a_set_goes_before_its_kind_and_that_before_the_cache', async () => {
    const cache = openCache({
      dir: tempDir(),
      codec: 'none',
      codecs: { json: 'zstd', 'typed-array': { codec: 'pco', level: 4 } },
    })
    const data = Array.from({ length: 500 }, (_, index) => ({ index }))
    await cache.setMany([
      ['json', data],
      ['array', filled(new Int32Array(5000))],
      ['text', 'x'.repeat(5000)],
    ])
    await cache.set('json, lz4', data, { codec: 'lz4' })
    cache.setSync('array, none', filled(new Int32Array(5000)), { codec: 'none' })
    const codecs: Record<string, string | undefined> = {}
    for await (const key of cache.keys()) codecs[key as string] = (await cache.entry(key as string))?.codec
    expect(codecs).toEqual({
      json: 'zstd',
      array: 'pco',
      text: 'none',
      'json, lz4': 'lz4',
      'array, none': 'none',
    })
  })

  it('a_wrong_codec_or_level_is_E_INVALID_OPTION', async () => {
    const cache = openCache()
    for (const options of [{ codec: 'gzip' }, { level: 20 }, { level: -1 }, { level: 1.5 }, { codec: 5 }]) {
      expect((await failure(cache.set('a', 1, options as object))).code).toBe('E_INVALID_OPTION')
    }
    for (const codecs of [
      { json: 'gzip' },
      { json: { kodec: 'zstd' } },
      { json: { level: 99 } },
      5,
      { json: null },
    ]) {
      const open = () => new Cache({ dir: tempDir(), codecs: codecs as never })
      expect(open, JSON.stringify(codecs)).toThrow(expect.objectContaining({ code: 'E_INVALID_OPTION' }))
    }
    expect(() => new Cache({ codecs: { json: 'zstd' } })).toThrow(/no dir/)
  })
})

class Money {
  constructor(
    readonly amount: bigint,
    readonly unit: string,
  ) {}
}
class Image {
  constructor(readonly pixels: NdArray<Float32Array>) {}
}
let stranger: unknown = Symbol('none')

defineHandler<Money>({
  name: 'test/money',
  test: (value) => value instanceof Money,
  encode: ({ amount, unit }) => ({ amount, unit }),
  decode: (stored) => new Money((stored as Money).amount, (stored as Money).unit),
})
defineHandler<Image>({
  name: 'test/image',
  test: (value) => value instanceof Image,
  encode: ({ pixels }) => pixels,
  decode: (stored) => new Image(stored as NdArray<Float32Array>),
})
defineHandler({
  name: 'test/fails',
  test: (value) => value === stranger,
  encode: () => {
    throw new Error('cannot')
  },
  decode: (stored) => stored,
})

describe('kinds that users add', () => {
  it.each([true, false])('come back as they went in, with memory %o', async (memory) => {
    const dir = tempDir()
    const cache = openCache({ dir, memory })
    const image = new Image(ndarray(filled(new Float32Array(10_000)), [100, 100]))
    await cache.set('money', new Money(5n, 'EUR'))
    cache.setSync('image', image)
    for (const one of [cache, openCache({ dir, memory }), openCache({ dir, memory, values: 'copy' })]) {
      const money = await one.get<Money>('money')
      expect(money).toBeInstanceOf(Money)
      expect(money).toEqual(new Money(5n, 'EUR'))
      expectSame(one.getSync('image'), image)
      expect(await one.entry('money')).toMatchObject({ kind: 'test/money' })
      expect(await one.entry('image')).toMatchObject({ kind: 'test/image' })
      expect((await one.entry('image'))?.storedSize).toBeLessThan(20_000)
    }
  })

  it('an_entry_of_a_kind_that_is_not_defined_is_a_miss_and_stays', async () => {
    const dir = tempDir()
    const script = `
      const { Cache, defineHandler } = require(${JSON.stringify(join(import.meta.dirname, '../build/index.js'))})
      defineHandler({ name: 'test/elsewhere', test: (value) => value === 'x', encode: () => 5, decode: () => 'x' })
      const cache = new Cache({ dir: ${JSON.stringify(dir)} })
      cache.setSync('a', 'x')
      cache.close()`
    execFileSync(process.execPath, ['-e', script], { timeout: 300_000 })
    const cache = openCache({ dir, memory: false })
    const faults: string[] = []
    cache.on('error', ({ code }) => faults.push(code))
    for (const read of [
      () => cache.get('a'),
      () => cache.getSync('a'),
      async () => (await cache.getMany(['a']))[0],
    ])
      expect(await read()).toBe(undefined)
    expect(faults).toEqual(['E_UNAVAILABLE', 'E_UNAVAILABLE', 'E_UNAVAILABLE'])
    expect(await cache.has('a')).toBe(true)
    defineHandler({ name: 'test/elsewhere', test: () => false, encode: () => 1, decode: (stored) => stored })
    expect(await cache.get('a')).toBe(5)
  })

  it('a_handler_that_gives_undefined_or_fails_when_it_reads_is_a_miss_and_the_entry_stays', async () => {
    const cache = openCache({ dir: tempDir(), memory: false })
    const faults: string[] = []
    cache.on('error', ({ code }) => faults.push(code))
    class Odd {}
    let decode = (): unknown => undefined
    const test = (value: unknown) => value instanceof Odd
    defineHandler({ name: 'test/odd', test, encode: () => 1, decode: () => decode() })
    await cache.set('a', new Odd())
    expect(await cache.get('a')).toBe(undefined)
    expect(await cache.getOrSet('a', () => 'loaded', { shouldCache: () => false })).toBe('loaded')
    decode = () => {
      throw new Error('cannot')
    }
    expect(await cache.get('a')).toBe(undefined)
    expect(new Set(faults)).toEqual(new Set(['E_UNAVAILABLE']))
    decode = () => 'sound'
    expect(await cache.get('a')).toBe('sound')
  })

  it('what_a_handler_throws_is_told_with_its_cause', async () => {
    const cache = openCache({ dir: tempDir() })
    stranger = { a: 1 }
    const error = await failure(cache.set('x', stranger))
    expect(error.code).toBe('E_UNSERIALIZABLE')
    expect((error.cause as Error).message).toBe('cannot')
    stranger = Symbol('none')
    class Unasked {}
    defineHandler({
      name: 'test/unasked',
      test: (value) => {
        if (value instanceof Unasked) throw new Error('do not ask')
        return false
      },
      encode: () => 1,
      decode: () => 1,
    })
    const other = await failure(cache.set('x', new Unasked()))
    expect(other.code).toBe('E_UNSERIALIZABLE')
    expect((other.cause as Error).message).toBe('do not ask')
    expect(await cache.has('x')).toBe(false)
  })

  it('a_name_is_taken_once_and_has_to_be_one', () => {
    const handler = { name: 'test/money', test: () => false, encode: () => 1, decode: () => 1 }
    const bad = [
      handler,
      { ...handler, name: '' },
      { ...handler, name: 'a b' },
      { ...handler, name: 'n', test: 1 },
      5,
    ]
    for (const one of bad) {
      expect(() => defineHandler(one as never)).toThrow(expect.objectContaining({ code: 'E_INVALID_OPTION' }))
    }
  })

  it('a_class_without_a_handler_is_refused_with_the_way_out', async () => {
    const error = await failure(openCache({ dir: tempDir() }).set('x', { user: new (class User {})() }))
    expect(error.message).toContain('value.user')
    expect(error.message).toContain('defineHandler')
  })
})

describe('values as copies', () => {
  it.each([true, false])('nobody_changes_the_value_of_another, with a disk: %o', async (disk) => {
    const options = { values: 'copy' as const, ...(disk ? { dir: tempDir() } : {}) }
    const cache = openCache(options)
    const value = { list: [1], array: new Float64Array([1]), when: new Date(1) }
    const same = structuredClone(value)
    await cache.set('a', value)
    value.list.push(2)
    for (const read of [() => cache.get('a'), () => cache.getSync('a'), () => cache.getOrSet('a', () => 0)]) {
      const back = (await read()) as typeof value
      expect(isDeepStrictEqual(back, same)).toBe(true)
      back.list.push(3)
      back.array[0] = 5
      back.when.setTime(0)
    }
    const [one, two] = await cache.getMany<typeof value>(['a', 'a'])
    expect(one).not.toBe(two)
    expectSame((await cache.entry('a'))?.value, same)
    if (!disk) return
    const again = openCache(options)
    const first = await again.get<typeof value>('a')
    first?.list.push(4)
    expectSame(await again.get('a'), same)
  })

  it('each_of_those_who_wait_for_one_load_gets_its_own', async () => {
    const cache = openCache({ values: 'copy' })
    const load = async () => ({ list: [1] })
    const [one, two] = await Promise.all([cache.getOrSet('a', load), cache.getOrSet('a', load)])
    expect(one).toEqual(two)
    expect(one.list).not.toBe(two.list)
    const strange = await cache.getOrSet('b', () => () => 1)
    expect(strange()).toBe(1)
  })

  it('what_has_no_stored_form_is_refused_also_in_memory', async () => {
    const cache = openCache({ values: 'copy' })
    expect((await failure(cache.set('a', () => {}))).code).toBe('E_UNSERIALIZABLE')
  })
})

describe('damaged arrays', () => {
  it('are_typed_errors_whatever_is_changed_or_cut', () => {
    const values = [
      new Float64Array([1, 2]),
      ndarray(new Int16Array(6), [2, 3]),
      series(new Uint8Array(3), { name: 'n' }),
    ]
    for (const value of [...values, new Money(3n, 'x'), new Image(ndarray(new Float32Array(4)))]) {
      const { kind, data } = encode(value)
      const bytes = Buffer.from(data as Uint8Array)
      const read = (changed: Buffer) => {
        try {
          decode(kind, changed, 0, changed.length, false)
        } catch (error) {
          expect(error).toMatchObject({ code: expect.stringMatching(/^E_(CORRUPT|UNAVAILABLE)$/) })
        }
      }
      for (let length = 0; length < bytes.length; length++) read(bytes.subarray(0, length))
      for (let at = 0; at < bytes.length; at++) {
        for (const byte of [0, 1, 127, 128, 255]) {
          const changed = Buffer.from(bytes)
          changed[at] = byte
          read(changed)
        }
      }
    }
  })
})
