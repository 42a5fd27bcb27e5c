/** Which slot a short string has. */
import { type Affixes, affixesOf, NO_AFFIXES } from './affixes.js'
import { hashPart, hashString } from './hash.js'
import { type Cells, Table } from './table.js'

/** Characters of the longest: to hash one more takes a nanosecond, and V8 keeps the hash of a string, which a `Map` finds there. */
export const LONGEST = 128

/** Keys of one hash that the table takes: there are more only where somebody chose them to be. */
const MOST_ALIKE = 8
/** Places from which on it is looked at what the keys share, and how often that may turn out to be less than it was. */
const LEARNING_PLACES = 1024
const MOST_LESSONS = 8
/** It is looked at again when so many keys of late, and this part of all, had the hash of another. */
const LEAST_ALIKE = 64
const ALIKE_SHARE = 16
/**
 * A table of their hashes. What is looked for is there if the key in its slot is the same.
 *
 * The hash leaves out what all keys begin and end with (`user:`, `:profile`), once there are some hundreds: most of a look-up is
 * reading characters. Where keys come that differ in these characters alone, they collide, and all keys get other hashes.
 */
export class Strings {
  readonly #table = new Table()
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

  get size(): number {
    return this.#table.size
  }

  /** The slot of a key, or -1. */
  get(key: string, cells: Cells): number {
    const hash = this.#hash(key)
    const table = this.#table
    const { words, mask, slotMask, markMask } = table
    const mark = table.markOf(hash)
    let at = table.homeOf(hash)
    for (let word = words[at]!; word !== 0; word = words[at]!) {
      if (((word ^ mark) & markMask) === 0) {
        const slot = (word & slotMask) - 1
        if (cells[slot << 1] === key) return slot
      }
      at = (at + 1) & mask
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
    const table = this.#table
    if (table.isFull) this.#widen(cells)
    if (this.#alike > LEAST_ALIKE && ALIKE_SHARE * this.#alike > this.size) this.#learn(cells)
    const hash = key === this.#missed ? this.#missedHash : this.#hash(key)
    this.#missed = undefined
    const at = table.placeFor(hash, MOST_ALIKE)
    if (this.#head + this.#tail > 0) this.#count(table.isAlike)
    if (at < 0) return false
    table.fill(at, hash, slot)
    return true
  }

  /** Empties a slot. False where its key was not added. */
  delete(slot: number): boolean {
    return this.#table.delete(slot)
  }

  /** Makes room for slots up to `slots`, not included. */
  grow(slots: number): void {
    this.#table.grow(slots)
  }

  clear(): void {
    this.#table.clear()
    this.#lessons = 0
    this.#leaveOut(NO_AFFIXES)
  }

  /** The slots of all keys; what is added meanwhile may or may not come. */
  slots(): Generator<number, undefined> {
    return this.#table.slots()
  }

  /** Never 0. */
  #hash(key: string): number {
    const end = key.length - this.#tail
    const hash = end > this.#head ? hashPart(key, this.#head, end) : hashString(key)
    return hash || 1
  }

  /** Counts a key that is added, and whether it has the hash of another. */
  #count(isAlike: boolean): void {
    if (isAlike) this.#alike++
    if (++this.#added <= this.size) return
    this.#added = 0
    this.#alike >>= 1
  }

  #widen(cells: Cells): void {
    this.#table.widen()
    if (this.#table.words.length === LEARNING_PLACES) this.#learn(cells)
  }

  /** Looks at what the keys share, and gives them hashes without it; whole ones where it is what they collide without. */
  #learn(cells: Cells): void {
    const keyAt = (slot: number): string => cells[2 * slot] as string
    const slots = [...this.slots()]
    const affixes = ++this.#lessons > MOST_LESSONS ? NO_AFFIXES : affixesOf(slots.map(keyAt))
    const isSame = affixes.head === this.#head && affixes.tail === this.#tail
    if (isSame && this.#head + this.#tail === 0) return
    this.#leaveOut(isSame ? NO_AFFIXES : affixes)
    this.#table.rehash((slot) => this.#hash(keyAt(slot)))
  }

  #leaveOut({ head, tail }: Affixes): void {
    this.#head = head
    this.#tail = tail
    this.#added = this.#alike = 0
    this.#missed = undefined
  }
}
