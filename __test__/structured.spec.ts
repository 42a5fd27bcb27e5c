/** The structured format: its bytes, those of its older version, and bytes that are damaged or made up. */
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TierceError } from '../build/errors.js'
import { decode, encode } from '../build/values/index.js'
import { decodeStructured } from '../build/values/structured-decode.js'
import { encodeStructured } from '../build/values/structured-encode.js'
import { Elements, Tag } from '../build/values/structured-format.js'
import { anyValue } from './helpers/any-value.js'

const read = (bytes: Buffer) => decodeStructured(bytes, 0, bytes.length)
const roundTrip = <T>(value: T): T => read(Buffer.from(encodeStructured(value))) as T

/** Written under version 1 of the format. */
const OLD =
  'AcsLhGxpc3SEcm93c4Vob2xlZINtYXCCYXSFZXJyb3KEYmFyZYR2aWV3g3VybIJyZYRzZWxmzwkBxAnFAAAAAAAA4D+Fc2hvcnTJAsOpyEZ4eHh4eHh4' +
  'eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4ygIA2MYIAgAAAAAAAADHCQAAAAAAAAAAQM8C' +
  'ywKBYYFiAcHMAcPA0AIBAQEBhG5hbWWBbtEBgWvSAQHTAAAAAAAAFEDWAQOBbYFzAM0BiV9fcHJvdG9fXwHZBQAE1wQBAAIA1YlodHRwOi8vaC/UgWGBZwDa' +
  'AA=='

/** Written under version 2. */
const OLD_2 =
  'AgHDAMsJ4ePh4uHh4N/h3AQEAQD+/wMAkAHcCQQAAAAAAADgPwAAAAAAAPg/AAAAAAAAAIAAAAAAAAAEQM8CywLe3gHezAHD388CzwIBAs8CAwTbRtso0gHe' +
  '0wAAAAAAABRA2gBpbnRzZmxvYXRzcm93c3BhaXJzbG9uZ3RleHRzZXRhdHNlbGZhYsOp8J2Ennh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4' +
  'eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHjQttC20LbQttC20LbQttC20LbQttC20LbQttC20LbQttC20LbQttC20LbQttC20LbQttC20LbQ' +
  'ttC20LbQttC20LbQttC20LbQttC20LbQtnM='

/** Written under version 3. */
const OLD_3 = 'AwALAMsD4d/hzwLLAd4BzAEC0wAAAAAAABRAzwLaANoBbGlzdGF0c2VsZmE='

/** Written under version 4. */
const OLD_4 = 'BIALAMsD4d/hzwLLAd4BzAEC0wAAAAAAABRAzwLaANoBbGlzdGF0c2VsZmE='
const OLD_4_PLAIN = 'BAARAMsD4eLhzwLLAt7eAd7MAQLPANwhAgEEAQIDBM8D3sHDcm93c3BhaXJzbGlzdGFi6Xg='

describe('bytes', () => {
  it('are_as_documented', () => {
    const bytes = (value: unknown) => Buffer.from(encodeStructured(value)).toString('hex')
    expect(bytes({ a: 1, b: 'é' })).toBe('05000300cb02dede01de6162e9')
    expect(bytes([{ a: 1 }, { a: -2 }])).toBe('05000100cf02cb01de01cc00c40361')
    expect(bytes('x'.repeat(35))).toBe(`05002300db23${'78'.repeat(35)}`)
    expect(bytes([1, -2, 3, 4])).toBe('05000000dc010401fe0304')
    expect(bytes([1, 300, 3, 4])).toBe('05000000dc040401002c0103000400')
    expect(bytes([1, 2, 3, 70_000])).toBe('05000000dc0604010000000200000003000000701101' + '00')
    expect(bytes([0.5, 1.5, -0, 2.5]).slice(0, 30)).toBe('05000000dc0904000000000000e03f')
  })

  it('of_the_older_version_are_read', () => {
    const value: Record<string, unknown> = {
      list: [1, -5, 0.5, 'short', 'é', 'x'.repeat(70), '\ud800', 2n, -(2n ** 70n)],
      rows: [
        { a: 1, b: null },
        { a: true, b: undefined },
      ],
      holed: Object.assign([undefined, 1], { name: 'n' }),
      map: new Map([['k', new Set([1])]]),
      at: new Date(5),
      error: Object.assign(new TypeError('m'), { stack: 's' }),
      bare: Object.assign(Object.create(null), { ['__proto__']: 1 }),
      view: new Uint16Array([1, 2]),
      url: new URL('http://h/'),
      re: /a/g,
    }
    delete (value.holed as unknown[])[0]
    value.self = value
    expect(isDeepStrictEqual(read(Buffer.from(OLD, 'base64')), value)).toBe(true)
  })
})

