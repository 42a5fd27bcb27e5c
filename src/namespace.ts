/** A part of a cache: keys, tags, defaults and counts of its own, in the tiers of the whole. */
import type { Cache } from './cache.js'
import type { Duration } from './cache-options.js'
import { addHost, hostOf } from './caching.js'
import type { CacheEntry } from './entry.js'
import { KeyNotFoundError, makeError } from './errors.js'
import { type CallKey, type Key, keyFromText, NamespacedKey, namespacePrefix } from './keys.js'
import type { AnyGetOrSetOptions, GetOrSetOptions, GetOrSetSyncOptions } from './load/options.js'
import type { Loader, LoaderSync } from './loading.js'
import { type Entries, entriesOf, keysOf } from './many.js'
import { callback } from './options.js'
import { describe, isList } from './refusal.js'
import { SET_OPTIONS, type SetOptions } from './set-options.js'

/** What is in a namespace, and how the reads through this object fared. Sizes in bytes. */
export interface NamespaceStats {
  entries: number
  size: number
  storedSize: number
  hits: number
  misses: number
}

type AnyKey = Key | CallKey

/** Entries of a page of a listing. */
const PAGE = 1000
/** Bytes of a name, at most: it is in each key and each tag. */
const LONGEST_NAME = 256

/** Made by `cache.namespace(name)`. Its verbs do what those of `Cache` do, on its own keys and tags. */
export class Namespace {
  readonly name: string
  readonly #cache: Cache
  readonly #defaults: AnyGetOrSetOptions
  /** What of the defaults is about an entry. */
  readonly #setDefaults: SetOptions
  /** What its tags start with; alone, it is the tag of all its entries. */
  readonly #scope: string
  #hits = 0
  #misses = 0

