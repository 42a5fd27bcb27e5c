import { isDeepStrictEqual } from 'node:util'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ndarray } from '../build/arrays.js'
import { CorruptError, UnavailableError, UnserializableError } from '../build/errors.js'
import { fitsUtf8 } from '../build/values/handler.js'
import { decode, encode, kindName } from '../build/values/index.js'
import { decodeStructured } from '../build/values/structured-decode.js'
import { encodeStructured } from '../build/values/structured-encode.js'
import { VERSION } from '../build/values/structured-format.js'
import { anyValue } from './helpers/any-value.js'

/** As the store does it: the bytes lie somewhere inside a buffer that is used again. */
function stored(value: unknown): { kind: number; bytes: Buffer } {
  const { kind, data } = encode(value)
  return { kind, bytes: typeof data === 'string' ? Buffer.from(data, 'utf8') : Buffer.from(data) }
}

function roundTrip<T>(value: T, owned = false): T {
  const { kind, bytes } = stored(value)
  const buffer = Buffer.alloc(bytes.length + 10, 0xaa)
  bytes.copy(buffer, 5)
  const back = decode(kind, buffer, 5, 5 + bytes.length, owned) as T
  if (!owned) buffer.fill(0x55)
  return back
}

const structured = <T>(value: T): T => {
  const bytes = Buffer.from(encodeStructured(value))
  return decodeStructured(bytes, 0, bytes.length) as T
}
const holed = (array: unknown[]) => {
  delete array[array.length - 2]
  return array
}
const namesake = () => ({ [Map.name]: class {} })[Map.name] as new () => object
const kindOf = (value: unknown) => kindName(encode(value).kind)

function refused(value: unknown): UnserializableError {
  try {
    encode(value)
  } catch (error) {
    expect(error).toBeInstanceOf(UnserializableError)
    return error as UnserializableError
  }
  throw new Error('the value was accepted')
}

