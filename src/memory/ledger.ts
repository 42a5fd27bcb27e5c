/**
 * The bridge to the native policies. A hit never crosses it: what happens is written to a log that both sides share, and
 * one native call reads many entries of it.
 */
import { fromNative, makeError } from '../errors.js'
import { type NativeLedger, native } from '../native.js'
import type { Evictor, Host } from './evictor.js'
import { mix } from './hash.js'

/** Words of the log after which it is read. */
const LOG_WORDS = 4096
/** More than any one thing that happens takes. */
const SPARE_WORDS = 16
/** Victims that are known ahead, at most. */
const BATCH = 256
/** A policy counts no more. */
const MOST_USES = 2 ** 32 - 1
/** The reserve is this part of the capacity, but at least so many entries, as long as that is no more than a 64th. */
const RESERVE = 256
const LEAST_RESERVE = 8
/** A policy that is not full is made to name this part of what it holds. */
const SQUEEZE = 64
/** Where this part of the entries waits to leave and there is room, the policy may hold as much more. */
const GROWTH = 16

// The operations of `Ledger` in crates/tierce/src/memory/ledger.rs, in the three highest bits. A hit is 0.
const INSERT = (1 << 29) >>> 0
const REMOVE = (2 << 29) >>> 0
const UPDATE = (3 << 29) >>> 0
const EVICT = (4 << 29) >>> 0
const REPLACE = (5 << 29) >>> 0

// A mark says that its slot is a victim; or, by a number from 1 to 127, in which log a hit of it was noted last.
const VICTIM = 255
const LAST_MARK = 127

/**
 * A native policy.
 *
 * The next victims are fetched many at a time, and a mark on each says so. A hit takes the mark off, and a victim without its
 * mark is passed over.
 *
 * Of lfu these are candidates: the policy holds them still, and as long as only hits, inserts and removals follow it would name
 * just them, less those that were hit. The batches are exact. The policies that learn have a capacity that is smaller by a
 * reserve, and the victims are what does not fit: the policy has let go of them, but the cache holds them until their room is
 * needed, and one that is hit goes into the policy again. So all of the capacity is in use, an insert waits for no call, and
 * what was set is there until others come, whatever the policy thinks of it.
 */
export class Ledger<K> implements Evictor<K> {
  readonly newestFirst = false
  readonly #host: Host<K>
  readonly #native: NativeLedger
  readonly #log = new Uint32Array(LOG_WORDS + SPARE_WORDS)
  readonly #out = new Uint32Array(BATCH)
  readonly #learns: boolean
  /** The most that the policy may hold: of one that learns less than the cache holds, by the reserve. In units of weight. */
  readonly #most: number
  /** What it may hold now: less than that where the cache is bounded by entries too, and these are the tighter bound. */
  #capacity: number
  #words = 0
  /**
   * The number of this log, 1 to 127 round and round: a policy that learns gets one hit of a slot in each log, so that the most
   * popular entries cost nothing. 0 where every hit is noted.
   */
  #mark: number
  /** By slot: whether it is a victim, or when it was hit. */
  #marks = new Uint8Array(0)
  /** The victims, from `#next` on, and among them some that are none any more. */
  #victims: number[] = []
  #next = 0
  /** Slots with the mark of a victim. */
  #waiting = 0

  /**
   * @param learns from what it no longer holds; else it decides by what it holds alone
   * @param capacity two at least: of one entry there is nothing to choose
   */
  constructor(host: Host<K>, policy: string, learns: boolean, capacity: number, isBytes: boolean) {
    this.#host = host
    this.#learns = learns
    this.#mark = this.#learns ? 1 : 0
    this.#most = this.#learns ? capacity - reserveOf(capacity, isBytes) : capacity
    this.#capacity = this.#most
    const { NativeLedger } = native()
    this.#native = new NativeLedger(policy, this.#most, this.#log, this.#out)
  }