  /** @internal */
  constructor(cache: Cache, name: string, defaults: AnyGetOrSetOptions) {
    if (!isName(name)) {
      throw makeError(
        'E_INVALID_OPTION',
        `The name of a namespace is ${describe(name)}; accepted is well-formed text of 1 to ${LONGEST_NAME} bytes without U+0000.`,
        { name: 'name' },
      )
    }
    this.name = name
    this.#cache = cache
    this.#defaults = defaults
    this.#scope = `\0N${name}\0`
    const { loading, tiers } = hostOf(cache)
    loading.planOf(defaults) // refused now, if it is to be
    const entry = SET_OPTIONS.map((option) => [option, defaults[option as keyof AnyGetOrSetOptions]] as const)
    this.#setDefaults = Object.fromEntries(
      entry.filter(([, value]) => value !== undefined && typeof value !== 'function'),
    )
    addHost(this, {
      loading,
      tiers,
      prefix: namespacePrefix(name),
      optionsOf: (given) => this.#loadOptions(given),
    })
  }

  async get<V = unknown>(key: AnyKey): Promise<V | undefined> {
    return this.#counted(await this.#cache.get<V>(this.#key(key)))
  }

  getSync<V = unknown>(key: AnyKey): V | undefined {
    return this.#counted(this.#cache.getSync<V>(this.#key(key)))
  }

  async getMany<V = unknown>(keys: Iterable<AnyKey>): Promise<(V | undefined)[]> {
    const values = await this.#cache.getMany<V>(Array.from(keysOf(keys), (key) => this.#key(key)))
    return values.map((value) => this.#counted(value))
  }

  /** As `cache.getOrThrow`. */
  async getOrThrow<V = unknown>(key: AnyKey): Promise<V> {
    try {
      return this.#counted(await this.#cache.getOrThrow<V>(this.#key(key)))
    } catch (error) {
      if (error instanceof KeyNotFoundError) this.#misses++
      throw error
    }
  }

  async set(key: AnyKey, value: unknown, options?: SetOptions): Promise<void> {
    return this.#cache.set(this.#key(key), value, this.#setOptions(options))
  }

  setSync(key: AnyKey, value: unknown, options?: SetOptions): void {
    this.#cache.setSync(this.#key(key), value, this.#setOptions(options))
  }

  setMany(entries: Iterable<readonly [AnyKey, unknown]>, options?: SetOptions): Promise<void>
  setMany(entries: { readonly [key: string]: unknown }, options?: SetOptions): Promise<void>
  async setMany(entries: Entries<AnyKey, unknown>, options?: SetOptions): Promise<void> {
    const own = entriesOf(entries).map(([key, value]) => [this.#key(key), value] as const)
    return this.#cache.setMany(own, this.#setOptions(options))
  }

  async add(key: AnyKey, value: unknown, options?: SetOptions): Promise<boolean> {
    return this.#cache.add(this.#key(key), value, this.#setOptions(options))
  }

  async update(key: AnyKey, value: unknown, options?: SetOptions): Promise<boolean> {
    return this.#cache.update(this.#key(key), value, this.#setOptions(options))
  }

  /** As `cache.entry`; its tags are those that were given here. */
  async entry<V = unknown>(key: AnyKey): Promise<CacheEntry<V> | undefined> {
    const entry = await this.#cache.entry<V>(this.#key(key))
    if (entry === undefined) return undefined
    const own = entry.tags.filter((tag) => tag.startsWith(this.#scope) && tag !== this.#scope)
    return { ...entry, tags: own.map((tag) => tag.slice(this.#scope.length)) }
  }

  async has(key: AnyKey): Promise<boolean> {
    return this.#cache.has(this.#key(key))
  }

  async touch(key: AnyKey): Promise<boolean> {
    return this.#cache.touch(this.#key(key))
  }

  async delete(key: AnyKey): Promise<boolean> {
    return this.#cache.delete(this.#key(key))
  }

  deleteSync(key: AnyKey): boolean {
    return this.#cache.deleteSync(this.#key(key))
  }

  async deleteMany(keys: Iterable<AnyKey>): Promise<number> {
    return this.#cache.deleteMany(Array.from(keysOf(keys), (key) => this.#key(key)))
  }

  async expire(key: AnyKey, ttl: Duration): Promise<boolean> {
    return this.#cache.expire(this.#key(key), ttl)
  }

  async ttl(key: AnyKey): Promise<number | undefined> {
    return this.#cache.ttl(this.#key(key))
  }

  async getOrSet<V>(key: AnyKey, load: Loader<V>, options?: GetOrSetOptions<V>): Promise<V> {
    callback(load, 'load')
    let isHit = true
    const counting: Loader<V> = (context) => {
      isHit = false
      return load(context)
    }
    try {
      return await this.#cache.getOrSet(this.#key(key), counting, this.#loadOptions(options))
    } finally {
      this.#counted(isHit ? true : undefined)
    }
  }

  getOrSetSync<V>(key: AnyKey, load: LoaderSync<V>, options?: GetOrSetSyncOptions<V>): V {
    const { staleWhileRevalidate: _, timeout: __, signal: ___, ...all } = this.#loadOptions(options)
    return this.#cache.getOrSetSync(this.#key(key), load, all)
  }

  async refresh<V>(key: AnyKey, load: Loader<V>, options?: GetOrSetOptions<V>): Promise<V> {
    return this.#cache.refresh(this.#key(key), load, this.#loadOptions(options))
  }

  /** Removes every entry of this namespace that has one of these tags. Resolves to how many were live. */
  async invalidateTags(tags: string | readonly string[]): Promise<number> {
    return this.#cache.invalidateTags(this.#tags(typeof tags === 'string' ? [tags] : tags))
  }

  /** Removes every entry of this namespace, by an index: what else is in the cache costs nothing. Resolves to how many were live. */
  async clear(): Promise<number> {
    return this.#cache.invalidateTags([this.#scope])
  }

  /** Its keys, as they were given here. */
  async *keys(): AsyncGenerator<AnyKey, void, undefined> {
    for await (const { text } of this.#listed())
      yield keyFromText(text.slice(namespacePrefix(this.name).length))
  }

  async size(): Promise<number> {
    return (await this.stats()).entries
  }

  /** Looks at the keys of the whole cache. */
  async stats(): Promise<NamespaceStats> {
    const stats = { entries: 0, size: 0, storedSize: 0, hits: this.#hits, misses: this.#misses }
    for await (const { size, storedSize } of this.#listed()) {
      stats.entries++
      stats.size += size
      stats.storedSize += storedSize
    }
    return stats
  }

  async *#listed(): AsyncGenerator<{ text: string; size: number; storedSize: number }> {
    const { tiers } = hostOf(this.#cache)
    const prefix = namespacePrefix(this.name)
    if (tiers.disk === undefined) {
      const now = tiers.now()
      const live = [...(tiers.memory?.entries() ?? [])].filter((entry) => entry.isLive(now))
      for (const { text, size } of live) if (text.startsWith(prefix)) yield { text, size, storedSize: size }
      return
    }
    let cursor: Buffer | undefined
    do {
      const page = await tiers.disk.page({
        cursor,
        after: undefined,
        limit: PAGE,
        prefixes: [prefix, prefix],
        expiring: false,
      })
      for (const entry of page.entries) if (entry.text.startsWith(prefix)) yield entry
      cursor = page.next
    } while (cursor !== undefined)
  }

  #key(key: AnyKey): NamespacedKey {
    return new NamespacedKey(this.name, key)
  }

  #counted<T>(value: T): T {
    if (value === undefined) this.#misses++
    else this.#hits++
    return value
  }

  #tags(tags: unknown): string[] {
    if (isList(tags) && tags.every((tag) => typeof tag === 'string' && tag !== '')) {
      return tags.map((tag) => this.#scope + tag)
    }
    throw makeError('E_INVALID_OPTION', `Invalid tags: got ${describe(tags)}. Give an array of texts.`, {
      name: 'tags',
    })
  }

  #setOptions(options: SetOptions = {}): SetOptions {
    const all = { ...this.#setDefaults, ...options }
    return { ...all, tags: [this.#scope, ...this.#tags(all.tags ?? [])] }
  }

  #loadOptions(options: AnyGetOrSetOptions = {}): AnyGetOrSetOptions {
    const all = { ...this.#defaults, ...options }
    const { tags } = all
    if (typeof tags !== 'function') return { ...all, tags: [this.#scope, ...this.#tags(tags ?? [])] }
    return { ...all, tags: (...args) => [this.#scope, ...this.#tags(tags(...args))] }
  }
}

function isName(name: unknown): boolean {
  if (typeof name !== 'string' || name === '' || name.includes('\0')) return false
  return name.isWellFormed() && Buffer.byteLength(name) <= LONGEST_NAME
}
