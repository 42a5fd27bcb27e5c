/** Whole caches: into one file and back, and into a directory. */
import { resolve } from 'node:path'
import { type EncryptionOptions, parseEncryption } from './encryption.js'
import { fromNative, makeError } from './errors.js'
import { keyFromText } from './keys.js'
import { type NativeRecord, native } from './native.js'
import { boolean } from './options.js'
import { describe } from './refusal.js'
import { Batch } from './tiers/batch.js'
import { packSet } from './tiers/disk.js'
import type { Write } from './tiers/entries.js'
import { decodeExtras } from './tiers/extras.js'
import { SHORT } from './tiers/memory.js'
import type { TierStack } from './tiers/stack.js'
import { decode, encode } from './values/index.js'

/** Bytes of values that are in memory at once while a file is loaded. */
const PIECE = 4 * 1024 * 1024

/** What a backup or a file holds. Sizes in bytes. */
export interface SavedCache {
  /** How many; a backup also has those that have expired. */
  entries: number
  /** Of the file, or of all files of the directory. */
  bytes: number
}

/** Options of `load`. */
export interface LoadCacheOptions {
  /** Keeps what is in the cache; a key that is in both gets the file's entry. Default false: the file replaces all. */
  merge?: boolean | undefined
  /** The key of an encrypted file, where it is not that of this cache: for a new key, or none. */
  encryption?: EncryptionOptions | undefined
}

/** What became of the entries of a file. */
export interface LoadedCache {
  /** Stored. */
  entries: number
  /** Their time had passed. */
  expired: number
  /** They do not fit into `maxSize` at all. */
  refused: number
}

export async function backup(tiers: TierStack, dir: unknown): Promise<SavedCache> {
  const path = pathOf(dir, 'dir')
  if (tiers.disk === undefined) {
    throw makeError(
      'E_UNAVAILABLE',
      'A cache that is in memory only has no directory to back up: save(file) writes it into a file.',
    )
  }
  const { entries, bytes } = await tiers.disk.manage((disk, now) => disk.backup(path, now))
  return { entries, bytes }
}

export async function save(tiers: TierStack, file: unknown): Promise<SavedCache> {
  const path = pathOf(file, 'file')
  if (tiers.disk !== undefined) {
    const { entries, bytes } = await tiers.disk.manage((disk, now) => disk.save(path, now))
    return { entries, bytes }
  }
  const batch = new Batch(Buffer.allocUnsafe(0))
  for (const write of tiers.stored()) {
    packSet(batch, { ...write, encoded: encodeFor(write.text, write.value) })
  }
  const bytes = await typed(() => native().saveWrites(path, batch.bytes(), batch.blobs, tiers.now()))
  return { entries: batch.count, bytes }
}

function encodeFor(text: string, value: unknown): ReturnType<typeof encode> {
  try {
    return encode(value)
  } catch (cause) {
    const known = keyFromText(text)
    const key = typeof known === 'string' ? known : text.slice(1)
    const why = (cause as Error).message
    throw makeError(
      'E_UNSERIALIZABLE',
      `The cache cannot be saved: the value of '${key}': ${why}`,
      { key },
      cause,
    )
  }
}

/** The caller knows the names of the options, and makes sure that no load under way overtakes what is loaded here. */
export async function load(tiers: TierStack, file: unknown, options: LoadCacheOptions): Promise<LoadedCache> {
  const path = pathOf(file, 'file')
  const merge = boolean(options.merge ?? false, 'merge')
  const key = options.encryption === undefined ? undefined : parseEncryption(options.encryption)
  try {
    if (tiers.disk === undefined) return await loadIntoMemory(tiers, path, merge, key)
    // What is in memory is outdated by its epochs.
    const { entries, expired, refused } = await tiers.disk.manage((disk, now) =>
      disk.load(path, merge, key, now),
    )
    return { entries, expired, refused }
  } finally {
    key?.fill(0)
  }
}

async function loadIntoMemory(
  tiers: TierStack,
  path: string,
  merge: boolean,
  key: Uint8Array | undefined,
): Promise<LoadedCache> {
  const { NativeSnapshot } = native()
  const loaded = { entries: 0, expired: 0, refused: 0 }
  const snapshot = await typed(async () => new NativeSnapshot(path, key))
  await typed(() => snapshot.verify())
  if (!merge) await tiers.clear()
  const known = longTexts(tiers)
  tiers.memory!.expectDigests()
  for (;;) {
    const records = await typed(() => snapshot.next(PIECE))
    if (records.length === 0) return loaded
    const now = tiers.now()
    const live = records.filter(({ expiresAt }) => expiresAt > now)
    loaded.expired += records.length - live.length
    loaded.entries += live.length
    await tiers.write(live.map((record) => readRecord(record, known)))
  }
}

/** The texts in memory that a file has the digests of, by those. */
function longTexts(tiers: TierStack): Map<string, string> {
  const texts = Array.from(tiers.memory!.entries(), ({ text }) => text).filter(({ length }) => length > SHORT)
  return new Map(texts.map((text) => [native().storedKeyText(text), text]))
}

function readRecord(
  { key, kind, value, extras, expiresAt, freshUntil, cost }: NativeRecord,
  known: ReadonlyMap<string, string>,
): Write {
  const text = key.toString('utf8')
  return {
    text: known.get(text) ?? text,
    value: decode(kind, value, 0, value.length, true),
    expiresAt,
    freshUntil,
    cost,
    extras: extras == null ? undefined : decodeExtras(extras),
    coding: undefined,
  }
}

async function typed<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    throw fromNative(error)
  }
}

/** @throws InvalidOptionError `E_INVALID_OPTION` */
function pathOf(path: unknown, name: string): string {
  if (typeof path === 'string' && path !== '' && !path.includes('\0')) return resolve(path)
  throw makeError('E_INVALID_OPTION', `Invalid ${name}: got ${describe(path)}. Give a path, as a string.`, {
    name,
  })
}
