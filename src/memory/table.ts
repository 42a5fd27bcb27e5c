/** Slots by hash: linear probing, no tombstones. */

/** Places at first. */
const FIRST_BITS = 6
/** Bits for how far behind its place a slot stands, and what they say of one that stands this far or farther. */
const AWAY_BITS = 3
const FAR = (1 << AWAY_BITS) - 1
/** Slots of the smallest table. */
const FIRST_SLOT_BITS = 7
/** Odd, and another one in each process: of the hashes that share a place here few share one elsewhere. */
const FACTOR = (Math.random() * 2 ** 32) | 1

/** What is in the slots: the key of a slot, and beside it its value. */
export type Cells = readonly unknown[]

/**
 * A word for each place: a slot plus one, how far behind its place it stands, and above that as many more bits of its hash as there is
 * room for; 0 for none. At most two thirds full, 6 to 12 bytes an entry, and 4 for the hash by slot, by which it is taken out again.
 *
 * What is not there is known from one cache line of the table alone, and a slot goes out without a look at the hashes of those behind it.
 * `get` is not here: it compares keys, each kind in a loop of its own.
 *
 * Numbers stay below 2^31 and go through shifts, or V8 computes them as fractions.
 */
export class Table {
  size = 0
  words = new Int32Array(1 << FIRST_BITS)
  /** Whether the place that was asked for last is of a hash that another slot has. */
  isAlike = false
  /** The last place. */
  mask = (1 << FIRST_BITS) - 1
  /** The bits of a word that are a slot plus one. */
  slotMask = (1 << FIRST_SLOT_BITS) - 1
  /** The bits of a word that are of a hash. */
  markMask = -1 << (FIRST_SLOT_BITS + AWAY_BITS)
  #bits = FIRST_BITS
  #slotBits = FIRST_SLOT_BITS
  /** By slot, once there is one; 0 where a slot is not in the table. */
  #hashes = new Int32Array(0)
  #room = 0

  /** Where a hash belongs. */
  homeOf(hash: number): number {
    return (Math.imul(hash, FACTOR) >> (32 - this.#bits)) & this.mask
  }

  /** Of a hash, what words hold of it. */
  markOf(hash: number): number {
    return (Math.imul(hash, FACTOR) << this.#bits) & this.markMask
  }

  /** Whether one more needs a larger table. */
  get isFull(): boolean {
    return 3 * this.size > 2 * this.mask
  }

  /** The empty place for a new hash, which is not 0; -1 where there are `most` of the same. */
  placeFor(hash: number, most: number): number {
    const { words, mask } = this
    const mark = this.markOf(hash)
    let alike = 0
    let at = this.homeOf(hash)
    this.isAlike = false
    for (let word = words[at]!; word !== 0; word = words[at]!) {
      if (((word ^ mark) & this.markMask) === 0 && this.#hashes[(word & this.slotMask) - 1] === hash) {
        this.isAlike = true
        if (++alike === most) return -1
      }
      at = (at + 1) & mask
    }
    return at
  }

  /** Fills an empty place that was found for a hash. */
  fill(at: number, hash: number, slot: number): void {
    if (this.#hashes.length === 0) this.#hashes = new Int32Array(this.#room)
    this.#hashes[slot] = hash
    this.#write(at, hash, slot)
    this.size++
  }

  /** Empties a slot. False where it is not in the table. */
  delete(slot: number): boolean {
    const hash = slot < this.#hashes.length ? this.#hashes[slot]! : 0
    if (hash === 0) return false
    this.#hashes[slot] = 0
    const { words, mask, slotMask } = this
    const away = FAR << this.#slotBits
    const step = 1 << this.#slotBits
    let hole = this.homeOf(hash)
    while ((words[hole]! & slotMask) !== slot + 1) hole = (hole + 1) & mask
    // Whatever would no longer be found across the hole moves into it.
    for (let at = (hole + 1) & mask; words[at] !== 0; at = (at + 1) & mask) {
      const word = words[at]!
      const far = word & away
      if (far === 0) continue
      if (far === away) {
        const moved = (word & slotMask) - 1
        const home = this.homeOf(this.#hashes[moved]!)
        if (((at - home) & mask) < ((at - hole) & mask)) continue
        this.#write(hole, this.#hashes[moved]!, moved)
      } else {
        const by = ((at - hole) & mask) * step
        if (far < by) continue
        words[hole] = word - by
      }
      hole = at
    }
    words[hole] = 0
    this.size--
    return true
  }

  /** Makes room for slots up to `slots`, not included. */
  grow(slots: number): void {
    this.#room = slots
    if (this.#hashes.length > 0) {
      const hashes = new Int32Array(slots)
      hashes.set(this.#hashes)
      this.#hashes = hashes
    }
    const bits = Math.max(FIRST_SLOT_BITS, 32 - Math.clz32(slots))
    if (bits === this.#slotBits) return
    this.#slotBits = bits
    this.slotMask = (1 << bits) - 1
    this.markMask = -1 << (bits + AWAY_BITS)
    this.#refill(this.#bits)
  }

  /** Makes it twice as large. */
  widen(): void {
    this.#refill(this.#bits + 1)
  }

  /** Gives all slots other hashes, none of which is 0. */
  rehash(hashOf: (slot: number) => number): void {
    for (const slot of this.slots()) this.#hashes[slot] = hashOf(slot)
    this.#refill(this.#bits)
  }

  clear(): void {
    this.#hashes = new Int32Array(0)
    this.size = 0
    this.grow(0)
    this.#refill(FIRST_BITS)
  }

  /** All slots; what is added meanwhile may or may not come. */
  *slots(): Generator<number, undefined> {
    for (let slot = 0; slot < this.#hashes.length; slot++) if (this.#hashes[slot] !== 0) yield slot
    return undefined
  }

  #refill(bits: number): void {
    this.#bits = bits
    this.words = new Int32Array(1 << bits)
    this.mask = this.words.length - 1
    const { words, mask } = this
    const hashes = this.#hashes
    for (let slot = 0; slot < hashes.length; slot++) {
      const hash = hashes[slot]!
      if (hash === 0) continue
      let at = this.homeOf(hash)
      while (words[at] !== 0) at = (at + 1) & mask
      this.#write(at, hash, slot)
    }
  }

  #write(at: number, hash: number, slot: number): void {
    const away = Math.min((at - this.homeOf(hash)) & this.mask, FAR)
    this.words[at] = this.markOf(hash) | (away << this.#slotBits) | (slot + 1)
  }
}
