/** Lists of alike objects and arrays, which the structured format stores by columns. */
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CorruptError } from '../build/errors.js'
import { decodeStructured } from '../build/values/structured-decode.js'
import { encodeStructured, writeStructured } from '../build/values/structured-encode.js'

const read = (bytes: Buffer) => decodeStructured(bytes, 0, bytes.length)
const hex = (value: unknown) => Buffer.from(encodeStructured(value)).toString('hex')
const roundTrip = <T>(value: T): T => read(Buffer.from(encodeStructured(value))) as T
const list = <T>(length: number, make: (index: number) => T) => Array.from({ length }, (_, i) => make(i))

const points = () => list(8, (i) => ({ x: i, y: 'ab'[i % 2] }))
const pairs = () => list(8, (i) => ['ab'[i % 2], i])

/** The second byte of what is by columns, behind the head. */
const isByColumns = (value: unknown) => /^.{8}dc2[34]/.test(hex(value))

describe('columns', () => {
  it('are_as_documented', () => {
    expect(hex(points())).toBe(
      `05000a00dc23cb02dede${'dc010800010203040506' + '07'}cf08${'de'.repeat(8)}7879${'6162'.repeat(4)}`,
    )
    expect(hex(pairs())).toBe(
      `05000800dc2402cf08${'de'.repeat(8)}${'dc010800010203040506' + '07'}${'6162'.repeat(4)}`,
    )
  })

  it('are_made_of_eight_rows_or_more_and_of_two_columns_or_more', () => {
    for (const rows of [points(), pairs()]) {
      expect(isByColumns(rows)).toBe(true)
      expect(isByColumns(rows.slice(1))).toBe(false)
    }
    expect(isByColumns(list(20, (i) => ({ i: `${i}` })))).toBe(false)
    expect(isByColumns(list(20, (i) => [`${i}`]))).toBe(false)
    expect(isByColumns(list(20, () => ({})))).toBe(false)
    expect(isByColumns(list(20, (i) => Object.fromEntries(list(40, (j) => [`n${j}`, i]))))).toBe(false)
  })

  it('hold_columns_in_columns', () => {
    const value = list(10, (i) => ({ i, at: { x: i / 2, y: [`${i}`, null] }, tags: [`t${i}`, i], none: [] }))
    expect(isByColumns(value)).toBe(true)
    expect(roundTrip(value)).toEqual(value)
  })

  it('are_given_up_at_the_first_that_makes_them_longer_than_asked', () => {
    let read = 0
    const get = () => {
      read += 1
      return 'x'.repeat(3000)
    }
    const inner = () => Object.defineProperty({ a: 1 }, 'b', { get, enumerable: true })
    const rows = list(100, (i) => ({ i, text: `${i}`.padEnd(2000), inner: inner() }))
    expect(writeStructured(rows, 2304)).toBeUndefined()
    expect(read).toBeLessThan(10)
  })

  it('keep_names_that_are_those_of_every_object', () => {
    const value = list(9, (i) => JSON.parse(`{"__proto__":${i},"toString":{"a":1,"__proto__":"${i}"}}`))
    const back = roundTrip(value)
    expect(isDeepStrictEqual(back, value)).toBe(true)
    expect(Object.getPrototypeOf(back[0])).toBe(Object.prototype)
    expect(Object.hasOwn(back[8], '__proto__')).toBe(true)
  })

  it('keep_the_order_of_names', () => {
    const value = list(9, (i) => (i === 8 ? { b: i, a: i } : { a: i, b: i }))
    expect(roundTrip(value).map((row) => Object.keys(row).join())).toEqual([...list(8, () => 'a,b'), 'b,a'])
  })

  const refused: [string, (rows: ReturnType<typeof points>) => unknown, RegExp][] = [
    [
      'a symbol',
      ([row]) => Object.assign(row as object, { [Symbol('s')]: 1 }),
      /rows\[0\] is an object with a symbol/,
    ],
    [
      'a symbol beside many names',
      (rows) => {
        for (const row of rows) Object.assign(row, { a: 1, b: 2, c: 3 })
        Object.assign(rows[3] as object, { [Symbol('s')]: 1 })
      },
      /rows\[3\] is an object with a symbol/,
    ],
    ['a function', (rows) => Object.assign(rows[5] as object, { y: () => 1 }), /rows\[5\]\.y is a function/],
    ['a class instance', (rows) => rows.splice(7, 1, new (class Mine {})() as never), /rows\[7\] is .*Mine/],
    ['an error in a getter', (rows) => thrower(rows[6] as object), /rows\[6\]\.y/],
  ]
  it.each(refused)('refuse_what_has_no_form_by_its_path (%s)', (_, change, message) => {
    const rows = points()
    change(rows)
    expect(() => encodeStructured({ rows })).toThrow(message)
  })

  it('refuse_a_symbol_on_a_row_that_is_an_array', () => {
    const rows = pairs()
    Object.assign(rows[4] as object, { [Symbol('s')]: 1 })
    expect(() => encodeStructured({ rows })).toThrow(/rows\[4\] is an object with a symbol/)
  })

  it('leave_alone_symbols_that_are_not_enumerable', () => {
    const rows = points()
    Object.defineProperty(rows[2], Symbol('s'), { value: 1 })
    expect(roundTrip(rows)).toEqual(points())
  })

  it('hold_whatever_a_row_or_the_list_of_them_holds', () => {
    type Rows = (Record<string, unknown> | unknown[])[]
    const odd = fc.constantFrom<((rows: Rows, at: number) => unknown) | undefined>(
      undefined,
      (rows, at) => Object.assign(rows[at] as object, { more: 1 }),
      (rows, at) => Object.assign(rows, { name: `rows ${at}` }),
      (rows, at) => delete (rows[at] as unknown[])[0],
      (rows, at) => delete rows[at],
      (rows, at) => rows.push(rows[at] as unknown[]),
      (rows, at) => ((rows[at] as unknown[])[0] = rows),
      (rows, at) => ((rows[at] as unknown[])[0] = rows[0]),
      (rows, at) => ((rows[at] as unknown[])[1] = undefined),
      (rows, at) => rows.splice(at, 1, []),
      (rows, at) => rows.splice(at, 1, null as never),
      (rows, at) => rows.splice(at, 1, Object.assign(Object.create(null), rows[at])),
      (rows, at) => rows.splice(at, 1, new Map([[rows, 1]]) as never),
      (rows, at) =>
        Object.defineProperty(rows[at], '0', { get: () => 5, enumerable: true, configurable: true }),
      (rows, at) => Object.defineProperty(rows[at], '0', { value: 1, enumerable: false }),
    )
    const leaf = fc.oneof(
      fc.integer(),
      fc.double(),
      fc.string({ unit: 'binary' }),
      fc.boolean(),
      fc.constantFrom<unknown>(null, undefined, -0, 1n),
    )
    const cell = fc.oneof(
      leaf,
      fc.array(leaf, { maxLength: 3 }),
      fc.tuple(leaf, leaf).map(([a, b]) => ({ a, b })),
      fc.constant(new Date(5)),
    )
    const rows = fc
      .tuple(
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 140 }),
        fc.boolean(),
        fc.array(cell, { minLength: 1, maxLength: 12 }),
      )
      .map(([width, length, isNamed, cells]) =>
        list(length, (i): Rows[number] => {
          const row = list(width, (j) => copied(cells[(i * width + j) % cells.length]))
          return isNamed ? { ...row } : row
        }),
      )
    fc.assert(
      fc.property(rows, odd, fc.nat(), (rows, change, at) => {
        change?.(rows, at % rows.length)
        const value = { rows, again: rows[at % rows.length], last: rows.at(-1) }
        const back = roundTrip(value)
        expect(isDeepStrictEqual(back, plain(value))).toBe(true)
        expect(back.rows.indexOf(back.again as [])).toBe(rows.indexOf(value.again as []))
        expect(back.rows.indexOf(back.last as [])).toBe(rows.indexOf(value.last as []))
      }),
      { numRuns: 600 },
    )
  })
})