describe('the slab', () => {
  it('ends_within_no_string_that_is_tried_in_one_form_and_written_in_another', () => {
    for (let i = 0; i < 300; i++) {
      // A string that is no ASCII makes the writer doubt the next eight.
      const value = [...Array<string>(9).fill('a'.repeat(1100 + (i % 97))), 'é'.repeat(5000 + (i % 89))]
      expect(roundTrip(value)).toEqual(value)
    }
  })
})

describe('an object that is met twice', () => {
  const row = [1, 2]
  const twice: Record<string, () => object> = {
    'an object': () => ({ x: 1, y: 'z' }),
    'an object without members': () => ({}),
    'an object without a prototype': () => Object.assign(Object.create(null), { x: 1 }),
    'an array': () => ['a', { b: 1 }],
    'an array without items': () => [],
    'an array with nothing but a property': () => Object.assign([], { name: 1 }),
    'an array with holes': () => Object.assign([], { 5: 1 }),
    'an array of numbers': () => [1, 2, 3, 4.5],
    'an array of rows': () => [row, [3, 4]],
    'a row': () => row,
    booleans: () => [true, false, true, true],
    'an object that holds itself': () => {
      const self: Record<string, unknown> = { list: [] }
      return Object.assign(self, { self, list: [{ self }] })
    },
    'an object in a map that it holds': () => {
      const self: Record<string, unknown> = {}
      return Object.assign(self, { map: new Map([[self, [self]]]) })
    },
    'an object with a date': () => ({ at: new Date(5), list: [1] }),
    'a date': () => new Date(5),
    'a buffer': () => new ArrayBuffer(3),
  }
  const around: Record<string, (one: object) => unknown> = {
    beside: (one) => [one, one],
    below: (one) => ({ a: { one }, b: [[[one]]] }),
    'in a map': (one) => new Map([[one, { one }]]),
    'in an error': (one) => [one, Object.assign(new Error('e'), { one })],
    'after many others': (one) => [one, ...Array.from({ length: 300 }, (_, i) => ({ i })), one],
    'after many dates': (one) => [...Array.from({ length: 300 }, (_, i) => new Date(i)), [one], one],
    'after many rows': (one) => [one, Array.from({ length: 300 }, (_, i) => [i, i]), one],
    'after much text': (one) => [{ one }, 'x'.repeat(40_000), { one }],
    'far below': (one) => {
      let inner: unknown = one
      for (let depth = 0; depth < 200; depth++) inner = { inner }
      return [one, inner]
    },
    'among rows': (one) => [row, one, row, one],
    'in a column': (one) => Array.from({ length: 12 }, (_, i) => ({ i, it: i % 5 === 3 ? one : i })),
    'in a column and beside': (one) => [Array.from({ length: 8 }, (_, i) => [i, i === 7 ? one : 'x']), one],
    'before columns': (one) => [one, one, Array.from({ length: 8 }, (_, i) => [i, 'x'])],
    'one of rows by columns': (one) => [
      one,
      ...Array.from({ length: 8 }, (_, i) => ({ x: i, y: `${i}` })),
      one,
    ],
  }
  for (const [what, make] of Object.entries(twice)) {
    it(`comes_back_as_one (${what})`, () => {
      for (const wrap of Object.values(around)) {
        const value = wrap(make())
        for (const back of [roundTrip(value), bothWays(value)]) {
          expect(isDeepStrictEqual(back, value)).toBe(true)
          expect(sameness(back)).toEqual(sameness(value))
        }
      }
    })
  }

  it('takes_no_longer_the_oftener_it_is_met', () => {
    let value: unknown = { leaf: 1 }
    for (let level = 0; level < 60; level++) value = level % 2 === 0 ? [value, value] : { a: value, b: value }
    expect(isDeepStrictEqual(encodeStructured(value), encodeStructured(roundTrip(value)))).toBe(true)
  })
})

