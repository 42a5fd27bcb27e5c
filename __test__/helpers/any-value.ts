import fc from 'fast-check'
import { type NumberArray, ndarray, series } from 'tierce'
import { ARRAY_CLASSES } from './array-classes.js'

/** Values of every structured kind, nested and mixed; `leaves` come up beside the built-in ones. */
export function anyValue(...leaves: fc.Arbitrary<unknown>[]): fc.Arbitrary<unknown> {
  const leaf = fc.oneof(
    ...leaves,
    fc.constantFrom<unknown>(null, undefined, true, false, -0, NaN, Infinity, '', '\ud800', '__proto__', 0n),
    fc.double(),
    fc.integer(),
    fc.maxSafeInteger(),
    fc.bigInt(),
    fc.string({ unit: 'binary', maxLength: 80 }),
    fc.date({ noInvalidDate: true }),
    fc.constantFrom(/a/g, /[é\n]/u),
    fc.webUrl().map((href) => new URL(href)),
    fc.uint8Array({ maxLength: 20 }),
    fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
    fc.float64Array({ maxLength: 5 }),
    fc.bigInt64Array({ maxLength: 5 }),
    fc.uint8Array({ maxLength: 20 }).map((bytes) => bytes.slice().buffer),
    fc
      .uint8Array({ minLength: 8, maxLength: 40 })
      .map((bytes) => new Uint16Array(bytes.slice().buffer, 2, 2)),
    fc.uint8Array({ minLength: 4, maxLength: 40 }).map((bytes) => new DataView(bytes.slice().buffer, 1, 2)),
    // Two views that overlap in one buffer.
    fc
      .uint8Array({ minLength: 16, maxLength: 16 })
      .map((bytes) => [new Int32Array(bytes.buffer, 4, 2), bytes.subarray(2, 9)]),
    fc.constantFrom<unknown>(-(2n ** 64n), 5e-324, -Number.MAX_VALUE, 'a\udc00b\0'),
    fc.string().map((message) => Object.assign(new RangeError(message), { code: 'E' })),
  )
  const name = fc.oneof(
    fc.constantFrom('a', 'b', '__proto__', 'constructor', '', '1'),
    fc.string({ unit: 'binary', maxLength: 10 }),
  )
  // Objects of the same names and arrays of one length, long enough to be stored by columns.
  const table = fc
    .tuple(
      fc.uniqueArray(name, { minLength: 1, maxLength: 4 }),
      fc.array(fc.tuple(leaf, leaf, fc.integer(), leaf), { minLength: 7, maxLength: 11 }),
      fc.boolean(),
    )
    .map(([names, rows, isNamed]) =>
      rows.map((row) =>
        isNamed ? Object.fromEntries(names.map((name, i) => [name, row[i]])) : row.slice(0, names.length),
      ),
    )
  const { node } = fc.letrec<{ node: unknown }>((tie) => ({
    node: fc.oneof(
      { maxDepth: 4 },
      leaf,
      table,
      fc.array(tie('node'), { maxLength: 5 }),
      fc.sparseArray(tie('node'), { maxNumElements: 3, maxLength: 2000 }),
      fc.array(fc.tuple(name, tie('node')), { maxLength: 5 }).map((members) => Object.fromEntries(members)),
      fc.array(fc.tuple(name, tie('node')), { maxLength: 3 }).map((members) => {
        const object: object = Object.create(null)
        for (const [key, value] of members)
          Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true })
        return object
      }),
      fc.array(fc.tuple(tie('node'), tie('node')), { maxLength: 3 }).map((members) => new Map(members)),
      fc.array(tie('node'), { maxLength: 3 }).map((members) => new Set(members)),
      tie('node').map((value) => [value, value]),
    ),
  }))
  return node
}

/** Typed arrays of all types, short and long, regular and not, some of them views into larger buffers. */
export function anyArray(): fc.Arbitrary<NumberArray> {
  const sizes = fc.oneof(fc.nat(40), fc.nat(3000))
  const shape = fc.record({
    type: fc.constantFrom(...ARRAY_CLASSES),
    length: sizes,
    before: fc.nat(5),
    after: fc.nat(50),
  })
  return fc
    .tuple(shape, fc.uint8Array({ minLength: 1, maxLength: 64 }), fc.nat(255))
    .map(([one, pattern, step]) => {
      const width = one.type.BYTES_PER_ELEMENT
      const memory = new Uint8Array((one.before + one.length) * width + one.after)
      for (let at = 0; at < memory.length; at++)
        memory[at] = pattern[at % pattern.length]! + Math.floor(at / width) * step
      return new one.type(memory.buffer, one.before * width, one.length)
    })
}

/** Values of every kind: those, typed arrays with and without a shape or a name, and objects that hold themselves. */
export function anyKind(): fc.Arbitrary<unknown> {
  const named = fc.tuple(anyArray(), fc.option(fc.string(), { nil: undefined }), fc.boolean())
  return fc.oneof(
    anyValue(anyArray()),
    anyArray(),
    anyArray().map((array) => ndarray(array, [1, array.length, 1])),
    named.map(([array, name, indexed]) => series(array, { name, index: indexed ? array : undefined })),
    anyValue().map((inner) => {
      const cycle: Record<string, unknown> = { inner }
      cycle.self = { again: [cycle, inner] }
      return cycle
    }),
  )
}

/** What has no stored form, alone or somewhere inside. */
export function unstorable(): fc.Arbitrary<unknown> {
  class Mine {}
  const poison = fc.constantFrom<unknown>(
    () => {},
    Symbol('s'),
    new Mine(),
    new WeakMap(),
    Promise.resolve(),
    new SharedArrayBuffer(8),
    new Float64Array(new SharedArrayBuffer(8)),
    new (class extends Float64Array {})(2),
  )
  return fc.tuple(poison, fc.nat(4), anyValue()).map(([bad, where, other]) => {
    const around = [bad, [other, bad], { other, bad }, new Map([[other, bad]]), new Set([other, { bad }])]
    return around[where]
  })
}
