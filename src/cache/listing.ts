/** What is asked of many entries of a cache at once: its keys, its entries, its metadata. */
import type { FindOptions, Found } from '../find.js'
import type { CallKey, Key } from '../keys.js'
import type { MetaTables } from '../meta.js'
import { part } from '../parts.js'
import type { SqlValue } from '../query.js'
import type { EntriesOptions, KeysOptions, ListedEntry } from '../verbs/listing.js'
import type { Core } from './core.js'
import { CacheUpkeep } from './upkeep.js'

export class CacheListing<M extends MetaTables> extends CacheUpkeep<M> {
  readonly #core: Core<M>

  /** @internal */
  constructor(core: Core<M>) {
    super(core)
    this.#core = core
  }

  /**
   * The keys of live entries, as they were given, page by page, in an order that stays the same: `after` goes on behind a key. A key
   * over 1024 bytes comes back as a `HashedKey`. Entries that are added meanwhile may or may not be seen, others are seen once.
   * @throws InvalidOptionError `E_INVALID_OPTION`, InvalidKeyError `E_INVALID_KEY`
   */
  keys(options: KeysOptions = {}): AsyncGenerator<Key | CallKey, void, undefined> {
    return part('listing').keys(this.#core.tiers, options, () => this.#core.open())
  }

  /** As `keys`: what is known of live entries, and with `values: true` their values, which counts as reading them. */
  entries<V = unknown>(options: EntriesOptions = {}): AsyncGenerator<ListedEntry<V>, void, undefined> {
    return part('listing').entries<V>(this.#core.tiers, options, () => this.#core.open())
  }

  /** As `keys`, of live entries that expire: each key with its time in milliseconds since the Unix epoch. */
  keysWithExpiry(options: KeysOptions = {}): AsyncGenerator<[Key | CallKey, number], void, undefined> {
    return part('listing').keysWithExpiry(this.#core.tiers, options, () => this.#core.open())
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
    this.#core.open()
    return part('listing').find(this.#core.tiers, this.#core.tiers.tables as M, table, options)
  }

  /**
   * Answers a query in SQL (SQLite's) over the declared tables, each with the column `key`, and `entries` and `tags`: live
   * entries only, which join by `key` through indexes. Give values as parameters, for each `?`. Columns of declared tables come as what was stored;
   * what is computed as a number, a bigint beyond 2^53, text, a `Buffer` or null. Long ones run on the thread pool. `tierce/kysely` has typed queries.
   * @throws InvalidOptionError `E_INVALID_OPTION`: SQLite does not understand it; its message says why
   * @throws ReadOnlyError `E_READ_ONLY`: it would do more than read these
   * @throws UnavailableError `E_UNAVAILABLE`: the cache has no disk tier
   */
  async query<R extends object = Record<string, unknown>>(
    sql: string,
    params: readonly SqlValue[] = [],
  ): Promise<R[]> {
    this.#core.open()
    return part('listing').query(this.#core.tiers, sql, params) as Promise<R[]>
  }
}