  hit(slot: number): void {
    const mark = this.#marks[slot]!
    if (mark !== 0 && this.#isNoted(slot, mark)) return
    if (this.#mark !== 0) this.#marks[slot] = this.#mark
    this.#log[this.#words] = slot
    if (++this.#words >= LOG_WORDS) this.#drain()
  }

  replace(key: K): number {
    const victim = this.#victim()
    if (this.#learns) this.#logInsert(victim, key, 1)
    else this.#log[this.#words++] = REPLACE | victim
    if (this.#words >= LOG_WORDS) this.#drain()
    return victim
  }

  makeRoom(weight: number): void {
    while (this.#host.lacksRoom(weight)) this.#evict(this.#victim())
  }

  insert(slot: number, key: K, weight: number): void {
    this.#logInsert(slot, key, weight)
    if (this.#words >= LOG_WORDS) this.#drain()
  }

  inserted(): void {}

  reweigh(slot: number, weight: number): boolean {
    // By then it was hit, so the policy has it, and it is no victim.
    this.#log[this.#words] = UPDATE | slot
    this.#log[this.#words + 1] = weight
    this.#words += 2
    if (!this.#host.isOver()) {
      if (this.#words >= LOG_WORDS) this.#drain()
      return true
    }
    if (!this.#drain(slot)) return false
    let isVictim = false
    while (this.#host.isOver()) {
      const victim = this.#victim()
      if (victim === slot) isVictim = true
      else this.#evict(victim)
    }
    // What was set is there until others come.
    if (isVictim) this.#add(slot)
    return true
  }

  updated(slot: number): void {
    this.hit(slot)
  }

  remove(slot: number): void {
    if (this.#marks[slot] === VICTIM) this.#waiting--
    this.#marks[slot] = 0
    this.#log[this.#words] = REMOVE | slot
    if (++this.#words >= LOG_WORDS) this.#drain()
  }

  order(): ArrayLike<number> {
    this.#drain()
    const order = this.#native.order()
    return this.#learns ? [...this.#leftVictims(), ...order] : order
  }

  usesOf(slot: number): number {
    this.#drain()
    return this.#native.usesOf(slot)
  }

  restoreUses(slot: number, uses: number): void {
    this.#drain()
    if (this.#learns) return
    // The order of the candidates is another now.
    for (const victim of this.#leftVictims()) this.#marks[victim] = 0
    this.#forgetVictims()
    this.#native.restoreUses(slot, Math.min(uses, MOST_USES))
  }

  grow(slots: number): void {
    const marks = new Uint8Array(slots)
    marks.set(this.#marks)
    this.#marks = marks
  }

  clearing(): void {}

  clear(): void {
    this.#words = 0
    this.#forgetVictims()
    this.#marks = new Uint8Array(0)
    this.#resize(this.#most)
    this.#native.clear()
  }

  check(entries: number, weight: number): string {
    this.#drain()
    const [policyWeight, policyEntries] = this.#native.account() as [number, number]
    const left = this.#learns ? this.#leftVictims() : []
    const heavy = left.reduce((sum, slot) => sum + this.#host.weightOf(slot), policyWeight)
    const count = left.length + policyEntries
    if (count !== entries || heavy !== weight) {
      return `the policy holds ${count} slots of ${heavy}, the store ${entries} of ${weight}`
    }
    return this.#native.check()
  }

  /** Whether a marked slot was hit since the log was begun; a victim is one no longer. */
  #isNoted(slot: number, mark: number): boolean {
    if (mark === this.#mark) return true
    if (mark === VICTIM) this.#rescue(slot)
    return false
  }

  #rescue(slot: number): void {
    this.#marks[slot] = 0
    this.#waiting--
    if (this.#learns) this.#logInsert(slot, this.#host.keyAt(slot) as K, this.#host.weightOf(slot))
  }

  #logInsert(slot: number, key: K, weight: number): void {
    const log = this.#log
    const words = this.#words
    log[words] = INSERT | slot
    if (this.#learns) {
      const bits = this.#host.hashOf(key)
      log[words + 1] = mix(bits + 0x9e3779b9)
      log[words + 2] = bits
    }
    log[words + 3] = weight
    this.#words = words + 4
  }

  #evict(victim: number): void {
    if (!this.#learns) {
      this.#log[this.#words] = EVICT | victim
      if (++this.#words >= LOG_WORDS) this.#drain()
    }
    this.#host.evicted(victim)
  }

  /** Takes the next victim off the list. */
  #victim(): number {
    let victim = this.#nextVictim()
    while (victim < 0) {
      this.#findVictims()
      victim = this.#nextVictim()
    }
    return victim
  }

  /** Takes the next victim that was not hit off the list; -1 where there is none. */
  #nextVictim(): number {
    const victims = this.#victims
    while (this.#next < victims.length) {
      const victim = victims[this.#next++]!
      if (this.#marks[victim] !== VICTIM) continue
      this.#marks[victim] = 0
      this.#waiting--
      return victim
    }
    return -1
  }

  /** Makes a new list of victims: of one at least. */
  #findVictims(): void {
    this.#forgetVictims()
    this.#drain()
    if (this.#victims.length > 0) return
    if (!this.#learns) this.#takeAll(this.#native.refill(BATCH))
    else this.#squeeze()
    if (this.#victims.length === 0) throw makeError('E_INTERNAL', 'A policy has no victim.')
  }

  /** Makes a policy that is not full name victims. */
  #squeeze(): void {
    const before = this.#capacity
    const [weight] = this.#native.account() as [number]
    this.#takeAll(this.#resize(weight - Math.ceil(weight / SQUEEZE)))
    // Where there are as many entries as there may be, what they weigh is all the room there is. Else one needs much room, once.
    if (!this.#host.isFull()) this.#resize(before)
  }

  /** Gives the policy another capacity; gives the number of victims that it names. */
  #resize(capacity: number): number {
    if (capacity === this.#capacity) return 0
    this.#capacity = capacity
    return this.#native.resize(capacity)
  }

  #forgetVictims(): void {
    this.#victims.length = 0
    this.#next = 0
    this.#waiting = 0
  }

  /**
   * Lets the native side read the log. What it names goes at once, or of a policy that learns when its room is needed.
   * @returns false where `own` was named and has to go at once; its entry is the caller's to take out
   */
  #drain(own = -1): boolean {
    const words = this.#words
    if (words === 0) return true
    this.#words = 0
    if (!this.#learns) return this.#evictAll(this.#read(words), own)
    this.#nextMark()
    this.#takeAll(this.#read(words))
    const listed = this.#victims.length - this.#next
    if (listed > 2 * this.#waiting + BATCH) {
      this.#victims = this.#leftVictims()
      this.#next = 0
    }
    // There is room for more than the policy knows of.
    if (this.#capacity < this.#most && this.#waiting > BATCH && this.#waiting > this.#host.count() / GROWTH) {
      this.#resize(Math.min(this.#most, Math.ceil((this.#capacity + 1) * (1 + 1 / GROWTH))))
    }
    return true
  }

  /** Evicts the slots that the policy has named, `left` in all. */
  #evictAll(left: number, own: number): boolean {
    let kept = true
    this.#each(left, (victim) => {
      if (this.#marks[victim] === VICTIM) this.#waiting--
      this.#marks[victim] = 0
      if (victim === own) kept = false
      else if (this.#host.keyAt(victim) !== undefined) this.#host.evicted(victim)
    })
    return kept
  }

  #takeAll(left: number): void {
    this.#each(left, (victim) => this.#add(victim))
  }

  /** The slots that the last call gave, the first `BATCH` of which are in `out`. */
  #each(count: number, visit: (victim: number) => void): void {
    let left = count
    while (left > 0) {
      const batch = Math.min(left, BATCH)
      for (let at = 0; at < batch; at++) visit(this.#out[at]!)
      left = left > BATCH ? this.#native.rest() : 0
    }
  }

  /** Puts a slot behind the victims, unless it has been freed since it was named. */
  #add(victim: number): void {
    if (this.#host.keyAt(victim) === undefined || this.#marks[victim] === VICTIM) return
    this.#marks[victim] = VICTIM
    this.#waiting++
    this.#victims.push(victim)
  }

  #nextMark(): void {
    if (++this.#mark > LAST_MARK) {
      this.#mark = 1
      const marks = this.#marks
      for (let slot = 0; slot < marks.length; slot++) if (marks[slot] !== VICTIM) marks[slot] = 0
    }
  }

  #leftVictims(): number[] {
    const left = this.#victims.slice(this.#next).filter((slot) => this.#marks[slot] === VICTIM)
    return [...new Set(left)]
  }

  #read(words: number): number {
    try {
      return this.#native.drain(words)
    } catch (error) {
      throw fromNative(error)
    }
  }
}

/**
 * A part of the capacity, at most `BATCH` entries; of a bound in bytes there is no telling how many entries that is. At least
 * one: so an entry that was set is there until another one comes, whatever the policy thinks of it.
 */
function reserveOf(capacity: number, isBytes: boolean): number {
  const least = Math.min(LEAST_RESERVE, Math.ceil(capacity / 64))
  const share = Math.max(least, Math.floor(capacity / RESERVE))
  return isBytes ? share : Math.min(share, BATCH)
}
