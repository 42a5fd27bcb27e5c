/** Which slot a key has. */

/** Pairs of the table at first. */
const FIRST_PAIRS = 64
/** Other keys than those that an attacker would choose for one place collide. */
const SEED = (Math.random() * 2 ** 32) | 0

/**
 * As a `Map` of keys to slots, and faster for integers of 32 bits: those are in a table of their own, key beside slot, with
 * linear probing and no tombstones; at most two thirds full, 12 to 24 bytes an entry, where a `Map` takes 28 to 56. All other
 * keys are in a `Map`: V8 keeps the hash of a string in the string, and computing one takes longer than the look-up.
 */
export class Slots<K> {
  readonly #isOrdered: boolean
  readonly #map = new Map<K, number>()
  /** A key, and its slot plus one; 0 there for none. */
  #table = new Int32Array(2 * FIRST_PAIRS)
  #mask = FIRST_PAIRS - 1
  #integers = 0

  /** @param isOrdered whether all keys come in the order of their insertion; else the integers come first, in no order */
  constructor(isOrdered: boolean) {
    this.#isOrdered = isOrdered
  }

  get size(): number {
    return this.#map.size + this.#integers
  }

  get(key: K): number | undefined {
    if (typeof key !== 'number' || (key | 0) !== key || this.#isOrdered) return this.#map.get(key)
    const table = this.#table
    const mask = this.#mask
    for (let at = hashOf(key) & mask; ; at = (at + 1) & mask) {
      const slot = table[2 * at + 1]!
      if (slot === 0) return undefined
      if (table[2 * at] === key) return slot - 1
    }
  }

  /** Gives a slot to a key that has none. */
  add(key: K, slot: number): void {
    if (typeof key !== 'number' || (key | 0) !== key || this.#isOrdered) {
      this.#map.set(key, slot)
      return
    }
    if (3 * this.#integers > 2 * this.#mask) this.#grow()
    this.#integers++
    this.#put(key | 0, slot + 1)
  }

  /** Takes its slot from a key that has one. */
  delete(key: K): void {
    if (typeof key !== 'number' || (key | 0) !== key || this.#isOrdered) {
      this.#map.delete(key)
      return
    }
    const table = this.#table
    const mask = this.#mask
    let hole = hashOf(key) & mask
    while (table[2 * hole] !== key || table[2 * hole + 1] === 0) hole = (hole + 1) & mask
    // Whatever would no longer be found across the hole moves into it.
    for (let at = (hole + 1) & mask; table[2 * at + 1] !== 0; at = (at + 1) & mask) {
      const home = hashOf(table[2 * at]!) & mask
      if (((at - home) & mask) < ((at - hole) & mask)) continue
      table[2 * hole] = table[2 * at]!
      table[2 * hole + 1] = table[2 * at + 1]!
      hole = at
    }
    table[2 * hole + 1] = 0
    this.#integers--
  }

  clear(): void {
    this.#map.clear()
    this.#table = new Int32Array(2 * FIRST_PAIRS)
    this.#mask = FIRST_PAIRS - 1
    this.#integers = 0
  }

  /** All keys, each with its slot; what is added meanwhile may or may not come. */
  *entries(): Generator<[K, number], undefined> {
    const table = this.#table
    for (let at = 0; at < table.length && this.#integers > 0; at += 2) {
      if (table[at + 1] !== 0) yield [table[at] as K, table[at + 1]! - 1]
    }
    yield* this.#map
    return undefined
  }

  /** The keys in the order of their insertion, where they are kept in it. */
  ordered(): IterableIterator<K> {
    return this.#map.keys()
  }

  #put(key: number, slot: number): void {
    const table = this.#table
    const mask = this.#mask
    let at = hashOf(key) & mask
    while (table[2 * at + 1] !== 0) at = (at + 1) & mask
    table[2 * at] = key
    table[2 * at + 1] = slot
  }

  #grow(): void {
    const old = this.#table
    this.#table = new Int32Array(2 * old.length)
    this.#mask = 2 * this.#mask + 1
    for (let at = 0; at < old.length; at += 2) if (old[at + 1] !== 0) this.#put(old[at]!, old[at + 1]!)
  }
}

/** The finalizer of MurmurHash3. */
function hashOf(key: number): number {
  let mixed = key ^ SEED
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return mixed ^ (mixed >>> 16)
}
