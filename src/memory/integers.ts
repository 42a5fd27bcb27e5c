/** Which slot an integer of 32 bits has. */
import { mix } from './hash.js'
import { type Cells, Table } from './table.js'

/** Other keys than those that an attacker would choose for one place collide. */
const SEED = (Math.random() * 2 ** 32) | 0

/** A table of their hashes, of which no two are the same. */
export class Integers {
  readonly #table = new Table()

  get size(): number {
    return this.#table.size
  }

  /** The slot of a key, or -1. */
  get(key: number, cells: Cells): number {
    const table = this.#table
    const { words, mask, slotMask, markMask } = table
    const hash = hashOf(key)
    const mark = table.markOf(hash)
    let at = table.homeOf(hash)
    for (let word = words[at]!; word !== 0; word = words[at]!) {
      if (((word ^ mark) & markMask) === 0) {
        const slot = (word & slotMask) - 1
        if (cells[slot << 1] === key) return slot
      }
      at = (at + 1) & mask
    }
    return -1
  }

  /** Gives a slot to a key that has none. */
  add(key: number, slot: number): void {
    const table = this.#table
    if (table.isFull) table.widen()
    const hash = hashOf(key)
    table.fill(table.placeFor(hash, 0), hash, slot)
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
  }

  /** The slots of all keys; what is added meanwhile may or may not come. */
  slots(): Generator<number, undefined> {
    return this.#table.slots()
  }
}

/** Never 0: one key has the hash of another. */
function hashOf(key: number): number {
  return mix(key ^ SEED) || 1
}
