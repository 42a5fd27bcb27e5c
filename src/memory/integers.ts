/** Which slot an integer of 32 bits has. */

/** Pairs of the table at first. */
const FIRST_PAIRS = 64
/** Other keys than those that an attacker would choose for one place collide. */
const SEED = (Math.random() * 2 ** 32) | 0

/** Key beside slot in one table, with linear probing and no tombstones; at most two thirds full, 12 to 24 bytes an entry. */
export class Integers {
  size = 0
  /** A key, and its slot plus one; 0 there for none. */
  #table = new Int32Array(2 * FIRST_PAIRS)
  #mask = FIRST_PAIRS - 1

  get(key: number): number | undefined {
    const table = this.#table
    const mask = this.#mask
    for (let at = hashOf(key) & mask; ; at = (at + 1) & mask) {
      const slot = table[2 * at + 1]!
      if (slot === 0) return undefined
      if (table[2 * at] === key) return slot - 1
    }
  }

  /** Gives a slot to a key that has none. */
  add(key: number, slot: number): void {
    if (3 * this.size > 2 * this.#mask) this.#grow()
    this.size++
    this.#put(key | 0, slot + 1)
  }

  /** Takes its slot from a key that has one. */
  delete(key: number): void {
    const table = this.#table
    const mask = this.#mask
    let hole = hashOf(key) & mask
    while (table[2 * hole] !== key || table[2 * hole + 1] === 0) hole = (hole + 1) & mask
    // Whatever would no longer be found across the hole moves into it. As in `strings.ts` and `ghosts.ts`: a shared loop would call back for
    // the home of each key.
    for (let at = (hole + 1) & mask; table[2 * at + 1] !== 0; at = (at + 1) & mask) {
      const home = hashOf(table[2 * at]!) & mask
      if (((at - home) & mask) < ((at - hole) & mask)) continue
      table[2 * hole] = table[2 * at]!
      table[2 * hole + 1] = table[2 * at + 1]!
      hole = at
    }
    table[2 * hole + 1] = 0
    this.size--
  }

  clear(): void {
    this.#table = new Int32Array(2 * FIRST_PAIRS)
    this.#mask = FIRST_PAIRS - 1
    this.size = 0
  }

  /** All keys, each with its slot; what is added meanwhile may or may not come. */
  *entries(): Generator<[number, number], undefined> {
    const table = this.#table
    for (let at = 0; at < table.length && this.size > 0; at += 2) {
      if (table[at + 1] !== 0) yield [table[at]!, table[at + 1]! - 1]
    }
    return undefined
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
