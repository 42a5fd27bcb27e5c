/** `save` and `load` of a `MemoryCache`. */
import { boolean, checkOptions } from '../options.js'
import { part } from '../parts.js'
import type { SaveOptions } from './files.js'
import type { MemoryMetrics } from './metrics.js'
import type { ParsedMemoryOptions } from './options.js'
import { serializerNamed } from './serializers.js'
import type { SavedEntry } from './snapshot.js'
import type { Store } from './store.js'
import type { Weigher } from './weigher.js'

/** Options of `load`. */
export interface LoadOptions {
  /** Keeps what the cache holds; of a key that is in both, the file's value counts. Default false: the file replaces it. */
  merge?: boolean | undefined
}

/** Entries on their way in: whatever can throw has been done. */
export interface Loaded<K, V> {
  entries: SavedEntry<K, V>[]
  /** `undefined` for an entry that is too large for this cache. */
  weights: (number | undefined)[]
}

/** Of a cache, what its files are made of. */
export interface Filed<K, V> {
  options: ParsedMemoryOptions
  store: Store<K, V>
  weigher: Weigher<K, V>
}

/** The part of `MemoryCache` that is about files. */
export abstract class SavedCache<K, V> {
  protected abstract filed(): Filed<K, V>
  /** Takes over what was read; gives how many entries. */
  protected abstract restored(loaded: Loaded<K, V>, merge: boolean): number
  abstract metrics(): MemoryMetrics

  /**
   * Writes all live entries to a file, with the rest of their TTLs and in the order of the policy. The file is replaced in one
   * step, and has a checksum; behind a link it is the file that the link leads to, and it keeps its rights. What is saved is what the cache
   * holds when this is called.
   * @param file default: `filename` with the serializer's extension; a relative path starts at `dir`
   * @returns the absolute path
   * @throws UnserializableError `E_UNSERIALIZABLE`
   * @throws StorageFullError `E_STORAGE_FULL`, ReadOnlyError `E_READ_ONLY`, UnavailableError `E_UNAVAILABLE` for the file
   */
  async save(file?: string, options?: SaveOptions): Promise<string> {
    const path = savePath(this.filed().options, file, options)
    await part('memory-files').writeFile(path, snapshotOf(this.filed()))
    return path
  }

  /** As `save`. */
  saveSync(file?: string, options?: SaveOptions): string {
    const path = savePath(this.filed().options, file, options)
    part('memory-files').writeFileSync(path, snapshotOf(this.filed()))
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
    const path = loadPath(this.filed().options, file)
    return this.restored(readSnapshot(this.filed(), await part('memory-files').readFile(path), path), merge)
  }

  /** As `load`. */
  loadSync(file?: string, options?: LoadOptions): number {
    const merge = parseLoad(options)
    const path = loadPath(this.filed().options, file)
    return this.restored(readSnapshot(this.filed(), part('memory-files').readFileSync(path), path), merge)
  }

  /**
   * Writes the metrics to a file, as JSON, replaced in one step.
   * @param file default: `filename` with `-metrics.json`; a relative path starts at `dir`
   * @returns the absolute path
   */
  async saveMetrics(file?: string, options?: SaveOptions): Promise<string> {
    const path = metricsPath(this.filed().options, file, options)
    await part('memory-files').writeFile(path, jsonFile(this.metrics()))
    return path
  }

  /** As `saveMetrics`. */
  saveMetricsSync(file?: string, options?: SaveOptions): string {
    const path = metricsPath(this.filed().options, file, options)
    part('memory-files').writeFileSync(path, jsonFile(this.metrics()))
    return path
  }
}

/** The path that entries are saved to. */
function savePath(
  options: ParsedMemoryOptions,
  file: string | undefined,
  given: SaveOptions | undefined,
): string {
  return pathFor(options, file, given, options.filename, extensionOf(options))
}

/** The path that metrics are saved to. */
function metricsPath(
  options: ParsedMemoryOptions,
  file: string | undefined,
  given: SaveOptions | undefined,
): string {
  return pathFor(options, file, given, `${options.filename}-metrics`, 'json')
}

function loadPath(options: ParsedMemoryOptions, file: string | undefined): string {
  return part('memory-files').pathOf(file, options.dir, options.filename, extensionOf(options), undefined)
}

function parseLoad(options: LoadOptions | undefined): boolean {
  checkOptions(options, ['merge'], 'load')
  return options?.merge === undefined ? false : boolean(options.merge, 'merge')
}

/** The bytes of all live entries of a store. Errors as `save`. */
function snapshotOf<K, V>({ store, options }: Filed<K, V>): Uint8Array[] {
  const now = options.now()
  const entries: SavedEntry<unknown, unknown>[] = []
  for (const key of store.order()) {
    const slot = store.find(key)
    if (slot === undefined) continue
    const ttl = store.expiresAt(slot) - now
    const uses = store.evictor.usesOf?.(slot) ?? 0
    if (ttl > 0)
      entries.push({ key, value: store.slots.valueAt(slot), ttl, slides: store.slideOf(slot), uses })
  }
  return part('memory-files').encodeSnapshot(entries, {
    serializer: options.serializer,
    policy: options.policy,
    now,
  })
}

/** The entries of a file, checked and weighed. Errors as `load`. */
function readSnapshot<K, V>({ options, weigher }: Filed<K, V>, bytes: Buffer, path: string): Loaded<K, V> {
  const entries = part('memory-files').decodeSnapshot<K, V>(bytes, path, options.now())
  return { entries, weights: entries.map(({ key, value }) => weigher.weighIfItFits(key, value)) }
}

function jsonFile(data: unknown): Uint8Array[] {
  return [Buffer.from(`${JSON.stringify(data, undefined, 2)}\n`)]
}

/** Stores what was read, in an order that makes the next victim the same; gives how many. */
export function restore<K, V>(store: Store<K, V>, { entries, weights }: Loaded<K, V>): number {
  const order = [...entries.keys()]
  if (store.evictor.newestFirst) order.reverse()
  let stored = 0
  for (const index of order) {
    const { key, value, ttl, slides, uses } = entries[index]!
    const weight = weights[index]
    if (weight === undefined) continue
    const slot = store.set(key, value, weight, ttl, slides)
    if (uses > 0) store.evictor.restoreUses?.(slot, uses)
    stored++
  }
  return stored
}

function pathFor(
  { dir, now }: ParsedMemoryOptions,
  file: string | undefined,
  given: SaveOptions | undefined,
  name: string,
  extension: string,
): string {
  checkOptions(given, ['timestamp'], 'save')
  const isDated = given?.timestamp === undefined ? false : boolean(given.timestamp, 'timestamp')
  return part('memory-files').pathOf(file, dir, name, extension, isDated ? now() : undefined)
}

function extensionOf({ serializer }: ParsedMemoryOptions): string {
  return serializerNamed(serializer)!.extension
}
