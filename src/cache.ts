/**
 * `Cache`: its values, one by one and with their loads. What it inherits is in `cache/`: changes that depend on what is there, listings,
 * upkeep. Keys, tiers and loads each have a file of their own; `cache/core.ts` is where they meet.
 */
import type { Readable } from 'node:stream'
import { CacheChanges } from './cache/changes.js'
import { Core } from './cache/core.js'
import type { CacheOptions } from './cache-options.js'
import { addHost } from './caching.js'
import type { CacheEntry } from './entry.js'
import type { Key } from './keys.js'
import type { GetOrSetOptions, GetOrSetSyncOptions } from './load/options.js'
import type { Loader, LoaderSync } from './loading.js'
import { type Entries, entriesOf } from './many.js'
import type { MetaInput, MetaTables, NoMeta } from './meta.js'
import { Namespace } from './namespace.js'
import { boolean, checkOptions } from './options.js'
import { part } from './parts.js'
import { parseTags, type SetOptions } from './set-options.js'
import { now, type Soon, then } from './soon.js'
import { written } from './tiers/stack.js'
import { encodeSoon } from './values/index.js'
import { getOrThrow } from './verbs/reading.js'
import type { FrameScan } from './verbs/scan.js'
import type { StreamSource } from './verbs/streams.js'

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

/**
 * A cache in tiers: live values in memory, before entries on disk that survive the process and are shared with others.
 *
 * A value that comes out is the value that went in, or it is a miss. Values handed out of memory are the live ones: treat
 * them as read-only.
 */
export class Cache<M extends MetaTables = NoMeta> extends CacheChanges<M> {
  readonly #core: Core<M>

  /**
   * Opens the directory, if there is one.
   * @throws InvalidOptionError `E_INVALID_OPTION`, InvalidTtlError `E_INVALID_TTL`: an option is not accepted
   * @throws UnavailableError `E_UNAVAILABLE`: the directory's parent is missing, or a file is in its place
   * @throws ReadOnlyError `E_READ_ONLY`, StorageFullError `E_STORAGE_FULL`: as they say
   * @throws FormatError `E_FORMAT`: a newer release, or something else, wrote the directory
   */
  constructor(options: CacheOptions<M> = {}) {
    const core = new Core(options)
    super(core)
    this.#core = core
    const { loading, tiers } = core
    addHost(this, { loading, tiers, prefix: '', optionsOf: (given) => given })
  }

