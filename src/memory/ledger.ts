/**
 * The bridge to the native policies. A hit never crosses it: what happens is written to a log that both sides share, and
 * one native call reads many entries of it.
 */
import { fromNative, makeError } from '../errors.js'
import { type NativeLedger, native } from '../native.js'
import type { Evictor, Host } from './evictor.js'
import { hashKey, mix } from './hash.js'

/** Words of the log after which it is read. */
const LOG_WORDS = 4096
/** More than any one thing that happens takes. */
const SPARE_WORDS = 16
/** Victims that are known ahead, at most. */
const BATCH = 256

// The operations of `Ledger` in crates/tierce/src/memory/ledger.rs, in the three highest bits. A hit is 0.
const INSERT = (1 << 29) >>> 0
const REMOVE = (2 << 29) >>> 0
const UPDATE = (3 << 29) >>> 0
const EVICT = (4 << 29) >>> 0
const REPLACE = (5 << 29) >>> 0

// A mark says that its slot is a victim; or, by a number from 1 to 127, in which log a hit of it was noted last.
const VICTIM = 255
const LAST_MARK = 127

/** How a policy is driven. */
interface Drive {
  /** Whether hits matter. */
  hits: boolean
  /** Whether victims are known ahead; otherwise each insert is a native call. */
  ahead: boolean
  /**
   * Whether each hit is noted, or only the first of a slot in one log, so that the most popular entries cost nothing: a policy
   * that learns does not miss the others.
   */
  repeats: boolean
  /** Whether it remembers keys. */
  hash: boolean
  newestFirst: boolean
}

const EXACT: Drive = { hits: true, ahead: true, repeats: true, hash: false, newestFirst: false }
const LEARNING: Drive = { hits: true, ahead: false, repeats: false, hash: true, newestFirst: false }

/** The native policies, by name; the same list is in crates/tierce/src/policy/kind.rs. */
export const DRIVES = {
  lru: EXACT,
  lfu: EXACT,
  fifo: { ...EXACT, hits: false },
  lifo: { ...EXACT, hits: false, ahead: false, newestFirst: true },
  mru: { ...EXACT, ahead: false, newestFirst: true },
  sieve: EXACT,
  's3-fifo': LEARNING,
  'w-tinylfu': LEARNING,
  auto: LEARNING,
} as const satisfies Record<string, Drive>

/** The built-in policies. */
export type PolicyName = keyof typeof DRIVES

/**
 * A native policy.
 *
 * The next victims are fetched many at a time, and a mark on each says so. A hit takes the mark off, and a victim without its
 * mark is passed over.
 *
 * Of the policies that decide by the order of what they hold alone (`ahead`), these are candidates: the policy holds them
 * still, and as long as only hits, inserts and removals follow it would name just them, less those that were hit. The batches
 * are exact. The policies that learn have a capacity that is smaller by a reserve, and the victims are what does not fit: the
 * policy has let go of them, but the cache holds them until their room is needed, and one that is hit goes into the policy
 * again. So all of the capacity is in use, and an insert waits for no call.
 */
export class Ledger<K> implements Evictor<K> {
  readonly newestFirst: boolean
  readonly #host: Host<K>
  readonly #native: NativeLedger
  readonly #log = new Uint32Array(LOG_WORDS + SPARE_WORDS)
  readonly #out = new Uint32Array(BATCH)
  readonly #hits: boolean
  readonly #ahead: boolean
  readonly #hash: boolean
  /** What the policy has less than the cache, in units of weight. */
  readonly #reserve: number
  #words = 0
  /** The number of this log, 1 to 127 round and round; 0 where every hit is noted. */
  #mark: number
  /** By slot: whether it is a victim, or when it was hit. */
  #marks = new Uint8Array(0)
  /** The victims, from `#next` on. */
  #victims: number[] = []
  #next = 0

  constructor(host: Host<K>, policy: PolicyName, capacity: number, isBytes: boolean) {
    const drive: Drive = DRIVES[policy]
    this.#host = host
    this.#hits = drive.hits
    this.#ahead = drive.ahead
    this.#hash = drive.hash
    this.#mark = drive.repeats ? 0 : 1
    this.newestFirst = drive.newestFirst
    this.#reserve = drive.hash ? reserveOf(capacity, isBytes) : 0
    const { NativeLedger } = native()
    this.#native = new NativeLedger(policy, capacity - this.#reserve, this.#log, this.#out)
  }

