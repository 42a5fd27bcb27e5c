/** The content of files and folders as a part of a key: what `file` and `directory` give, and how it becomes a digest. */
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fromNative, makeError } from './errors.js'
import { native } from './native.js'
import { checkOptions, oneOf } from './options.js'
import { describe, isUnreadable } from './refusal.js'

/** How content is hashed: `xxh3` is as fast as reading, `blake3` cannot be forged. */
export type ContentHash = 'xxh3' | 'blake3'

/** Options of `file` and `directory`. */
export interface ContentOptions {
  /**
   * Default `xxh3`. Give `blake3` where others can choose the content: who wants to can make two files with one XXH3 digest,
   * and then one would be answered with what was made from the other.
   */
  hash?: ContentHash | undefined
}

const HASHES = ['xxh3', 'blake3'] as const
/** Letters of a key's text, and how many hex digits follow them. */
const KINDS = { file: 'F', directory: 'T' } as const
const LETTERS = { xxh3: 'x', blake3: 'b' } as const
export const DIGITS: Readonly<Record<ContentHash, number>> = { xxh3: 32, blake3: 64 }

/**
 * A part of a key that stands for the content of a file or of a folder, made by `file` and `directory`. The content is looked
 * at anew by each verb that gets it. One that comes back from a listing of keys has a `digest` and no `path`.
 */
export class ContentKey {
  readonly #brand = true

  // By brand and not `instanceof`, which would run the traps of a proxy.
  /** @internal */
  static is(value: object): value is ContentKey {
    return #brand in value
  }

  /** @internal */
  constructor(
    /** What it stands for. */
    readonly kind: 'file' | 'directory',
    /** What its content is summed up by. */
    readonly hash: ContentHash,
    /** Absolute. */
    readonly path: string | undefined,
    /** Lowercase hex digits. */
    readonly digest: string | undefined,
  ) {
    Object.freeze(this)
  }
}

/**
 * The content of a file as a key or as a part of one: the same bytes under any name are the same key.
 * A verb that gets it ends with InvalidKeyError `E_INVALID_KEY`, with the path, where the file is missing or not readable.
 * @throws InvalidKeyError `E_INVALID_KEY`, InvalidOptionError `E_INVALID_OPTION`
 */
export function file(path: string | URL, options: ContentOptions = {}): ContentKey {
  return contentKey('file', path, options)
}

/**
 * The content of a folder as a key or as a part of one: the names, the structure and the bytes of all files in it, but neither
 * its own path nor any time. A symbolic link counts as what it points to. Errors as `file`.
 */
export function directory(path: string | URL, options: ContentOptions = {}): ContentKey {
  return contentKey('directory', path, options)
}

function contentKey(kind: 'file' | 'directory', path: string | URL, options: ContentOptions): ContentKey {
  checkOptions(options, ['hash'], kind)
  const hash = oneOf(options.hash ?? 'xxh3', 'hash', HASHES)
  return new ContentKey(kind, hash, absolute(path, kind), undefined)
}

/** At once: a later `chdir` does not change what was meant. */
function absolute(path: string | URL, kind: string): string {
  if (typeof path === 'string' && path !== '' && !path.includes('\0')) return resolve(path)
  try {
    if (!isUnreadable(path) && path instanceof URL) return fileURLToPath(path)
  } catch {
    // Not a URL of a file: said below.
  }
  const given = !isUnreadable(path) && path instanceof URL ? path.href : describe(path)
  throw makeError(
    'E_INVALID_KEY',
    `Invalid key: ${kind}(${given}). Give a path as a string, or a file: URL.`,
    {
      path: given,
    },
  )
}

/** The item of a key's text. */
export function contentItem(part: ContentKey, digest: string): string {
  return `${KINDS[part.kind]}${LETTERS[part.hash]}${digest}`
}

/** The digest where it is at hand: from a listing, or of a file that has not changed since it was hashed. */
export function knownDigest(part: ContentKey): string | undefined {
  if (part.digest !== undefined) return part.digest
  if (part.kind === 'directory') return undefined
  return native().knownContent(part.path!, part.hash) ?? undefined
}

/** @throws InvalidKeyError `E_INVALID_KEY`, with the path */
export function digestSync(part: ContentKey): string {
  try {
    return native().hashContentSync([nativeContent(part)])[0]!
  } catch (error) {
    throw fromNative(error)
  }
}

/** What one verb is to have hashed: one call, which takes as many threads and buffers as there are cores. */
class Gathering {
  private readonly parts: ContentKey[] = []
  private all: Promise<Map<ContentKey, string>> | undefined

  get isEmpty(): boolean {
    return this.parts.length === 0
  }

  /** The digests of these and of others. */
  async add(parts: readonly ContentKey[]): Promise<ReadonlyMap<ContentKey, string>> {
    this.parts.push(...parts)
    await undefined // until all are there
    this.all ??= hashed(this.parts)
    // Where another one failed, these may not.
    return this.all.catch(() => hashed(parts))
  }
}

let gathering: Gathering | undefined

/** Runs what asks for the digests of many, which are read in one call. */
export function gathered<T>(run: () => T): T {
  const outer = gathering
  gathering = new Gathering()
  try {
    return run()
  } finally {
    gathering = outer
  }
}

/** Whether some content has to be read anyway: then it is not asked of each whether it is known. */
export function isGathering(): boolean {
  return gathering !== undefined && !gathering.isEmpty
}

/** Hashes on the thread pool, all at once. Rejects with `E_INVALID_KEY`. */
export function digests(parts: readonly ContentKey[]): Promise<ReadonlyMap<ContentKey, string>> {
  return gathering === undefined ? hashed(parts) : gathering.add(parts)
}

async function hashed(parts: readonly ContentKey[]): Promise<Map<ContentKey, string>> {
  try {
    const found = await native().hashContent(parts.map(nativeContent))
    return new Map(parts.map((part, index) => [part, found[index]!]))
  } catch (error) {
    throw fromNative(error)
  }
}

function nativeContent(part: ContentKey): { path: string; isDirectory: boolean; hash: string } {
  return { path: part.path!, isDirectory: part.kind === 'directory', hash: part.hash }
}
