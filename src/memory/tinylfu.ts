/**
 * W-TinyLFU with a window that adapts, without a native call.
 *
 * G. Einziger, R. Friedman, B. Manes: TinyLFU: a highly efficient cache admission policy, ACM Transactions on Storage 13(4),
 * 2017; for the window see `climber.ts`.
 */
import { Climber } from './climber.js'
import type { Evictor, Host } from './evictor.js'
import type { Bounds } from './policies.js'
import { Regions } from './regions.js'
import { Sketch } from './sketch.js'

const WINDOW = 0
const PROBATION = 1
const PROTECTED = 2
// What is known of a slot, in one byte: its region, whether it was used since it was moved, and its uses of late.
const REGION = 3
const USED = 4
const USE = 16
const USES_SHIFT = 4
const MOST_USES = 15
/** From here on a byte has the most uses. */
const FULL = MOST_USES << USES_SHIFT
/** All uses are halved once there were this many to each entry that the sketch has room for. */
const AGE = 10
/** A candidate as warm as this gets in now and then, though the victim is warmer: else keys that collide could keep one in for good. */
const WARM = 6
const WARM_LUCK = 128
const FIRST_LUCK = 0x9e3779b9
/** The bound on entries is taken for the tighter one where the entries weigh less than the bound on weight by this part. */
const SLACK = 16

/**
 * New entries live in a window (at first 1 % of the capacity). What leaves the window replaces the victim of the main part, 80 %
 * of which are protected, only if it was used more often of late; else it goes itself.
 *
 * A use changes one byte. Entries are moved when their turn to leave has come: who was used meanwhile goes to the other end of
 * the window or into the protected region, as in CLOCK. The sketch knows only of keys that have left: an entry that is held
 * counts its uses itself, which it takes with it when it goes and finds again when it comes back.
 *
 * A newcomer is never the victim of its own insert: what was set is there until others come. If it is wider than the window, and
 * was used less than the victim, it is the next one to go.
 */
export class TinyLfu<K> implements Evictor<K> {
  readonly newestFirst = false
  readonly #host: Host<K>
  readonly #isWeighted: boolean
  readonly #most: number
  readonly #regions = new Regions()
  /** Once something had to go. */
  #sketch: Sketch | undefined
  #climber = new Climber()
  /** By slot: hashes of the keys, and what is known of them. */
  #prints = new Int32Array(0)
  #known = new Uint8Array(0)
  /** What the regions weigh. */
  readonly #held = [0, 0, 0]
  #entries = 0
  /** Uses since they were halved. */
  #uses = 0
  /** What the regions are shares of: less than `#most` where the bound on entries is the tighter one. */
  #capacity: number
  /** What the window and the protected region may weigh; the fraction is carried from step to step. */
  #maxWindow = 0
  #maxProtected = 0
  #luck = FIRST_LUCK
  /** The newcomer that room was made for: the hash of its key, its uses, and whether it is to be the next to go. */
  #print = 0
  #warmth = 0
  #isGuest = false

  constructor(host: Host<K>, { max, maxWeight }: Bounds) {
    this.#host = host
    this.#isWeighted = maxWeight !== Infinity
    this.#most = this.#isWeighted ? maxWeight : max
    this.#capacity = this.#most
    this.#share()
  }

  hit(slot: number): void {
    const known = this.#known[slot]!
    this.#climber.hits++
    if (known < FULL) {
      this.#known[slot] = (known + USE) | USED
      this.#uses++
    } else if ((known & USED) === 0) this.#known[slot] = known | USED
  }

  replace(key: K): number {
    this.#meet(key)
    const victim = this.#held[WINDOW]! + 1 <= this.#maxWindow ? this.#loser(-1) : this.#pushed()
    this.#leave(victim)
    this.#enter(victim, 1)
    return victim
  }

