/** `MemoryCache`: live values, synchronous. The verbs; entries, policies and files each have a file in `memory/`. */
import { makeError, TierceError } from './errors.js'
import { Faults } from './events.js'
import { pathOf, readFile, readFileSync, type SaveOptions, writeFile, writeFileSync } from './memory/files.js'
import { Flights, isPromise } from './memory/flights.js'
import { Counters, type MemoryMetrics } from './memory/metrics.js'
import {
  type MemoryCacheOptions,
  type MemoryKey,
  type ParsedMemoryOptions,
  parseMemoryOptions,
} from './memory/options.js'
import { evictorFor } from './memory/policies.js'
import { serializerNamed } from './memory/serializers.js'
import { decodeSnapshot, encodeSnapshot, type SavedEntry } from './memory/snapshot.js'
import { type RemovalReason, Store } from './memory/store.js'
import { Sweeper } from './memory/sweeper.js'
import { boolean, callback, checkOptions, parseDuration } from './options.js'
import { describe } from './refusal.js'

/** Options of one entry. */
export interface MemorySetOptions {
  /** Time to live: milliseconds or `'90s'`, `'1h'`; `Infinity` or `'never'` for no expiry. Default: the cache's. */
  ttl?: number | string | undefined
  /** Whether each `get` starts the TTL again. Default: the cache's. */
  sliding?: boolean | undefined
}

/** Options of `load`. */
export interface LoadOptions {
  /** Keeps what the cache holds; of a key that is in both, the file's value counts. Default false: the file replaces it. */
  merge?: boolean | undefined
}

/** Pairs, a `Map`, or an object whose names are the keys. */
export type MemoryEntries<K, V> = Iterable<readonly [K, V]> | { readonly [key: string]: V }

/** The greatest weight that a policy counts for one entry. */
const HEAVIEST = 2 ** 32 - 1

/**
 * A cache of live values in this process: nothing is copied or serialized, and `undefined` always means a miss.
 *
 * `max` and `maxSize` hold after every call. A TTL is looked at on every read: an entry whose TTL has passed is a miss, though
 * it counts in `size` until it is removed. Without a `clock` of your own the time that entries are compared with is at most
 * about a millisecond old.
 */
export class MemoryCache<K extends MemoryKey = string, V = unknown> {
  readonly #options: ParsedMemoryOptions
  readonly #counters: Counters | undefined
  readonly #flights = new Flights<K, V | undefined>()
  readonly #sweeper: Sweeper
  readonly #tells: boolean
  readonly #isWeighed: boolean
  readonly #ttl: number
  readonly #sliding: boolean
  #store: Store<K, V>

  /**
   * @throws InvalidOptionError `E_INVALID_OPTION`, naming the option and what is accepted
   * @throws InvalidTtlError `E_INVALID_TTL`
   */
  constructor(options: MemoryCacheOptions<K, V> = {}) {
    const parsed = parseMemoryOptions(options as MemoryCacheOptions<never, never>)
    this.#options = parsed
    this.#counters = parsed.metrics ? new Counters() : undefined
    this.#tells = parsed.onEvict !== undefined
    this.#isWeighed = parsed.maxSize !== Infinity
    this.#ttl = parsed.ttl
    this.#sliding = parsed.sliding
    this.#sweeper = new Sweeper(this, parsed.cleanupInterval)
    const sweeper = this.#sweeper
    this.#store = new Store<K, V>({
      max: parsed.max,
      maxWeight: parsed.maxSize,
      now: parsed.now,
      tick: Math.max(1, Math.min(parsed.cleanupInterval, 1000)),
      tells: this.#tells,
      counters: this.#counters,
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
    return slot === undefined ? undefined : this.#store.values[slot]
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
    this.#put(key, value, options, this.#isWeighed ? this.#weigh(key, value) : 1)
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
    return Array.from(keys, (key) => this.get(key))
  }

