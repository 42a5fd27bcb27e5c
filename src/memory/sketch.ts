/**
 * How often keys that have left were used, in four bits.
 *
 * G. Cormode, S. Muthukrishnan: An improved data stream summary: the count-min sketch and its applications, Journal of
 * Algorithms 55(1), 2005. A key's counters in one cache line: Caffeine's FrequencySketch.
 */

/** Odd numbers with mixed bits. */
const BLOCK_SEED = 0x9e3779b1 | 0
const ROW_SEED = 0x85ebca77 | 0
/** Elements of a block: 64 bytes. */
const BLOCK_BITS = 4
const BLOCK = 1 << BLOCK_BITS
const COUNT = 15
const HALVES = 0x77777777
/**
 * Up to here it is twice as large. Keys that share counters seem warmer than those that are held, whose uses are exact; in a small
 * cache the keys of one period are enough to give all of a long loop such an advantage over what is held of it.
 */
const SMALL = 4096

/**
 * Each key has four counters in one block, and what is known of it is the lowest of them. Eight counters an element; the rows
 * have two of them each. 8 to 16 bytes an entry, twice that for a small cache.
 */
export class Sketch {
  #counts: Int32Array<ArrayBuffer>
  /** 32 less the bits of the number of blocks. */
  #shift: number
  /** Elements for each entry. */
  #width: number

  constructor(entries: number) {
    this.#width = entries <= SMALL ? 4 : 2
    const bits = Math.max(1, Math.ceil(Math.log2((this.#width * entries) / BLOCK)))
    this.#counts = new Int32Array(BLOCK << bits)
    this.#shift = 32 - bits
  }

  /** Entries that it is made for. */
  get room(): number {
    return this.#counts.length / this.#width
  }

  /** Makes it for twice the entries, and keeps all that is known. */
  grow(): void {
    if (this.#width > 2 && this.room >= SMALL) {
      this.#width = 2
      return
    }
    const old = this.#counts
    const grown = new Int32Array(2 * old.length)
    // One more bit chooses the block: it is in the one or the other.
    for (let at = 0; at < old.length; at += BLOCK) {
      const block = old.subarray(at, at + BLOCK)
      grown.set(block, 2 * at)
      grown.set(block, 2 * at + BLOCK)
    }
    this.#counts = grown
    this.#shift--
  }

  /** The uses of a key: 0 to 15, never too low but for aging. */
  estimate(print: number): number {
    const counts = this.#counts
    const block = (Math.imul(print, BLOCK_SEED) >>> this.#shift) << BLOCK_BITS
    const rows = Math.imul(print ^ (print >>> 15), ROW_SEED)
    const count0 = (counts[block + (rows >>> 28)]! >>> ((rows >>> 25) & 4)) & COUNT
    const count1 = (counts[block + ((rows >>> 23) & 15)]! >>> (8 + ((rows >>> 20) & 4))) & COUNT
    const count2 = (counts[block + ((rows >>> 18) & 15)]! >>> (16 + ((rows >>> 15) & 4))) & COUNT
    const count3 = (counts[block + ((rows >>> 13) & 15)]! >>> (24 + ((rows >>> 10) & 4))) & COUNT
    return Math.min(Math.min(count0, count1), Math.min(count2, count3))
  }

  /** Notes that a key was used at least so often. */
  raise(print: number, count: number): void {
    const block = (Math.imul(print, BLOCK_SEED) >>> this.#shift) << BLOCK_BITS
    const rows = Math.imul(print ^ (print >>> 15), ROW_SEED)
    this.#raise(block + (rows >>> 28), (rows >>> 25) & 4, count)
    this.#raise(block + ((rows >>> 23) & 15), 8 + ((rows >>> 20) & 4), count)
    this.#raise(block + ((rows >>> 18) & 15), 16 + ((rows >>> 15) & 4), count)
    this.#raise(block + ((rows >>> 13) & 15), 24 + ((rows >>> 10) & 4), count)
  }

  /** Halves every counter. */
  age(): void {
    const counts = this.#counts
    for (let at = 0; at < counts.length; at++) counts[at] = (counts[at]! >>> 1) & HALVES
  }

  #raise(at: number, shift: number, count: number): void {
    const counts = this.#counts
    const more = count - ((counts[at]! >>> shift) & COUNT)
    if (more > 0) counts[at] = (counts[at]! + (more << shift)) | 0
  }
}
