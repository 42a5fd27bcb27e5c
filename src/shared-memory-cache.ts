/** `SharedMemoryCache`: one cache for all threads of a process, outside the JavaScript heap. */
import { makeError } from './errors.js'
import { type Key, keyFromText, keyText } from './keys.js'
import { type Entries, entriesOf, keysOf } from './many.js'
import { counted, Flights, isPromise } from './memory/flights.js'
import { refuseUndefined } from './memory/input.js'
import { callback, parseDuration } from './options.js'
import { describe } from './refusal.js'
import { SharedChannel, type SharedEntry, WHEN, type When } from './shared/channel.js'
import {
  type Lease,
  parseLease,
  parseSharedOptions,
  type SharedMemoryOptions,
  type SharedSetOptions,
} from './shared/options.js'
import { encode } from './values/index.js'

/** What a `SharedMemoryCache` did, in all threads, since it was made or since `resetMetrics()`. */
export interface SharedMemoryMetrics {
  /** Reads that found a live entry. */
  hits: number
  /** Reads that found none. */
  misses: number
  /** hits / (hits + misses); 0 before the first read. */
  hitRatio: number
  /** Values stored. */
  sets: number
  /** Entries removed because their TTL had passed. */
  expired: number
  /** Entries that had to go for others. */
  evicted: number
  /** Entries held now. */
  size: number
  /** Bytes held now. */
  bytes: number
  /** The bound of `bytes`. */
  maxSize: number
}

/**
 * A cache in native memory: the garbage collector has nothing to look at, and all worker threads that open it by its name have
 * the same entries. Values are stored in serialized form, so each reader gets its own; keys are those of `Cache`.
 *
 * `maxSize` holds at every moment, keys and bookkeeping included. Large caches are divided into parts with a lock each: one entry
 * may take up to the size of a part, `maxSize` below 32 MiB and a sixteenth of it for large ones. The memory is freed when the last
 * thread closes its handle or ends.
 *
 * @typeParam V what the values are taken for: nothing checks it
 */
export class SharedMemoryCache<K extends Key = string, V = unknown> {
  /** By which all threads of the process find it. */
  readonly name: string
  /** Bytes. */
  readonly maxSize: number
  readonly #lease: Lease
  readonly #channel: SharedChannel
  readonly #flights = new Flights<string, V | undefined>()

  /**
   * Opens the cache of this name, or makes it.
   * @throws InvalidOptionError `E_INVALID_OPTION`, naming the option and what is accepted; also where the name is in use with
   * other options
   * @throws InvalidTtlError `E_INVALID_TTL`
   * @throws UnavailableError `E_UNAVAILABLE` where the addon does not load
   */
  constructor(options: SharedMemoryOptions) {
    const parsed = parseSharedOptions(options)
    this.name = parsed.name
    this.maxSize = parsed.maxSize
    this.#lease = parsed.lease
    this.#channel = new SharedChannel(parsed)
  }

  /** The value of a live entry, or `undefined`: a value of the caller's own. */
  get(key: K): V | undefined {
    return this.#channel.read(keyText(key), false) as V | undefined
  }

  /**
   * The value of a live entry.
   * @throws KeyNotFoundError `E_KEY_NOT_FOUND`
   */
  getOrThrow(key: K): V {
    const value = this.get(key)
    if (value !== undefined) return value
    throw makeError('E_KEY_NOT_FOUND', `There is no entry of key ${describe(key)}.`, { key })
  }

  /** As `get`, but no use: neither the policy nor the metrics notice. */
  peek(key: K): V | undefined {
    return this.#channel.read(keyText(key), true) as V | undefined
  }

  /** A use of a live entry that nobody reads: the policy notes it, and a TTL that slides starts again. Whether there is one. */
  touch(key: K): boolean {
    return this.#channel.touch(keyText(key))
  }

  /** Whether there is a live entry. No use. */
  has(key: K): boolean {
    return this.#channel.ttl(keyText(key)) >= 0
  }

  /**
   * Stores a value, `null` included; an entry of the key is replaced, with its TTL.
   * @throws UnserializableError `E_UNSERIALIZABLE` for a value without a stored form, and for `undefined`
   * @throws ValueTooLargeError `E_VALUE_TOO_LARGE` where the entry alone has no room: nothing changes
   * @throws InvalidKeyError `E_INVALID_KEY`, InvalidTtlError `E_INVALID_TTL`
   */
  set(key: K, value: V, options?: SharedSetOptions): this {
    this.#put(key, value, options, WHEN.always)
    return this
  }

  /** Stores a value if there is no live entry; whether it did: of threads that try at once, one does. Throws as `set`. */
  add(key: K, value: V, options?: SharedSetOptions): boolean {
    return this.#put(key, value, options, WHEN.absent)
  }

  /** Stores a value if there is a live entry; whether it did. Throws as `set`. */
  update(key: K, value: V, options?: SharedSetOptions): boolean {
    return this.#put(key, value, options, WHEN.present)
  }

  /** Removes an entry; whether there was a live one. */
  delete(key: K): boolean {
    const text = keyText(key)
    this.#flights.outdate(text)
    return this.#channel.remove(text)
  }

  /** The values of many keys, in the order of the keys; `undefined` for a miss. */
  getMany(keys: Iterable<K>): (V | undefined)[] {
    return Array.from(keysOf(keys), (key) => this.get(key))
  }

