/**
 * S3-FIFO, without a native call. The same, decision by decision, is in crates/tierce/src/policy/s3_fifo.rs.
 *
 * J. Yang, Y. Zhang, Z. Qiu, Y. Yue, K. V. Rashmi: FIFO queues are all you need for cache eviction, SOSP 2023.
 */
import type { Evictor, Host } from './evictor.js'
import { Ghosts } from './ghosts.js'
import type { Bounds } from './policies.js'
import { Regions } from './regions.js'

const SMALL = 0
const MAIN = 1
// What is known of a slot, in one byte: whether it is in the main queue, and its hits.
const IN_MAIN = 0x80
const HITS = 3

/**
 * New entries pass through a small queue (a tenth of the capacity); those that were hit there go on to the main queue, the others
 * leave a ghost (as many as nine tenths of the capacity), and a key whose ghost is still there goes to the main queue at once. The
 * main queue gives an entry one more round for each hit, at most three. A hit changes one byte.
 */
export class S3Fifo<K> implements Evictor<K> {
  readonly newestFirst = false
  readonly #host: Host<K>
  readonly #isWeighted: boolean
  readonly #most: number
  readonly #queues = new Regions()
  readonly #ghosts: Ghosts
  /** By slot: hashes of the keys, and what is known of them. */
  #hashes = new Int32Array(0)
  #known = new Uint8Array(0)
  /** What the queues weigh. */
  readonly #held = [0, 0]
  /** Nothing was evicted so far: what the small queue has no room for goes to the main queue. */
  #isFilling = true
  /** The newcomer that room was made for: the hash of its key, and where it goes. */
  #hash = 0
  #queue = SMALL

  constructor(host: Host<K>, { max, maxWeight }: Bounds) {
    this.#host = host
    this.#isWeighted = maxWeight !== Infinity
    this.#most = this.#isWeighted ? maxWeight : max
    this.#ghosts = new Ghosts(this.#isWeighted)
  }

  hit(slot: number): void {
    const known = this.#known[slot]!
    if ((known & HITS) < HITS) this.#known[slot] = known + 1
  }

  replace(key: K): number {
    this.#meet(key, 1)
    this.#isFilling = false
    const victim = this.#evict()
    this.#enter(victim, 1)
    return victim
  }

  makeRoom(weight: number, key: K): void {
    this.#meet(key, weight)
    while (this.#host.lacksRoom(weight)) {
      this.#isFilling = false
      this.#host.evicted(this.#evict())
    }
  }

  insert(slot: number, _key: K, weight: number): void {
    this.#enter(slot, weight)
  }

  inserted(): void {}

  reweigh(slot: number, _weight: number, change: number): boolean {
    this.#held[this.#queueOf(slot)]! += change
    while (this.#host.isOver()) {
      const victim = this.#evict()
      if (victim === slot) return false
      this.#host.evicted(victim)
    }
    return true
  }

  updated(slot: number): void {
    this.hit(slot)
  }

  remove(slot: number): void {
    this.#held[this.#queueOf(slot)]! -= this.#weightOf(slot)
    this.#queues.unlink(slot)
  }