describe('what goes in comes out', () => {
  it.each<[string, unknown]>([
    ['null', null],
    ['undefined', undefined],
    ['false', false],
    ['zero', 0],
    ['minus zero', -0],
    ['NaN', NaN],
    ['Infinity', Infinity],
    ['the empty string', ''],
    ['42 and not "42"', 42],
    ['"42" and not 42', '42'],
    ['a text that is JSON', '{"a":1}'],
    ['non-ASCII text', 'Zoë 🦊 漢字 \u0000'],
    ['a replacement character', 'a\ufffd漢'],
    ['a lone surrogate', 'a\ud800b'],
    ['a lone surrogate inside', { '\udc00': ['\ud800'] }],
    [
      'long text inside',
      { date: new Date(0), long: 'x'.repeat(1000), wide: 'é'.repeat(1000), wider: '漢'.repeat(70) },
    ],
    [
      'bigints',
      [0n, 1n, -1n, 2n ** 64n - 1n, 2n ** 64n, -(2n ** 64n), 123456789012345678901234567890n, -(2n ** 63n)],
    ],
    ['arrays of objects', [{ a: 1 }, { a: 2, b: [{}] }]],
    [
      'integers of all sizes',
      [1, -1, 127, 128, 255, -128, 65536, 2 ** 31 - 1, 2 ** 31, -(2 ** 31), 2 ** 53, new Date(1)],
    ],
    ['edge numbers', [-0, NaN, Infinity, -Infinity, 5e-324, Number.MAX_VALUE, 0.1]],
    [
      'integer keys',
      new Map<unknown, unknown>([
        [1, 'a'],
        ['1', 'b'],
        [NaN, 'c'],
        [{ x: 1 }, new Map()],
      ]),
    ],
    ['a Date', new Date(1_700_000_000_123)],
    ['a Set', new Set<unknown>(['a', 1, null, undefined, new Set([1])])],
    ['a RegExp', /a\/b\n[é]/dgimsuy],
    ['a URL', new URL('https://user@example.com:8080/a%20b?c=d#e')],
    ['undefined inside', { a: undefined, b: [undefined] }],
    [
      'sparse arrays',
      [holed([1, 2, 3]), new Array(5), Object.assign([], { 4294967294: 1, length: 4294967295 })],
    ],
    ['an array with a property', Object.assign([1, 2], { index: 5 })],
    ['a hole and a property at once', Object.assign(holed([1, 2]), { x: 1 })],
    ['a match of a RegExp', 'abc'.match(/(?<x>b)/)],
    ['an object without prototype', Object.assign(Object.create(null), { a: 1, __proto__: 2 })],
    [
      'own properties of risky names',
      JSON.parse('{"__proto__":{"a":1},"toString":1,"constructor":2,"hasOwnProperty":null}'),
    ],
    [
      'names like numbers and odd names',
      { 2: 'b', 1: 'a', '': 0, 'a b': 1, é漢: 2, ['n'.repeat(100)]: new Date(0) },
    ],
    ['many shapes', Array.from({ length: 100 }, (_, i) => ({ [`a${i % 50}`]: new Date(i), b: i }))],
    ['many objects', Array.from({ length: 1000 }, (_, i) => ({ i, d: new Date(i) }))],
    ['an empty object and an empty array', [{}, [], new Map(), new Set(), '']],
    ['a large value', { text: 'x'.repeat(300_000), bytes: new Uint8Array(200_000).fill(7) }],
  ])('%s', (_name, value) => {
    for (const back of [roundTrip(value), roundTrip(value, true), structured(value)]) {
      expect(isDeepStrictEqual(back, value)).toBe(true)
    }
  })

  it('an invalid Date', () => {
    const back = structured(new Date(NaN))
    expect(back).toBeInstanceOf(Date)
    expect(back.getTime()).toBeNaN()
  })

  it('the position of a RegExp', () => {
    const regExp = /a/g
    regExp.lastIndex = 7
    expect(structured(regExp).lastIndex).toBe(7)
  })

  it.each([Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError])('%o', (type) => {
    const cause = new TypeError('why')
    const error = Object.assign(new type('what', { cause }), { code: 'ENOENT', errno: -2, when: new Date(3) })
    const back = structured(error)
    expect(Object.getPrototypeOf(back)).toBe(type.prototype)
    expect(Object.getOwnPropertyNames(back).sort()).toEqual(Object.getOwnPropertyNames(error).sort())
    expect([back.message, back.stack, back.code, back.errno, back.when]).toEqual([
      'what',
      error.stack,
      'ENOENT',
      -2,
      new Date(3),
    ])
    expect(back.cause).toBeInstanceOf(TypeError)
    expect((back.cause as Error).message).toBe('why')
    expect(Object.keys(back)).toEqual(['code', 'errno', 'when'])
    expect(Object.hasOwn(structured(new type()), 'message')).toBe(false)
  })

  it('an AggregateError and an error that is its own cause', () => {
    const error = new AggregateError([new Error('a'), 5], 'all') as AggregateError & { cause?: unknown }
    error.cause = error
    const back = structured(error)
    expect(Object.getPrototypeOf(back)).toBe(AggregateError.prototype)
    expect((back.errors[0] as Error).message).toBe('a')
    expect(back.errors[1]).toBe(5)
    expect(back.cause).toBe(back)
  })

  it('plain data of another realm', () => {
    const other = runInNewContext(
      '({ a: [1, { b: 2 }], d: new Date(1), m: new Map([[1, /x/]]), u: new Uint8Array([5]), e: new TypeError("t") })',
    )
    const back = roundTrip(other)
    expect(isDeepStrictEqual(back.a, [1, { b: 2 }])).toBe(true)
    expect(
      isDeepStrictEqual([back.d, back.m, back.u], [new Date(1), new Map([[1, /x/]]), new Uint8Array([5])]),
    ).toBe(true)
    expect(back.e).toBeInstanceOf(TypeError)
    expect(kindOf(runInNewContext('({ a: [1, { b: 2 }] })'))).toBe('json')
  })
})

