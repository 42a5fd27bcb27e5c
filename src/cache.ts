/** `Cache`: the verbs. Keys, tiers and loads each have a file of their own; here they meet. */
import { type CacheOptions, parseOptions } from './cache-options.js'
import type { CacheEntry } from './entry.js'
import { makeError } from './errors.js'
import { type ErrorListener, Faults } from './events.js'
import { type FindOptions, type Found, find } from './find.js'
import { type CallKey, type Key, keyFromText, keyText, keyTextSoon } from './keys.js'
import { Flights } from './load.js'
import { type CheckOptions, type CheckReport, check } from './manage.js'
import type { MetaTables, NoMeta } from './meta.js'
import { callback, checkOptions, oneOf, positiveInteger } from './options.js'
import { type QueryParam, query } from './query.js'
import { parseSetOptions, type SetOptions } from './set-options.js'
import { type Storing, TierStack, type TierStats } from './tiers/stack.js'

/** What a cache holds, and how the reads of this object fared. */
export type CacheStats = TierStats

/** Which keys to list. */
export interface KeysOptions {
  /** String keys that start with this. */
  prefix?: string | undefined
  /** At most so many. */
  limit?: number | undefined
}

/**
 * A cache in tiers: live values in memory, before entries on disk that survive the process and are shared with others.
 *
 * A value that comes out is the value that went in, or it is a miss. Values handed out of memory are the live ones: treat
 * them as read-only.
 */
export class Cache<M extends MetaTables = NoMeta> {
  readonly #ttl: number
  readonly #tiers: TierStack
  readonly #faults = new Faults()
  readonly #flights: Flights<SetOptions<M>>
  /** Set by the first `close`. */
  #closing: Promise<void> | undefined