  /** Stores many values; where one is refused, none is stored. Throws as `set` does. */
  setMany(entries: MemoryEntries<K, V>, options?: MemorySetOptions): this {
    const pairs = Symbol.iterator in entries ? [...entries] : (Object.entries(entries) as [K, V][])
    const weights = pairs.map(([key, value]) => {
      if (value === undefined) throw refuseUndefined()
      checkKey(key)
      return this.#options.maxSize === Infinity ? 1 : this.#weigh(key, value)
    })
    this.#timeOf(options)
    for (const [index, [key, value]] of pairs.entries()) {
      this.#flights.outdate(key)
      this.#put(key, value, options, weights[index] as number)
    }
    return this
  }

  /** Removes many entries; how many there were. */
  deleteMany(keys: Iterable<K>): number {
    let deleted = 0
    for (const key of keys) if (this.delete(key)) deleted++
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
    this.#timeOf(options)
    const start = performance.now()
    const loaded = this.#counted(start, () => load(key))
    if (!isPromise(loaded)) {
      if (this.#counters !== undefined) this.#counters.loadTime += performance.now() - start
      this.#keep(key, loaded, options)
      return loaded
    }
    const timed = this.#timed(start, loaded)
    return this.#flights.follow(key, timed, (value) => this.#keep(key, value, options))
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
    this.#store.setTtl(slot, time, this.#store.slideOf(slot) > 0)
    return true
  }

  /** Entries held; those that have expired count until they are removed. */
  get size(): number {
    return this.#store.map.size
  }

  /** Entries that have not expired. Looks at all entries, where there are any with a TTL. */
  get validSize(): number {
    return this.#store.countLive()
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
      if (slot !== undefined) yield [key, this.#store.values[slot] as V]
    }
    return undefined
  }

  [Symbol.iterator](): Generator<[K, V], undefined> {
    return this.entries()
  }

  /** Ends the background cleanup. Entries that have expired are still misses, and are removed when they are met. */
  stop(): void {
    this.#sweeper.stop()
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

  /**
   * Writes all live entries to a file, with the rest of their TTLs and in the order of the policy. The file is replaced in one
   * step, and has a checksum. What is saved is what the cache holds when this is called.
   * @param file default: `filename` with the serializer's extension; a relative path starts at `dir`
   * @returns the absolute path
   * @throws UnserializableError `E_UNSERIALIZABLE`
   * @throws StorageFullError `E_STORAGE_FULL`, ReadOnlyError `E_READ_ONLY`, UnavailableError `E_UNAVAILABLE` for the file
   */
  async save(file?: string, options?: SaveOptions): Promise<string> {
    const path = this.#savePath(file, options, this.#options.filename)
    await writeFile(path, this.#snapshot())
    return path
  }

  /** As `save`. */
  saveSync(file?: string, options?: SaveOptions): string {
    const path = this.#savePath(file, options, this.#options.filename)
    writeFileSync(path, this.#snapshot())
    return path
  }

  /**
   * Reads a file that `save` wrote. Entries whose TTL has passed meanwhile are left out. A file that cannot be read changes
   * nothing.
   * @returns how many entries it brought
   * @throws FormatError `E_FORMAT` for a file of something else, CorruptError `E_CORRUPT` for a damaged one, UnavailableError
   * `E_UNAVAILABLE` for a missing one
   */
  async load(file?: string, options?: LoadOptions): Promise<number> {
    const merge = parseLoad(options)
    const path = this.#loadPath(file)
    return this.#restore(await readFile(path), path, merge)
  }

  /** As `load`. */
  loadSync(file?: string, options?: LoadOptions): number {
    const merge = parseLoad(options)
    const path = this.#loadPath(file)
    return this.#restore(readFileSync(path), path, merge)
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

  /**
   * Writes the metrics to a file, as JSON, replaced in one step.
   * @param file default: `filename` with `-metrics.json`; a relative path starts at `dir`
   * @returns the absolute path
   */
  async saveMetrics(file?: string, options?: SaveOptions): Promise<string> {
    const path = this.#savePath(file, options, `${this.#options.filename}-metrics`, 'json')
    await writeFile(path, [Buffer.from(`${JSON.stringify(this.metrics(), undefined, 2)}\n`)])
    return path
  }

  /** As `saveMetrics`. */
  saveMetricsSync(file?: string, options?: SaveOptions): string {
    const path = this.#savePath(file, options, `${this.#options.filename}-metrics`, 'json')
    writeFileSync(path, [Buffer.from(`${JSON.stringify(this.metrics(), undefined, 2)}\n`)])
    return path
  }

  /** Checks the cache's own account against all entries; gives what is wrong, or an empty text. For tests and reports. */
  check(): string {
    return this.#store.check()
  }

  #put(key: K, value: V, options: MemorySetOptions | undefined, weight: number): void {
    if (options === undefined) this.#store.set(key, value, weight, this.#ttl, this.#sliding)
    else {
      const { ttl, sliding } = this.#timeOf(options)
      this.#store.set(key, value, weight, ttl, sliding)
    }
    if (this.#tells) this.#tell()
  }

  /** Stores what a loader gave. A fault of the cache does not break the load. */
  #keep(key: K, value: V | undefined, options: MemorySetOptions | undefined): void {
    if (value === undefined || this.#store === CLOSED) return
    let weight = 1
    try {
      if (this.#options.maxSize !== Infinity) weight = this.#weigh(key, value)
    } catch (error) {
      if (!(error instanceof TierceError && error.code === 'E_VALUE_TOO_LARGE')) new Faults().report(error)
      return
    }
    this.#put(key, value, options, weight)
  }

  #weigh(key: K, value: V): number {
    const given = this.#options.weigher(value, key)
    if (typeof given !== 'number' || !(given >= 0)) {
      throw makeError(
        'E_INVALID_OPTION',
        `Invalid weigher: it gave ${describe(given)}. It has to give a number of bytes.`,
        { option: 'weigher' },
      )
    }
    const weight = Math.max(1, Math.ceil(given))
    const most = Math.min(this.#options.maxSize, HEAVIEST)
    if (weight <= most) return weight
    if (this.#counters !== undefined) this.#counters.rejected++
    throw makeError(
      'E_VALUE_TOO_LARGE',
      `The value of key ${describe(key)} weighs ${weight} bytes, and all of the cache may hold ${most}. Nothing was changed.`,
      { weight, maxSize: most },
    )
  }

  #timeOf(options: MemorySetOptions | undefined): { ttl: number; sliding: boolean } {
    const { ttl, sliding } = this.#options
    if (options === undefined) return { ttl, sliding }
    if (options.ttl === undefined || options.sliding !== undefined)
      checkOptions(options, ['ttl', 'sliding'], 'set')
    return {
      ttl: options.ttl === undefined ? ttl : parseDuration(options.ttl, 'ttl'),
      sliding: options.sliding === undefined ? sliding : boolean(options.sliding, 'sliding'),
    }
  }

  #counted<T>(start: number, run: () => T): T {
    if (this.#counters !== undefined) this.#counters.loads++
    try {
      return run()
    } catch (error) {
      if (this.#counters !== undefined) this.#counters.loadFailures++
      if (this.#counters !== undefined) this.#counters.loadTime += performance.now() - start
      throw error
    }
  }

  async #timed<T>(start: number, loaded: PromiseLike<T>): Promise<T> {
    try {
      return await loaded
    } catch (error) {
      if (this.#counters !== undefined) this.#counters.loadFailures++
      throw error
    } finally {
      if (this.#counters !== undefined) this.#counters.loadTime += performance.now() - start
    }
  }

  /** Tells `onEvict` what left. Only now, when all is in order: it may call back into the cache. */
  #tell(): void {
    const store = this.#store
    if (store.removals.length === 0) return
    const onEvict = this.#options.onEvict as (key: K, value: V, reason: RemovalReason) => void
    const thrown: unknown[] = []
    while (store.removals.length > 0) {
      const removals = store.removals
      store.removals = []
      for (const { key, value, reason } of removals) {
        try {
          onEvict(key, value, reason)
        } catch (error) {
          thrown.push(error)
        }
      }
    }
    if (thrown.length > 0) throw thrown[0]
  }

  #savePath(
    file: string | undefined,
    options: SaveOptions | undefined,
    name: string,
    extension?: string,
  ): string {
    checkOptions(options, ['timestamp'], 'save')
    const dated = options?.timestamp === undefined ? false : boolean(options.timestamp, 'timestamp')
    const { dir, serializer, now } = this.#options
    return pathOf(file, dir, name, extension ?? extensionOf(serializer), dated ? now() : undefined)
  }

  #loadPath(file: string | undefined): string {
    const { dir, filename, serializer } = this.#options
    return pathOf(file, dir, filename, extensionOf(serializer), undefined)
  }

  #snapshot(): Uint8Array[] {
    const { now, policy, serializer } = this.#options
    const store = this.#store
    const time = now()
    const entries: SavedEntry<K, V>[] = []
    for (const key of store.order()) {
      const slot = store.find(key)
      if (slot === undefined) continue
      const ttl = store.expiresAt(slot) - time
      if (ttl > 0) entries.push({ key, value: store.values[slot] as V, ttl, slides: store.slideOf(slot) })
    }
    return encodeSnapshot(entries, { serializer, policy, now: time })
  }

  #restore(bytes: Buffer, path: string, merge: boolean): number {
    const entries = decodeSnapshot<K, V>(bytes, path, this.#options.now())
    // Whatever can throw comes before the first change.
    const weights = entries.map(({ key, value }) => this.#weightOrNone(key, value))
    const store = this.#store
    this.#flights.outdateAll()
    if (!merge) store.clear()
    const order = [...entries.keys()]
    if (store.evictor.newestFirst) order.reverse()
    let stored = 0
    for (const index of order) {
      const { key, value, ttl, slides } = entries[index] as SavedEntry<K, V>
      const weight = weights[index]
      if (weight === undefined) continue
      store.restore(key, value, weight, ttl, slides)
      stored++
    }
    if (this.#tells) this.#tell()
    return stored
  }

  /** What a saved entry weighs here, or `undefined` where it is too large for this cache. */
  #weightOrNone(key: K, value: V): number | undefined {
    if (this.#options.maxSize === Infinity) return 1
    try {
      return this.#weigh(key, value)
    } catch (error) {
      if (error instanceof TierceError && error.code === 'E_VALUE_TOO_LARGE') return undefined
      throw error
    }
  }
}

/** In the place of the store of a closed cache. */
const CLOSED: unknown = new Proxy(
  {},
  {
    get() {
      throw makeError('E_CLOSED', 'This MemoryCache is closed. Make a new one.')
    },
  },
)

function extensionOf(serializer: string): string {
  return serializerNamed(serializer)!.extension
}

function parseLoad(options: LoadOptions | undefined): boolean {
  checkOptions(options, ['merge'], 'load')
  return options?.merge === undefined ? false : boolean(options.merge, 'merge')
}

function checkKey(key: unknown): void {
  switch (typeof key) {
    case 'string':
    case 'number':
    case 'bigint':
    case 'function':
      return
    case 'object':
      if (key !== null) return
  }
  throw makeError(
    'E_INVALID_KEY',
    `A key is ${describe(key)}. Accepted are strings, numbers, bigints, and objects by identity.`,
    {},
  )
}

function refuseUndefined(): Error {
  return makeError(
    'E_UNSERIALIZABLE',
    'undefined cannot be stored: it is what a miss gives. Store null, or delete the key.',
    { path: 'value' },
  )
}