describe('binary data', () => {
  const floats = [1.5, -0, NaN, Infinity]
  const views: ArrayBufferView[] = [
    new Int8Array([-1, 2]),
    new Uint8Array([1, 255]),
    new Uint8ClampedArray([1, 255]),
    new Int16Array([-300, 5]),
    new Uint16Array([65535]),
    new Int32Array([-70000]),
    new Uint32Array([4e9]),
    new Float32Array(floats),
    new Float64Array(floats),
    new BigInt64Array([-5n]),
    new BigUint64Array([2n ** 64n - 1n]),
    new DataView(new Uint8Array([1, 2, 3]).buffer, 1),
    Buffer.from('abc'),
    Buffer.alloc(0),
    new Float64Array(0),
  ]

  it.each(views.map((view) => [view.constructor.name, view] as const))(
    '%s comes back as such, alone and inside',
    (_name, view) => {
      for (const back of [
        roundTrip(view),
        roundTrip(view, true),
        structured({ x: [view] }).x[0] as ArrayBufferView,
      ]) {
        expect(Object.getPrototypeOf(back)).toBe(Object.getPrototypeOf(view))
        expect(isDeepStrictEqual(back, view)).toBe(true)
        expect(rawBytes(back).equals(rawBytes(view))).toBe(true)
      }
    },
  )

  it.runIf('Float16Array' in globalThis)('Float16Array comes back as such', () => {
    const type = (globalThis as unknown as { Float16Array: new (items: number[]) => Uint16Array })
      .Float16Array
    const view = new type([1.5, -0, Number.NaN])
    expect(isDeepStrictEqual(roundTrip([view, view]), [view, view])).toBe(true)
  })

  it('bytes_are_stored_as_they_are', () => {
    expect(
      [Buffer.from('a'), new Uint8Array(1), new ArrayBuffer(1)].map((value) => encode(value).kind),
    ).toEqual([1, 2, 3])
    expect(kindOf(new Float64Array(1))).toBe('typed-array')
    expect(isDeepStrictEqual(roundTrip(new Uint8Array([1, 2]).buffer), new Uint8Array([1, 2]).buffer)).toBe(
      true,
    )
  })

  it('a_view_into_a_large_buffer_stores_only_what_it_shows', () => {
    const large = new Uint8Array(1_000_000)
    const view = new Float32Array(large.buffer, 400, 10).fill(1.5)
    expect(encodeStructured([view]).length).toBeLessThan(60)
    const back = structured([view])[0] as Float32Array
    expect(isDeepStrictEqual(back, view)).toBe(true)
    expect(back.buffer.byteLength).toBe(40)
    expect(roundTrip(large.subarray(5, 8)).length).toBe(3)
  })

  it('views_that_show_at_least_half_of_one_buffer_share_it_again', () => {
    const buffer = new ArrayBuffer(16)
    const value = {
      buffer,
      bytes: new Uint8Array(buffer),
      half: new DataView(buffer, 8),
      quarter: new Uint8Array(buffer, 0, 4),
    }
    const back = structured(value)
    expect(back.bytes.buffer).toBe(back.buffer)
    expect(back.half.buffer).toBe(back.buffer)
    expect(back.half.byteOffset).toBe(8)
    expect(back.quarter.buffer).not.toBe(back.buffer)
  })

  it('what_is_not_owned_is_a_copy_and_what_is_owned_is_a_view', () => {
    const buffer = Buffer.from([9, 1, 2, 9])
    for (const kind of [1, 2, 3]) {
      const back = decode(kind, buffer, 1, 3, false) as Uint8Array | ArrayBuffer
      buffer[1] = 77
      expect([...new Uint8Array(back instanceof ArrayBuffer ? back : back)]).toEqual([1, 2])
      buffer[1] = 1
    }
    for (const kind of [1, 2]) {
      expect((decode(kind, buffer, 1, 3, true) as Uint8Array).buffer).toBe(buffer.buffer)
    }
  })
})