  makeRoom(weight: number, key: K): void {
    if (!this.#host.lacksRoom(weight)) return
    this.#meet(key)
    this.#fit(weight)
    let candidate = this.#narrow(weight, -1)
    while (this.#host.lacksRoom(weight)) candidate = this.#evict(candidate, -1)
    const victim = this.#regions.oldest(PROBATION)
    this.#isGuest = weight > this.#maxWindow && victim >= 0 && !this.#isWarmer(this.#warmth, victim)
  }

  insert(slot: number, key: K, weight: number): void {
    if (this.#warmth === 0) {
      this.#print = this.#host.hashOf(key)
      this.#warmth = 1
      this.#uses++
    }
    this.#enter(slot, weight)
    if (this.#isGuest) this.#move(slot, PROBATION, true)
    else this.#narrow(0, -1)
    this.#isGuest = false
    if (this.#sketch !== undefined && this.#entries > this.#sketch.room) this.#sketch.grow()
  }

  inserted(): void {}

  reweigh(slot: number, _weight: number, change: number): boolean {
    this.#held[this.#known[slot]! & REGION]! += change
    this.#demote()
    let candidate = this.#narrow(0, slot)
    while (this.#host.isOver()) candidate = this.#evict(candidate, slot)
    return true
  }

  updated(slot: number): void {
    this.hit(slot)
  }

  remove(slot: number): void {
    this.#forget(slot)
  }

  order(): number[] {
    return [...this.#slots()]
  }

  grow(slots: number): void {
    const prints = new Int32Array(slots)
    prints.set(this.#prints)
    this.#prints = prints
    const known = new Uint8Array(slots)
    known.set(this.#known)
    this.#known = known
    this.#regions.grow(slots)
  }

  clearing(): void {}

  clear(): void {
    this.#regions.clear()
    this.#sketch = undefined
    this.#climber = new Climber()
    this.#prints = new Int32Array(0)
    this.#known = new Uint8Array(0)
    this.#held.fill(0)
    this.#entries = 0
    this.#uses = 0
    this.#capacity = this.#most
    this.#share()
    this.#luck = FIRST_LUCK
  }

  check(entries: number, weight: number): string {
    let [count, total] = [0, 0]
    for (const region of [WINDOW, PROBATION, PROTECTED]) {
      let held = 0
      for (const slot of this.#regions.slots(region)) {
        if ((this.#known[slot]! & REGION) !== region)
          return `slot ${slot} is in region ${region} and marked for another`
        held += this.#weightOf(slot)
        count++
      }
      if (held !== this.#held[region]) return `region ${region} weighs ${held}, not ${this.#held[region]}`
      total += held
    }
    if (count !== entries || count !== this.#entries || (this.#isWeighted && total !== weight)) {
      return `the policy holds ${count} (${this.#entries}) slots of ${total}, the store ${entries} of ${weight}`
    }
    return ''
  }

  #weightOf(slot: number): number {
    return this.#isWeighted ? this.#host.weightOf(slot) : 1
  }

  /** What the window and the protected region may weigh at first. */
  #share(): void {
    const main = Math.floor((this.#capacity * 99) / 100)
    this.#maxWindow = this.#capacity - main
    this.#maxProtected = Math.floor((main * 8) / 10)
  }

  /** Makes the regions shares of what the entries can weigh, be it for the one bound or for the other. */
  #fit(weight: number): void {
    const total = this.#held[WINDOW]! + this.#held[PROBATION]! + this.#held[PROTECTED]!
    const capacity = this.#host.isFull() ? Math.max(total, weight, 1) : this.#most
    if (Math.abs(capacity - this.#capacity) * SLACK <= this.#capacity) return
    const scale = capacity / this.#capacity
    this.#capacity = capacity
    this.#maxWindow = Math.max(this.#maxWindow * scale, 1)
    this.#maxProtected *= scale
    this.#demote()
  }

  /** The sketch, from the first entry on that has to go: for a newcomer, or for one that grew. */
  #learning(): Sketch {
    if (this.#sketch === undefined) {
      this.#sketch = new Sketch(this.#entries)
      this.#climber.hits = 0
    }
    return this.#sketch
  }

  /** A key comes to a full cache: what is known of it, and what is to be learned now and then. */
  #meet(key: K): void {
    const sketch = this.#learning()
    this.#print = this.#host.hashOf(key)
    this.#warmth = Math.min(sketch.estimate(this.#print) + 1, MOST_USES)
    this.#uses++
    this.#climber.misses++
    if (this.#uses >= AGE * sketch.room) this.#age(sketch)
    const by = this.#climber.step(this.#entries)
    if (by !== 0) this.#moveWindow(by)
  }

  /** Halves what is known. Who is held is rounded up: at 0 the first newcomer would do as well as an entry that waits for its next use. */
  #age(sketch: Sketch): void {
    sketch.age()
    const known = this.#known
    for (let slot = 0; slot < known.length; slot++) {
      const byte = known[slot]!
      known[slot] = (((byte + USE) >> 1) & FULL) | (byte & (REGION | USED))
    }
    this.#uses >>>= 1
  }

  #enter(slot: number, weight: number): void {
    this.#prints[slot] = this.#print
    this.#known[slot] = WINDOW | (this.#warmth << USES_SHIFT)
    this.#warmth = 0
    this.#regions.push(WINDOW, slot)
    this.#held[WINDOW]! += weight
    this.#entries++
  }

  #forget(slot: number): void {
    this.#held[this.#known[slot]! & REGION]! -= this.#weightOf(slot)
    this.#regions.unlink(slot)
    this.#entries--
  }

  /** As `#forget`, but its uses are remembered. */
  #leave(slot: number): void {
    this.#learning().raise(this.#prints[slot]!, this.#known[slot]! >> USES_SHIFT)
    this.#forget(slot)
  }

  /** Makes a slot the newest, or the oldest, of a region. */
  #move(slot: number, to: number, isNext = false): void {
    const weight = this.#weightOf(slot)
    const known = this.#known[slot]!
    this.#held[known & REGION]! -= weight
    this.#held[to]! += weight
    this.#known[slot] = (known & FULL) | to
    this.#regions.unlink(slot)
    if (isNext) this.#regions.unshift(to, slot)
    else this.#regions.push(to, slot)
  }

  /** Whether a slot was used since it was moved. */
  #isUsed(slot: number): boolean {
    return (this.#known[slot]! & USED) !== 0
  }

  #demote(): void {
    while (this.#held[PROTECTED]! > this.#maxProtected) {
      const slot = this.#regions.oldest(PROTECTED)
      this.#move(slot, this.#isUsed(slot) ? PROTECTED : PROBATION)
    }
  }

  /** Passes what the window has too much to probation, so that `weight` more fits; the first of it that is not `own`, or -1. */
  #narrow(weight: number, own: number): number {
    let candidate = -1
    while (this.#held[WINDOW]! + weight > this.#maxWindow) {
      const slot = this.#regions.oldest(WINDOW)
      if (slot < 0) break
      if (this.#isUsed(slot)) {
        this.#move(slot, WINDOW)
        continue
      }
      this.#move(slot, PROBATION)
      if (candidate < 0 && slot !== own) candidate = slot
    }
    return candidate
  }

  /** Where the window is full of entries without weights: the victim for which its oldest leaves it. Fewer moves than `#narrow`. */
  #pushed(): number {
    const regions = this.#regions
    let candidate = regions.oldest(WINDOW)
    for (; this.#isUsed(candidate); candidate = regions.oldest(WINDOW)) {
      this.#known[candidate]! ^= USED
      regions.renew(WINDOW, candidate)
    }
    const victim = this.#mainVictim()
    if (victim < 0 || !this.#isWarmer(this.#known[candidate]! >> USES_SHIFT, victim)) return candidate
    this.#move(candidate, PROBATION)
    return victim
  }

  /** The oldest slot of probation that was not used; those before it become protected. -1 where there is none. */
  #mainVictim(): number {
    for (;;) {
      const slot = this.#regions.oldest(PROBATION)
      if (slot < 0 || !this.#isUsed(slot) || this.#weightOf(slot) > this.#maxProtected) return slot
      this.#move(slot, PROTECTED)
      this.#demote()
    }
  }

  /** Evicts one entry, which is not `own`: the loser of a candidate and the main victim. Gives the next candidate, or -1. */
  #evict(candidate: number, own: number): number {
    let victim = this.#loser(candidate)
    let next = victim === candidate ? this.#regions.newer(candidate) : candidate
    if (victim === own) victim = this.#another(own)
    if (next === own && next >= 0) next = this.#regions.newer(next)
    if (next === victim) next = -1
    this.#leave(victim)
    this.#host.evicted(victim)
    return next
  }

  /** Which of a candidate, if there is one, and the main victim goes. */
  #loser(candidate: number): number {
    const victim = this.#mainVictim()
    if (candidate < 0 || victim < 0) return victim >= 0 ? victim : this.#another(-1)
    const warmth = this.#known[candidate]! >> USES_SHIFT
    return candidate !== victim && this.#isWarmer(warmth, victim) ? victim : candidate
  }

  /** The first in the order that is not `own`. */
  #another(own: number): number {
    for (const slot of this.#slots()) if (slot !== own) return slot
    return own
  }

  *#slots(): Generator<number, undefined> {
    for (const region of [PROBATION, PROTECTED, WINDOW]) yield* this.#regions.slots(region)
    return undefined
  }

  /** Whether so many uses are more than those of a slot. */
  #isWarmer(warmth: number, victim: number): boolean {
    return warmth > this.#known[victim]! >> USES_SHIFT || (warmth >= WARM && this.#draw())
  }

  /** True once in `WARM_LUCK` calls, on average (xorshift). */
  #draw(): boolean {
    let luck = this.#luck
    luck ^= luck << 13
    luck ^= luck >>> 17
    luck ^= luck << 5
    this.#luck = luck
    return (luck & (WARM_LUCK - 1)) === 0
  }

  #moveWindow(entries: number): void {
    const total = this.#held[WINDOW]! + this.#held[PROBATION]! + this.#held[PROTECTED]!
    const most = Math.max(this.#maxWindow - 1, 0)
    const by = Math.min(Math.max((entries * total) / Math.max(this.#entries, 1), -most), this.#maxProtected)
    this.#maxWindow += by
    this.#maxProtected -= by
    if (by < 0) {
      while (this.#held[WINDOW]! > this.#maxWindow) this.#move(this.#regions.oldest(WINDOW), PROBATION, true)
      return
    }
    this.#demote()
    for (;;) {
      const slot = this.#regions.oldest(PROBATION)
      if (slot < 0 || this.#held[WINDOW]! + this.#weightOf(slot) > this.#maxWindow) return
      this.#move(slot, WINDOW)
    }
  }
}
