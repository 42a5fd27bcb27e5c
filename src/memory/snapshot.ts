/**
 * The bytes of a saved `MemoryCache`.
 *
 * One line of text, then the payload. The line is `tierce-memory 1 <serializer> <bytes of the payload> <its SHA-256>`; the
 * payload is what the serializer makes of `{ savedAt, policy, entries }`. Of an entry are kept its key, its value, the rest of
 * its TTL when it was saved, if that slides the whole of it, and its uses where the policy counts them. The next victim comes
 * first.
 */
import { makeError, TierceError } from '../errors.js'
import { describe, isPromise, isUnreadable } from '../refusal.js'
import { type Serializer, serializerNamed, serializerNames } from './serializers.js'

const MAGIC = 'tierce-memory'
const VERSION = '1'
const LONGEST_LINE = 512

/** A saved entry. */
export interface SavedEntry<K, V> {
  key: K
  value: V
  /** Milliseconds left; `Infinity` never expires. */
  ttl: number
  /** Milliseconds that each use starts again, 0 for none. */
  slides: number
  /** Uses, where the policy counts them; 0 elsewhere. */
  uses: number
}

/** As the serializer sees it: the same in a row, with 0 as the rest of the TTL for no expiry. */
type Row = [key: unknown, value: unknown, ttl: number, slides: number, uses: number]

/**
 * @throws UnserializableError `E_UNSERIALIZABLE` for a key or a value that the serializer cannot hold
 */
export function encodeSnapshot(
  entries: readonly SavedEntry<unknown, unknown>[],
  facts: { serializer: string; policy: string; now: number },
): Uint8Array[] {
  const rows: Row[] = entries.map(({ key, value, ttl, slides, uses }) => {
    if (typeof key === 'object' || typeof key === 'function') {
      throw makeError(
        'E_UNSERIALIZABLE',
        `Cannot save the key ${describe(key)}: an object is a key by its identity, which no file can keep. Use strings, numbers or bigints as keys of a cache that is saved.`,
        { path: 'key' },
      )
    }
    return [key, value, ttl === Infinity ? 0 : ttl, slides, uses]
  })
  const serializer = serializerNamed(facts.serializer) as Serializer
  const data = serializer.serialize({ savedAt: facts.now, policy: facts.policy, entries: rows })
  const payload = typeof data === 'string' ? Buffer.from(data, 'utf8') : data
  if (isUnreadable(payload) || !(payload instanceof Uint8Array)) {
    throw makeError(
      'E_UNSERIALIZABLE',
      `Serializer '${facts.serializer}' gave ${describe(payload)}; it has to give a text or bytes.`,
    )
  }
  const line = `${[MAGIC, VERSION, encodeURIComponent(facts.serializer), payload.length, digestOf(payload)].join(' ')}\n`
  return [Buffer.from(line, 'latin1'), payload]
}

/**
 * The entries of a file that have not expired at `now`: time goes on while an entry lies in a file.
 * @throws FormatError `E_FORMAT` for a file that is none of ours, or of a later release, or of an unknown serializer
 * @throws CorruptError `E_CORRUPT` for one that is damaged
 */
export function decodeSnapshot<K, V>(bytes: Buffer, path: string, now: number): SavedEntry<K, V>[] {
  const end = bytes.subarray(0, LONGEST_LINE).indexOf('\n')
  const [magic, version, name = '', size, digest] = bytes.toString('latin1', 0, Math.max(end, 0)).split(' ')
  if (magic !== MAGIC) throw format(path, 'it was not saved by a MemoryCache')
  if (version !== VERSION)
    throw format(
      path,
      `its format is ${describe(version)}; this release reads ${VERSION}. Load it with a newer release`,
    )
  const payload = bytes.subarray(end + 1)
  if (Number(size) !== payload.length)
    throw corrupt(path, `it should have ${size} bytes after its first line, and has ${payload.length}`)
  if (digestOf(payload) !== digest) throw corrupt(path, 'its checksum does not match')
  const serializer = serializerNamed(safeDecode(name))
  if (serializer === undefined) {
    throw format(
      path,
      `it was saved with serializer ${describe(safeDecode(name))}; there are ${serializerNames().join(', ')}. Define it with defineSerializer first`,
    )
  }
  let data: unknown
  try {
    data = serializer.deserialize(payload)
  } catch (error) {
    if (error instanceof TierceError && error.code === 'E_UNAVAILABLE') throw error
    throw corrupt(path, `serializer '${safeDecode(name)}' cannot read it`, error)
  }
  if (isPromise(data)) {
    throw makeError(
      'E_INVALID_OPTION',
      `Cannot load ${path}: deserialize of serializer '${safeDecode(name)}' gave a promise; it has to give the data itself.`,
      { name: 'serializer' },
    )
  }
  return entriesOf<K, V>(data, path, now)
}

function entriesOf<K, V>(data: unknown, path: string, now: number): SavedEntry<K, V>[] {
  const { entries: rows, savedAt } = ((isUnreadable(data) ? undefined : data) ?? {}) as {
    entries?: unknown
    savedAt?: unknown
  }
  if (!Array.isArray(rows) || typeof savedAt !== 'number') throw corrupt(path, 'it holds no entries')
  const age = Math.max(0, now - savedAt)
  const saved = rows.map((row: unknown) => {
    if (!Array.isArray(row) || row.length !== 5) throw corrupt(path, 'an entry is incomplete')
    const [key, value, ttl, slides, uses] = row as Row
    const isKey = typeof key === 'string' || typeof key === 'number' || typeof key === 'bigint'
    const areTimes = [ttl, slides, uses].every((figure) => typeof figure === 'number' && figure >= 0)
    if (!isKey || value === undefined || !areTimes) {
      throw corrupt(path, `the entry of key ${describe(key)} is not one`)
    }
    return { key: key as K, value: value as V, ttl: ttl === 0 ? Infinity : ttl - age, slides, uses }
  })
  return saved.filter(({ ttl }) => ttl > 0)
}

function digestOf(payload: Uint8Array): string {
  // Loaded when it is first needed: it would double the time that importing tierce takes.
  const { createHash } = process.getBuiltinModule('node:crypto')
  return createHash('sha256').update(payload).digest('hex')
}

function safeDecode(name: string): string {
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}

function format(path: string, why: string): Error {
  return makeError('E_FORMAT', `Cannot load ${path}: ${why}.`, { path })
}

function corrupt(path: string, why: string, cause?: unknown): Error {
  return makeError('E_CORRUPT', `Cannot load ${path}: it is damaged: ${why}.`, { path }, cause)
}