describe('identity', () => {
  it('shared references and cycles of every container', () => {
    const shared = { x: 1 }
    const root: Record<string, unknown> = { a: shared, b: [shared, shared] }
    root.self = root
    const list: unknown[] = [root]
    list.push(list)
    const map = new Map<unknown, unknown>([['list', list]])
    map.set(map, map)
    const set = new Set<unknown>([map])
    set.add(set)
    root.set = set
    const back = roundTrip(root)
    expect(back.self).toBe(back)
    expect((back.b as unknown[])[0]).toBe(back.a)
    expect((back.b as unknown[])[1]).toBe(back.a)
    const [mapBack, setBack] = [...(back.set as Set<unknown>)] as [Map<unknown, unknown>, unknown]
    expect(setBack).toBe(back.set)
    expect(mapBack.get(mapBack)).toBe(mapBack)
    expect((mapBack.get('list') as unknown[])[0]).toBe(back)
  })

  it('an_object_met_twice_in_plain_data_stays_one_object', () => {
    const shared = [1]
    const back = roundTrip({ a: shared, b: { c: shared } })
    expect(back.a).toBe(back.b.c)
  })

  it('identity_holds_among_hundreds_of_objects', () => {
    const nodes: { id: number; next?: unknown }[] = Array.from({ length: 300 }, (_, id) => ({ id }))
    nodes.forEach((node, id) => {
      node.next = nodes[(id * 7) % 300]
    })
    const back = roundTrip(nodes)
    for (const [id, node] of back.entries()) expect(node.next).toBe(back[(id * 7) % 300])
  })
})

describe('the choice of kind', () => {
  it('text_whose_UTF_8_no_string_can_be_made_of_is_stored_in_another_form', () => {
    for (const [text, most, fits] of [
      ['x'.repeat(9), 9, true],
      ['x'.repeat(10), 9, false],
      ['é'.repeat(5), 9, false],
      ['日'.repeat(3), 9, true],
      ['日'.repeat(4), 9, false],
    ] as const)
      expect(fitsUtf8(text, most), `${text} ${most}`).toBe(fits)
  })

  it('plain_data_is_json', () => {
    expect(encode({ a: [1, 'b', null, true, { c: 1.5 }] }).kind).toBe(8)
    const long = { a: 'b'.repeat(5000) }
    expect(encode(long)).toEqual({ kind: 6, data: JSON.stringify(long) })
    expect(encode(null)).toEqual({ kind: 6, data: 'null' })
    expect(kindOf(JSON.parse('{"__proto__":1}'))).toBe('json')
    expect(kindOf({ toJSON: 5 })).toBe('json')
    expect([1, 4, 5, 6, 8, 7, 99].map(kindName)).toEqual([
      'bytes',
      'string',
      'string',
      'json',
      'json',
      'structured',
      'unknown',
    ])
  })

  it.each<[string, unknown]>([
    ['undefined', { a: undefined }],
    ['minus zero', [-0]],
    ['NaN', [NaN]],
    ['a hole', holed([1, 2, 3])],
    ['a property of an array', Object.assign([1], { x: 1 })],
    ['no prototype', Object.create(null)],
    ['an object met twice', ((x) => [x, x])({})],
  ])('what_json_would_change_is_not_json: %s', (_name, value) => {
    expect(kindOf(value)).toBe('structured')
  })

  it('a_patched_prototype_with_toJSON_does_not_change_what_is_stored', () => {
    const proto = Array.prototype as { toJSON?: unknown }
    proto.toJSON = () => 'patched'
    Object.defineProperty(proto, 'toJSON', { enumerable: false })
    try {
      expect(roundTrip({ a: [1] })).toEqual({ a: [1] })
    } finally {
      delete proto.toJSON
    }
  })

  it('an_enumerable_property_of_Object_prototype_is_not_stored', () => {
    const proto = Object.prototype as { polluted?: unknown }
    proto.polluted = () => 1
    try {
      const back = roundTrip({ a: 1 })
      expect(Object.keys(back)).toEqual(['a'])
    } finally {
      delete proto.polluted
    }
  })
})