  hit(slot: number): void {
    if (!this.#hits) return
    const mark = this.#marks[slot]!
    if (mark !== 0 && this.#isNoted(slot, mark)) return
    if (this.#mark !== 0) this.#marks[slot] = this.#mark
    this.#log[this.#words] = slot
    if (++this.#words >= LOG_WORDS) this.#drain()
  }

  replace(key: K): number {
    if (!this.#ahead && this.#reserve === 0) return -1
    let victim = this.#nextVictim()
    while (victim < 0) {
      this.#findVictims()
      victim = this.#nextVictim()
    }
    if (this.#ahead) {
      this.#log[this.#words++] = REPLACE | victim
    } else this.#logInsert(victim, key, 1)
    if (this.#words >= LOG_WORDS) this.#drain()
    return victim
  }

  makeRoom(weight: number): void {
    const host = this.#host
    if (this.#ahead || this.#reserve > 0) {
      while (host.lacksRoom(weight)) this.#evictVictim()
    } else {
      while (host.isFull()) this.#evictNow()
    }
  }

  insert(slot: number, key: K, weight: number): boolean {
    this.#logInsert(slot, key, weight)
    if (!this.#ahead && this.#reserve === 0) return this.#drain(slot)
    if (this.#words >= LOG_WORDS) this.#drain()
    return true
  }

  inserted(): void {}

  reweigh(slot: number, weight: number, fits: boolean): boolean {
    // By then it was hit, so the policy has it, and it is no victim.
    this.#log[this.#words] = UPDATE | slot
    this.#log[this.#words + 1] = weight
    this.#words += 2
    if (fits && (this.#ahead || this.#reserve > 0)) {
      if (this.#words >= LOG_WORDS) this.#drain()
      return true
    }
    const kept = this.#drain(slot)
    while (kept && this.#host.isOver()) this.#evictVictim()
    return kept
  }

  updated(slot: number): void {
    this.hit(slot)
  }

  remove(slot: number): void {
    this.#marks[slot] = 0
    this.#log[this.#words] = REMOVE | slot
    if (++this.#words >= LOG_WORDS) this.#drain()
  }

  order(): ArrayLike<number> {
    this.#drain()
    const order = this.#native.order()
    return this.#reserve === 0 ? order : [...this.#leftVictims(), ...order]
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
    this.#native.clear()
  }

  check(entries: number, weight: number): string {
    this.#drain()
    const [policyWeight, policyEntries] = this.#native.account() as [number, number]
    const left = this.#reserve === 0 ? [] : this.#leftVictims()
    const heavy = left.reduce((sum, slot) => sum + this.#host.weightOf(slot), policyWeight)
    const count = left.length + policyEntries
    if (count !== entries || heavy !== weight) {
      return `the policy holds ${count} slots of ${heavy}, the store ${entries} of ${weight}`
    }
    return this.#native.check()
  }

  nativeBytes(): number {
    return this.#native.account()[2]! + this.#log.byteLength + this.#out.byteLength + this.#marks.byteLength
  }

  /** Whether a marked slot was hit since the log was begun; a victim is one no longer. */
  #isNoted(slot: number, mark: number): boolean {
    if (mark === this.#mark) return true
    if (mark === VICTIM) this.#rescue(slot)
    return false
  }

  #rescue(slot: number): void {
    this.#marks[slot] = 0
    if (this.#reserve > 0) this.#logInsert(slot, this.#host.keys[slot] as K, this.#host.weightOf(slot))
  }

  #logInsert(slot: number, key: K, weight: number): void {
    const log = this.#log
    const words = this.#words
    log[words] = INSERT | slot
    if (this.#hash) {
      const bits = hashKey(key)
      log[words + 1] = mix(bits + 0x9e3779b9)
      log[words + 2] = bits
    }
    log[words + 3] = weight
    this.#words = words + 4
  }

  /** Evicts the next victim; finds new ones where there are none. */
  #evictVictim(): void {
    const victim = this.#nextVictim()
    if (victim < 0) {
      this.#findVictims()
      return
    }
    if (this.#ahead) {
      this.#log[this.#words] = EVICT | victim
      if (++this.#words >= LOG_WORDS) this.#drain()
    }
    this.#host.evicted(victim)
  }

  /** Takes the next victim that was not hit off the list; -1 where there is none. */
  #nextVictim(): number {
    const victims = this.#victims
    while (this.#next < victims.length) {
      const victim = victims[this.#next++]!
      if (this.#marks[victim] !== VICTIM) continue
      this.#marks[victim] = 0
      return victim
    }
    return -1
  }

  /** Makes a new list of victims: of one at least. */
  #findVictims(): void {
    this.#forgetVictims()
    this.#drain()
    if (this.#ahead) this.#take(this.#native.refill(BATCH))
    if (this.#victims.length > 0) return
    if (this.#native.evict() === 0) throw makeError('E_INTERNAL', 'A policy has no victim.')
    // The policy has let go of it: with a list it would be logged, so it goes at once.
    if (this.#ahead) throw makeError('E_INTERNAL', 'A policy that knows its victims ahead named none.')
    this.#take(1)
  }

  #forgetVictims(): void {
    this.#victims.length = 0
    this.#next = 0
  }

  /** Asks the policy for one victim. */
  #evictNow(): void {
    this.#drain()
    if (this.#native.evict() === 0) throw makeError('E_INTERNAL', 'A policy has no victim.')
    this.#host.evicted(this.#out[0]!)
  }

  /**
   * Lets the native side read the log. What it names goes at once, or with a reserve when its room is needed.
   * @returns false where `own` was named and has to go at once; its entry is the caller's to take out
   */
  #drain(own = -1): boolean {
    const words = this.#words
    if (words === 0) return true
    this.#words = 0
    if (this.#mark !== 0) this.#nextMark()
    let left = this.#read(words)
    let kept = true
    while (left > 0) {
      const batch = Math.min(left, BATCH)
      if (this.#reserve > 0) this.#take(batch)
      else {
        for (let at = 0; at < batch; at++) {
          const victim = this.#out[at]!
          this.#marks[victim] = 0
          if (victim === own) kept = false
          else this.#host.evicted(victim)
        }
      }
      left = left > BATCH ? this.#native.rest() : 0
    }
    return kept
  }

  /** Puts the first `count` slots of `out` behind the victims. */
  #take(count: number): void {
    for (let at = 0; at < count; at++) {
      const victim = this.#out[at]!
      this.#marks[victim] = VICTIM
      this.#victims.push(victim)
    }
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
 * A sixty-fourth of the capacity, at most `BATCH` entries; of a bound in bytes there is no telling how many entries that is.
 * At least one: so an entry that was set is there until another one comes, whatever the policy thinks of it.
 */
function reserveOf(capacity: number, isBytes: boolean): number {
  if (capacity < 2) return 0
  const share = Math.max(1, Math.floor(capacity / 64))
  return isBytes ? share : Math.min(share, BATCH)
}