/** As a cache does it, which may take the way of JSON. */
function bothWays(value: unknown): unknown {
  const { kind, data } = encode(value)
  const bytes = Buffer.from(data as Uint8Array)
  return decode(kind, bytes, 0, bytes.length, false)
}

/** Each object on the way through a value, by the number of its first coming. */
function sameness(value: unknown): number[] {
  const met = new Map<object, number>()
  const order: number[] = []
  const walk = (one: unknown): void => {
    if (typeof one !== 'object' || one === null) return
    const known = met.get(one)
    order.push(known ?? met.size)
    if (known !== undefined) return
    met.set(one, met.size)
    if (one instanceof Map) for (const pair of one) pair.forEach(walk)
    Object.values(one).forEach(walk)
  }
  walk(value)
  return order
}

describe('version 4', () => {
  it('is_read_with_references_and_without', () => {
    const value: Record<string, unknown> = { list: [{ a: 1 }, { a: 2 }], at: new Date(5) }
    value.self = [value, value.list]
    expect(isDeepStrictEqual(read(Buffer.from(OLD_4, 'base64')), value)).toBe(true)
    const plain = {
      rows: [
        { a: 1, b: 'é' },
        { a: 2, b: [] },
      ],
      pairs: [
        [1, 2],
        [3, 4],
      ],
      list: ['x', null, true],
    }
    expect(read(Buffer.from(OLD_4_PLAIN, 'base64'))).toEqual(plain)
  })
})

describe('version 3', () => {
  it('is_read_with_its_references', () => {
    const value: Record<string, unknown> = { list: [{ a: 1 }, { a: 2 }], at: new Date(5) }
    value.self = [value, value.list]
    expect(isDeepStrictEqual(read(Buffer.from(OLD_3, 'base64')), value)).toBe(true)
  })
})

describe('version 2', () => {
  it('is_read', () => {
    const value: Record<string, unknown> = {
      ints: [1, -2, 3, 400],
      floats: [0.5, 1.5, -0, 2.5],
      rows: [
        { a: 1, b: 'é' },
        { a: true, b: '𝄞' },
      ],
      pairs: [
        [1, 2],
        [3, 4],
      ],
      long: 'x'.repeat(70),
      text: 'ж'.repeat(40),
      set: new Set(['s']),
      at: new Date(5),
    }
    value.self = value
    expect(isDeepStrictEqual(read(Buffer.from(OLD_2, 'base64')), value)).toBe(true)
  })
})

