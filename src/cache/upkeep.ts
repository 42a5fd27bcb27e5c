/** The upkeep of a cache: counts, checks, copies, cleanup, and its end. */
import type { Duration } from '../cache-options.js'
import type { CacheEvents, CacheListener } from '../events.js'
import { INSPECT, type Inspect, shown } from '../inspect.js'
import type { CheckOptions, CheckReport } from '../manage.js'
import type { MemoryMetrics } from '../memory/metrics.js'
import type { MetaTables } from '../meta.js'
import { checkOptions, parseDuration } from '../options.js'
import { part } from '../parts.js'
import type { TierStats } from '../tiers/entries.js'
import type { LoadCacheOptions, LoadedCache, SavedCache } from '../transfer.js'
import { cleanup, expiredCount, validCount } from '../verbs/cleanup.js'
import type { Core } from './core.js'

/** What a cache holds, and how the reads of this object fared. */
export type CacheStats = TierStats

export class CacheUpkeep<M extends MetaTables> {
  readonly #core: Core<M>

  /** @internal */
  constructor(core: Core<M>) {
    this.#core = core
  }

  /** How many entries there are, expired ones included until they are removed. */
  async size(): Promise<number> {
    return (await this.stats()).entries
  }

  /** How many entries plain reads find. Those that have gone stale and are kept for loads are in `size` alone. */
  async validSize(): Promise<number> {
    this.#core.open()
    return validCount(this.#core.tiers)
  }

  /** How many entries there are whose time has passed, and which were not removed yet. */
  async expiredCount(): Promise<number> {
    this.#core.open()
    return expiredCount(this.#core.tiers)
  }

  /** What is stored, and how the reads of this object fared. */
  async stats(): Promise<CacheStats> {
    this.#core.open()
    return this.#core.tiers.stats()
  }

  /**
   * Reads everything on disk and compares it with its checksums and with each other, without holding others up. With `fix`,
   * removes damaged entries and files that are nobody's, mends the database and counts anew.
   * @throws StorageFullError `E_STORAGE_FULL`, ReadOnlyError `E_READ_ONLY`, LockTimeoutError `E_LOCK_TIMEOUT`: as they say
   */
  async check(options: CheckOptions = {}): Promise<CheckReport> {
    this.#core.open()
    return part('whole').check(this.#core.tiers, options)
  }

  /**
   * Copies the cache, as it is at one moment, into a directory that is empty or not there, while it is in use. The copy is a
   * cache directory: to restore it, open it.
   * @throws InvalidOptionError `E_INVALID_OPTION`: something is in the directory
   * @throws StorageFullError `E_STORAGE_FULL`, ReadOnlyError `E_READ_ONLY`, UnavailableError `E_UNAVAILABLE`: as they say, and
   *   then nothing is left of the copy
   */
  async backup(dir: string): Promise<SavedCache> {
    this.#core.open()
    return part('whole').backup(this.#core.tiers, dir)
  }

  /**
   * Writes every live entry into one file, which takes the place of whatever has its name when it is whole.
   * @throws UnserializableError `E_UNSERIALIZABLE`: a value in memory has no stored form; names its key
   * @throws StorageFullError `E_STORAGE_FULL`, ReadOnlyError `E_READ_ONLY`, UnavailableError `E_UNAVAILABLE`: an old file stays
   */
  async save(file: string): Promise<SavedCache> {
    this.#core.open()
    return part('whole').save(this.#core.tiers, file)
  }

  /**
   * Stores the entries of a file in the place of all that is in the cache, or beside it with `merge`. Times to live go on while
   * an entry lies in a file. The whole file is checked before anything changes. Of a key over 1024 bytes a file has the digest alone, by
   * which the key finds its entry; listings of a cache that is in memory only give a `HashedKey` then.
   * @throws UnavailableError `E_UNAVAILABLE`: there is no such file
   * @throws FormatError `E_FORMAT`: something else wrote it, or a newer release; CorruptError `E_CORRUPT`: it is damaged;
   * EncryptionError `E_ENCRYPTION`: it is encrypted with another key
   */
  async load(file: string, options: LoadCacheOptions = {}): Promise<LoadedCache> {
    this.#core.open()
    checkOptions(options, ['merge', 'encryption'], 'load')
    this.#core.loading.loads.outdateAll()
    const loaded = part('whole').load(this.#core.tiers, file, options)
    if (options.merge !== true) this.#core.later.outdateAfter(loaded)
    return loaded
  }

  /**
   * Listens: to faults that broke no call, and to entries that leave memory (`CacheEvents`).
   * @throws InvalidOptionError `E_INVALID_OPTION`
   */
  on<E extends keyof CacheEvents>(event: E, listener: CacheListener<E>): this {
    this.#core.events.on(event, listener)
    return this
  }

  /** Stops listening. */
  off<E extends keyof CacheEvents>(event: E, listener: CacheListener<E>): this {
    this.#core.events.off(event, listener)
    return this
  }

  /**
   * What this object did since it was made, or since `resetMetrics()`: the counts of `MemoryCache`. `size`, `bytes` and evictions are
   * those of memory; reads that found nothing in any tier are misses. `stats()` says what is stored.
   */
  metrics(): MemoryMetrics {
    const { memory, counters } = this.#core.tiers
    return counters.snapshot(memory?.count ?? 0, memory?.size ?? 0)
  }

  /** Starts all counts again. */
  resetMetrics(): void {
    this.#core.tiers.counters.reset()
  }

  /** Removes what has expired, without holding up other writers for long. Resolves to how many entries that were. */
  async cleanup(): Promise<number> {
    this.#core.open()
    return this.#core.told(await cleanup(this.#core.tiers))
  }

  /**
   * Cleans up every `interval`, in the background. Keeps neither the process nor the cache alive.
   * @throws InvalidTtlError `E_INVALID_TTL`
   */
  startCleanup(interval: Duration = 500): void {
    this.#core.open()
    this.#core.cleanup.start(parseDuration(interval, 'interval'))
  }

  /** Ends the background cleanup. What has expired is a miss all the same. */
  stopCleanup(): void {
    this.#core.cleanup.stop()
  }

  /**
   * Finishes the writes under way and lets go of the directory. Every later call is an `E_CLOSED`, but loads go on. Where the directory was
   * removed meanwhile, it resolves, and an 'error' event tells of it.
   */
  close(): Promise<void> {
    return this.#core.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** @internal */
  [INSPECT](_depth: number, options: object, inspect: Inspect): string {
    const { dir, isClosed, tiers } = this.#core
    const { hits, misses } = this.metrics()
    const memory = tiers.memory && { entries: tiers.memory.count, size: tiers.memory.size }
    return shown(this, { dir, memory, hits, misses, isClosed }, options, inspect)
  }
}
