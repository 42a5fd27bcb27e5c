/** Options of one entry, parsed and checked once. */
import { type Codec, type Duration, parseCoding } from './cache-options.js'
import { type MetaInput, type MetaTables, type NoMeta, toMetaCells } from './meta.js'
import { checkOptions, invalid, parseDuration } from './options.js'
import { isList } from './refusal.js'
import type { Storing } from './tiers/entries.js'
import type { Extras } from './tiers/extras.js'

/** Options of one entry. */
export interface SetOptions<M extends MetaTables = NoMeta> {
  /** Time to live. Default: the cache's. */
  ttl?: Duration | undefined
  /** Compression on disk. Default: that of the value's kind, else the cache's. */
  codec?: Codec | undefined
  /** Level of the codec, where it has one. */
  level?: number | undefined
  /** Names under which entries are invalidated together: text of 1 to 1024 bytes each. */
  tags?: readonly string[] | undefined
  /** What the entry is, for people: `entry(key)` gives it back. */
  description?: string | undefined
  /** A row for each declared table that the entry is to be found in. */
  meta?: MetaInput<M> | undefined
}

/** Their names. */
export const SET_OPTIONS = ['ttl', 'codec', 'level', 'tags', 'description', 'meta'] as const

/**
 * @param ttl of entries that are set without one, in milliseconds
 * @param tables what the cache declares
 * @throws InvalidTtlError `E_INVALID_TTL`, InvalidOptionError `E_INVALID_OPTION`, ConstraintError `E_CONSTRAINT`
 */
export function parseSetOptions(
  options: SetOptions<MetaTables>,
  ttl: number,
  now: number,
  tables: MetaTables = {},
): Storing {
  checkOptions(options, SET_OPTIONS, 'an entry')
  const own = options.ttl === undefined ? ttl : parseDuration(options.ttl, 'ttl')
  return {
    expiresAt: now + own,
    freshUntil: Number.POSITIVE_INFINITY,
    cost: 0,
    coding: parseCoding(options),
    extras: parseExtras(options, tables),
  }
}

function parseExtras(
  { tags, description, meta }: SetOptions<MetaTables>,
  tables: MetaTables,
): Extras | undefined {
  if (tags === undefined && description === undefined && meta === undefined) return undefined
  if (description !== undefined && !(typeof description === 'string' && description.isWellFormed())) {
    throw invalid('description', description, 'well-formed text')
  }
  const known = tags === undefined ? [] : parseTags(tags)
  const rows = toMetaCells(tables, meta)
  const isEmpty = known.length === 0 && description === undefined && rows === undefined
  return isEmpty ? undefined : { tags: known, description, meta: rows }
}

/** Bytes of a tag, and tags of an entry or of one invalidation. */
const [LONGEST_TAG, MOST_TAGS] = [1024, 1000]

/**
 * Tags, each once.
 * @throws InvalidOptionError `E_INVALID_OPTION`
 */
export function parseTags(tags: unknown): readonly string[] {
  if (!isList(tags)) throw invalid('tags', tags, "an array of texts, such as ['users']")
  const known = [...new Set(tags)]
  if (known.length > MOST_TAGS) throw invalid('tags', `${known.length} tags`, `at most ${MOST_TAGS}`)
  for (const tag of known) {
    const fits = typeof tag === 'string' && tag !== '' && Buffer.byteLength(tag) <= LONGEST_TAG
    if (!fits || !tag.isWellFormed())
      throw invalid('tags', tag, `well-formed texts of 1 to ${LONGEST_TAG} bytes`)
  }
  return known as string[]
}
