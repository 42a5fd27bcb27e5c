/** What is asked of all entries of a namespace. */

import type { Core } from '../cache/core.js'
import type { Cache } from '../cache.js'
import { INSPECT, type Inspect, shown } from '../inspect.js'
import type { MetaTables } from '../meta.js'
import { part } from '../parts.js'
import type { EntriesOptions, KeysOptions, ListedEntry } from '../verbs/listing.js'
import type { AnyKey, Scope } from './scope.js'

/** What is in a namespace, and how the reads through this object fared. Sizes in bytes. */
export interface NamespaceStats {
  /** Live ones. */
  entries: number
  /** Of their values. */
  size: number
  /** Of their values after compression. */
  storedSize: number
  /** Reads that found an entry. */
  hits: number
  /** Reads that found none. */
  misses: number
}

/** What a namespace is part of. */
export interface Whole {
  cache: Cache
  core: Core<MetaTables>
}

export class NamespaceListing<T = unknown> {
  /** As it was given to `cache.namespace`. */
  readonly name: string
  protected readonly whole: Whole
  protected readonly scope: Scope
  #hits = 0
  #misses = 0

  /** @internal */
  constructor(whole: Whole, scope: Scope) {
    this.name = scope.name
    this.whole = whole
    this.scope = scope
  }

  /**
   * Its keys, as they were given here: see `cache.keys`.
   * @throws InvalidOptionError `E_INVALID_OPTION`, InvalidKeyError `E_INVALID_KEY`
   */
  keys(options: KeysOptions = {}): AsyncGenerator<AnyKey, void, undefined> {
    return part('listing').keys(...this.#listing(options))
  }

  /** As `keys`: what is known of its live entries, and with `values: true` their values. Tags are those that were given here. */
  async *entries<V = T>(options: EntriesOptions = {}): AsyncGenerator<ListedEntry<V>, void, undefined> {
    for await (const entry of part('listing').entries<V>(...this.#listing(options))) {
      yield { ...entry, tags: this.scope.ownTags(entry.tags) }
    }
  }

  /** As `keys`, of live entries that expire: each key with its time in milliseconds since the Unix epoch. */
  keysWithExpiry(options: KeysOptions = {}): AsyncGenerator<[AnyKey, number], void, undefined> {
    return part('listing').keysWithExpiry(...this.#listing(options))
  }

  /** Keys and values of its live entries. */
  async *[Symbol.asyncIterator](): AsyncGenerator<[AnyKey, T], void, undefined> {
    for await (const { key, value } of this.entries({ values: true })) yield [key, value as T]
  }

  /** @internal */
  [INSPECT](_depth: number, options: object, inspect: Inspect): string {
    const { name, whole } = this
    const facts = { name, dir: whole.core.dir, hits: this.#hits, misses: this.#misses }
    return shown(this, { ...facts, isClosed: whole.core.isClosed }, options, inspect)
  }

  /** How many live entries it has: it looks at each. */
  async size(): Promise<number> {
    return (await this.stats()).entries
  }

  /** Looks at each of its live entries. */
  async stats(): Promise<NamespaceStats> {
    const stats = { entries: 0, size: 0, storedSize: 0, hits: this.#hits, misses: this.#misses }
    for await (const { size, storedSize } of part('listing').entries(...this.#listing({}))) {
      stats.entries++
      stats.size += size
      stats.storedSize += storedSize
    }
    return stats
  }

  protected counted<T>(value: T): T {
    if (value === undefined) this.#misses++
    else this.#hits++
    return value
  }

  #listing<O>(options: O) {
    const { core } = this.whole
    return [core.tiers, options, () => core.open(), this.scope.prefix] as const
  }
}
