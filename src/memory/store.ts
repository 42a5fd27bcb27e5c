/** Entries in slots: the verbs of the cache without options, checks and loads. */
import type { Evictor, Host } from './evictor.js'
import { Expiry } from './expiry.js'
import type { Counters } from './metrics.js'
import type { Bounds } from './policies.js'
import { Slots } from './slots.js'

/** Why an entry left: for room, by its TTL, by `delete`, for another value of its key, or with all others. */
export type RemovalReason = 'evict' | 'expire' | 'delete' | 'set' | 'clear'

/** An entry that left. */
export interface Removal<K, V> {
  key: K
  value: V
  reason: RemovalReason
}

/** The most entries: their keys and values fill the longest array that V8 makes at once. */
export const MOST_ENTRIES = 2 ** 24

/** Slots that are made room for at first. */
const FIRST_SLOTS = 64

/** The bounds and the time, complete. */
export interface StoreOptions<K, V> extends Bounds {
  /** Milliseconds since the Unix epoch. */
  now: () => number
  /** Milliseconds of a bucket of the timer wheel. */
  tick: number
  /** Whether removals are kept for `takeRemovals`. */
  tells: boolean
  counters: Counters | undefined
  evictor: (host: Host<K>, bounds: Bounds) => Evictor<K>
  /** Whether the order of insertion is asked for. */
  isOrdered: boolean
  /** Called when the first entry with a TTL comes in. */
  onTimed: () => void
  /** Called when a value has left for room, in the middle of the change: it must not change the store. */
  onEvict?: (value: V) => void
}

export class Store<K, V> implements Host<K> {
  readonly slots: Slots<K, V>
  readonly evictor: Evictor<K>
  /** What the entries weigh together, where they have weights. */
  weight = 0
  /** Removals that nobody was told of yet. */
  removals: Removal<K, V>[] = []

  readonly #max: number
  readonly #maxWeight: number
  readonly #now: () => number
  readonly #tick: number
  readonly #tells: boolean
  readonly #counters: Counters | undefined
  readonly #onTimed: () => void
  readonly #onEvict: ((value: V) => void) | undefined
  readonly #weighted: boolean
  /** By slot, where entries have weights. */
  #weights = new Uint32Array(0)
  /** Once there is an entry with a TTL. */
  #expiry: Expiry | undefined
  /** Slots that were given back, and the first that was never used. */
  readonly #free: number[] = []
  #fresh = 0

  constructor(options: StoreOptions<K, V>) {
    this.#max = options.max
    this.#maxWeight = options.maxWeight
    this.#weighted = options.maxWeight !== Infinity
    this.#now = options.now
    this.#tick = options.tick
    this.#tells = options.tells
    this.#counters = options.counters
    this.#onTimed = options.onTimed
    this.#onEvict = options.onEvict
    this.slots = new Slots(options.isOrdered)
    this.evictor = options.evictor(this, options)
  }

  // What the evictor asks.

  keyAt(slot: number): K | undefined {
    return this.slots.keyAt(slot)
  }

  lacksRoom(weight: number): boolean {
    return this.slots.size >= this.#max || (this.#weighted && this.weight + weight > this.#maxWeight)
  }

  isFull(): boolean {
    return this.slots.size >= this.#max
  }

  isOver(): boolean {
    return this.#weighted && this.weight > this.#maxWeight
  }

  count(): number {
    return this.slots.size
  }

  slotOf(key: unknown): number | undefined {
    return this.slots.get(key as K)
  }

  hashOf(key: K): number {
    return this.slots.hashOf(key)
  }

  insertionOrder(): IterableIterator<K> {
    return this.slots.ordered()
  }

  evicted(slot: number): void {
    const value = this.slots.valueAt(slot) as V
    this.#vacate(slot, 'evict')
    this.#onEvict?.(value)
  }

  // Reading.