describe('what would not come back is refused with its path', () => {
  class User {
    name = 'x'
  }
  const generator = (function* () {})()
  function argumentsOf(..._: unknown[]) {
    // biome-ignore lint/complexity/noArguments: what is refused
    return arguments
  }

  it.each<[string, unknown, string]>([
    ['a function', { user: { onClick() {} } }, 'value.user.onClick'],
    ['a symbol', [Symbol('s')], 'value[0]'],
    ['a symbol as a name', { a: { [Symbol('s')]: 1 } }, 'value.a'],
    ['a symbol as a name of an array', { a: Object.assign([1], { [Symbol('s')]: 1 }) }, 'value.a'],
    [
      'a symbol as a name of an array without items',
      { a: [[], Object.assign([], { [Symbol('s')]: 1 })] },
      'value.a[1]',
    ],
    ['a class instance', { list: [1, new User()] }, 'value.list[1]'],
    ['a subclass of Map', [new (class extends Map {})()], 'value[0]'],
    ['a subclass of Date', [new (class extends Date {})()], 'value[0]'],
    ['a subclass of Error', [new (class HttpError extends Error {})()], 'value[0]'],
    ['a subclass of Array', [new (class extends Array {})()], 'value[0]'],
    ['a subclass of Uint8Array', new (class extends Uint8Array {})(1), 'value'],
    ['a class with the name of a built-in', [new (namesake())()], 'value[0]'],
    ['a Date with a property', [Object.assign(new Date(), { x: 1 })], 'value[0]'],
    ['a WeakMap', { w: new WeakMap() }, 'value.w'],
    ['a WeakRef', { w: new WeakRef({}) }, 'value.w'],
    ['a Promise', { p: Promise.resolve(1) }, 'value.p'],
    ['a generator', { g: generator }, 'value.g'],
    ['shared memory', [new SharedArrayBuffer(8)], 'value[0]'],
    ['a view of shared memory', new Uint8Array(new SharedArrayBuffer(8)), 'value'],
    ['a proxy of a Map', [new Proxy(new Map(), {})], 'value[0]'],
    ['a proxy of a function', [new Proxy(() => 1, {})], 'value[0]'],
    ['a boxed primitive', { n: Object('s') }, 'value.n'],
    ['an impostor of an Error', { e: Object.create(Error.prototype) }, 'value.e'],
    ['an impostor of a Map', { e: Object.create(Map.prototype) }, 'value.e'],
    ['a Map value', new Map([['k', new Map([[1, () => 1]])]]), 'value.get("k") value #0'],
    ['a Set member', { s: new Set([1, () => 1]) }, 'value.s member #1'],
    ['the arguments of a function', { a: argumentsOf(1, 2) }, 'value.a'],
    ['what has the prototype of a plain object', { a: Object.create({ b: 1 }) }, 'value.a'],
    ['Math', { m: Math }, 'value.m'],
    ['JSON among others alike', [{}, {}, {}, {}, {}, {}, {}, JSON, Reflect], 'value[7]'],
    ['members that are hidden', Object.defineProperty({}, Symbol.toStringTag, { get: () => 'x' }), 'value'],
    ['the cause of an error', new Error('x', { cause: () => 1 }), 'value.cause'],
  ])('%s', (_name, value, path) => {
    const error = refused(value)
    expect(error.code).toBe('E_UNSERIALIZABLE')
    expect(error.context).toEqual({ path })
    expect(error.message).toContain(`${path} is`)
    expect(error.message).toMatch(/Give /)
  })

  it('a_resizable_buffer_is_refused_and_a_view_of_one_is_stored_by_its_bytes', () => {
    const make = ArrayBuffer as unknown as new (
      length: number,
      options: { maxByteLength: number },
    ) => ArrayBuffer
    const resizable = new make(4, { maxByteLength: 8 })
    expect(refused(resizable).message).toContain('slice()')
    expect(isDeepStrictEqual([...roundTrip(new Uint8Array(resizable).fill(3))], [3, 3, 3, 3])).toBe(true)
  })

  it('a_detached_buffer_is_refused', () => {
    const buffer = new ArrayBuffer(8)
    const views = [
      new Uint8Array(buffer),
      Buffer.from(buffer),
      new Float64Array(buffer),
      new DataView(buffer),
    ]
    const shaped = ndarray(new Float64Array(buffer))
    structuredClone(buffer, { transfer: [buffer] })
    for (const value of [buffer, shaped, ...views].flatMap((value) => [value, [value]])) {
      expect(refused(value).code).toBe('E_UNSERIALIZABLE')
    }
  })

  it('a_getter_that_throws_is_refused_and_its_error_is_the_cause', () => {
    const boom = new Error('boom')
    const error = refused({
      a: {
        get b() {
          throw boom
        },
      },
    })
    expect(error.context).toEqual({ path: 'value.a.b' })
    expect(error.cause).toBe(boom)
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    refused(proxy)
    refused([proxy])
  })

  it('a_getter_is_read_once_by_the_structured_writer', () => {
    let reads = 0
    const value = {
      d: new Date(0),
      get n() {
        return ++reads
      },
    }
    expect(structured(value).n).toBe(1)
    expect(reads).toBe(1)
  })

  it('a_getter_that_stores_another_value_does_no_harm', () => {
    const shared = {}
    const value = {
      a: shared,
      get b() {
        return roundTrip({ x: new Date(5), y: [shared, shared] }).x.getTime()
      },
      c: shared,
      d: new Date(1),
    }
    const back = roundTrip(value)
    expect([back.b, back.d.getTime()]).toEqual([5, 1])
    expect(back.a).toBe(back.c)
  })

  it('deep_nesting_is_a_typed_error_and_not_a_stack_overflow', () => {
    const nest = (depth: number, leaf: unknown) => {
      let value = leaf
      for (let level = 0; level < depth; level++) value = level % 2 === 0 ? [value] : { value }
      return value
    }
    for (const leaf of [1, new Date(0)])
      expect(isDeepStrictEqual(roundTrip(nest(900, leaf)), nest(900, leaf))).toBe(true)
    for (const depth of [1001, 10_001, 200_000]) expect(refused(nest(depth, 1)).message).toContain('1000')
    let map: unknown = 1
    for (let level = 0; level < 999; level++) map = new Map([[1, map]])
    expect(structured(map)).toBeInstanceOf(Map)
  })

  it('after_a_refusal_the_next_value_is_stored_as_if_nothing_had_been', () => {
    const shared = { x: new Date(1) }
    refused([shared, () => 1])
    expect(isDeepStrictEqual(roundTrip([shared]), [shared])).toBe(true)
  })
})

