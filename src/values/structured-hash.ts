/** Hashes of what objects hold: the same for the same object whenever it is looked at, so that a second meeting is found by them. */

// To read a unit of a longer string may be to put it together first.
const WHOLE_STRING = 12

/** An integer of 32 bits: for all others the engine takes memory. */
export function joined(hash: number, next: number): number {
  return (Math.imul(hash, 31) + next) | 0
}

export function hashOfNumber(value: number): number {
  return (value * 2654435.769) | 0
}

export function hashOfString(string: string): number {
  const { length } = string
  return length === 0 || length > WHOLE_STRING ? length : length + (string.charCodeAt(length - 1) << 5)
}

/** Adds an item of an object: an object among them adds nothing, as it may be written in two ways. */
export function withItem(hash: number, item: unknown): number {
  if (typeof item === 'number') return joined(hash, hashOfNumber(item))
  return typeof item === 'string' ? joined(hash, hashOfString(item)) : hash
}

/** Of an array: by its ends, however it is written. */
export function hashOfArray(items: readonly unknown[]): number {
  const { length } = items
  if (length === 0) return 0 // an item before the first makes the engine slow for all others
  return joined(joined(length, hashOfItem(items[0])), hashOfItem(items[length - 1]))
}

function hashOfItem(item: unknown): number {
  if (typeof item === 'number') return hashOfNumber(item)
  return typeof item === 'string' ? hashOfString(item) : 0
}
