/** `MemoryCache`: live values, synchronous. The verbs; entries, policies and files each have a file in `memory/`. */
import { makeError } from './errors.js'
import { Faults } from './events.js'
import { INSPECT, type Inspect, shown } from './inspect.js'
import { type Entries, entriesOf, keysOf } from './many.js'
import { counted, Flights, isPromise } from './memory/flights.js'
import { checkKey, refuseUndefined } from './memory/input.js'
import { Counters, type MemoryMetrics } from './memory/metrics.js'
import {
  type EntryTime,
  entryTimeOf,
  type MemoryCacheOptions,
  type MemoryKey,
  type MemorySetOptions,
  type ParsedMemoryOptions,
  parseMemoryOptions,
} from './memory/options.js'
import { evictorFor, isCustom } from './memory/policies.js'
import { type Filed, type Loaded, restore, SavedCache } from './memory/saving.js'
import { Store, tellRemovals } from './memory/store.js'
import { Sweeper } from './memory/sweeper.js'
import { Weigher } from './memory/weigher.js'
import { callback, parseDuration } from './options.js'
import { describe } from './refusal.js'

/**
 * A cache of live values in this process: nothing is copied or serialized, and `undefined` always means a miss.
 *
 * `max` and `maxSize` hold after every call. A TTL is looked at on every read: an entry whose TTL has passed is a miss, though
 * it counts in `size` until it is removed. Without a `clock` of your own the time that entries are compared with is at most
 * about a millisecond old.
 */
export class MemoryCache<K extends MemoryKey = string, V = unknown> extends SavedCache<K, V> {
  readonly #options: ParsedMemoryOptions
  readonly #counters: Counters | undefined
  readonly #weigher: Weigher<K, V>
  readonly #flights = new Flights<K, V | undefined>()
  readonly #sweeper: Sweeper
  readonly #tells: boolean
  readonly #isWeighed: boolean
  readonly #time: EntryTime
  #store: Store<K, V>

