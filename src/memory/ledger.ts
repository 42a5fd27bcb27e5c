/**
 * The bridge to the native policies. A hit never crosses it: what happens is written to a log that both sides share, and
 * one native call reads many entries of it.
 */
import type { NativeLedger } from '../../index.js'
import { fromNative, makeError } from '../errors.js'
import { native } from '../native.js'
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

/** How a policy is driven. */
interface Drive {
  /** Whether hits matter. */
  hits: boolean
  /** Whether victims are known ahead; otherwise each insert is a native call. */
  ahead: boolean
  /** Whether it remembers keys. */
  hash: boolean
  newestFirst: boolean
}

const EXACT: Drive = { hits: true, ahead: true, hash: false, newestFirst: false }
const LEARNING: Drive = { hits: true, ahead: false, hash: true, newestFirst: false }

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
 * Of the policies that decide by the order of what they hold alone, the next victims are known ahead, and are fetched many
 * at a time. They stay right as long as only hits, inserts and removals follow: an insert comes behind them, and a hit takes
 * the entry off the list. So `marks` says of each slot whether something has happened to it since that list was made, and a
 * victim that is marked is passed over. That makes the batches exact. The other policies are asked at each insert.
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
  #words = 0
  /** For each slot the last list of victims in whose time something happened to it. */
  #marks = new Uint8Array(0)
  /** The number of the present list of victims: 1 to 255, round and round. */
  #list = 1
  /** The victims left: `out` from `#next` to `#end`. */
  #next = 0
  #end = 0

  constructor(host: Host<K>, policy: PolicyName, capacity: number) {
    const drive: Drive = DRIVES[policy]
    this.#host = host
    this.#hits = drive.hits
    this.#ahead = drive.ahead
    this.#hash = drive.hash
    this.newestFirst = drive.newestFirst
    const { NativeLedger } = native()
    this.#native = new NativeLedger(policy, capacity, this.#log, this.#out)
  }

  hit(slot: number): void {
    if (!this.#hits) return
    this.#marks[slot] = this.#list
    this.#log[this.#words] = slot
    if (++this.#words >= LOG_WORDS) this.#drain()
  }

  makeRoom(weight: number): void {
    const host = this.#host
    if (this.#ahead) {
      while (host.lacksRoom(weight)) this.#evictAhead()
    } else {
      while (host.isFull()) this.#evictNow()
    }
  }

  insert(slot: number, key: K, weight: number): boolean {
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
    if (!this.#ahead) return this.#drain(slot)
    this.#marks[slot] = this.#list
    if (this.#words >= LOG_WORDS) this.#drain()
    return true
  }

  inserted(): void {}

  reweigh(slot: number, weight: number, fits: boolean): boolean {
    this.#log[this.#words] = UPDATE | slot
    this.#log[this.#words + 1] = weight
    this.#words += 2
    if (fits && this.#ahead && this.#words < LOG_WORDS) return true
    return this.#drain(slot)
  }

  updated(slot: number): void {
    this.hit(slot)
  }

  remove(slot: number): void {
    this.#marks[slot] = this.#list
    this.#log[this.#words] = REMOVE | slot
    if (++this.#words >= LOG_WORDS) this.#drain()
  }

  order(): ArrayLike<number> {
    this.#drain()
    return this.#native.order()
  }

  grow(slots: number): void {
    const marks = new Uint8Array(slots)
    marks.set(this.#marks)
    this.#marks = marks
  }

  clear(): void {
    this.#words = 0
    this.#next = this.#end
    this.#marks = new Uint8Array(0)
    this.#native.clear()
  }

  check(entries: number, weight: number): string {
    this.#drain()
    const [heavy, count] = this.#native.account()
    if (count !== entries || heavy !== weight) {
      return `the policy holds ${count} slots of ${heavy}, the store ${entries} of ${weight}`
    }
    return this.#native.check()
  }

  nativeBytes(): number {
    return this.#native.account()[2]! + this.#log.byteLength + this.#out.byteLength
  }

  /** Takes the next victim off the list, or makes a new list. */
  #evictAhead(): void {
    while (this.#next < this.#end) {
      const victim = this.#out[this.#next++]!
      if (this.#marks[victim] === this.#list) continue
      this.#log[this.#words] = EVICT | victim
      if (++this.#words >= LOG_WORDS) this.#drain()
      this.#host.evicted(victim)
      return
    }
    this.#drain()
    this.#end = this.#native.refill(BATCH)
    this.#next = 0
    if (++this.#list > 255) {
      this.#list = 1
      this.#marks.fill(0)
    }
    if (this.#end === 0) this.#evictNow()
  }

  /** Asks the policy for one victim. */
  #evictNow(): void {
    this.#drain()
    if (this.#native.evict() === 0) throw makeError('E_INTERNAL', 'A policy has no victim.')
    this.#host.evicted(this.#out[0]!)
  }

  /**
   * Lets the native side read the log, and evicts what it names. The list of victims lies where the results come, so a read
   * that names any ends it.
   * @returns false where `own` was named; its entry is the caller's to take out
   */
  #drain(own = -1): boolean {
    const words = this.#words
    if (words === 0) return true
    this.#words = 0
    let left = this.#read(words)
    if (left === 0) return true
    this.#next = this.#end
    let kept = true
    for (;;) {
      const batch = Math.min(left, BATCH)
      for (let at = 0; at < batch; at++) {
        const victim = this.#out[at]!
        if (victim === own) kept = false
        else this.#host.evicted(victim)
      }
      if (left <= BATCH) return kept
      left = this.#native.rest()
    }
  }

  #read(words: number): number {
    try {
      return this.#native.drain(words)
    } catch (error) {
      throw fromNative(error)
    }
  }
}