describe('columns that cannot be', () => {
  const numbers = 'dc010401020304'
  const made: [string, string][] = [
    ['one column', `dc2401${numbers}`],
    ['no column', 'dc2400'],
    ['objects without names', 'dc23cb00'],
    ['objects of one name', `dc23cb018161${numbers}`],
    ['names of no shape', `dc23cc00${numbers}${numbers}`],
    ['a tag that is none of names', `dc23cd0281618162${numbers}${numbers}`],
    ['columns of two lengths', `dc2402${numbers}cf03010203`],
    ['more columns than bytes', 'dc24ffff03'],
    ['more items than bytes', 'dc2402cfffff03'],
    ['a column that is a number', 'dc24020101'],
    ['a column with holes', `dc2402d0ffffffff0f0000d0ffffffff0f0000`],
    ['a column that is an object', 'dc2402cb0181610101'],
  ]
  it.each(made)('are_E_CORRUPT (%s)', (_, value) => {
    expect(() => read(Buffer.from(`05000000${value}`, 'hex'))).toThrow(CorruptError)
  })

  it('are_E_CORRUPT_where_the_head_says_that_objects_have_numbers', () => {
    const value = `dc2402${numbers}${numbers}`
    expect(read(Buffer.from(`05000000${value}`, 'hex'))).toEqual(list(4, (i) => [i + 1, i + 1]))
    expect(() => read(Buffer.from(`05800000${value}`, 'hex'))).toThrow(CorruptError)
  })

  it('in_each_other_take_memory_in_proportion_to_their_bytes_and_no_more_levels_than_others', () => {
    const nested = (depth: number, rows: number) => {
      const column = Buffer.concat([Buffer.from([0xcf, 0x80 | (rows & 127), rows >> 7]), Buffer.alloc(rows)])
      const levels = list(depth, () => Buffer.from([0xdc, 0x24, 2]))
      return Buffer.concat([Buffer.from([5, 0, 0, 0]), ...levels, ...list(depth + 1, () => column)])
    }
    expect(read(nested(900, 1))).toHaveLength(1)
    expect(() => read(nested(1001, 1))).toThrow(/nested too deep/)
    const bytes = nested(100, 2000)
    const before = process.memoryUsage().heapUsed
    expect(read(bytes)).toHaveLength(2000)
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(2_000_000 + 200 * bytes.length)
    expect(() => read(bytes.subarray(0, 300 + 2010))).toThrow(CorruptError)
  })
})

function thrower(object: object): void {
  const get = () => {
    throw new Error('no')
  }
  Object.defineProperty(object, 'y', { get, enumerable: true })
}

/** Equal, and none of it the same object. */
function copied(value: unknown): unknown {
  if (Array.isArray(value)) return [...value]
  return value instanceof Date ? new Date(value) : value instanceof Object ? { ...value } : value
}

/** What is stored of a value: its properties that are enumerable, and what getters give. */
function plain(value: unknown, known = new Map<unknown, unknown>()): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Date) return value
  if (known.has(value)) return known.get(value)
  const copy: object = Array.isArray(value)
    ? Object.assign([], { length: value.length })
    : value instanceof Map
      ? new Map()
      : Object.create(Object.getPrototypeOf(value))
  known.set(value, copy)
  if (value instanceof Map)
    for (const [key, item] of value) (copy as typeof value).set(plain(key, known), item)
  for (const [name, item] of Object.entries(value)) Object.assign(copy, { [name]: plain(item, known) })
  return copy
}