describe('numbers', () => {
  const rows = (value: unknown) => Buffer.from(encodeStructured(value)).toString('hex')

  it('in_rows_of_one_length_and_short_decimals_and_booleans_are_as_documented', () => {
    expect(rows([[1, 2], [3, 4]])).toBe('05000000dc2102010401020304') // biome-ignore format: a matrix
    expect(rows([true, false, false, true])).toBe('05000000dc220401000001')
    const cents = Array.from({ length: 128 }, (_, i) => i / 100)
    expect(rows(cents).slice(0, 30)).toBe('05000000dc200201800100010203' + '04')
    expect(roundTrip(cents)).toEqual(cents)
  })

  const double = fc.double()
  const decimal = fc.tuple(fc.integer(), fc.integer({ min: 0, max: 10 })).map(([k, e]) => k / 10 ** e)
  const number = fc.oneof(
    double,
    decimal,
    fc.integer(),
    fc.constantFrom(0, -0, 2 ** 31, -(2 ** 31), 0.1 + 0.2),
  )
  const kinds = [double, decimal, fc.integer(), fc.integer({ min: -128, max: 127 }), number]

  it('of_any_kind_come_back_to_the_last_bit', () => {
    const array = fc.oneof(...kinds.map((kind) => fc.array(kind, { maxLength: 300, size: 'max' })))
    fc.assert(
      fc.property(array, (numbers) => isDeepStrictEqual(roundTrip(numbers), numbers)),
      { numRuns: 500 },
    )
  })

  it('in_rows_come_back_whatever_else_a_row_or_the_list_of_them_holds', () => {
    const odd = fc.constantFrom<((rows: unknown[][], at: number) => void) | undefined>(
      undefined,
      (rows, at) => Object.assign(rows[at] as object, { name: 'row' }),
      (rows, at) => Object.assign(rows, { name: `rows ${at}` }),
      (rows, at) => delete rows[at]?.[0],
      (rows, at) => delete rows[at],
      (rows, at) => rows[at]?.push(1),
      (rows, at) => rows.push(rows[at] as unknown[]),
      (rows, at) => rows[at]?.splice(0, 1, 'text'),
      (rows, at) => rows[at]?.splice(0, 1, rows),
      (rows, at) => rows.splice(at, 1, []),
    )
    const matrix = fc
      .tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 200 }), fc.constantFrom(...kinds))
      .chain(([width, length, kind]) =>
        fc.array(fc.array(kind, { minLength: width, maxLength: width }), {
          minLength: length,
          maxLength: length,
        }),
      )
    fc.assert(
      fc.property(matrix, odd, fc.nat(), (rows, change, at) => {
        change?.(rows, at % rows.length)
        const value = { rows, again: rows[at % rows.length], last: rows.at(-1) }
        const back = roundTrip(value)
        expect(isDeepStrictEqual(back, value)).toBe(true)
        // What was one array is one again.
        expect(back.rows.indexOf(back.again as number[])).toBe(rows.indexOf(value.again as number[]))
        expect(back.rows.indexOf(back.last as number[])).toBe(rows.indexOf(value.last as number[]))
      }),
      { numRuns: 400 },
    )
  })

  it('in_a_row_with_a_symbol_for_a_name_are_refused_with_the_path_of_the_row', () => {
    const rows = [[1, 2], Object.assign([3, 4], { [Symbol('unit')]: 'm' })]
    expect(() => encodeStructured({ rows })).toThrow(/value\.rows\[1\] is an object with a symbol/)
  })

  it('in_rows_nest_no_deeper_than_other_arrays', () => {
    const nested = (depth: number, inner: unknown) => {
      let value = inner
      for (let i = 0; i < depth; i++) value = [value]
      return value
    }
    expect(roundTrip(nested(998, [[1, 2]]))).toBeDefined()
    for (const inner of [[[1, 2]], [['a', 'b']]]) {
      expect(() => encodeStructured(nested(999, inner))).toThrow(/nested deeper/)
    }
  })
})

describe('strings', () => {
  const pieces = ['', 'a', 'é', 'ж', '🦊', '\ud83e', '\udd8a', '\ud800', '\0', '\u00ff', '\u0100', '\ufffd']

  it('of_any_length_and_script_come_back_also_beyond_the_room_of_the_text', () => {
    for (const length of [0, 1, 33, 34, 35, 63, 64, 127, 128, 1023, 1024, 1025, 8192, 17_000]) {
      for (const piece of pieces) {
        const value = ['before', piece.repeat(length), { [piece.repeat(Math.min(length, 70))]: 1 }, 'behind']
        expect(isDeepStrictEqual(roundTrip(value), value), `${JSON.stringify(piece)} × ${length}`).toBe(true)
      }
    }
  })

  it('whose_halves_of_a_pair_meet_stay_apart', () => {
    expect(roundTrip(['\ud83e', '\udd8a', 'é'])).toEqual(['\ud83e', '\udd8a', 'é'])
  })

  it('that_are_many_come_back', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: fc.constantFrom(...pieces, 'abcdefgh'.repeat(20)) }), { maxLength: 400 }),
        (strings) => {
          expect(isDeepStrictEqual(roundTrip(strings), strings)).toBe(true)
        },
      ),
      { numRuns: 200 },
    )
  })
})

