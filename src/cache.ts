/** `Cache`: the verbs. Keys, tiers and loads each have a file of their own; here they meet. */
import type { Readable } from 'node:stream'
import { type CacheOptions, type Duration, parseOptions } from './cache-options.js'
import { addHost } from './caching.js'
import type { CacheEntry } from './entry.js'
import { makeError } from './errors.js'
import { type CacheEvents, type CacheListener, Events, Faults } from './events.js'
import { type FindOptions, type Found, find } from './find.js'
import { type CallKey, type Key, keyFromText, keyText, keyTextSoon } from './keys.js'
import type { GetOrSetOptions, GetOrSetSyncOptions } from './load/options.js'
import { type Loader, type LoaderSync, Loading } from './loading.js'
import { type CheckOptions, type CheckReport, check } from './manage.js'
import type { MemoryMetrics } from './memory/metrics.js'
import type { MetaInput, MetaTables, NoMeta } from './meta.js'
import { Namespace } from './namespace.js'
import { boolean, checkOptions, parseDuration } from './options.js'
import { query, type SqlValue } from './query.js'
import { parseSetOptions, parseTags, type SetOptions } from './set-options.js'
import { now, type Soon, then } from './soon.js'
import { type Storing, TierStack, type TierStats, type Write } from './tiers/stack.js'
import type { Times } from './tiers/wire.js'
import { backup, type LoadCacheOptions, type LoadedCache, load, type SavedCache, save } from './transfer.js'
import { add, addend, type Increment, increment, touch, ttl, update } from './verbs/changes.js'
import { BackgroundCleanup, cleanup, expiredCount } from './verbs/cleanup.js'
import {
  type EntriesOptions,
  entries,
  type KeysOptions,
  keys,
  keysWithExpiry,
  type ListedEntry,
} from './verbs/listing.js'
import { getOrThrow } from './verbs/reading.js'
import { FrameScan, storedFrame } from './verbs/scan.js'
import { checkSource, getStream, type StreamSource, setStream } from './verbs/streams.js'
import { type Transaction, type TransactionOptions, transact } from './verbs/transaction.js'

/** Options of an entry that depend on what the cache declares. */
interface WithMeta<M extends MetaTables> {
  /** A row for each declared table that the entry is to be found in. */
  meta?: MetaInput<M> | undefined
}

/** How a value is read. */
export interface GetOptions {
  /**
   * Maps the file of a large array that is stored as it is (`codec: 'none'`) instead of reading it into memory. The array is the
   * caller's own: writes to it stay in memory. Whoever truncates files in the cache's directory meanwhile kills the process: only
   * for directories where nobody else does. Other values, and run times that forbid external memory, get a plain read. Default
   * false.
   */
  map?: boolean | undefined
}

function parseGetOptions(options: GetOptions): boolean {
  checkOptions(options, ['map'], 'get')
  return boolean(options.map ?? false, 'map')
}

/** What a cache holds, and how the reads of this object fared. */
export type CacheStats = TierStats

