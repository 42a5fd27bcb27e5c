/** Random keys, and what makes two of them the same. */
import fc from 'fast-check'

/** Few and small leaves, so that random pairs are often the same. */
export function anyKey(): fc.Arbitrary<unknown> {
  const leaf = fc.oneof(
    fc.constantFrom<unknown>(
      null,
      true,
      false,
      0,
      -0,
      1,
      -1,
      NaN,
      Infinity,
      0.5,
      2 ** 53,
      1n,
      -5n,
      '',
      'a',
      'b',
      '\0',
      '\ud800',
    ),
    fc.double(),
    fc.string({ unit: 'binary', maxLength: 3 }),
    fc
      .constantFrom<() => unknown>(
        () => new Date(0),
        () => new Date(NaN),
        () => /a/g,
        () => /a/,
        () => new URL('http://a/'),
        () => new Uint8Array([1]),
        () => Buffer.from([1, 200]),
        () => new Int8Array([1]),
        () => new Float64Array([-0]),
        () => new ArrayBuffer(1),
        () => new DataView(new ArrayBuffer(1)),
      )
      .map((make) => make()),
  )
  const name = fc.constantFrom('a', 'b', 'c', '__proto__', '', '10', '9', '\ud800', 'é')
  const { node } = fc.letrec<{ node: unknown; inner: unknown }>((tie) => ({
    node: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      leaf,
      fc.array(tie('inner'), { maxLength: 3 }),
      fc.array(fc.tuple(name, tie('inner')), { maxLength: 3 }).map((members) => Object.fromEntries(members)),
      fc.array(fc.tuple(tie('inner'), tie('inner')), { maxLength: 3 }).map((members) => new Map(members)),
      fc.array(tie('inner'), { maxLength: 3 }).map((members) => new Set(members)),
    ),
    inner: fc.oneof(tie('node'), fc.constant(undefined)),
  }))
  return node
}

/** The identity that the documentation states, written without the encoder. */
export function isSameKey(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return Object.is(a, b)
  const type = className(a)
  if (type !== className(b)) return false
  if (ArrayBuffer.isView(a) || a instanceof ArrayBuffer) return rawBytes(a).equals(rawBytes(b as ArrayBuffer))
  if (a instanceof Date) return Object.is(a.getTime(), (b as Date).getTime())
  if (a instanceof RegExp || a instanceof URL) return String(a) === String(b)
  if (a instanceof Map) return isSameBag([...a], [...(b as Map<unknown, unknown>)])
  if (a instanceof Set) return isSameBag([...a], [...(b as Set<unknown>)])
  if (Array.isArray(a))
    return a.length === (b as []).length && a.every((member, i) => isSameKey(member, (b as [])[i]))
  const members = (object: object) => Object.entries(object).filter(([, member]) => member !== undefined)
  return isSameBag(members(a), members(b))
}

function isSameBag(a: unknown[], b: unknown[]): boolean {
  const rest = [...b]
  return (
    a.length === b.length &&
    a.every((x) => {
      const at = rest.findIndex((y) => isSameKey(x, y))
      return at >= 0 && rest.splice(at, 1).length === 1
    })
  )
}

function className(value: object): string {
  return Object.prototype.toString.call(value)
}

function rawBytes(value: ArrayBuffer | ArrayBufferView): Buffer {
  return ArrayBuffer.isView(value)
    ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    : Buffer.from(value)
}

/** The same key with its members the other way round, and a property that is undefined. */
export function reordered(key: unknown): unknown {
  if (Array.isArray(key)) return key.map(reordered)
  if (key instanceof Map)
    return new Map([...key].reverse().map(([name, member]) => [reordered(name), reordered(member)]))
  if (key instanceof Set) return new Set([...key].reverse().map(reordered))
  if (typeof key !== 'object' || key === null || className(key) !== '[object Object]') return key
  return Object.fromEntries([
    ...Object.entries(key)
      .reverse()
      .map(([name, member]) => [name, reordered(member)]),
    ['gone', undefined],
  ])
}