  /**
   * @throws InvalidOptionError `E_INVALID_OPTION`, naming the option and what is accepted
   * @throws InvalidTtlError `E_INVALID_TTL`
   */
  constructor(options: MemoryCacheOptions<K, V> = {}) {
    super()
    const parsed = parseMemoryOptions(options as MemoryCacheOptions<never, never>)
    this.#options = parsed
    this.#counters = parsed.metrics ? new Counters() : undefined
    this.#weigher = new Weigher(parsed, this.#counters)
    this.#tells = parsed.onEvict !== undefined
    this.#isWeighed = parsed.maxSize !== Infinity
    this.#time = entryTimeOf(undefined, parsed)
    this.#sweeper = new Sweeper(this, parsed.cleanupInterval)
    const sweeper = this.#sweeper
    this.#store = new Store<K, V>({
      max: parsed.max,
      maxWeight: parsed.maxSize,
      now: parsed.now,
      tick: Math.max(1, Math.min(parsed.cleanupInterval, 1000)),
      tells: this.#tells,
      counters: this.#counters,
      isOrdered: isCustom(parsed.policy),
      evictor: (host, bounds) => evictorFor(parsed.policy, host, bounds),
      onTimed: () => sweeper.start(),
    })
  }

  /** The value of a live entry, or `undefined`. A use: the policy notes it, and a TTL that slides starts again. */
  get(key: K): V | undefined {
    const value = this.#store.get(key)
    if (this.#tells) this.#tell()
    return value
  }

  /**
   * The value of a live entry.
   * @throws KeyExpiredError `E_KEY_EXPIRED` where there is an entry whose TTL has passed, and which was not removed yet
   * @throws KeyNotFoundError `E_KEY_NOT_FOUND`
   */
  getOrThrow(key: K): V {
    const isHeld = this.#store.slotOf(key) !== undefined
    const value = this.get(key)
    if (value !== undefined) return value
    if (isHeld) throw makeError('E_KEY_EXPIRED', `The entry of key ${describe(key)} has expired.`, { key })
    throw makeError('E_KEY_NOT_FOUND', `There is no entry of key ${describe(key)}.`, { key })
  }

  /** As `get`, but no use: neither the policy nor the metrics nor a sliding TTL notice. */
  peek(key: K): V | undefined {
    const slot = this.#store.find(key)
    return slot === undefined ? undefined : this.#store.slots.valueAt(slot)
  }

  /** A use of a live entry that nobody reads: the policy notes it, and a TTL that slides starts again. Whether there is one. */
  touch(key: K): boolean {
    const isHeld = this.#store.touch(key)
    if (this.#tells) this.#tell()
    return isHeld
  }

  /** Whether there is a live entry. No use. */
  has(key: K): boolean {
    return this.#store.find(key) !== undefined
  }

  /**
   * Stores a value, `null` included; an entry of the key is replaced, with its TTL.
   * @throws ValueTooLargeError `E_VALUE_TOO_LARGE` where it alone weighs more than `maxSize`: nothing is stored or evicted, and
   * an entry of the key stays as it is
   * @throws UnserializableError `E_UNSERIALIZABLE` for `undefined`
   * @throws InvalidKeyError `E_INVALID_KEY`
   * @throws InvalidTtlError `E_INVALID_TTL`
   */
  set(key: K, value: V, options?: MemorySetOptions): this {
    if (value === undefined) throw refuseUndefined()
    if (typeof key !== 'string') checkKey(key)
    this.#flights.outdate(key)
    this.#put(key, value, options, this.#isWeighed ? this.#weigher.weigh(key, value) : 1)
    return this
  }

  /** Stores a value if there is no live entry; whether it did. Throws as `set` does. */
  add(key: K, value: V, options?: MemorySetOptions): boolean {
    if (this.has(key)) return false
    this.set(key, value, options)
    return true
  }

  /** Stores a value if there is a live entry; whether it did. Throws as `set` does. */
  update(key: K, value: V, options?: MemorySetOptions): boolean {
    if (!this.has(key)) return false
    this.set(key, value, options)
    return true
  }

  /** Removes an entry; whether there was a live one. */
  delete(key: K): boolean {
    this.#flights.outdate(key)
    const slot = this.#store.claim(key)
    if (slot !== undefined) this.#store.remove(slot, 'delete')
    if (this.#tells) this.#tell()
    return slot !== undefined
  }

  /** The values of many keys, in the order of the keys; `undefined` for a miss. */
  getMany(keys: Iterable<K>): (V | undefined)[] {
    return Array.from(keysOf(keys), (key) => this.get(key))
  }

  /** Stores many values; where one is refused, none is stored. Throws as `set` does. */
  setMany(entries: Entries<K, V>, options?: MemorySetOptions): this {
    const pairs = entriesOf(entries)
    const weights = pairs.map(([key, value]) => {
      if (value === undefined) throw refuseUndefined()
      checkKey(key)
      return this.#weigher.weigh(key, value)
    })
    entryTimeOf(options, this.#options)
    for (const [index, [key, value]] of pairs.entries()) {
      this.#flights.outdate(key)
      this.#put(key, value, options, weights[index] as number)
    }
    return this
  }

  /** Removes many entries; how many there were. */
  deleteMany(keys: Iterable<K>): number {
    let deleted = 0
    for (const key of keysOf(keys)) if (this.delete(key)) deleted++
    return deleted
  }

  /**
   * The value of a live entry, or what `load` gives, which is stored unless it is `undefined`.
   *
   * Where `load` gives a promise, so does this, and all who ask for the key until it settles get the same one: one load, one
   * result, one error. What it brings is not stored where the key was written, deleted or cleared meanwhile. A value that
   * `maxSize` has no room for is returned all the same. The loader's error passes through untouched.
   */
  getOrSet(key: K, load: (key: K) => Promise<V>, options?: MemorySetOptions): V | Promise<V>
  getOrSet(
    key: K,
    load: (key: K) => Promise<V | undefined>,
    options?: MemorySetOptions,
  ): V | Promise<V | undefined>
  getOrSet(key: K, load: (key: K) => V, options?: MemorySetOptions): V
  getOrSet(key: K, load: (key: K) => V | undefined, options?: MemorySetOptions): V | undefined
  getOrSet(
    key: K,
    load: (key: K) => V | undefined | Promise<V | undefined>,
    options?: MemorySetOptions,
  ): V | undefined | Promise<V | undefined> {
    const found = this.get(key)
    if (found !== undefined) return found
    const flight = this.#flights.find(key)
    if (flight !== undefined) return flight
    checkKey(key)
    callback(load, 'load')
    entryTimeOf(options, this.#options)
    const loaded = counted(this.#counters, () => load(key))
    const keep = (value: V | undefined): void => this.#keep(key, value, options)
    if (isPromise(loaded)) return this.#flights.follow(key, loaded, keep)
    keep(loaded)
    return loaded
  }

  /** Milliseconds until a live entry expires, `Infinity` for never; `undefined` where there is none. */
  ttl(key: K): number | undefined {
    const slot = this.#store.find(key)
    if (slot === undefined) return undefined
    const at = this.#store.expiresAt(slot)
    return at === Infinity ? Infinity : Math.max(0, at - this.#options.now())
  }

  /**
   * Gives a live entry another TTL, from now on; whether there is one.
   * @throws InvalidTtlError `E_INVALID_TTL`
   */
  expire(key: K, ttl: number | string): boolean {
    const time = parseDuration(ttl, 'ttl')
    const slot = this.#store.find(key)
    if (slot === undefined) return false
    this.#store.setTtl(slot, time, this.#store.slideOf(slot) > 0 ? time : 0)
    return true
  }

  /** Entries held; those that have expired count until they are removed. */
  get size(): number {
    return this.#store.slots.size
  }

  /** Entries that have not expired. Looks at all entries, where there are any with a TTL. */
  get validSize(): number {
    return this.size - this.expiredCount()
  }

  /** Entries that have expired and are held still. Looks at all entries, where there are any with a TTL. */
  expiredCount(): number {
    return this.#store.countExpired()
  }

  /** The keys of live entries that expire, in the order of `keys`, each with its time in milliseconds since the Unix epoch. */
  *keysWithExpiry(): Generator<[K, number], undefined> {
    for (const key of this.#store.order()) {
      const slot = this.#store.find(key)
      const at = slot === undefined ? Infinity : this.#store.expiresAt(slot)
      if (at !== Infinity) yield [key, at]
    }
    return undefined
  }

  /** Bytes held, as the weigher counts; 0 without `maxSize`. */
  get bytes(): number {
    return this.#store.weight
  }

  /** Removes all entries. Loads that are under way will not be stored. */
  clear(): void {
    this.#flights.outdateAll()
    this.#store.clear()
    if (this.#tells) this.#tell()
  }

  /** Removes the entries that have expired, in time in proportion to their number; gives that. */
  cleanup(): number {
    const removed = this.#store.cleanup()
    if (this.#tells) this.#tell()
    return removed
  }

  /** The keys of live entries, the next victim of the policy first. A list of this moment; not a use. */
  *keys(): Generator<K, undefined> {
    for (const [key] of this.entries()) yield key
    return undefined
  }

  /** The values of live entries, in the order of `keys`. */
  *values(): Generator<V, undefined> {
    for (const [, value] of this.entries()) yield value
    return undefined
  }

  /** Keys and values of live entries, in the order of `keys`. What is removed before its turn does not come. */
  *entries(): Generator<[K, V], undefined> {
    for (const key of this.#store.order()) {
      const slot = this.#store.find(key)
      if (slot !== undefined) yield [key, this.#store.slots.valueAt(slot) as V]
    }
    return undefined
  }

  [Symbol.iterator](): Generator<[K, V], undefined> {
    return this.entries()
  }

  /** Starts the background cleanup again, which starts by itself with the first entry that has a TTL. Default interval 500 ms. @throws InvalidTtlError `E_INVALID_TTL` */
  startCleanup(interval: number | string = 500): void {
    const time = parseDuration(interval, 'interval')
    if (this.#isClosed()) throw closedError()
    this.#sweeper.restart(time)
  }

  /** Ends the background cleanup. Entries that have expired are still misses, and are removed when they are met. */
  stopCleanup(): void {
    this.#sweeper.stop()
  }

  /** As `stopCleanup`. */
  stop(): void {
    this.stopCleanup()
  }

  /** Lets go of all entries, without telling of them. Each later use is an `E_CLOSED`. */
  close(): void {
    this.stop()
    this.#flights.outdateAll()
    this.#store = CLOSED as Store<K, V>
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /** A new cache with the entries of a file; see `load`. */
  static async from<K extends MemoryKey = string, V = unknown>(
    file: string,
    options: MemoryCacheOptions<K, V> = {},
  ): Promise<MemoryCache<K, V>> {
    const cache = new MemoryCache<K, V>(options)
    await cache.load(file)
    return cache
  }

  /** As `from`. */
  static fromSync<K extends MemoryKey = string, V = unknown>(
    file: string,
    options: MemoryCacheOptions<K, V> = {},
  ): MemoryCache<K, V> {
    const cache = new MemoryCache<K, V>(options)
    cache.loadSync(file)
    return cache
  }

  /** What the cache did, and holds. All counts are 0 with `metrics: false`. */
  metrics(): MemoryMetrics {
    return (this.#counters ?? new Counters()).snapshot(this.size, this.bytes)
  }

  /** Starts all counts again. */
  resetMetrics(): void {
    if (this.#counters !== undefined) Object.assign(this.#counters, new Counters())
  }

  /** Checks the cache's own account against all entries; gives what is wrong, or an empty text. For tests and reports. */
  check(): string {
    return this.#store.check()
  }

  #put(key: K, value: V, options: MemorySetOptions | undefined, weight: number): void {
    const { ttl, slide } = options === undefined ? this.#time : entryTimeOf(options, this.#options)
    this.#store.set(key, value, weight, ttl, slide)
    if (this.#tells) this.#tell()
  }

  /** Stores what a loader gave. A fault of the cache does not break the load. */
  #keep(key: K, value: V | undefined, options: MemorySetOptions | undefined): void {
    if (value === undefined || this.#isClosed()) return
    try {
      const weight = this.#weigher.weighIfItFits(key, value)
      if (weight === undefined) return
      this.#put(key, value, options, weight)
    } catch (error) {
      new Faults().report(error)
    }
  }

  /** @internal */
  [INSPECT](_depth: number, options: object, inspect: Inspect): string {
    const { policy, max, maxSize } = this.#options
    const isClosed = this.#isClosed()
    const size = isClosed ? 0 : this.size
    return shown(this, { policy, max, maxSize, size, isClosed }, options, inspect)
  }

  #tell(): void {
    if (this.#store.removals.length > 0) tellRemovals(this.#store, this.#options.onEvict!)
  }

  protected override filed(): Filed<K, V> {
    return { options: this.#options, store: this.#store, weigher: this.#weigher }
  }

  protected override restored(loaded: Loaded<K, V>, merge: boolean): number {
    this.#flights.outdateAll()
    if (!merge) this.#store.clear()
    const stored = restore(this.#store, loaded)
    if (this.#tells) this.#tell()
    return stored
  }

  #isClosed(): boolean {
    return (this.#store as unknown) === CLOSED
  }
}

/** In the place of the store of a closed cache. */
const CLOSED: unknown = new Proxy(
  {},
  {
    get() {
      throw closedError()
    },
  },
)

function closedError(): Error {
  return makeError('E_CLOSED', 'This MemoryCache is closed. Make a new one.')
}