  /**
   * Stores a value. In memory it is there when this returns; on disk when the promise resolves, and then no kill loses it. Before a disk
   * tier a large table of Arrow is first encoded on the thread pool: leave it alone until the promise settles.
   * @throws InvalidKeyError `E_INVALID_KEY`, InvalidTtlError `E_INVALID_TTL`: what was given is not accepted
   * @throws UnserializableError `E_UNSERIALIZABLE`: the value has no stored form, and names the path inside it; or it is a promise
   * @throws ValueTooLargeError `E_VALUE_TOO_LARGE`: it does not fit into `maxSize`
   * @throws StorageFullError `E_STORAGE_FULL`, LockTimeoutError `E_LOCK_TIMEOUT`: what the disk says; nothing changed
   */
  set(key: Key, value: unknown, options?: SetOptions<M>): Promise<void> {
    const core = this.#core
    if (core.dir !== undefined || typeof key !== 'string') return this.#set(key, value, options)
    try {
      return Promise.resolve(core.tiers.set(core.text(key), value, core.storing(options)))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async #set(key: Key, value: unknown, options: SetOptions<M> | undefined): Promise<void> {
    const core = this.#core
    const soon = core.textSoon(key)
    const storing = core.storing(options)
    const text = typeof soon === 'string' ? soon : await soon
    const later = core.tiers.disk === undefined ? undefined : encodeSoon(value)
    if (later !== undefined) return core.setLater(text, value, storing, later)
    const done = core.tiers.set(text, value, storing)
    if (done !== undefined) await done
  }

  /** Stores many values in one transaction: all of them, or none. Takes a copy of them in memory. Errors as `set`. */
  setMany(entries: Iterable<readonly [Key, unknown]>, options?: SetOptions<M>): Promise<void>
  setMany(entries: { readonly [key: string]: unknown }, options?: SetOptions<M>): Promise<void>
  async setMany(entries: Entries<Key, unknown>, options: SetOptions<M> = {}): Promise<void> {
    const storing = this.#core.storing(options)
    const given = entriesOf(entries)
    const texts = this.#core.textsSoon(given.map(([key]) => key))
    const known = texts instanceof Promise ? await texts : texts
    await this.#core.tiers.write(given.map(([, value], index) => written(known[index]!, value, storing)))
  }

  /** As `setMany`, on this thread. */
  setManySync(entries: Iterable<readonly [Key, unknown]>, options?: SetOptions<M>): void
  setManySync(entries: { readonly [key: string]: unknown }, options?: SetOptions<M>): void
  setManySync(entries: Entries<Key, unknown>, options: SetOptions<M> = {}): void {
    const storing = this.#core.storing(options)
    const writes = entriesOf(entries).map(([key, value]) => written(this.#core.text(key), value, storing))
    now(this.#core.tiers.write(writes, true))
  }

  /** As `set`, on this thread: the value is on disk when this returns. */
  setSync(key: Key, value: unknown, options?: SetOptions<M>): void {
    const core = this.#core
    now(core.tiers.set(core.text(key), value, core.storing(options), true))
  }

  /** The value of a key; `undefined` on a miss. A stored null comes back as null. */
  get<V = unknown>(key: Key, options?: GetOptions): Promise<V | undefined> {
    // What a hit in memory takes: one promise, and no function that could be waited in.
    try {
      const live = options === undefined ? this.#core.peeked(key) : undefined
      return live === undefined ? this.#get(key, options) : Promise.resolve(live as V)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async #get<V>(key: Key, options: GetOptions | undefined): Promise<V | undefined> {
    const isMapped = options !== undefined && parseGetOptions(options)
    const { tiers } = this.#core
    const text = this.#core.textSoon(key)
    // Not by `at`: a promise within a promise takes as long as the rest of a read.
    if (typeof text === 'string' && !isMapped) return tiers.read(text) as Soon<V | undefined>
    return then(text, (read) => (isMapped ? tiers.map(read) : tiers.read(read)) as Soon<V | undefined>)
  }

  /**
   * As `get`, but a miss is an error.
   * @throws KeyExpiredError `E_KEY_EXPIRED` where there is an entry whose time has passed, and which was not removed yet
   * @throws KeyNotFoundError `E_KEY_NOT_FOUND`, its parent
   */
  async getOrThrow<V = unknown>(key: Key): Promise<V> {
    return this.#core.at(key, (text) => getOrThrow(this.#core.tiers, text, key, false) as Soon<V>)
  }

  /** As `getOrThrow`, on this thread. */
  getOrThrowSync<V = unknown>(key: Key): V {
    return now(getOrThrow(this.#core.tiers, this.#core.text(key), key, true)) as V
  }

  /** The values of many keys, aligned with them; those on disk are read in one call, from one snapshot. */
  async getMany<V = unknown>(keys: Iterable<Key>): Promise<(V | undefined)[]> {
    const soon = this.#core.textsSoon(keys)
    const texts = soon instanceof Promise ? await soon : soon
    return this.#core.tiers.readMany(texts) as Soon<(V | undefined)[]>
  }

  /** As `getMany`, on this thread: large values, and those in files, are read one by one. */
  getManySync<V = unknown>(keys: Iterable<Key>): (V | undefined)[] {
    return now(this.#core.tiers.readMany(this.#core.texts(keys), true)) as (V | undefined)[]
  }

  /** As `get`, on this thread. */
  getSync<V = unknown>(key: Key): V | undefined {
    const core = this.#core
    const live = core.peeked(key)
    return (live === undefined ? core.tiers.readSync(core.text(key)) : live) as V | undefined
  }

  /** The value of a key and what is known beside it; `undefined` on a miss. */
  async entry<V = unknown>(key: Key): Promise<CacheEntry<V, M> | undefined> {
    return this.#core.at(key, (text) => this.#core.tiers.entry<V>(text))
  }

  /**
   * A part of a stored frame: `cache.scan(key).select('symbol', 'close').filter({ close: { gt: 100 } }).columns()`. Only what is asked for is
   * read. Gives `undefined` on a miss. Needs `@tierce/columnar`.
   * @throws when it is read: InvalidOptionError `E_INVALID_OPTION`: the value is no frame; QueryError `E_QUERY`: there is no such column
   */
  scan(key: Key): FrameScan {
    const { FrameScan, storedFrame } = part('tables')
    const soon = this.#core.textSoon(key)
    return new FrameScan(async () => storedFrame(this.#core.tiers, await soon))
  }

  /** Whether a key has a live entry. Does not count as an access. */
  async has(key: Key): Promise<boolean> {
    const { is } = await this.#core.at(key, (text) => this.#core.tiers.state(text, false))
    return is === 'live'
  }

  /** As `has`, on this thread. */
  hasSync(key: Key): boolean {
    return now(this.#core.tiers.state(this.#core.text(key), true)).is === 'live'
  }

  /** Removes a key. Resolves to whether it had a live entry. */
  async delete(key: Key): Promise<boolean> {
    return (await this.deleteMany([key])) === 1
  }

  /** Removes many keys in one transaction. Resolves to how many had a live entry. */
  async deleteMany(keys: Iterable<Key>): Promise<number> {
    const soon = this.#core.textsSoon(keys)
    const texts = soon instanceof Promise ? await soon : soon
    return this.#core.tiers.delete(texts)
  }

  /** As `deleteMany`, on this thread. */
  deleteManySync(keys: Iterable<Key>): number {
    return now(this.#core.tiers.delete(this.#core.texts(keys), true))
  }

  /** As `delete`, on this thread. */
  deleteSync(key: Key): boolean {
    return now(this.#core.tiers.delete([this.#core.text(key)], true)) === 1
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
    this.#core.open()
    const tags = parseTags(typeof given === 'string' ? [given] : given)
    this.#core.later.outdateTags(tags)
    this.#core.loading.loads.outdateTags(tags)
    return this.#core.tiers.invalidateTags(tags, sync)
  }

  /**
   * A part of this cache with keys, tags, defaults and counts of its own: of the same name, it is the same part, in every
   * process. Its entries share the cache's bounds.
   * @typeParam T what its values are taken for: nothing checks it
   * @throws InvalidOptionError `E_INVALID_OPTION`: the name, or one of the defaults
   */
  namespace<T = unknown>(name: string, defaults: GetOrSetOptions<T> = {}): Namespace<T> {
    return new Namespace<T>(
      { cache: this as unknown as Cache, core: this.#core as unknown as Core<MetaTables> },
      name,
      defaults,
    )
  }

  /** Removes every entry. */
  async clear(): Promise<void> {
    await this.#clear(false)
  }

  /** As `clear`, on this thread. */
  clearSync(): void {
    now(this.#clear(true))
  }

  #clear(sync: boolean): Soon<void> {
    this.#core.open()
    this.#core.later.outdateAll()
    this.#core.loading.loads.outdateAll()
    return this.#core.tiers.clear(sync)
  }

  /**
   * The value of a key, or what `load` gives, which is stored unless it is `undefined`. Of all who ask for a key at one time
   * one loads, and all get its value or its error. A fault of the cache goes to the 'error' event, never to the caller; so
   * does `E_CLOSED`, and then nothing is stored.
   * @throws what `load` throws, untouched; InvalidKeyError, InvalidTtlError, InvalidOptionError; TimeoutError `E_TIMEOUT`; the
   * reason of `signal`
   */
  getOrSet<V>(key: Key, load: Loader<V>, options?: GetOrSetOptions<V> & WithMeta<M>): Promise<V> {
    return this.#core.loading.getOrSet(key, load as Loader<unknown>, options) as Promise<V>
  }

  /** Loads and stores although there may be a value. */
  refresh<V>(key: Key, load: Loader<V>, options?: GetOrSetOptions<V> & WithMeta<M>): Promise<V> {
    return this.#core.loading.refresh(key, load as Loader<unknown>, options) as Promise<V>
  }

  /** As `getOrSet` for a synchronous load, on this thread. Never waits for an asynchronous load of the same key. */
  getOrSetSync<V>(key: Key, load: LoaderSync<V>, options?: GetOrSetSyncOptions<V> & WithMeta<M>): V {
    return this.#core.loading.getOrSetSync(key, load as Loader<unknown>, options) as V
  }

  /** As `refresh` for a synchronous load, on this thread. */
  refreshSync<V>(key: Key, load: LoaderSync<V>, options?: GetOrSetSyncOptions<V> & WithMeta<M>): V {
    return this.#core.loading.refreshSync(key, load as Loader<unknown>, options) as V
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
    const { checkSource, setStream } = part('whole')
    const given = checkSource(source)
    const storing = this.#core.storing(options)
    return this.#core.at(key, (text) => setStream(this.#core.tiers, text, given, storing))
  }

  /**
   * The value of a key as a stream; `undefined` on a miss. Each piece is checked before it is handed out, and the stream fails
   * with `E_CORRUPT` where the rest is damaged.
   * @throws UnserializableError `E_UNSERIALIZABLE`: the value is neither bytes nor text
   */
  async getStream(key: Key): Promise<Readable | undefined> {
    return this.#core.at(key, (text) => part('whole').getStream(this.#core.tiers, text))
  }
}
