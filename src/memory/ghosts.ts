/** Keys that were evicted a short while ago, by 32 bits of hash: at worst one key passes for another. */

const SMALLEST = 64
/** Odd, and another one in each process: keys that share a place here share none elsewhere. */
const SEED = (Math.random() * 2 ** 32) | 1

/**
 * A queue of hashes, oldest first, bounded by what their entries weighed. A table leads from a hash to its place in the queue; a
 * place that it does not lead to is dead. 12 to 24 bytes a hash, 4 to 8 more where entries have weights.
 */
export class Ghosts {
  readonly #isWeighted: boolean
  /** A ring; its length is a power of two. */
  #hashes = new Int32Array(SMALLEST)
  #weights: Uint32Array<ArrayBuffer>
  /** Of twice its length: places in the ring, plus 1. Linear probing. */
  #table = new Int32Array(2 * SMALLEST)
  /** 32 less the bits of a place in the table. */
  #shift = 31 - Math.log2(SMALLEST)
  #first = 0
  #length = 0
  #live = 0
  #weight = 0

  constructor(isWeighted: boolean) {
    this.#isWeighted = isWeighted
    this.#weights = new Uint32Array(isWeighted ? SMALLEST : 0)
  }

  /** Forgets a hash; whether it was known. */
  take(hash: number): boolean {
    const at = this.#find(hash)
    const place = this.#table[at]! - 1
    if (place < 0) return false
    this.#weight -= this.#weightAt(place)
    this.#live--
    this.#close(at)
    return true
  }

  /** Remembers a hash, and forgets the oldest for it: together they weigh at most `most`, and are at most so many as `entries`. */
  push(hash: number, weight: number, most: number, entries: number): void {
    if (weight > most) return
    this.take(hash)
    while (this.#live > 0 && (this.#weight + weight > most || this.#live >= entries)) this.#shiftOut()
    if (this.#length === this.#hashes.length) this.#rebuild()
    this.#append(hash, weight)
  }

  clear(): void {
    this.#allot(SMALLEST)
  }

  /** What is wrong, for tests; empty when nothing is. */
  check(): string {
    let [live, weight] = [0, 0]
    for (let index = 0; index < this.#length; index++) {
      const place = (this.#first + index) & (this.#hashes.length - 1)
      if (this.#table[this.#find(this.#hashes[place]!)] !== place + 1) continue
      live++
      weight += this.#weightAt(place)
    }
    if (live === this.#live && weight === this.#weight) return ''
    return `${live} ghosts weigh ${weight}; the account says ${this.#live} weigh ${this.#weight}`
  }

  #weightAt(place: number): number {
    return this.#isWeighted ? this.#weights[place]! : 1
  }

  /** Where in the table a hash belongs; signed, as in `table.ts`. */
  #homeOf(hash: number): number {
    return (Math.imul(hash, SEED) >> this.#shift) & (this.#table.length - 1)
  }

  /** Where in the table a hash is, or would be. */
  #find(hash: number): number {
    const table = this.#table
    const hashes = this.#hashes
    let at = this.#homeOf(hash)
    for (; table[at] !== 0; at = (at + 1) & (table.length - 1)) if (hashes[table[at]! - 1] === hash) break
    return at
  }

  /** Empties a place of the table, and moves up what had to pass it by. */
  #close(gap: number): void {
    const table = this.#table
    const last = table.length - 1
    let hole = gap
    for (let at = (gap + 1) & last; table[at] !== 0; at = (at + 1) & last) {
      const home = this.#homeOf(this.#hashes[table[at]! - 1]!)
      if (((at - home) & last) < ((at - hole) & last)) continue
      table[hole] = table[at]!
      hole = at
    }
    table[hole] = 0
  }

  #append(hash: number, weight: number): void {
    const place = (this.#first + this.#length++) & (this.#hashes.length - 1)
    this.#hashes[place] = hash
    if (this.#isWeighted) this.#weights[place] = weight
    this.#table[this.#find(hash)] = place + 1
    this.#live++
    this.#weight += weight
  }

  #shiftOut(): void {
    const place = this.#first
    const hash = this.#hashes[place]!
    if (this.#table[this.#find(hash)] === place + 1) this.take(hash)
    this.#first = (place + 1) & (this.#hashes.length - 1)
    this.#length--
  }

  /** Drops the dead places, and doubles the ring if that leaves little room. */
  #rebuild(): void {
    const [hashes, weights, table, first, length] = [
      this.#hashes,
      this.#weights,
      this.#table,
      this.#first,
      this.#length,
    ]
    const isLive = new Uint8Array(length)
    for (const place of table) if (place > 0) isLive[place - 1] = 1
    this.#allot(8 * this.#live > 7 * length ? 2 * length : length)
    for (let index = 0; index < length; index++) {
      const place = (first + index) & (length - 1)
      if (isLive[place] === 1) this.#append(hashes[place]!, this.#isWeighted ? weights[place]! : 1)
    }
  }

  #allot(length: number): void {
    this.#hashes = new Int32Array(length)
    this.#weights = new Uint32Array(this.#isWeighted ? length : 0)
    this.#table = new Int32Array(2 * length)
    this.#shift = 31 - Math.log2(length)
    this.#first = this.#length = this.#live = this.#weight = 0
  }
}
