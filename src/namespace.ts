/** A part of a cache: keys, tags, defaults and counts of its own, in the tiers of the whole. */
import type { Readable } from 'node:stream'
import { addHost } from './caching.js'
import type { CacheEntry } from './entry.js'
import { KeyNotFoundError } from './errors.js'
import {
  type AnyGetOrSetOptions,
  type GetOrSetOptions,
  type GetOrSetSyncOptions,
  withoutAsync,
} from './load/options.js'
import type { Loader, LoaderSync } from './loading.js'
import type { Entries } from './many.js'
import { NamespaceChanges } from './namespace/changes.js'
import type { Whole } from './namespace/listing.js'
import { type AnyKey, Scope } from './namespace/scope.js'
import { callback } from './options.js'
import type { SetOptions } from './set-options.js'
import type { StreamSource } from './verbs/streams.js'

export type { NamespaceStats } from './namespace/listing.js'

/**
 * Made by `cache.namespace(name)`. Its verbs do what those of `Cache` do, on its own keys and tags.
 *
 * @typeParam T what its values are taken for: nothing checks it
 */
export class Namespace<T = unknown> extends NamespaceChanges<T> {
  /** @internal */
  constructor(whole: Whole, name: string, defaults: AnyGetOrSetOptions) {
    const scope = new Scope(name, defaults)
    super(whole, scope)
    const { loading, tiers } = whole.core
    loading.planOf(defaults) // refused now, if it is to be
    addHost(this, { loading, tiers, prefix: scope.prefix, optionsOf: (given) => scope.loadOptions(given) })
  }

  /** As `cache.get`. */
  async get<V = T>(key: AnyKey): Promise<V | undefined> {
    return this.counted(await this.whole.cache.get<V>(this.scope.key(key)))
  }

  /** As `cache.getSync`. */
  getSync<V = T>(key: AnyKey): V | undefined {
    return this.counted(this.whole.cache.getSync<V>(this.scope.key(key)))
  }

  /** As `cache.getMany`. */
  async getMany<V = T>(keys: Iterable<AnyKey>): Promise<(V | undefined)[]> {
    const values = await this.whole.cache.getMany<V>(this.scope.keys(keys))
    return values.map((value) => this.counted(value))
  }

  /** As `cache.getManySync`. */
  getManySync<V = T>(keys: Iterable<AnyKey>): (V | undefined)[] {
    return this.whole.cache.getManySync<V>(this.scope.keys(keys)).map((value) => this.counted(value))
  }

  /** As `cache.getOrThrow`. */
  async getOrThrow<V = T>(key: AnyKey): Promise<V> {
    try {
      return this.counted(await this.whole.cache.getOrThrow<V>(this.scope.key(key)))
    } catch (error) {
      throw this.#missed(error)
    }
  }

  /** As `cache.getOrThrowSync`. */
  getOrThrowSync<V = T>(key: AnyKey): V {
    try {
      return this.counted(this.whole.cache.getOrThrowSync<V>(this.scope.key(key)))
    } catch (error) {
      throw this.#missed(error)
    }
  }

  /** As `cache.set`. */
  async set(key: AnyKey, value: T, options?: SetOptions): Promise<void> {
    return this.whole.cache.set(this.scope.key(key), value, this.scope.setOptions(options))
  }

  /** As `cache.setSync`. */
  setSync(key: AnyKey, value: T, options?: SetOptions): void {
    this.whole.cache.setSync(this.scope.key(key), value, this.scope.setOptions(options))
  }

  /** As `cache.setMany`. */
  setMany(entries: Iterable<readonly [AnyKey, T]>, options?: SetOptions): Promise<void>
  setMany(entries: { readonly [key: string]: T }, options?: SetOptions): Promise<void>
  async setMany(entries: Entries<AnyKey, T>, options?: SetOptions): Promise<void> {
    return this.whole.cache.setMany(this.scope.entries(entries), this.scope.setOptions(options))
  }

  /** As `cache.setManySync`. */
  setManySync(entries: Iterable<readonly [AnyKey, T]>, options?: SetOptions): void
  setManySync(entries: { readonly [key: string]: T }, options?: SetOptions): void
  setManySync(entries: Entries<AnyKey, T>, options?: SetOptions): void {
    this.whole.cache.setManySync(this.scope.entries(entries), this.scope.setOptions(options))
  }

