/** Estimated bytes of a live value. */

/** Parts of a value that are looked at; what is beyond is estimated from them. */
const MOST = 1000
/** Parts of a value that is weighed the short way. */
const FEW = 64
const POINTER = 8
const OBJECT = 56
const NUMBER = 16

/**
 * Bytes that a value takes in memory, roughly: exact for strings and binary data, an estimate for objects, in time that
 * does not grow with the value.
 */
export function weigh(value: unknown): number {
  if (typeof value === 'string') return 2 * value.length
  if (typeof value !== 'object' || value === null) return NUMBER
  try {
    const bytes = weighFlat(value, true)
    return bytes === undefined ? weighDeep(value) : bytes
  } catch {
    return OBJECT // a Proxy that does not let itself be looked at
  }
}

/** As `weighDeep`, for what most values are: a few primitives and at most one list of them. `undefined` for all others. */
function weighFlat(value: object, mayNest: boolean): number | undefined {
  if (Array.isArray(value)) return weighList(value)
  const proto = Object.getPrototypeOf(value)
  if (proto !== Object.prototype && proto !== null) return undefined
  let bytes = OBJECT
  let left = FEW
  let nested: object | undefined
  // Not by `Object.keys`, whose list costs as much as what is looked at.
  for (const name in value) {
    const descriptor = Object.getOwnPropertyDescriptor(value, name)
    if (descriptor === undefined) continue
    if (left-- === 0) return undefined
    const part = descriptor.value // an accessor is not run for an estimate
    if (typeof part === 'string') bytes += 2 * POINTER + 2 * part.length
    else if (typeof part !== 'object' || part === null) bytes += POINTER + NUMBER
    else if (nested === undefined && mayNest) {
      bytes += POINTER
      nested = part
    } else return undefined
  }
  const below = nested === undefined ? 0 : weighFlat(nested, false)
  return below === undefined ? undefined : bytes + below
}

function weighList(list: readonly unknown[]): number | undefined {
  if (list.length > FEW) return undefined
  let bytes = OBJECT
  for (const part of list) {
    if (typeof part === 'string') bytes += POINTER + 2 * part.length
    else if (typeof part !== 'object' || part === null) bytes += NUMBER
    else return undefined
  }
  return bytes
}

function weighDeep(value: object): number {
  const open: object[] = [value]
  const seen = new Set<object>(open)
  let bytes = 0
  let looked = 0
  const add = (part: unknown): void => {
    looked++
    if (typeof part === 'string') bytes += POINTER + 2 * part.length
    else if (typeof part !== 'object' || part === null) bytes += NUMBER
    else if (!seen.has(part)) {
      seen.add(part)
      open.push(part)
    }
  }
  while (open.length > 0) {
    if (looked >= MOST) return Math.ceil((bytes / looked) * (looked + open.length))
    bytes += OBJECT
    const part = open.pop()!
    if (ArrayBuffer.isView(part)) bytes += part.byteLength
    else if (part instanceof ArrayBuffer) bytes += part.byteLength
    else if (Array.isArray(part)) bytes += addSome(part, part.length, add)
    else if (part instanceof Map) bytes += addSome([...take(part, MOST)].flat(), 2 * part.size, add)
    else if (part instanceof Set) bytes += addSome([...take(part, MOST)], part.size, add)
    else
      for (const name of Object.keys(part)) {
        bytes += POINTER
        const descriptor = Object.getOwnPropertyDescriptor(part, name)
        add(descriptor?.value) // an accessor is not run for an estimate
      }
  }
  return bytes
}

/** Looks at the first parts of a long list; gives what the others are estimated at. */
function addSome(parts: readonly unknown[], length: number, add: (part: unknown) => void): number {
  const looked = Math.min(parts.length, MOST)
  for (let index = 0; index < looked; index++) add(parts[index])
  return (length - looked) * (POINTER + NUMBER)
}

function* take<T>(items: Iterable<T>, most: number): Generator<T> {
  let taken = 0
  for (const item of items) {
    if (taken++ === most) return
    yield item
  }
}