  order(): number[] {
    // As `#evict`, on copies.
    const known = this.#known.slice()
    const small = [...this.#queues.slots(SMALL)]
    const main = [...this.#queues.slots(MAIN)]
    const share = this.#shareOf(SMALL)
    const order: number[] = []
    let held = this.#held[SMALL]!
    let [nextSmall, nextMain] = [0, 0]
    while (nextSmall < small.length || nextMain < main.length) {
      const count = order.length
      const isSmall = held >= share || nextMain >= main.length
      while (isSmall && nextSmall < small.length && order.length === count) {
        const slot = small[nextSmall++]!
        held -= this.#weightOf(slot)
        if (known[slot] !== 0) main.push(slot)
        else order.push(slot)
        known[slot] = IN_MAIN
      }
      while (nextMain < main.length && order.length === count) {
        const slot = main[nextMain++]!
        if (known[slot]!-- > IN_MAIN) main.push(slot)
        else order.push(slot)
      }
    }
    return order
  }

  grow(slots: number): void {
    const hashes = new Int32Array(slots)
    hashes.set(this.#hashes)
    this.#hashes = hashes
    const known = new Uint8Array(slots)
    known.set(this.#known)
    this.#known = known
    this.#queues.grow(slots)
  }

  clearing(): void {}

  clear(): void {
    this.#queues.clear()
    this.#ghosts.clear()
    this.#hashes = new Int32Array(0)
    this.#known = new Uint8Array(0)
    this.#held.fill(0)
    this.#isFilling = true
  }

  check(entries: number, weight: number): string {
    let [count, total] = [0, 0]
    for (const queue of [SMALL, MAIN]) {
      let held = 0
      for (const slot of this.#queues.slots(queue)) {
        if (this.#queueOf(slot) !== queue) return `slot ${slot} is in queue ${queue} and marked for the other`
        held += this.#weightOf(slot)
        count++
      }
      if (held !== this.#held[queue]) return `queue ${queue} weighs ${held}, not ${this.#held[queue]}`
      total += held
    }
    if (count !== entries || (this.#isWeighted && total !== weight)) {
      return `the policy holds ${count} slots of ${total}, the store ${entries} of ${weight}`
    }
    return this.#ghosts.check()
  }

  #weightOf(slot: number): number {
    return this.#isWeighted ? this.#host.weightOf(slot) : 1
  }

  #queueOf(slot: number): number {
    return this.#known[slot]! >> 7
  }

  /** What the small queue may hold, or (`MAIN`) the ghosts: parts of what the entries can weigh, be it for the one bound or for the other. */
  #shareOf(queue: number): number {
    const isShort = this.#isWeighted && this.#host.isFull()
    const capacity = isShort ? this.#held[SMALL]! + this.#held[MAIN]! : this.#most
    return queue === SMALL ? Math.max(Math.floor(capacity / 10), 1) : capacity - Math.ceil(capacity / 10)
  }

  /** A key comes: where it goes. */
  #meet(key: K, weight: number): void {
    this.#hash = this.#host.hashOf(key)
    const isKnown = this.#ghosts.take(this.#hash)
    const overflows = this.#isFilling && this.#held[SMALL]! + weight > this.#shareOf(SMALL)
    this.#queue = isKnown || overflows ? MAIN : SMALL
  }

  #enter(slot: number, weight: number): void {
    const queue = this.#queue
    this.#hashes[slot] = this.#hash
    this.#known[slot] = queue === MAIN ? IN_MAIN : 0
    this.#held[queue]! += weight
    this.#queues.push(queue, slot)
  }

  /** Takes the next victim out. */
  #evict(): number {
    const isSmallFull = this.#held[SMALL]! >= this.#shareOf(SMALL)
    const victim = isSmallFull || this.#queues.oldest(MAIN) < 0 ? this.#evictSmall() : -1
    return victim >= 0 ? victim : this.#evictMain()
  }

  /** The oldest small entry without a hit, which leaves a ghost; those before it move to the main queue. -1 where there is none. */
  #evictSmall(): number {
    const queues = this.#queues
    const known = this.#known
    const most = this.#shareOf(MAIN)
    for (let slot = queues.oldest(SMALL); slot >= 0; slot = queues.oldest(SMALL)) {
      const weight = this.#weightOf(slot)
      this.#held[SMALL]! -= weight
      queues.unlink(slot)
      if (known[slot] === 0) {
        this.#ghosts.push(this.#hashes[slot]!, weight, most, this.#host.count())
        return slot
      }
      this.#held[MAIN]! += weight
      known[slot] = IN_MAIN
      queues.push(MAIN, slot)
    }
    return -1
  }

  /** The oldest main entry without a hit; those before it lose one and go round again. */
  #evictMain(): number {
    const queues = this.#queues
    const known = this.#known
    let slot = queues.oldest(MAIN)
    for (; known[slot]! > IN_MAIN; slot = queues.oldest(MAIN)) {
      known[slot]!--
      queues.renew(MAIN, slot)
    }
    this.remove(slot)
    return slot
  }
}