  /** As `cache.setStream`. */
  async setStream(key: AnyKey, source: StreamSource, options?: SetOptions): Promise<void> {
    return this.whole.cache.setStream(this.scope.key(key), source, this.scope.setOptions(options))
  }

  /** As `cache.getStream`. */
  async getStream(key: AnyKey): Promise<Readable | undefined> {
    return this.counted(await this.whole.cache.getStream(this.scope.key(key)))
  }

  /** As `cache.entry`; its tags are those that were given here. */
  async entry<V = T>(key: AnyKey): Promise<CacheEntry<V> | undefined> {
    const entry = await this.whole.cache.entry<V>(this.scope.key(key))
    return entry && { ...entry, tags: this.scope.ownTags(entry.tags) }
  }

  /** As `cache.has`. */
  async has(key: AnyKey): Promise<boolean> {
    return this.whole.cache.has(this.scope.key(key))
  }

  /** As `cache.hasSync`. */
  hasSync(key: AnyKey): boolean {
    return this.whole.cache.hasSync(this.scope.key(key))
  }

  /** As `cache.delete`. */
  async delete(key: AnyKey): Promise<boolean> {
    return this.whole.cache.delete(this.scope.key(key))
  }

  /** As `cache.deleteSync`. */
  deleteSync(key: AnyKey): boolean {
    return this.whole.cache.deleteSync(this.scope.key(key))
  }

  /** As `cache.deleteMany`. */
  async deleteMany(keys: Iterable<AnyKey>): Promise<number> {
    return this.whole.cache.deleteMany(this.scope.keys(keys))
  }

  /** As `cache.deleteManySync`. */
  deleteManySync(keys: Iterable<AnyKey>): number {
    return this.whole.cache.deleteManySync(this.scope.keys(keys))
  }

  /** As `cache.getOrSet`. */
  async getOrSet<V>(key: AnyKey, load: Loader<V>, options?: GetOrSetOptions<V>): Promise<V> {
    callback(load, 'load')
    let isHit = true
    const counting: Loader<V> = (context) => {
      isHit = false
      return load(context)
    }
    try {
      return await this.whole.cache.getOrSet(this.scope.key(key), counting, this.scope.loadOptions(options))
    } finally {
      this.counted(isHit ? true : undefined)
    }
  }

  /** As `cache.getOrSetSync`. */
  getOrSetSync<V>(key: AnyKey, load: LoaderSync<V>, options?: GetOrSetSyncOptions<V>): V {
    let isHit = true
    const counting: LoaderSync<V> = (context) => {
      isHit = false
      return load(context)
    }
    try {
      return this.whole.cache.getOrSetSync(this.scope.key(key), counting, this.#syncOptions(options))
    } finally {
      this.counted(isHit ? true : undefined)
    }
  }

  /** As `cache.refresh`. */
  async refresh<V>(key: AnyKey, load: Loader<V>, options?: GetOrSetOptions<V>): Promise<V> {
    return this.whole.cache.refresh(this.scope.key(key), load, this.scope.loadOptions(options))
  }

  /** As `cache.refreshSync`. */
  refreshSync<V>(key: AnyKey, load: LoaderSync<V>, options?: GetOrSetSyncOptions<V>): V {
    return this.whole.cache.refreshSync(this.scope.key(key), load, this.#syncOptions(options))
  }

  /** Removes every entry of this namespace that has one of these tags. Resolves to how many were live. */
  async invalidateTags(tags: string | readonly string[]): Promise<number> {
    return this.whole.cache.invalidateTags(this.scope.tags(typeof tags === 'string' ? [tags] : tags))
  }

  /** As `invalidateTags`, on this thread. */
  invalidateTagsSync(tags: string | readonly string[]): number {
    return this.whole.cache.invalidateTagsSync(this.scope.tags(typeof tags === 'string' ? [tags] : tags))
  }

  /** Removes every entry of this namespace, by an index: what else is in the cache costs nothing. Resolves to how many were live. */
  async clear(): Promise<number> {
    return this.whole.cache.invalidateTags([this.scope.tag])
  }

  /** As `clear`, on this thread. */
  clearSync(): number {
    return this.whole.cache.invalidateTagsSync([this.scope.tag])
  }

  #missed(error: unknown): unknown {
    if (error instanceof KeyNotFoundError) this.counted(undefined)
    return error
  }

  /** Defaults that say nothing for a load on this thread are left out. */
  #syncOptions(options: AnyGetOrSetOptions | undefined): AnyGetOrSetOptions {
    return withoutAsync(this.scope.loadOptions(options))
  }
}