  /** Stores many values; where one is refused, none is stored. Others see them one by one. Throws as `set`. */
  setMany(entries: Entries<K, V>, options?: SharedSetOptions): this {
    const lease = parseLease(options, this.#lease)
    const encoded = entriesOf(entries).map(([key, value]) => encodeEntry(key, value))
    for (const entry of encoded) this.#channel.checkSize(entry)
    for (const entry of encoded) {
      this.#flights.outdate(entry.text)
      this.#channel.store(entry, lease, WHEN.always)
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
   * The value of a live entry, or what `load` gives, which is stored unless it is `undefined`. Where `load` gives a promise, so
   * does this, and all in this thread who ask for the key meanwhile get the same one. What it brings is not stored where this
   * thread wrote, deleted or cleared the key meanwhile. A value that cannot be stored is returned all the same.
   */
  getOrSet<T extends V | undefined>(
    key: K,
    load: () => Promise<T>,
    options?: SharedSetOptions,
  ): V | Promise<T>
  getOrSet<T extends V | undefined>(key: K, load: () => T, options?: SharedSetOptions): V | T
  getOrSet(
    key: K,
    load: () => V | undefined | Promise<V | undefined>,
    options?: SharedSetOptions,
  ): V | undefined | Promise<V | undefined> {
    callback(load, 'load')
    const lease = parseLease(options, this.#lease)
    const text = keyText(key)
    const found = this.#channel.read(text, false) as V | undefined
    if (found !== undefined) return found
    const flight = this.#flights.find(text)
    if (flight !== undefined) return flight
    const loaded = counted(undefined, load)
    const keep = (value: V | undefined): void => this.#keep(text, value, lease)
    if (isPromise(loaded)) return this.#flights.follow(text, loaded, keep)
    keep(loaded)
    return loaded
  }

  /** Milliseconds until a live entry expires, `Infinity` for never; `undefined` where there is none. */
  ttl(key: K): number | undefined {
    const ttl = this.#channel.ttl(keyText(key))
    return ttl < 0 ? undefined : ttl
  }

  /** Gives a live entry another TTL, from now on, which slides where the old one did; whether there is one. @throws InvalidTtlError `E_INVALID_TTL` */
  expire(key: K, ttl: number | string): boolean {
    return this.#channel.expire(keyText(key), parseDuration(ttl, 'ttl'))
  }

  /** Entries held; those that have expired count until they are removed: by a read, by an eviction or by `cleanup`. */
  get size(): number {
    return this.#channel.figures().size
  }

  /** Entries that have not expired. Looks at all entries, a part of the cache at a time. */
  get validSize(): number {
    return this.#channel.liveSize()
  }

  /** Entries that have expired and are held still. As `validSize`. */
  expiredCount(): number {
    return this.size - this.validSize
  }

  /** Bytes held: keys, values and what holds them. */
  get bytes(): number {
    return this.#channel.figures().bytes
  }

  /** Removes all entries. */
  clear(): void {
    this.#flights.outdateAll()
    this.#channel.clear()
  }

  /** Removes the entries that have expired; gives how many. Looks at all entries, a part of the cache at a time. */
  cleanup(): number {
    return this.#channel.cleanup()
  }

  /** The keys of live entries: of each part of the cache as it is when its turn comes, the next victim first. */
  *keys(): Generator<K, undefined> {
    for (const text of this.#channel.texts()) yield keyFromText(text) as K
    return undefined
  }

  /** Keys and values of live entries, in the order of `keys`. Not a use. What has left before its turn does not come. */
  *entries(): Generator<[K, V], undefined> {
    for (const text of this.#channel.texts()) {
      const value = this.#channel.read(text, true) as V | undefined
      if (value !== undefined) yield [keyFromText(text) as K, value]
    }
    return undefined
  }

  /** The values of live entries, as `entries`. */
  *values(): Generator<V, undefined> {
    for (const [, value] of this.entries()) yield value
    return undefined
  }

  /** The keys of live entries that expire, in the order of `keys`, each with its time in milliseconds since the Unix epoch. */
  *keysWithExpiry(): Generator<[K, number], undefined> {
    for (const text of this.#channel.texts()) {
      const ttl = this.#channel.ttl(text)
      if (ttl >= 0 && ttl !== Infinity) yield [keyFromText(text) as K, Date.now() + ttl]
    }
    return undefined
  }

  [Symbol.iterator](): Generator<[K, V], undefined> {
    return this.entries()
  }

  /** What the cache did in all threads, and holds. */
  metrics(): SharedMemoryMetrics {
    const figures = this.#channel.figures()
    const reads = figures.hits + figures.misses
    return { ...figures, hitRatio: reads === 0 ? 0 : figures.hits / reads, maxSize: this.maxSize }
  }

  /** Starts all counts again, for all threads. */
  resetMetrics(): void {
    this.#channel.resetFigures()
  }

  /** Checks the cache's own account; gives what is wrong, or an empty text. For tests and reports. */
  check(): string {
    return this.#channel.check()
  }

  /** Lets go of the cache: it stays for others that have it open, and is freed with the last one. Later uses are an `E_CLOSED`. */
  close(): void {
    this.#flights.outdateAll()
    this.#channel.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #put(key: K, value: V, options: SharedSetOptions | undefined, when: When): boolean {
    const lease = options === undefined ? this.#lease : parseLease(options, this.#lease)
    const entry = encodeEntry(key, value)
    this.#flights.outdate(entry.text)
    return this.#channel.store(entry, lease, when)
  }

  /** Stores what a loader gave. A fault of the cache does not break the load. */
  #keep(text: string, value: V | undefined, lease: Lease): void {
    if (value === undefined) return
    try {
      this.#channel.store({ text, encoded: encode(value) }, lease, WHEN.always)
    } catch {
      // Too large, without a stored form, or closed meanwhile: the caller has its value.
    }
  }
}

function encodeEntry(key: Key, value: unknown): SharedEntry {
  if (value === undefined) throw refuseUndefined()
  return { text: keyText(key), encoded: encode(value) }
}
