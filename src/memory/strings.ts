/** Which slot a short string has. */
import { hashString } from './hash.js'

/** Characters of the longest: to hash one more takes a nanosecond, and V8 keeps the hash of a string, which a `Map` finds there. */
export const LONGEST = 128

/** Pairs of the table at first. */
const FIRST_PAIRS = 64
/** Bits of `FIRST_PAIRS`. */
const FIRST_BITS = 6
/** Keys of one hash that the table takes: there are more only where somebody chose them to be. */
const MOST_ALIKE = 8
/** Odd, and another one in each process: of the keys that share a place here few share one elsewhere. */
const FACTOR = (Math.random() * 2 ** 32) | 1

/** What is in the slots: the key of a slot, and beside it its value. */
export type Cells = readonly unknown[]

/**
 * A table of hashes, each beside its slot, with linear probing and no tombstones; at most four fifths full, 10 to 20 bytes an
 * entry, and 4 for the hash by slot, with which a key is taken out again.
 */
export class Strings {
  size = 0
  /** A hash, and its slot plus one; 0 there for none. */
  #table = new Int32Array(2 * FIRST_PAIRS)
  #mask = FIRST_PAIRS - 1
  /** 32 less the bits of a place. */
  #shift = 32 - FIRST_BITS
  /** By slot, once there is a string; 0 where its key is not in the table. */
  #hashes = new Int32Array(0)
  #room = 0
  /** A key that was not found, and not added since: most are added next. */
  #missed: string | undefined
  #missedHash = 0

  /** The slot of a key, or -1. */
  get(key: string, cells: Cells): number {
    const hash = hashOf(key)
    const table = this.#table
    const mask = this.#mask
    for (let at = Math.imul(hash, FACTOR) >>> this.#shift; ; at = (at + 1) & mask) {
      const slot = table[2 * at + 1]!
      if (slot === 0) break
      if (table[2 * at] === hash && cells[2 * slot - 2] === key) return slot - 1
    }
    this.#missed = key
    this.#missedHash = hash
    return -1
  }

  /** Whether a key was looked for in vain, and was not added since. */
  isMissed(key: string): boolean {
    return key === this.#missed
  }

  /** 32 well-mixed bits, never 0. */
  hashOf(key: string): number {
    return key === this.#missed ? this.#missedHash : hashOf(key)
  }

  /** Gives a slot to a key that has none. False where too many keys collide: then it is not added. */
  add(key: string, slot: number): boolean {
    const hash = this.hashOf(key)
    this.#missed = undefined
    if (5 * this.size > 4 * this.#mask) this.#grow()
    const at = this.#placeFor(hash)
    if (at < 0) return false
    this.#table[2 * at] = hash
    this.#table[2 * at + 1] = slot + 1
    if (this.#hashes.length === 0) this.#hashes = new Int32Array(this.#room)
    this.#hashes[slot] = hash
    this.size++
    return true
  }

  /** Empties a slot. False where its key was not added. */
  delete(slot: number): boolean {
    const hash = slot < this.#hashes.length ? this.#hashes[slot]! : 0
    if (hash === 0) return false
    this.#hashes[slot] = 0
    const table = this.#table
    const mask = this.#mask
    let hole = Math.imul(hash, FACTOR) >>> this.#shift
    while (table[2 * hole + 1] !== slot + 1) hole = (hole + 1) & mask
    // Whatever would no longer be found across the hole moves into it. As in `integers.ts` and `ghosts.ts`: a shared loop would call back for
    // the home of each key.
    for (let at = (hole + 1) & mask; table[2 * at + 1] !== 0; at = (at + 1) & mask) {
      const home = Math.imul(table[2 * at]!, FACTOR) >>> this.#shift
      if (((at - home) & mask) < ((at - hole) & mask)) continue
      table[2 * hole] = table[2 * at]!
      table[2 * hole + 1] = table[2 * at + 1]!
      hole = at
    }
    table[2 * hole + 1] = 0
    this.size--
    return true
  }

  /** Makes room for slots up to `slots`, not included. */
  grow(slots: number): void {
    this.#room = slots
    if (this.#hashes.length === 0) return
    const hashes = new Int32Array(slots)
    hashes.set(this.#hashes)
    this.#hashes = hashes
  }

  clear(): void {
    this.#table = new Int32Array(2 * FIRST_PAIRS)
    this.#mask = FIRST_PAIRS - 1
    this.#shift = 32 - FIRST_BITS
    this.#hashes = new Int32Array(0)
    this.size = 0
  }

  /** The slots of all keys; what is added meanwhile may or may not come. */
  *slots(): Generator<number, undefined> {
    const table = this.#table
    for (let at = 1; at < table.length && this.size > 0; at += 2) if (table[at] !== 0) yield table[at]! - 1
    return undefined
  }

  /** The empty place for a hash, or -1 where there are as many of the same as may be. */
  #placeFor(hash: number): number {
    const table = this.#table
    const mask = this.#mask
    let left = MOST_ALIKE
    let at = Math.imul(hash, FACTOR) >>> this.#shift
    for (; table[2 * at + 1] !== 0; at = (at + 1) & mask)
      if (table[2 * at] === hash && --left === 0) return -1
    return at
  }

  #grow(): void {
    const old = this.#table
    this.#table = new Int32Array(2 * old.length)
    this.#mask = 2 * this.#mask + 1
    this.#shift--
    for (let from = 0; from < old.length; from += 2) {
      if (old[from + 1] === 0) continue
      const at = this.#placeFor(old[from]!)
      this.#table[2 * at] = old[from]!
      this.#table[2 * at + 1] = old[from + 1]!
    }
  }
}

function hashOf(key: string): number {
  return hashString(key) | 0 || 1
}
