/** Which slot a short string has. */
import { type Affixes, affixesOf, NO_AFFIXES } from './affixes.js'
import { hashPart, hashString } from './hash.js'

/** Characters of the longest: to hash one more takes a nanosecond, and V8 keeps the hash of a string, which a `Map` finds there. */
export const LONGEST = 128

/** Pairs of the table at first. */
const FIRST_PAIRS = 64
/** Bits of `FIRST_PAIRS`. */
const FIRST_BITS = 6
/** Keys of one hash that the table takes: there are more only where somebody chose them to be. */
const MOST_ALIKE = 8
/** Pairs from which on it is looked at what the keys share, and how often that may turn out to be less than it was. */
const LEARNING_PAIRS = 1024
const MOST_LESSONS = 8
/** It is looked at again when so many keys of late, and this part of all, had the hash of another. */
const LEAST_ALIKE = 64
const ALIKE_SHARE = 16
/** Odd, and another one in each process: of the keys that share a place here few share one elsewhere. */
const FACTOR = (Math.random() * 2 ** 32) | 1

/** What is in the slots: the key of a slot, and beside it its value. */
export type Cells = readonly unknown[]

/**
 * A table of hashes, each beside its slot, with linear probing and no tombstones; at most four fifths full, 10 to 20 bytes an
 * entry, and 4 for the hash by slot, with which a key is taken out again.
 *
 * The hash leaves out what all keys begin and end with (`user:`, `:profile`), once there are some hundreds: most of a look-up is
 * reading characters. Where keys come that differ in these characters alone, they collide, and all keys get other hashes.
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
  /** What the hashes leave out, from both ends. */
  #head = 0
  #tail = 0
  #lessons = 0
  /** Keys added of late, and those of them that had the hash of another. */
  #added = 0
  #alike = 0

  /** The slot of a key, or -1. */
  get(key: string, cells: Cells): number {
    const hash = this.#hash(key)
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

  /** 32 well-mixed bits, never 0, of the whole key: the same whatever the other keys are. */
  hashOf(key: string): number {
    const isWhole = this.#head + this.#tail === 0
    return isWhole && key === this.#missed ? this.#missedHash : hashString(key) || 1
  }

  /** Gives a slot to a key that has none. False where too many keys collide: then it is not added. */
  add(key: string, slot: number, cells: Cells): boolean {
    if (5 * this.size > 4 * this.#mask) this.#grow(cells)
    if (this.#alike > LEAST_ALIKE && ALIKE_SHARE * this.#alike > this.size) this.#learn(cells)
    const hash = key === this.#missed ? this.#missedHash : this.#hash(key)
    this.#missed = undefined
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
    this.size = this.#lessons = 0
    this.#leaveOut(NO_AFFIXES)
  }

  /** The slots of all keys; what is added meanwhile may or may not come. */
  *slots(): Generator<number, undefined> {
    const table = this.#table
    for (let at = 1; at < table.length && this.size > 0; at += 2) if (table[at] !== 0) yield table[at]! - 1
    return undefined
  }

  /** Never 0. */
  #hash(key: string): number {
    const end = key.length - this.#tail
    const hash = end > this.#head ? hashPart(key, this.#head, end) : hashString(key)
    return hash || 1
  }

  /** The empty place for a new hash, or -1 where there are as many of the same as may be. */
  #placeFor(hash: number): number {
    const table = this.#table
    const mask = this.#mask
    let left = MOST_ALIKE
    let at = Math.imul(hash, FACTOR) >>> this.#shift
    for (; left > 0 && table[2 * at + 1] !== 0; at = (at + 1) & mask) if (table[2 * at] === hash) left--
    if (this.#head + this.#tail > 0) this.#count(left < MOST_ALIKE)
    return left > 0 ? at : -1
  }

  /** Counts a key that is added, and whether it has the hash of another. */
  #count(isAlike: boolean): void {
    if (isAlike) this.#alike++
    if (++this.#added <= this.size) return
    this.#added = 0
    this.#alike >>= 1
  }

  #put(hash: number, slot: number): void {
    const table = this.#table
    const mask = this.#mask
    let at = Math.imul(hash, FACTOR) >>> this.#shift
    while (table[2 * at + 1] !== 0) at = (at + 1) & mask
    table[2 * at] = hash
    table[2 * at + 1] = slot + 1
  }

  #grow(cells: Cells): void {
    const old = this.#table
    this.#table = new Int32Array(2 * old.length)
    this.#mask = 2 * this.#mask + 1
    this.#shift--
    for (let from = 0; from < old.length; from += 2) {
      if (old[from + 1] !== 0) this.#put(old[from]!, old[from + 1]! - 1)
    }
    if (this.#mask + 1 === LEARNING_PAIRS) this.#learn(cells)
  }

  /** Looks at what the keys share, and gives them hashes without it; whole ones where it is what they collide without. */
  #learn(cells: Cells): void {
    const keyAt = (slot: number): string => cells[2 * slot] as string
    const slots = [...this.slots()]
    const affixes = ++this.#lessons > MOST_LESSONS ? NO_AFFIXES : affixesOf(slots.map(keyAt))
    const isSame = affixes.head === this.#head && affixes.tail === this.#tail
    if (isSame && this.#head + this.#tail === 0) return
    this.#leaveOut(isSame ? NO_AFFIXES : affixes)
    this.#table.fill(0)
    for (const slot of slots) {
      const hash = this.#hash(keyAt(slot))
      this.#hashes[slot] = hash
      this.#put(hash, slot)
    }
  }

  #leaveOut({ head, tail }: Affixes): void {
    this.#head = head
    this.#tail = tail
    this.#added = this.#alike = 0
    this.#missed = undefined
  }
}
