/** `Cache`: the verbs. Keys, values, tiers and loads each have a file of their own; here they meet. */
import {
  type CacheOptions,
  type Codec,
  type Duration,
  type ParsedOptions,
  parseCoding,
  parseOptions,
} from './cache-options.js'
import { makeError } from './errors.js'
import { type ErrorListener, Faults } from './events.js'
import { type CallKey, type Key, keyFromText, keyText, keyTextSoon } from './keys.js'
import { Flights } from './load.js'
import { callback, checkOptions, oneOf, parseDuration, positiveInteger } from './options.js'
import { codecName, type DiskHit, DiskTier } from './tiers/disk.js'
import { type MemoryEntry, MemoryTier } from './tiers/memory.js'
import { weigh } from './tiers/weigh.js'
import type { Coding, Facts, Outcome, Packed } from './tiers/wire.js'
import { giveOut, keep } from './values/copies.js'
import { type Encoded, encode, kindName, kindOf } from './values/index.js'

/** Options of one entry. */
export interface SetOptions {
  /** Time to live. Default: the cache's. */
  ttl?: Duration | undefined
  /** Compression on disk. Default: that of the value's kind, else the cache's. */
  codec?: Codec | undefined
  /** Level of the codec, where it has one. */
  level?: number | undefined
}

/** A value on its way into the tiers. */
interface Storing {
  text: string
  value: unknown
  expiresAt: number
  coding: Coding | undefined
}

/** What is known of an entry. Sizes in bytes, times in milliseconds since the Unix epoch. */
export interface CacheEntry<V = unknown> {
  value: V
  /**
   * The form that the value is stored in: bytes, string, typed-array, ndarray, series, json, structured, or the name of a handler
   * that was defined; `live` where it is in memory only.
   */
  kind: string
  createdAt: number
  /** `Infinity` never expires. */
  expiresAt: number
  accessedAt: number
  /** Reads before this one. */
  hits: number
  /** Of the value; an estimate where it is in memory only. */
  size: number
  /** After compression. */
  storedSize: number
  codec: string
  /** The first tier that holds it. */
  tier: 'memory' | 'disk'
}

/** What a cache holds. Expired entries count until they are removed. Sizes in bytes. */
export interface CacheStats {
  entries: number
  /** Of the values. */
  size: number
  /** Of the values after compression; the same as `size` without a disk tier. */
  storedSize: number
  /** Database pages in use and value files; 0 without a disk tier. */
  diskSize: number
  /** Reads of this cache object that found an entry, and those that did not. */
  hits: number
  misses: number
  memory: { entries: number; size: number }
}

/** Which keys to list. */
export interface KeysOptions {
  /** String keys that start with this. */
  prefix?: string | undefined
  /** At most so many. */
  limit?: number | undefined
}

/** Keys of a page of a listing. */
const PAGE = 1000

/**
 * A cache in tiers: live values in memory, before entries on disk that survive the process and are shared with others.
 *
 * A value that comes out is the value that went in, or it is a miss. Values handed out of memory are the live ones: treat
 * them as read-only.
 */
export class Cache {
  readonly #ttl: number
  readonly #now: () => number
  readonly #codecs: ReadonlyMap<string, Coding>
  /** Memory keeps values apart from those that callers hold. */
  readonly #copies: boolean
  readonly #memory: MemoryTier | undefined
  readonly #disk: DiskTier | undefined
  readonly #faults = new Faults()
  readonly #flights: Flights<SetOptions>
  #hits = 0
  #misses = 0
  /** Set by the first `close`. */
  #closing: Promise<void> | undefined