  /**
   * Opens the directory, if there is one.
   * @throws InvalidOptionError `E_INVALID_OPTION`, InvalidTtlError `E_INVALID_TTL`: an option is not accepted
   * @throws UnavailableError `E_UNAVAILABLE`: the directory's parent is missing, or a file is in its place
   * @throws ReadOnlyError `E_READ_ONLY`, StorageFullError `E_STORAGE_FULL`: as they say
   * @throws FormatError `E_FORMAT`: a newer release, or something else, wrote the directory
   */
  constructor(options: CacheOptions<M> = {}) {
    const parsed = parseOptions(options)
    this.#ttl = parsed.ttl
    this.#tiers = new TierStack(parsed, {
      onChange: (text) => this.#flights.outdate(text),
      onFault: (code, message) => this.#faults.tell(code, message),
    })
    this.#flights = new Flights({
      read: (text) => this.#tiers.read(text),
      write: (text, value, given) => this.#tiers.write([{ text, value, ...this.#storing(given) }]),
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
  async set(key: Key, value: unknown, options: SetOptions<M> = {}): Promise<void> {
    const text = this.#textSoon(key)
    const storing = this.#storing(options)
    await this.#tiers.write([{ text: typeof text === 'string' ? text : await text, value, ...storing }])
  }

  /** Stores many values in one transaction: all of them, or none. Errors as `set`. */
  async setMany(entries: Iterable<readonly [Key, unknown]>, options: SetOptions<M> = {}): Promise<void> {
    const storing = this.#storing(options)
    const given = [...entries]
    const texts = this.#textsSoon(given.map(([key]) => key))
    const known = texts instanceof Promise ? await texts : texts
    await this.#tiers.write(given.map(([, value], index) => ({ text: known[index]!, value, ...storing })))
  }

  /** As `set`, on this thread: the value is on disk when this returns. */
  setSync(key: Key, value: unknown, options: SetOptions<M> = {}): void {
    this.#tiers.writeSync({ text: this.#text(key), value, ...this.#storing(options) })
  }

  /** The value of a key; `undefined` on a miss. A stored null comes back as null. */
  async get<V = unknown>(key: Key): Promise<V | undefined> {
    const text = this.#textSoon(key)
    return this.#tiers.read(typeof text === 'string' ? text : await text) as V | undefined
  }

  /** The values of many keys, aligned with them; those on disk are read in one call, from one snapshot. */
  async getMany<V = unknown>(keys: Iterable<Key>): Promise<(V | undefined)[]> {
    const soon = this.#textsSoon(keys)
    const texts = soon instanceof Promise ? await soon : soon
    return this.#tiers.readMany(texts) as Promise<(V | undefined)[]>
  }

  /** As `get`, on this thread. */
  getSync<V = unknown>(key: Key): V | undefined {
    return this.#tiers.readSync(this.#text(key)) as V | undefined
  }

  /** The value of a key and what is known beside it; `undefined` on a miss. */
  async entry<V = unknown>(key: Key): Promise<CacheEntry<V, M> | undefined> {
    const soon = this.#textSoon(key)
    const text = typeof soon === 'string' ? soon : await soon
    return this.#tiers.entry(text)
  }

  /** Whether a key has a live entry. Does not count as an access. */
  async has(key: Key): Promise<boolean> {
    const soon = this.#textSoon(key)
    const text = typeof soon === 'string' ? soon : await soon
    return this.#tiers.has(text)
  }

  /** Removes a key. Resolves to whether it had a live entry. */
  async delete(key: Key): Promise<boolean> {
    return (await this.deleteMany([key])) === 1
  }

  /** Removes many keys in one transaction. Resolves to how many had a live entry. */
  async deleteMany(keys: Iterable<Key>): Promise<number> {
    const soon = this.#textsSoon(keys)
    const texts = soon instanceof Promise ? await soon : soon
    return this.#tiers.delete(texts)
  }

  /** As `delete`, on this thread. */
  deleteSync(key: Key): boolean {
    return this.#tiers.deleteSync(this.#text(key))
  }

  /** Removes every entry. */
  async clear(): Promise<void> {
    this.#open()
    this.#flights.outdateAll()
    await this.#tiers.clear()
  }

  /**
   * The value of a key, or what `load` gives, which is stored unless it is `undefined`. Of all who ask for a key at one time
   * one loads, and all get its value or its error. A fault of the cache goes to the 'error' event, never to the caller; so
   * does `E_CLOSED`, and then nothing is stored.
   * @throws what `load` throws, untouched; InvalidKeyError, InvalidTtlError
   */
  async getOrSet<V>(key: Key, load: () => V | Promise<V>, options: SetOptions<M> = {}): Promise<V> {
    const soon = this.#checkLoad(key, load, options, keyTextSoon)
    const text = typeof soon === 'string' ? soon : await soon
    if (this.#closing !== undefined) return this.#loadClosed(load)
    const live = this.#tiers.readMemory(text)
    if (live !== undefined) return live as V
    return this.#tiers.own(await this.#flights.getOrSet(text, load, options)) as V
  }

  /** Loads and stores although there may be a value. */
  async refresh<V>(key: Key, load: () => V | Promise<V>, options: SetOptions<M> = {}): Promise<V> {
    const soon = this.#checkLoad(key, load, options, keyTextSoon)
    const text = typeof soon === 'string' ? soon : await soon
    if (this.#closing !== undefined) return this.#loadClosed(load)
    return this.#tiers.own(await this.#flights.fresh(text, load, options)) as V
  }

  /** As `getOrSet` for a synchronous load, on this thread. Never waits for an asynchronous load of the same key. */
  getOrSetSync<V>(key: Key, load: () => V, options: SetOptions<M> = {}): V {
    const text = this.#checkLoad(key, load, options, keyText)
    if (this.#closing !== undefined) return this.#loadClosed(load)
    let known: unknown
    try {
      known = this.#tiers.readSync(text)
    } catch (fault) {
      this.#faults.report(fault)
    }
    return known === undefined ? this.#loadSync(text, load, options) : (known as V)
  }

  /** As `refresh` for a synchronous load, on this thread. */
  refreshSync<V>(key: Key, load: () => V, options: SetOptions<M> = {}): V {
    const text = this.#checkLoad(key, load, options, keyText)
    return this.#closing === undefined ? this.#loadSync(text, load, options) : this.#loadClosed(load)
  }

  #loadSync<V>(text: string, load: () => V, options: SetOptions<M>): V {
    const value = load()
    if (value !== undefined) {
      try {
        this.#open() // the load may have closed it
        this.#tiers.writeSync({ text, value, ...this.#storing(options) })
      } catch (fault) {
        this.#faults.report(fault)
      }
    }
    return value
  }

  /** What the caller gave is refused now, not after a costly load. */
  #checkLoad<T>(key: Key, load: () => unknown, options: SetOptions<M>, text: (key: Key) => T): T {
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
    for await (const text of this.#tiers.texts()) {
      const key = keyFromText(text)
      if (prefix !== '' && !(typeof key === 'string' && key.startsWith(prefix))) continue
      yield key
      if (--left === 0) return
    }
  }

  /**
   * The live entries whose metadata answers conditions: `find('experiments', { where: { accuracy: { gte: 0.9 } }, limit: 10 })`.
   * @throws InvalidOptionError `E_INVALID_OPTION`: an unknown table, column or condition, or a value that its column does not hold
   * @throws UnavailableError `E_UNAVAILABLE`: the cache has no disk tier
   */
  async find<T extends keyof M & string>(table: T, options: FindOptions<M[T]> = {}): Promise<Found<M[T]>[]> {
    this.#open()
    return find(this.#tiers, this.#tiers.tables as M, table, options)
  }

  /**
   * Answers a query in SQL (SQLite's) over the declared tables, each with the column `key`, and `entries` and `tags`: live
   * entries only. Give values as parameters, for each `?`. Long ones run on the thread pool. `tierce/kysely` has typed queries.
   * @throws InvalidOptionError `E_INVALID_OPTION`: SQLite does not understand it; its message says why
   * @throws ReadOnlyError `E_READ_ONLY`: it would do more than read these
   * @throws UnavailableError `E_UNAVAILABLE`: the cache has no disk tier
   */
  async query<R extends object = Record<string, unknown>>(
    sql: string,
    params: readonly QueryParam[] = [],
  ): Promise<R[]> {
    this.#open()
    return query(this.#tiers, sql, params) as Promise<R[]>
  }

  /** How many entries there are, expired ones included until they are removed. */
  async size(): Promise<number> {
    return (await this.stats()).entries
  }

  /** What is stored, and how the reads of this object fared. */
  async stats(): Promise<CacheStats> {
    this.#open()
    return this.#tiers.stats()
  }

  /**
   * Reads everything on disk and compares it with its checksums and with each other, without holding others up. With `fix`,
   * removes damaged entries and files that are nobody's, mends the database and counts anew.
   * @throws StorageFullError `E_STORAGE_FULL`, ReadOnlyError `E_READ_ONLY`, LockTimeoutError `E_LOCK_TIMEOUT`: as they say
   */
  async check(options: CheckOptions = {}): Promise<CheckReport> {
    this.#open()
    return check(this.#tiers, options)
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
    this.#flights.outdateAll()
    await this.#tiers.close()
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

  #storing(options: SetOptions<M>): Storing {
    return parseSetOptions(options, this.#ttl, this.#tiers.now(), this.#tiers.tables)
  }
}

function closed(): Error {
  return makeError('E_CLOSED', 'The cache is closed: open a new one.')
}