  /** The value of a live entry, and a use of it. */
  get(key: K): V | undefined {
    const slot = this.slots.get(key)
    if (slot === undefined || (this.#expiry !== undefined && !this.#isUsed(slot))) {
      if (this.#counters !== undefined) this.#counters.misses++
      return undefined
    }
    if (this.#counters !== undefined) this.#counters.hits++
    this.evictor.hit(slot)
    return this.slots.valueAt(slot)
  }

  /** A use of a live entry, that nobody reads; whether there is one. */
  touch(key: K): boolean {
    const slot = this.slots.get(key)
    if (slot === undefined || (this.#expiry !== undefined && !this.#isUsed(slot))) return false
    this.evictor.hit(slot)
    return true
  }

  /** The slot of a live entry. Notes nothing; an expired entry is left where it is. */
  find(key: K): number | undefined {
    const slot = this.slots.get(key)
    return slot === undefined || this.#expiry === undefined || this.#expiry.isLive(slot) ? slot : undefined
  }

  /** As `find`, but an expired entry is removed. */
  claim(key: K): number | undefined {
    const slot = this.slots.get(key)
    return slot !== undefined && this.#isLive(slot) ? slot : undefined
  }

  /** When the entry in a slot expires; `Infinity` never. */
  expiresAt(slot: number): number {
    return this.#expiry === undefined ? Infinity : this.#expiry.at(slot)
  }

  /** The TTL that each use of the entry in a slot starts again, in milliseconds; 0 for none. */
  slideOf(slot: number): number {
    return this.#expiry === undefined ? 0 : this.#expiry.slideOf(slot)
  }

  weightOf(slot: number): number {
    return this.#weighted ? this.#weights[slot]! : 1
  }

  /** How many entries have expired and are held still. Looks at all, where there are any with a TTL. */
  countExpired(): number {
    return this.#expiry === undefined ? 0 : this.#expiry.countExpired()
  }

  // Writing.

  /**
   * Stores a value; gives its slot.
   * @param weight at most `maxWeight`
   * @param slide the TTL that each use starts again, 0 for none
   */
  set(key: K, value: V, weight: number, ttl: number, slide: number): number {
    if (this.#counters !== undefined) this.#counters.sets++
    const slot = this.slots.find(key)
    if (slot !== undefined && this.#isLive(slot)) return this.replace(slot, value, weight, ttl, slide)
    if (!this.#weighted && this.slots.size >= this.#max) {
      const taken = this.#replaceVictim(key, value, ttl, slide)
      if (taken >= 0) return taken
    }
    return this.#insert(key, value, weight, ttl, slide)
  }

  /** Stores a value in the place of a live one, whose slot is known; gives its slot. */
  replace(slot: number, value: V, weight: number, ttl: number, slide: number): number {
    this.evictor.updated(slot)
    const stays = !this.#weighted || this.#reweigh(slot, weight)
    if (this.#tells) this.#note(slot, 'set')
    this.slots.setValue(slot, value)
    this.setTtl(slot, ttl, slide)
    if (stays) return slot
    // It had to go before others did: as the newest it may stay.
    const key = this.slots.keyAt(slot) as K
    this.#release(slot)
    return this.#insert(key, value, weight, ttl, slide)
  }

  /** Gives a held entry another weight; false where it has to go. Where a policy of the user throws, it keeps the one that it had. */
  #reweigh(slot: number, weight: number): boolean {
    const before = this.#weights[slot]!
    if (weight === before) return true
    this.#weights[slot] = weight
    this.weight += weight - before
    try {
      return this.evictor.reweigh(slot, weight, weight - before)
    } catch (error) {
      this.#weights[slot] = before
      this.weight += before - weight
      throw error
    }
  }

  /** What most inserts are: the cache is full, entries have no weights, and the new one takes the slot of the next victim. */
  #replaceVictim(key: K, value: V, ttl: number, slide: number): number {
    const slot = this.evictor.replace(key)
    if (slot < 0) return slot
    if (this.#tells) this.#note(slot, 'evict')
    if (this.#counters !== undefined) this.#counters.evicted++
    this.slots.delete(slot)
    this.slots.add(key, value, slot)
    this.setTtl(slot, ttl, slide)
    return slot
  }

  /** Sets when a held entry expires, from now on, and what each use starts again: see `slideOf`. */
  setTtl(slot: number, ttl: number, slide: number): void {
    if (this.#expiry === undefined) {
      if (ttl === Infinity) return
      this.#expiry = new Expiry(this.slots.room, this.#now, this.#tick)
      this.#onTimed()
    }
    this.#expiry.set(slot, ttl, slide)
  }

  /** Takes a held entry out. */
  remove(slot: number, reason: RemovalReason): void {
    this.evictor.remove(slot)
    this.#vacate(slot, reason)
  }

  clear(): void {
    if (this.#tells) for (const slot of Array.from(this.evictor.order())) this.#note(slot, 'clear')
    this.evictor.clearing()
    if (this.#counters !== undefined) this.#counters.cleared += this.slots.size
    this.slots.clear()
    this.#weights = new Uint32Array(0)
    this.#free.length = 0
    this.#fresh = 0
    this.weight = 0
    this.#expiry = undefined
    this.evictor.clear()
  }

  /** Removes what has expired, in time in proportion to that; gives how many. */
  cleanup(): number {
    return this.#expiry === undefined ? 0 : this.#expiry.cleanup((slot) => this.remove(slot, 'expire'))
  }

  /** The keys in the order in which they would be evicted. */
  order(): K[] {
    return Array.from(this.evictor.order(), (slot) => this.slots.keyAt(slot) as K)
  }

  /** What is wrong, for tests; empty when nothing is. */
  check(): string {
    let [count, weight] = [0, 0]
    for (const [key, slot] of this.slots.entries()) {
      if (this.slots.keyAt(slot) !== key && !Object.is(this.slots.keyAt(slot), key))
        return `slot ${slot} has another key`
      if (this.slots.valueAt(slot) === undefined) return `slot ${slot} has no value`
      count++
      weight += this.weightOf(slot)
    }
    if (count + this.#free.length !== this.#fresh) return 'a slot is lost'
    if (count > this.#max || (this.#weighted && weight > this.#maxWeight)) return 'over a bound'
    if (this.#weighted && weight !== this.weight)
      return `entries weigh ${weight}, the account says ${this.weight}`
    return this.evictor.check(count, weight)
  }

  #insert(key: K, value: V, weight: number, ttl: number, slide: number): number {
    this.evictor.makeRoom(weight, key)
    const slot = this.#free.length > 0 ? this.#free.pop()! : this.#freshSlot()
    if (this.#weighted) this.#weights[slot] = weight
    this.evictor.insert(slot, key, weight)
    this.slots.add(key, value, slot)
    if (this.#weighted) this.weight += weight
    if (ttl !== Infinity) this.setTtl(slot, ttl, slide)
    this.evictor.inserted(slot)
    return slot
  }

  /** Whether an entry is live; one that has expired is removed. */
  #isLive(slot: number): boolean {
    if (this.#expiry === undefined || this.#expiry.isLive(slot)) return true
    this.remove(slot, 'expire')
    return false
  }

  /** As `#isLive`, where there are TTLs, and a use. */
  #isUsed(slot: number): boolean {
    if (this.#expiry!.use(slot)) return true
    this.remove(slot, 'expire')
    return false
  }

  /** Empties a slot that the evictor no longer knows. */
  #vacate(slot: number, reason: RemovalReason): void {
    if (this.#tells) this.#note(slot, reason)
    const counters = this.#counters
    if (counters !== undefined) {
      if (reason === 'evict') counters.evicted++
      else if (reason === 'expire') counters.expired++
      else counters.deleted++
    }
    this.#release(slot)
  }

  #release(slot: number): void {
    this.slots.delete(slot)
    if (this.#weighted) this.weight -= this.#weights[slot]!
    this.#expiry?.free(slot)
    this.#free.push(slot)
  }

  #note(slot: number, reason: RemovalReason): void {
    this.removals.push({ key: this.slots.keyAt(slot) as K, value: this.slots.valueAt(slot) as V, reason })
  }

  #freshSlot(): number {
    if (this.#fresh === this.slots.room) this.#grow()
    return this.#fresh++
  }

  /** Arrays of twice the length, and of no more than can be used: one slot is on its way in while the bound is reached. */
  #grow(): void {
    const length = Math.min(Math.max(FIRST_SLOTS, this.slots.room * 2), this.#max + 1)
    this.slots.grow(length)
    if (this.#weighted) {
      const weights = new Uint32Array(length)
      weights.set(this.#weights)
      this.#weights = weights
    }
    this.#expiry?.grow(length)
    this.evictor.grow(length)
  }
}

/**
 * Tells of all that left, when all is in order: `onEvict` may change the store again. What it throws is thrown after all were
 * told of.
 */
export function tellRemovals<K, V>(
  store: Store<K, V>,
  onEvict: (key: never, value: never, reason: RemovalReason) => void,
): void {
  const thrown: unknown[] = []
  while (store.removals.length > 0) {
    const removals = store.removals
    store.removals = []
    for (const { key, value, reason } of removals) {
      try {
        onEvict(key as never, value as never, reason)
      } catch (error) {
        thrown.push(error)
      }
    }
  }
  if (thrown.length > 0) throw thrown[0]
}