describe('damage', () => {
  it.each<[string, number, Buffer]>([
    ['JSON cut short', 6, Buffer.from('{"a":')],
    ['no JSON', 6, Buffer.alloc(0)],
    ['JSON that is not UTF-8', 6, Buffer.from([0x22, 0xff, 0x22])],
    ['a string that is not UTF-8', 4, Buffer.from([0x61, 0xc3])],
    ['half a UTF-16 unit', 5, Buffer.alloc(3)],
    ['nothing', 7, Buffer.alloc(0)],
    ['only a version', 7, Buffer.from([1])],
    ['an unknown tag', 7, Buffer.from([1, 0xff])],
    ['bytes after the end', 7, Buffer.from([1, 0xc1, 0xc1])],
    ['an array of 2^32 items', 7, Buffer.from([1, 0xcf, 0xff, 0xff, 0xff, 0xff, 0x0f])],
    ['a shape of 2^32 names', 7, Buffer.from([1, 0xcb, 0xff, 0xff, 0xff, 0xff, 0x0f])],
    ['a string of 2^40 bytes', 7, Buffer.from([1, 0xc8, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20])],
    ['a buffer of 2^40 bytes', 7, Buffer.from([1, 0xd7, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20])],
    ['an endless number', 7, Buffer.from([1, 0xc4, ...Array.from({ length: 12 }, () => 0xff)])],
    ['a reference to nothing', 7, Buffer.from([1, 0xda, 0])],
    ['a shape that is not there', 7, Buffer.from([1, 0xcc, 0])],
    ['a URL that does not parse', 7, Buffer.from([1, 0xd5, 0x81, 0x3f])],
    ['an unknown class of error', 7, Buffer.from([1, 0xd6, 99, 0, 0])],
    ['an unknown class of view', 7, Buffer.from([1, 0xd8, 99, 1, 0])],
    ['a view of no buffer', 7, Buffer.from([1, 0xd9, 2, 0, 0, 0xc1])],
    ['a view beyond its buffer', 7, Buffer.from([1, 0xd9, 2, 5, 5, 0xd7, 1, 0])],
    ['a view of part of an element', 7, Buffer.from([1, 0xd8, 9, 4, 0, 0, 0, 0])],
    ['an item beyond the end', 7, Buffer.from([1, 0xd0, 1, 1, 5, 0xc1, 0])],
  ])('%s is E_CORRUPT', (_name, kind, bytes) => {
    expect(() => decode(kind, bytes, 0, bytes.length, false)).toThrow(CorruptError)
  })

  it('a_kind_or_a_version_of_a_later_release_is_E_UNAVAILABLE', () => {
    expect(() => decode(99, Buffer.alloc(1), 0, 1, false)).toThrow(UnavailableError)
    expect(decode(0, Buffer.from([7]), 0, 1, false)).toEqual(Buffer.from([7])) // plain bytes of the Rust API
    expect(() => decode(9, Buffer.alloc(1), 0, 1, false)).toThrow(UnavailableError)
    expect(() => decode(-1, Buffer.alloc(1), 0, 1, false)).toThrow(UnavailableError)
    expect(() => decode(7, Buffer.from([VERSION + 1, 0xc1]), 0, 2, false)).toThrow(UnavailableError)
  })

  it.skipIf('Float16Array' in globalThis)('a_type_that_this_run_time_lacks_is_E_UNAVAILABLE', () => {
    expect(() => decode(7, Buffer.from([1, 0xd8, 12, 2, 0, 0]), 0, 6, false)).toThrow(UnavailableError)
  })

  it('nesting_without_end_is_E_CORRUPT_and_not_a_stack_overflow', () => {
    for (const opening of [
      [0xcf, 1],
      [0xd2, 1],
      [0xd1, 1],
      [0xcb, 1, 0x81, 0x61],
      [0xd6, 0, 4],
    ]) {
      const bytes = Buffer.from([1, ...Array.from({ length: 50_000 }, () => opening).flat()])
      expect(() => decodeStructured(bytes, 0, bytes.length)).toThrow(CorruptError)
    }
  })

  it('a_short_payload_cannot_take_much_memory', () => {
    const longSparseArray = Buffer.from([1, 0xd0, 0xff, 0xff, 0xff, 0x0e, 0, 0])
    const before = process.memoryUsage().heapUsed
    const back = decodeStructured(longSparseArray, 0, longSparseArray.length) as unknown[]
    expect(back.length).toBe(31457279)
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(5e6)
  })

  it('a_payload_cannot_reach_a_prototype', () => {
    const value = Object.assign(new Map([['x', JSON.parse('{"__proto__":{"polluted":1}}')]]))
    const back = structured(value).get('x')
    expect(Object.getPrototypeOf(back)).toBe(Object.prototype)
    expect(Object.keys(back)).toEqual(['__proto__'])
    const error = structured(Object.assign(new Error('x'), JSON.parse('{"a":1}')))
    expect(Object.getPrototypeOf(error)).toBe(Error.prototype)
    expect(({} as { polluted?: 1 }).polluted).toBeUndefined()
  })
})

describe('any value', () => {
  it('comes_back_equal_in_type_and_content', () => {
    fc.assert(
      fc.property(anyValue(), (value) => {
        expect(isDeepStrictEqual(roundTrip(value), value)).toBe(true)
        expect(isDeepStrictEqual(structured(value), value)).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })
})

function rawBytes(view: ArrayBufferView): Buffer {
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength)
}