  /**
   * Opens the directory, if there is one.
   * @throws InvalidOptionError `E_INVALID_OPTION`, InvalidTtlError `E_INVALID_TTL`: an option is not accepted
   * @throws UnavailableError `E_UNAVAILABLE`: the directory's parent is missing, or a file is in its place
   * @throws ReadOnlyError `E_READ_ONLY`, StorageFullError `E_STORAGE_FULL`: as they say
   * @throws FormatError `E_FORMAT`: a newer release, or something else, wrote the directory
   */
  constructor(options: CacheOptions = {}) {
    const parsed: ParsedOptions = parseOptions(options)
    this.#ttl = parsed.ttl
    this.#now = parsed.now
    this.#codecs = parsed.codecs
    this.#copies = parsed.copies
    if (parsed.memory !== undefined) this.#memory = new MemoryTier(parsed.memory)
    if (parsed.disk !== undefined) {
      this.#disk = new DiskTier(parsed.disk, parsed.now, (code, message) => this.#faults.tell(code, message))
    }
    this.#flights = new Flights({
      read: (text) => this.#read(text),
      write: (text, value, given) => this.#store([{ text, value, ...this.#storing(given) }]),
      report: (fault) => this.#faults.report(fault),
    })
  }

  /**
   * Stores a value. In memory it is there when this returns; on disk when the promise resolves, and then no kill loses it.
   * @throws InvalidKeyError `E_INVALID_KEY`, InvalidTtlError `E_INVALID_TTL`: what was given is not accepted
   * @throws UnserializableError `E_UNSERIALIZABLE`: the value has no stored form; names the path inside it
   * @throws ValueTooLargeError `E_VALUE_TOO_LARGE`: it does not fit into `maxSize`
   * @throws StorageFullError `E_STORAGE_FULL`, LockTimeoutError `E_LOCK_TIMEOUT`: what the disk says; nothing changed
   */
  async set(key: Key, value: unknown, options: SetOptions = {}): Promise<void> {
    const text = this.#textSoon(key)
    const storing = this.#storing(options)
    await this.#store([{ text: typeof text === 'string' ? text : await text, value, ...storing }])
  }

  /** Stores many values in one transaction: all of them, or none. Errors as `set`. */
  async setMany(entries: Iterable<readonly [Key, unknown]>, options: SetOptions = {}): Promise<void> {
    const storing = this.#storing(options)
    const given = [...entries]
    const texts = this.#textsSoon(given.map(([key]) => key))
    const known = texts instanceof Promise ? await texts : texts
    await this.#store(given.map(([, value], index) => ({ text: known[index]!, value, ...storing })))
  }

  /** As `set`, on this thread: the value is on disk when this returns. */
  setSync(key: Key, value: unknown, options: SetOptions = {}): void {
    this.#storeSync({ text: this.#text(key), value, ...this.#storing(options) })
  }

  /** The value of a key; `undefined` on a miss. A stored null comes back as null. */
  async get<V = unknown>(key: Key): Promise<V | undefined> {
    const text = this.#textSoon(key)
    return this.#read(typeof text === 'string' ? text : await text) as V | undefined
  }

  /** The values of many keys, aligned with them; those on disk are read in one call, from one snapshot. */
  async getMany<V = unknown>(keys: Iterable<Key>): Promise<(V | undefined)[]> {
    const soon = this.#textsSoon(keys)
    const texts = soon instanceof Promise ? await soon : soon
    const live = texts.map((text) => this.#live(text))
    const missing = texts.filter((_, index) => live[index] === undefined)
    const read = this.#disk === undefined || missing.length === 0 ? [] : await this.#disk.readMany(missing)
    let next = 0
    return live.map((entry, index) => {
      const hit = entry ?? this.#remember(texts[index]!, read[next++])
      this.#count(hit !== undefined)
      return this.#given(hit) as V | undefined
    })
  }

  /** As `get`, on this thread. */
  getSync<V = unknown>(key: Key): V | undefined {
    return this.#readSync(this.#text(key)) as V | undefined
  }

  /** The value of a key and what is known beside it; `undefined` on a miss. */
  async entry<V = unknown>(key: Key): Promise<CacheEntry<V> | undefined> {
    const soon = this.#textSoon(key)
    const text = typeof soon === 'string' ? soon : await soon
    const live = this.#current(text)
    if (this.#disk === undefined) {
      const entry = this.#live(text)
      this.#count(entry !== undefined)
      return entry === undefined ? undefined : memoryFacts(entry, this.#given(entry) as V)
    }
    this.#tellAccesses()
    const hit = await this.#disk.read(text)
    this.#count(hit !== undefined)
    if (hit === undefined) return undefined
    const tier = live !== undefined && live === this.#memory?.peek(text) ? 'memory' : 'disk'
    return diskFacts<V>(hit.value as V, hit.facts, tier)
  }

  /** Whether a key has a live entry. Does not count as an access. */
  async has(key: Key): Promise<boolean> {
    const soon = this.#textSoon(key)
    const text = typeof soon === 'string' ? soon : await soon
    return this.#current(text) !== undefined || ((await this.#disk?.has(text)) ?? false)
  }

  /** Removes a key. Resolves to whether it had a live entry. */
  async delete(key: Key): Promise<boolean> {
    return (await this.deleteMany([key])) === 1
  }

  /** Removes many keys in one transaction. Resolves to how many had a live entry. */
  async deleteMany(keys: Iterable<Key>): Promise<number> {
    const soon = this.#textsSoon(keys)
    const texts = soon instanceof Promise ? await soon : soon
    const live = texts.filter((text) => this.#forget(text))
    if (this.#disk === undefined) return live.length
    const outcomes = await this.#disk.delete(texts)
    return outcomes.filter(({ existed }) => existed).length
  }

  /** As `delete`, on this thread. */
  deleteSync(key: Key): boolean {
    const text = this.#text(key)
    const live = this.#forget(text)
    return this.#disk === undefined ? live : this.#disk.deleteSync(text).existed
  }

  /** Removes every entry. */
  async clear(): Promise<void> {
    this.#open()
    this.#flights.outdateAll()
    this.#memory?.clear()
    await this.#disk?.clear()
  }

  /**
   * The value of a key, or what `load` gives, which is stored unless it is `undefined`. Of all who ask for a key at one time
   * one loads, and all get its value or its error. A fault of the cache goes to the 'error' event, never to the caller; so
   * does `E_CLOSED`, and then nothing is stored.
   * @throws what `load` throws, untouched; InvalidKeyError, InvalidTtlError
   */
  async getOrSet<V>(key: Key, load: () => V | Promise<V>, options: SetOptions = {}): Promise<V> {
    const soon = this.#checkLoad(key, load, options, keyTextSoon)
    const text = typeof soon === 'string' ? soon : await soon
    if (this.#closing !== undefined) return this.#loadClosed(load)
    const live = this.#live(text)
    if (live !== undefined) {
      this.#count(true)
      return this.#given(live) as V
    }
    return this.#own(await this.#flights.getOrSet(text, load, options)) as V
  }

  /** Loads and stores although there may be a value. */
  async refresh<V>(key: Key, load: () => V | Promise<V>, options: SetOptions = {}): Promise<V> {
    const soon = this.#checkLoad(key, load, options, keyTextSoon)
    const text = typeof soon === 'string' ? soon : await soon
    if (this.#closing !== undefined) return this.#loadClosed(load)
    return this.#own(await this.#flights.fresh(text, load, options)) as V
  }

  /** As `getOrSet` for a synchronous load, on this thread. Never waits for an asynchronous load of the same key. */
  getOrSetSync<V>(key: Key, load: () => V, options: SetOptions = {}): V {
    const text = this.#checkLoad(key, load, options, keyText)
    if (this.#closing !== undefined) return this.#loadClosed(load)
    let known: unknown
    try {
      known = this.#readSync(text)
    } catch (fault) {
      this.#faults.report(fault)
    }
    return known === undefined ? this.#loadSync(text, load, options) : (known as V)
  }

  /** As `refresh` for a synchronous load, on this thread. */
  refreshSync<V>(key: Key, load: () => V, options: SetOptions = {}): V {
    const text = this.#checkLoad(key, load, options, keyText)
    return this.#closing === undefined ? this.#loadSync(text, load, options) : this.#loadClosed(load)
  }

  #loadSync<V>(text: string, load: () => V, options: SetOptions): V {
    const value = load()
    if (value !== undefined) {
      try {
        this.#open() // the load may have closed it
        this.#storeSync({ text, value, ...this.#storing(options) })
      } catch (fault) {
        this.#faults.report(fault)
      }
    }
    return value
  }

  /** What the caller gave is refused now, not after a costly load. */
  #checkLoad<T>(key: Key, load: () => unknown, options: SetOptions, text: (key: Key) => T): T {
    callback(load, 'load')
    this.#storing(options)
    return text(key)
  }

  /** A program that is shutting down still gets its values. */
  #loadClosed<T>(load: () => T): T {
    this.#faults.report(closed())
    return load()
  }

  /**
   * The keys of live entries, as they were given, page by page. A key over 1024 bytes comes back as a `HashedKey`. Entries
   * that are added meanwhile may or may not be seen.
   */
  async *keys(options: KeysOptions = {}): AsyncGenerator<Key | CallKey, void, undefined> {
    this.#open()
    checkOptions(options, ['prefix', 'limit'], 'keys')
    const { prefix = '' } = options
    let left =
      options.limit === undefined ? Number.POSITIVE_INFINITY : positiveInteger(options.limit, 'limit')
    for await (const text of this.#texts()) {
      const key = keyFromText(text)
      if (prefix !== '' && !(typeof key === 'string' && key.startsWith(prefix))) continue
      yield key
      if (--left === 0) return
    }
  }

  async *#texts(): AsyncGenerator<string> {
    if (this.#disk === undefined) {
      const now = this.#now()
      const live = [...(this.#memory?.entries() ?? [])].filter((entry) => entry.expiresAt > now)
      yield* live.map((entry) => entry.text)
      return
    }
    let cursor: Buffer | undefined
    do {
      const page = await this.#disk.page(cursor, PAGE)
      yield* page.entries.map((entry) => entry.text)
      cursor = page.next
    } while (cursor !== undefined)
  }

  /** How many entries there are, expired ones included until they are removed. */
  async size(): Promise<number> {
    return (await this.stats()).entries
  }

  /** What is stored, and how the reads of this object fared. */
  async stats(): Promise<CacheStats> {
    this.#open()
    const memory = { entries: this.#memory?.count ?? 0, size: this.#memory?.size ?? 0 }
    const reads = { hits: this.#hits, misses: this.#misses, memory }
    if (this.#disk === undefined) {
      return { entries: memory.entries, size: memory.size, storedSize: memory.size, diskSize: 0, ...reads }
    }
    return { ...(await this.#disk.stats()), ...reads }
  }

  /** Listens to faults that broke no call: a damaged entry, a store that failed after a load. */
  on(event: 'error', listener: ErrorListener): this {
    oneOf(event, 'event', ['error'])
    this.#faults.add(callback(listener, 'listener'))
    return this
  }

  /** Stops listening. */
  off(event: 'error', listener: ErrorListener): this {
    oneOf(event, 'event', ['error'])
    this.#faults.remove(listener)
    return this
  }

  /** Finishes the writes under way and lets go of the directory. Every later call is an `E_CLOSED`, but loads go on. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    try {
      this.#tellAccesses()
    } finally {
      this.#flights.outdateAll()
      this.#memory?.clear()
      await this.#disk?.close()
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #open(): void {
    if (this.#closing !== undefined) throw closed()
  }

  #text(key: Key): string {
    this.#open()
    return keyText(key)
  }

  /** As `#text`, and only a promise where the key names content that has to be read. */
  #textSoon(key: Key): string | Promise<string> {
    this.#open()
    const text = keyTextSoon(key)
    if (typeof text === 'string') return text
    return text.then((read) => {
      this.#open() // it may have been closed meanwhile
      return read
    })
  }

  /** The content of many keys is read in parallel. */
  #textsSoon(keys: Iterable<Key>): readonly string[] | Promise<readonly string[]> {
    const texts = Array.from(keys, (key) => this.#textSoon(key))
    return texts.every((text) => typeof text === 'string') ? texts : Promise.all(texts)
  }

  #storing(options: SetOptions): Pick<Storing, 'expiresAt' | 'coding'> {
    checkOptions(options, ['ttl', 'codec', 'level'], 'an entry')
    const ttl = options.ttl === undefined ? this.#ttl : parseDuration(options.ttl, 'ttl')
    return { expiresAt: this.#now() + ttl, coding: parseCoding(options) }
  }

  /** What a caller gets of a value that was found. */
  #given(hit: { value: unknown } | undefined): unknown {
    return this.#copies ? giveOut(hit?.value) : hit?.value
  }

  /** What one of several callers gets of a value that all of them would share. */
  #own(value: unknown): unknown {
    if (!this.#copies) return value
    try {
      return giveOut(keep(value))
    } catch {
      return value // it has no stored form, so nothing else holds it
    }
  }

  #count(hit: boolean): void {
    if (hit) this.#hits++
    else this.#misses++
  }

  /** The entry in memory, if it is neither expired nor overtaken by a write of another process or thread. */
  #current(text: string, now = this.#now()): MemoryEntry | undefined {
    const entry = this.#memory?.peek(text)
    if (entry === undefined) return undefined
    const { place } = entry
    const overtaken = place !== undefined && this.#disk?.isCurrent(place.slot, place.epoch) === false
    if (entry.expiresAt > now && !overtaken) return entry
    this.#memory?.remove(entry)
    return undefined
  }

  /** As `#current`, and notes the access. */
  #live(text: string): MemoryEntry | undefined {
    const now = this.#now()
    const entry = this.#current(text, now)
    if (entry !== undefined) this.#memory?.use(entry, now)
    return entry
  }

  #read(text: string): unknown {
    const live = this.#live(text)
    const found = live ?? this.#disk?.read(text)
    const done = (hit: MemoryEntry | DiskHit | undefined): unknown => {
      if (hit !== live) this.#remember(text, hit as DiskHit | undefined)
      this.#count(hit !== undefined)
      return this.#given(hit)
    }
    return found instanceof Promise ? found.then(done) : done(found)
  }

  #readSync(text: string): unknown {
    const hit = this.#live(text) ?? this.#remember(text, this.#disk?.readSync(text))
    this.#count(hit !== undefined)
    return this.#given(hit)
  }

  /** Keeps what was read from disk in memory, unless something newer is there by now. */
  #remember(text: string, hit: DiskHit | undefined): DiskHit | undefined {
    if (hit !== undefined && this.#memory !== undefined && this.#current(text) === undefined) {
      const { facts, value } = hit
      const { size, createdAt, expiresAt } = facts
      const kept = this.#copies ? keep(value) : value
      const kind = kindName(facts.kind, value)
      this.#memory.set({ text, value: kept, kind, size, createdAt, expiresAt, place: facts })
    }
    return hit
  }

  async #store(writes: readonly Storing[]): Promise<void> {
    const encoded = writes.map(({ value }) => this.#encode(value))
    this.#tellAccesses()
    const kept = writes.map((write, index) => this.#keep(write, encoded[index]))
    if (this.#disk === undefined) return
    try {
      const outcomes = await this.#disk.set(
        writes.map((write, index) => ({ ...write, encoded: this.#packed(write, encoded[index]!) })),
      )
      for (const [index, entry] of kept.entries()) this.#confirm(entry, outcomes[index]!)
    } catch (error) {
      for (const entry of kept) if (entry !== undefined) this.#memory?.remove(entry)
      throw error
    }
  }

  #storeSync(write: Storing): void {
    const encoded = this.#encode(write.value)
    this.#tellAccesses()
    const kept = this.#keep(write, encoded)
    if (this.#disk === undefined || encoded === undefined) return
    try {
      this.#confirm(kept, this.#disk.setSync(write.text, this.#packed(write, encoded), write.expiresAt))
    } catch (error) {
      if (kept !== undefined) this.#memory?.remove(kept)
      throw error
    }
  }

  /** The stored form, where a tier needs one. */
  #encode(value: unknown): Encoded | undefined {
    const given = storable(value)
    return this.#disk === undefined && !this.#copies ? undefined : encode(given)
  }

  #packed({ coding }: Storing, encoded: Encoded): Packed {
    const chosen = coding ?? (this.#codecs.size === 0 ? undefined : this.#codecs.get(kindOf(encoded)))
    return chosen === undefined ? encoded : { ...encoded, coding: chosen }
  }

  /** Puts a value into memory, where it answers at once; its epoch is not known before it is on disk. */
  #keep({ text, value, expiresAt }: Storing, encoded: Encoded | undefined): MemoryEntry | undefined {
    this.#flights.outdate(text)
    return this.#memory?.set({
      text,
      value: this.#copies ? keep(value, encoded) : value,
      expiresAt,
      size: encoded === undefined ? weigh(value) : encoded.data.length,
      kind: encoded === undefined ? 'live' : kindOf(encoded),
      createdAt: this.#now(),
    })
  }

  /** The write is on disk: from now on the entry in memory follows its epoch. */
  #confirm(entry: MemoryEntry | undefined, outcome: Outcome): void {
    if (entry === undefined) return
    if (outcome.cacheable) entry.place = outcome
    else this.#memory?.remove(entry)
  }

  /** Removes a key from memory and from loads under way; whether it was live there. */
  #forget(text: string): boolean {
    this.#flights.outdate(text)
    const entry = this.#current(text)
    if (entry !== undefined) this.#memory?.remove(entry)
    return entry !== undefined
  }

  /** The disk tier's order of eviction counts what memory answered. */
  #tellAccesses(): void {
    const accesses = this.#disk === undefined ? undefined : this.#memory?.takeAccesses()
    if (accesses !== undefined && accesses.length > 0) this.#disk?.touch(accesses)
  }
}

function closed(): Error {
  return makeError('E_CLOSED', 'The cache is closed: open a new one.')
}

/** @throws UnserializableError `E_UNSERIALIZABLE` for `undefined`, which is what a miss looks like */
function storable(value: unknown): unknown {
  if (value !== undefined) return value
  throw makeError(
    'E_UNSERIALIZABLE',
    'undefined cannot be stored, as it stands for a miss: store null, or delete the key.',
  )
}

function memoryFacts<V>(entry: MemoryEntry, value: V): CacheEntry<V> {
  const { kind, createdAt, expiresAt, accessedAt, size } = entry
  return {
    value,
    kind,
    createdAt,
    expiresAt,
    accessedAt,
    hits: entry.hits - 1,
    size,
    storedSize: size,
    codec: 'none',
    tier: 'memory',
  }
}

function diskFacts<V>(value: V, facts: Facts, tier: 'memory' | 'disk'): CacheEntry<V> {
  const { createdAt, expiresAt, accessedAt, hits, size, storedSize } = facts
  const kind = kindName(facts.kind, value)
  return {
    value,
    kind,
    createdAt,
    expiresAt,
    accessedAt,
    hits,
    size,
    storedSize,
    codec: codecName(facts.codec),
    tier,
  }
}