/** Options of `increment`. */
export interface IncrementOptions {
  /** Time to live of an entry that is made. Default: the cache's. */
  ttl?: Duration | undefined
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
  readonly #events = new Events(this.#faults)
  readonly #cleanup: BackgroundCleanup
  readonly #loading: Loading
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
      onChange: (text) => this.#loading.loads.outdate(text),
      onFault: (code, message) => this.#faults.tell(code, message),
      onLeave: (text, reason) =>
        this.#events.tell(reason, () => ({ key: keyFromText(text), tier: 'memory' })),
    })
    this.#cleanup = new BackgroundCleanup(this.#tiers, {
      onFault: (fault) => this.#faults.report(fault),
      onRemoved: (removed) => this.#told(removed),
    })
    this.#loading = new Loading(parsed, {
      tiers: this.#tiers,
      faults: this.#faults,
      isClosed: () => this.#closing !== undefined,
      open: () => this.#open(),
    })
    addHost(this, {
      loading: this.#loading,
      tiers: this.#tiers,
      prefix: '',
      optionsOf: (given) => given,
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
    now(this.#tiers.write([this.#write(key, value, options)], true))
  }

  /** The value of a key; `undefined` on a miss. A stored null comes back as null. */
  async get<V = unknown>(key: Key, options?: GetOptions): Promise<V | undefined> {
    const isMapped = options !== undefined && parseGetOptions(options)
    return this.#at(
      key,
      (text) => (isMapped ? this.#tiers.map(text) : this.#tiers.read(text)) as Soon<V | undefined>,
    )
  }

  /**
   * As `get`, but a miss is an error.
   * @throws KeyExpiredError `E_KEY_EXPIRED` where there is an entry whose time has passed, and which was not removed yet
   * @throws KeyNotFoundError `E_KEY_NOT_FOUND`, its parent
   */
  async getOrThrow<V = unknown>(key: Key): Promise<V> {
    return this.#at(key, (text) => getOrThrow(this.#tiers, text, key, false) as Soon<V>)
  }

  /** As `getOrThrow`, on this thread. */
  getOrThrowSync<V = unknown>(key: Key): V {
    return now(getOrThrow(this.#tiers, this.#text(key), key, true)) as V
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
    return this.#at(key, (text) => this.#tiers.entry<V>(text))
  }

  /**
   * A part of a stored frame: `cache.scan(key).select('symbol', 'close').filter({ close: { gt: 100 } }).columns()`. Only what is asked for is
   * read. Gives `undefined` on a miss. Needs `@tierce/columnar`.
   * @throws when it is read: InvalidOptionError `E_INVALID_OPTION`: the value is no frame; QueryError `E_QUERY`: there is no such column
   */
  scan(key: Key): FrameScan {
    const soon = this.#textSoon(key)
    return new FrameScan(async () => storedFrame(this.#tiers, await soon))
  }

  /** Whether a key has a live entry. Does not count as an access. */
  async has(key: Key): Promise<boolean> {
    const { is } = await this.#at(key, (text) => this.#tiers.state(text, false))
    return is === 'live'
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
    return now(this.#tiers.delete([this.#text(key)], true)) === 1
  }

  /**
   * Stores a value if the key has no live entry, in one step between all processes. Resolves to whether it did. Errors as `set`.
   */
  async add(key: Key, value: unknown, options: SetOptions<M> = {}): Promise<boolean> {
    const storing = this.#storing(options)
    return this.#at(key, (text) => add(this.#tiers, { text, value, ...storing }, false))
  }

  /** As `add`, on this thread. */
  addSync(key: Key, value: unknown, options: SetOptions<M> = {}): boolean {
    return now(add(this.#tiers, this.#write(key, value, options), true))
  }

  /**
   * Stores a value if the key has a live entry, in its place as `set` does: with the time to live that is given, or the cache's.
   * Resolves to whether it did. Errors as `set`.
   */
  async update(key: Key, value: unknown, options: SetOptions<M> = {}): Promise<boolean> {
    const storing = this.#storing(options)
    return this.#at(key, (text) => update(this.#tiers, { text, value, ...storing }, false))
  }

  /** As `update`, on this thread. */
  updateSync(key: Key, value: unknown, options: SetOptions<M> = {}): boolean {
    return now(update(this.#tiers, this.#write(key, value, options), true))
  }

  /** Counts as an access of a live entry, without reading it. Resolves to whether there is one. */
  async touch(key: Key): Promise<boolean> {
    return this.#at(key, (text) => touch(this.#tiers, text, false))
  }

  /** As `touch`, on this thread. */
  touchSync(key: Key): boolean {
    return now(touch(this.#tiers, this.#text(key), true))
  }

  /**
   * Gives a live entry another time to live, from now on. Resolves to whether there is one.
   * @throws InvalidTtlError `E_INVALID_TTL`
   */
  async expire(key: Key, ttl: Duration): Promise<boolean> {
    const times = this.#times(ttl)
    return this.#at(key, (text) => this.#tiers.renew(text, times, false))
  }

  /** As `expire`, on this thread. */
  expireSync(key: Key, ttl: Duration): boolean {
    return this.#tiers.renewSync(this.#text(key), this.#times(ttl), false)
  }

  #times(ttl: Duration): Times {
    return {
      expiresAt: this.#tiers.now() + parseDuration(ttl, 'ttl'),
      freshUntil: Number.POSITIVE_INFINITY,
    }
  }

  /** Milliseconds until a live entry expires, `Infinity` for never; `undefined` where there is none. */
  async ttl(key: Key): Promise<number | undefined> {
    return this.#at(key, (text) => ttl(this.#tiers, text, false))
  }

  /** As `ttl`, on this thread. */
  ttlSync(key: Key): number | undefined {
    return now(ttl(this.#tiers, this.#text(key), true))
  }

  /**
   * Adds to the number or the bigint that a key holds, in one step between all processes; resolves to the sum. A key without a
   * live entry holds 0, and gets the time to live that is given, or the cache's; an entry that is there keeps its own. A bigint
   * has up to 128 bits.
   * @throws InvalidOptionError `E_INVALID_OPTION` where the key holds something else, or the sum is out of range
   */
  increment(key: Key, by?: number, options?: IncrementOptions): Promise<number>
  increment(key: Key, by: bigint, options?: IncrementOptions): Promise<bigint>
  async increment(
    key: Key,
    by: number | bigint = 1,
    options: IncrementOptions = {},
  ): Promise<number | bigint> {
    const asked = this.#incrementing(by, options)
    return this.#at(key, (text) => increment(this.#tiers, { text, ...asked }, false))
  }

  /** As `increment`, on this thread. */
  incrementSync(key: Key, by?: number, options?: IncrementOptions): number
  incrementSync(key: Key, by: bigint, options?: IncrementOptions): bigint
  incrementSync(key: Key, by: number | bigint = 1, options: IncrementOptions = {}): number | bigint {
    return now(increment(this.#tiers, { text: this.#text(key), ...this.#incrementing(by, options) }, true))
  }

  /**
   * Runs `run` and commits what it did through its argument, all or nothing. Reads see one state of the cache and the transaction's own
   * writes; nobody is held up meanwhile. Where somebody else changed what was read, it is run again `retries` times, so `run` must do
   * nothing else that cannot be done twice. What `run` throws passes through untouched, and nothing was changed.
   * @throws TransactionError `E_TRANSACTION`: others changed what was read; or a transaction of this cache in another, or used after its end
   */
  async transaction<T>(
    run: (tx: Transaction<SetOptions>) => T | Promise<T>,
    options: TransactionOptions = {},
  ): Promise<T> {
    const host = {
      tiers: this.#tiers,
      open: () => this.#open(),
      storing: (given: SetOptions) => this.#storing(given),
      times: (ttl: Duration) => this.#times(ttl),
    }
    return transact(host, run, options)
  }

  #incrementing(by: unknown, options: IncrementOptions): Omit<Increment, 'text'> {
    checkOptions(options, ['ttl'], 'increment')
    return { by: addend(by), expiresAt: this.#storing(options).expiresAt }
  }

  /** Removes every entry that has one of these tags. Resolves to how many were live. */
  async invalidateTags(tags: string | readonly string[]): Promise<number> {
    return this.#invalidateTags(tags, false)
  }

  /** As `invalidateTags`, on this thread. */
  invalidateTagsSync(tags: string | readonly string[]): number {
    return now(this.#invalidateTags(tags, true))
  }

  #invalidateTags(given: string | readonly string[], sync: boolean): Soon<number> {
    this.#open()
    const tags = parseTags(typeof given === 'string' ? [given] : given)
    this.#loading.loads.outdateTags(tags)
    return this.#tiers.invalidateTags(tags, sync)
  }

  /**
   * A part of this cache with keys, tags, defaults and counts of its own: of the same name, it is the same part, in every
   * process. Its entries share the cache's bounds.
   * @throws InvalidOptionError `E_INVALID_OPTION`: the name, or one of the defaults
   */
  namespace(name: string, defaults: GetOrSetOptions = {}): Namespace {
    return new Namespace(this, name, defaults)
  }

  /** Removes every entry. */
  async clear(): Promise<void> {
    this.#open()
    this.#loading.loads.outdateAll()
    await this.#tiers.clear()
  }

  /**
   * The value of a key, or what `load` gives, which is stored unless it is `undefined`. Of all who ask for a key at one time
   * one loads, and all get its value or its error. A fault of the cache goes to the 'error' event, never to the caller; so
   * does `E_CLOSED`, and then nothing is stored.
   * @throws what `load` throws, untouched; InvalidKeyError, InvalidTtlError, InvalidOptionError; TimeoutError `E_TIMEOUT`; the
   * reason of `signal`
   */
  async getOrSet<V>(key: Key, load: Loader<V>, options?: GetOrSetOptions<V> & WithMeta<M>): Promise<V> {
    return this.#loading.getOrSet(key, load as Loader<unknown>, options) as Promise<V>
  }

  /** Loads and stores although there may be a value. */
  async refresh<V>(key: Key, load: Loader<V>, options?: GetOrSetOptions<V> & WithMeta<M>): Promise<V> {
    return this.#loading.refresh(key, load as Loader<unknown>, options) as Promise<V>
  }

  /** As `getOrSet` for a synchronous load, on this thread. Never waits for an asynchronous load of the same key. */
  getOrSetSync<V>(key: Key, load: LoaderSync<V>, options?: GetOrSetSyncOptions<V> & WithMeta<M>): V {
    return this.#loading.getOrSetSync(key, load as Loader<unknown>, options) as V
  }

  /** As `refresh` for a synchronous load, on this thread. */
  refreshSync<V>(key: Key, load: LoaderSync<V>, options?: GetOrSetSyncOptions<V> & WithMeta<M>): V {
    return this.#loading.refreshSync(key, load as Loader<unknown>, options) as V
  }

  /**
   * The keys of live entries, as they were given, page by page, in an order that stays the same: `after` goes on behind a key. A key
   * over 1024 bytes comes back as a `HashedKey`. Entries that are added meanwhile may or may not be seen, others are seen once.
   * @throws InvalidOptionError `E_INVALID_OPTION`, InvalidKeyError `E_INVALID_KEY`
   */
  keys(options: KeysOptions = {}): AsyncGenerator<Key | CallKey, void, undefined> {
    return keys(this.#tiers, options, () => this.#open())
  }

  /** As `keys`: what is known of live entries, and with `values: true` their values, which counts as reading them. */
  entries<V = unknown>(options: EntriesOptions = {}): AsyncGenerator<ListedEntry<V>, void, undefined> {
    return entries<V>(this.#tiers, options, () => this.#open())
  }

  /** As `keys`, of live entries that expire: each key with its time in milliseconds since the Unix epoch. */
  keysWithExpiry(options: KeysOptions = {}): AsyncGenerator<[Key | CallKey, number], void, undefined> {
    return keysWithExpiry(this.#tiers, options, () => this.#open())
  }

  /** Keys and values of live entries, as `entries` with `values: true` gives them. */
  async *[Symbol.asyncIterator](): AsyncGenerator<[Key | CallKey, unknown], void, undefined> {
    for await (const { key, value } of this.entries({ values: true })) yield [key, value]
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
    params: readonly SqlValue[] = [],
  ): Promise<R[]> {
    this.#open()
    return query(this.#tiers, sql, params) as Promise<R[]>
  }

  /** How many entries there are, expired ones included until they are removed. */
  async size(): Promise<number> {
    return (await this.stats()).entries
  }

  /** How many entries there are whose time has not passed. */
  async validSize(): Promise<number> {
    return (await this.size()) - (await this.expiredCount())
  }

  /** How many entries there are whose time has passed, and which were not removed yet. */
  async expiredCount(): Promise<number> {
    this.#open()
    return expiredCount(this.#tiers)
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

  /**
   * Copies the cache, as it is at one moment, into a directory that is empty or not there, while it is in use. The copy is a
   * cache directory: to restore it, open it.
   * @throws InvalidOptionError `E_INVALID_OPTION`: something is in the directory
   * @throws StorageFullError `E_STORAGE_FULL`, ReadOnlyError `E_READ_ONLY`, UnavailableError `E_UNAVAILABLE`: as they say, and
   *   then nothing is left of the copy
   */
  async backup(dir: string): Promise<SavedCache> {
    this.#open()
    return backup(this.#tiers, dir)
  }

  /**
   * Writes every live entry into one file, which takes the place of whatever has its name when it is whole.
   * @throws UnserializableError `E_UNSERIALIZABLE`: a value in memory has no stored form; names its key
   * @throws StorageFullError `E_STORAGE_FULL`, ReadOnlyError `E_READ_ONLY`, UnavailableError `E_UNAVAILABLE`: an old file stays
   */
  async save(file: string): Promise<SavedCache> {
    this.#open()
    return save(this.#tiers, file)
  }

  /**
   * Stores the entries of a file in the place of all that is in the cache, or beside it with `merge`. Times to live go on while
   * an entry lies in a file. The whole file is checked before anything changes.
   * @throws UnavailableError `E_UNAVAILABLE`: there is no such file
   * @throws FormatError `E_FORMAT`: something else wrote it, or a newer release; CorruptError `E_CORRUPT`: it is damaged;
   * EncryptionError `E_ENCRYPTION`: it is encrypted with another key
   */
  async load(file: string, options: LoadCacheOptions = {}): Promise<LoadedCache> {
    this.#open()
    this.#loading.loads.outdateAll()
    return load(this.#tiers, file, options)
  }

  /** A cache with the entries of a file: in memory only, unless `options` says otherwise. Errors as `load`. */
  static async from(file: string, options: CacheOptions = {}): Promise<Cache> {
    const cache = new Cache(options)
    try {
      await cache.load(file)
      return cache
    } catch (error) {
      await cache.close()
      throw error
    }
  }

  /**
   * Stores a value that comes as a stream: a Node stream, a web stream, or an (async) iterable of bytes or text. Of a disk tier,
   * a piece is in memory at a time, and the source is held back while it is written; `get` gives a Buffer. It is there when the
   * promise resolves; when the source fails, or does not fit, nothing is left of it and the old value stays.
   * @throws what the source throws; ValueTooLargeError `E_VALUE_TOO_LARGE`; as `set`
   */
  async setStream(key: Key, source: StreamSource, options: SetOptions = {}): Promise<void> {
    const given = checkSource(source)
    const storing = this.#storing(options)
    return this.#at(key, (text) => setStream(this.#tiers, text, given, storing))
  }

  /**
   * The value of a key as a stream; `undefined` on a miss. Each piece is checked before it is handed out, and the stream fails
   * with `E_CORRUPT` where the rest is damaged.
   * @throws UnserializableError `E_UNSERIALIZABLE`: the value is neither bytes nor text
   */
  async getStream(key: Key): Promise<Readable | undefined> {
    return this.#at(key, (text) => getStream(this.#tiers, text))
  }

  /**
   * Listens: to faults that broke no call, and to entries that leave memory (`CacheEvents`).
   * @throws InvalidOptionError `E_INVALID_OPTION`
   */
  on<E extends keyof CacheEvents>(event: E, listener: CacheListener<E>): this {
    this.#events.on(event, listener)
    return this
  }

  /** Stops listening. */
  off<E extends keyof CacheEvents>(event: E, listener: CacheListener<E>): this {
    this.#events.off(event, listener)
    return this
  }

  /**
   * What this object did since it was made, or since `resetMetrics()`: the counts of `MemoryCache`. `size`, `bytes` and evictions are
   * those of memory; reads that found nothing in any tier are misses. `stats()` says what is stored.
   */
  metrics(): MemoryMetrics {
    const { memory, counters } = this.#tiers
    return counters.snapshot(memory?.count ?? 0, memory?.size ?? 0)
  }

  /** Starts all counts again. */
  resetMetrics(): void {
    this.#tiers.counters.reset()
  }

  /** Removes what has expired, without holding up other writers for long. Resolves to how many entries that were. */
  async cleanup(): Promise<number> {
    this.#open()
    return this.#told(await cleanup(this.#tiers))
  }

  #told(removed: number): number {
    if (removed > 0) this.#events.tell('cleanup', () => ({ removed }))
    return removed
  }

  /**
   * Cleans up every `interval`, in the background. Keeps neither the process nor the cache alive.
   * @throws InvalidTtlError `E_INVALID_TTL`
   */
  startCleanup(interval: Duration = 500): void {
    this.#open()
    this.#cleanup.start(parseDuration(interval, 'interval'))
  }

  /** Ends the background cleanup. What has expired is a miss all the same. */
  stopCleanup(): void {
    this.#cleanup.stop()
  }

  /** Finishes the writes under way and lets go of the directory. Every later call is an `E_CLOSED`, but loads go on. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#loading.loads.outdateAll()
    this.#cleanup.stop()
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

  /** Goes on with the text of a key. */
  async #at<T>(key: Key, run: (text: string) => Soon<T>): Promise<T> {
    return then(this.#textSoon(key), run)
  }

  #write(key: Key, value: unknown, options: SetOptions<M>): Write {
    return { text: this.#text(key), value, ...this.#storing(options) }
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