describe('shapes', () => {
  it('of_any_number_and_order_come_back', () => {
    const names = Array.from({ length: 90 }, (_, i) => `name ${i}`)
    const value = Array.from({ length: 500 }, (_, i) =>
      Object.fromEntries(names.slice(i % 80, (i % 80) + (i % 7)).map((name) => [name, i])),
    )
    for (let again = 0; again < 3; again++) expect(roundTrip(value)).toEqual(value)
    const wide = Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`${i}th`, i]))
    expect(Object.entries(roundTrip([wide, wide, { ...wide }])[2] as object)).toEqual(Object.entries(wide))
  })

  it('are_not_mixed_up_by_a_value_inside_a_getter', () => {
    const inner = { b: 1, c: { d: 2 } }
    const value = Object.defineProperty({ z: [inner] }, 'a', {
      enumerable: true,
      get: () => roundTrip(inner),
    })
    expect(roundTrip([value, value, { b: 3, c: 4 }])).toMatchObject([
      { a: inner },
      { z: [inner] },
      { b: 3, c: 4 },
    ])
  })

  it('of_an_object_that_changes_while_it_is_read_are_refused', () => {
    const value = {
      get a() {
        return delete (this as { b?: number }).b
      },
      b: 1,
    }
    expect(() => encodeStructured(value)).toThrow(/changes while it is read/)
  })
})

const ALL_TAGS = [...Object.values(Tag), ...Object.values(Elements), 0, 0x7f, 0x80, 0xbf, 0xdd, 0xff]

describe('damage', () => {
  it('random_bytes_give_a_value_or_a_typed_error', () => {
    const kind = fc.integer({ min: 1, max: 9 })
    const tag = fc.constantFrom(...ALL_TAGS)
    fc.assert(
      fc.property(kind, tag, fc.uint8Array({ maxLength: 60 }), (kind, tag, bytes) => {
        harmless(bytes.length, () => decode(kind, Buffer.from(bytes), 0, bytes.length, false))
        harmless(bytes.length, () => read(Buffer.from([1, tag, ...bytes])))
        const text = Math.min(bytes.length, (bytes[0] ?? 0) % 20)
        const charset = ((bytes[1] ?? 0) % 4) | ((bytes[2] ?? 0) & 0x80)
        for (const version of [3, 4, 5]) {
          harmless(bytes.length, () => read(Buffer.from([version, charset, text, 0, tag, ...bytes])))
        }
        harmless(bytes.length, () => read(Buffer.from([5, 0, text, 0, Tag.numbers, tag, ...bytes])))
      }),
      { numRuns: 4000 },
    )
  })

  it('any_value_with_bytes_changed_put_in_or_cut_gives_a_value_or_a_typed_error', () => {
    const change = fc.record({
      at: fc.nat(),
      byte: fc.oneof(fc.constantFrom(...ALL_TAGS), fc.integer({ min: 0, max: 255 })),
      how: fc.constantFrom('put', 'insert', 'remove', 'cut'),
    })
    fc.assert(
      fc.property(anyValue(), fc.array(change, { minLength: 1, maxLength: 4 }), (value, changes) => {
        let bytes = [...encodeStructured(value)]
        for (const { at, byte, how } of changes) {
          const where = at % (bytes.length + 1)
          if (how === 'cut') bytes = bytes.slice(0, where)
          else bytes.splice(where, how === 'insert' ? 0 : 1, ...(how === 'remove' ? [] : [byte]))
        }
        harmless(bytes.length, () => read(Buffer.from(bytes)))
      }),
      { numRuns: 6000 },
    )
  })
})

/** It ends with a value or an error that is typed, and takes memory in proportion to the bytes. */
function harmless(bytes: number, run: () => unknown): void {
  const before = process.memoryUsage()
  try {
    run()
  } catch (error) {
    if (!(error instanceof TierceError)) throw error
    expect(['E_CORRUPT', 'E_UNAVAILABLE']).toContain(error.code)
  }
  const after = process.memoryUsage()
  expect(after.heapUsed - before.heapUsed).toBeLessThan(2_000_000 + 200 * bytes)
  expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(100_000 + 10 * bytes)
}
