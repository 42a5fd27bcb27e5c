/** Hashes of keys, for the policies that remember keys which are no longer in the cache. Not identity: equal hashes do no harm. */

/** Characters that are looked at in each part of a long string. */
const PART = 64

const float = new Float64Array(1)
const halves = new Uint32Array(float.buffer)
const identities = new WeakMap<object, number>()
let lastIdentity = 0

/**
 * 32 well-mixed bits of a key, signed, because V8 makes an object of a number above 2^31: the same for keys that a `Map` holds for the
 * same, as long as the process lives.
 */
export function hashKey(key: unknown): number {
  if (typeof key === 'string') return hashString(key)
  if (typeof key === 'number') return hashNumber(key)
  if (typeof key === 'bigint') return hashString(key.toString(36))
  return mix(identityOf(key as object))
}

/** The finalizer of MurmurHash3: each bit of the input changes half of the output. */
export function mix(bits: number): number {
  let mixed = bits ^ (bits >>> 16)
  mixed = Math.imul(mixed, 0x85ebca6b)
  mixed ^= mixed >>> 13
  mixed = Math.imul(mixed, 0xc2b2ae35)
  return mixed ^ (mixed >>> 16)
}

/** As `hashKey`; of a string of more than 192 characters not all count. */
export function hashString(text: string): number {
  const length = text.length
  if (length <= 3 * PART) return hashPart(text, 0, length)
  const middle = Math.ceil((length - 2 * PART) / PART)
  let bits = hashRange(text, 0, PART, 1, length)
  bits = hashRange(text, PART, length - PART, middle, bits)
  return mix(hashRange(text, length - PART, length, 1, bits))
}

/** As `hashString` for the characters from `start` to `end`, not included, and the length of all. */
export function hashPart(text: string, start: number, end: number): number {
  return mix(hashRange(text, start, end, 1, text.length))
}

function hashRange(text: string, start: number, end: number, step: number, seed: number): number {
  // Two chains: a multiplication need not wait for the one before.
  let bits = seed
  let other = 0
  let at = start
  for (; at < end - step; at += 2 * step) {
    bits = Math.imul(bits ^ text.charCodeAt(at), 0x9e3779b1)
    other = Math.imul(other ^ text.charCodeAt(at + step), 0x85ebca77)
  }
  if (at < end) bits = Math.imul(bits ^ text.charCodeAt(at), 0x9e3779b1)
  return bits ^ ((other << 7) | (other >>> 25))
}

function hashNumber(key: number): number {
  if ((key | 0) === key) return mix(key)
  float[0] = key
  return mix(halves[0]! ^ Math.imul(halves[1]!, 0x9e3779b1))
}

function identityOf(key: object): number {
  let identity = identities.get(key)
  if (identity === undefined) {
    identity = ++lastIdentity
    identities.set(key, identity)
  }
  return identity
}
