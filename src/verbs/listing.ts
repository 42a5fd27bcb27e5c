/** Listings: page by page, so that a cache of any size needs the memory of a page. */

import { type EntryFacts, memoryFacts } from '../entry.js'
import { makeError } from '../errors.js'
import { Glob } from '../glob.js'
import { type CallKey, type Key, keyFromText, keyText } from '../keys.js'
import { fromMetaCells, type NoMeta } from '../meta.js'
import { boolean, checkOptions, positiveInteger, stringOption } from '../options.js'
import { isUnreadable } from '../refusal.js'
import { codecName } from '../tiers/disk.js'
import { decodeExtras } from '../tiers/extras.js'
import type { MemoryEntry } from '../tiers/memory.js'
import { Listed, type Page } from '../tiers/pages.js'
import type { TierStack } from '../tiers/stack.js'
import { staleAt } from '../tiers/wire.js'
import { kindName } from '../values/index.js'
import { Paged } from './paged.js'

/** Which keys to list. `prefix` and `match` look at string keys: no other key has them. */
export interface KeysOptions {
  /** Keys that start with this. */
  prefix?: string | undefined
  /** Keys that match as a whole: `*` is any characters, `?` one, `[a-z]` and `[!a-z]` one of a set; `\` takes the next as it is. */
  match?: string | undefined
  /** At most so many. */
  limit?: number | undefined
  /** Goes on behind this key, the last of a listing before, whether it still has an entry or not. */
  after?: Key | CallKey | undefined
}

/** Which entries to list, and what of them. */
export interface EntriesOptions extends KeysOptions {
  /** Whether to read the values too; each counts as a read. Default false. */
  values?: boolean | undefined
}

/** An entry of a listing. */
export interface ListedEntry<V = unknown> extends EntryFacts {
  /** As it was given; a key over 1024 bytes is a `HashedKey`. */
  key: Key | CallKey
  /** Only with `values: true`. */
  value?: V
}

// Each takes `open`, which throws where the cache is closed, when its first item is asked for.

/** Entries of a page; fewer where their values are read. */
const PAGE = 1000
const FIRST_PAGE = 100
const PAGE_OF_VALUES = 100
/** What the text of a string starts with that is not well-formed. */
const ILL_FORMED = '\0w'

/** An entry as a tier lists it. */
type Item = Listed | { text: string; memory: MemoryEntry }

/** An entry that is listed. */
interface Chosen {
  key: Key | CallKey
  item: Item
}

interface Selection {
  prefix: string
  glob: Glob | undefined
  limit: number
  after: string | undefined
  expiring: boolean
  /** What the text of each key starts with, before the text of the key as it is given: `''`, or that of a namespace. */
  within: string
}

export function keys(
  tiers: TierStack,
  options: KeysOptions,
  open: () => void,
  within = '',
): AsyncGenerator<Key | CallKey, void, undefined> {
  const parsed = () => parse(options, [], 'keys', within)
  return new Paged(pages(tiers, PAGE, parsed, open), ({ key }) => key)
}

export function entries<V>(
  tiers: TierStack,
  options: EntriesOptions,
  open: () => void,
  within = '',
): AsyncGenerator<ListedEntry<V>, void, undefined> {
  const parsed = () => {
    const chosen = parse(options, ['values'], 'entries', within)
    boolean(options.values ?? false, 'values')
    return chosen
  }
  if (isUnreadable(options) || options?.values !== true) {
    return new Paged(pages(tiers, PAGE, parsed, open), (chosen) => listed(tiers, chosen))
  }
  return new Paged(valuePages<V>(tiers, pages(tiers, PAGE_OF_VALUES, parsed, open)), (entry) => entry)
}

/** The same with values, of which those of a page are read at once. */
async function* valuePages<V>(
  tiers: TierStack,
  source: AsyncIterable<Chosen[]>,
): AsyncGenerator<ListedEntry<V>[], void, undefined> {
  for await (const page of source) {
    const values = await tiers.readMany(page.map(({ item }) => item.text))
    const read: ListedEntry<V>[] = []
    for (const [index, chosen] of page.entries()) {
      const value = values[index]
      if (value === undefined) continue
      const { key, ...facts } = listed(tiers, chosen, value)
      read.push({ key, value: value as V, ...facts })
    }
    yield read
  }
}

/** Keys of live entries that expire, with their times in milliseconds since the Unix epoch. */
export function keysWithExpiry(
  tiers: TierStack,
  options: KeysOptions,
  open: () => void,
  within = '',
): AsyncGenerator<[Key | CallKey, number], void, undefined> {
  const parsed = () => ({ ...parse(options, [], 'keysWithExpiry', within), expiring: true })
  return new Paged(pages(tiers, PAGE, parsed, open), ({ key, item }) => [key, expiryOf(item)])
}

/** Field by field: a spread behind another field takes longer than all the rest of a listing. */
function listed(tiers: TierStack, { key, item }: Chosen, value?: unknown): Omit<ListedEntry<never>, 'value'> {
  if (!(item instanceof Listed)) {
    const { kind, createdAt, expiresAt, accessedAt, hits, size, storedSize, codec, ...rest } = memoryFacts(
      item.memory,
      item.memory.hits,
    )
    return { key, kind, createdAt, expiresAt, accessedAt, hits, size, storedSize, codec, ...rest }
  }
  const { extras } = item
  const known = extras === undefined ? undefined : decodeExtras(extras)
  return {
    key,
    kind: kindName(item.kind, value),
    createdAt: item.createdAt,
    expiresAt: staleAt(item),
    accessedAt: item.accessedAt,
    hits: item.hits,
    size: item.size,
    storedSize: item.storedSize,
    codec: codecName(item.codec),
    tier: tiers.memory === undefined || tiers.current(item.text)?.place === undefined ? 'disk' : 'memory',
    tags: known?.tags ?? [],
    description: known?.description,
    meta: fromMetaCells(tiers.tables as NoMeta, known?.meta),
  }
}

function expiryOf(item: Item): number {
  return staleAt(item instanceof Listed ? item : item.memory)
}

/** Pages of what was selected; none is empty. */
async function* pages(
  tiers: TierStack,
  size: number,
  parsed: () => Selection,
  open: () => void,
): AsyncGenerator<Chosen[], void, undefined> {
  open()
  const selection = parsed()
  const { glob, prefix, within } = selection
  if (tiers.disk?.storesKeys === false) refuseParts(selection)
  const isMatch = (key: unknown): boolean =>
    (prefix === '' && glob === undefined) ||
    (typeof key === 'string' && key.startsWith(prefix) && (glob === undefined || glob.matches(key)))
  let left = selection.limit
  const sizes = glob === undefined ? Math.min(size, left) : size
  const source =
    tiers.disk === undefined ? memoryPages(tiers, selection, size) : diskPages(tiers, selection, sizes)
  for await (const items of source) {
    const page: Chosen[] = []
    for (const item of items) {
      const key = keyFromText(within === '' ? item.text : item.text.slice(within.length))
      if (isMatch(key) && left-- > 0) page.push({ key, item })
    }
    if (page.length > 0) yield page
    if (left <= 0) return
  }
}

/** @throws InvalidOptionError `E_INVALID_OPTION` where a part of the text of keys is asked for */
function refuseParts({ prefix, glob, within }: Selection): void {
  const option =
    prefix !== '' ? 'prefix' : glob !== undefined ? 'match' : within !== '' ? 'namespace' : undefined
  if (option === undefined) return
  throw makeError(
    'E_INVALID_OPTION',
    `Invalid ${option}: this cache has storeKeys: false, so that no key is known by a part of its text. List all entries, or find them by their tags.`,
    { name: option },
  )
}

/** The first page is short, for those who want no more. Of a listing without limit, the next one is read while one is looked at. */
async function* diskPages(tiers: TierStack, selection: Selection, size: number): AsyncGenerator<Item[]> {
  const { prefix, glob, after, expiring, within } = selection
  // The longer of two beginnings says more; where they differ, nothing has both.
  const start = glob !== undefined && glob.prefix.length > prefix.length ? glob.prefix : prefix
  const isPushed = start !== '' && start.isWellFormed() && start[0] !== '\0'
  const whole = within === '' ? undefined : ([within, within] as const)
  const prefixes = isPushed ? ([within + start, within + ILL_FORMED] as const) : whole
  const ask = (limit: number, cursor?: Buffer) =>
    tiers.disk!.page({ cursor, after, limit, prefixes, expiring })
  let page = await ask(Math.min(FIRST_PAGE, size))
  yield page.entries
  let ahead: Promise<Page> | undefined
  while (page.next !== undefined) {
    page = await (ahead ?? ask(size, page.next))
    ahead = undefined
    if (page.next !== undefined && selection.limit === Number.POSITIVE_INFINITY) {
      ahead = ask(size, page.next)
      ahead.catch(() => {}) // it is told to whoever asks for that page
    }
    yield page.entries
  }
}

/** By the texts of keys, so that a listing can go on behind a key that is gone. */
async function* memoryPages(tiers: TierStack, selection: Selection, size: number): AsyncGenerator<Item[]> {
  const { after, expiring, within } = selection
  const isAsked = (entry: MemoryEntry): boolean =>
    entry.text.startsWith(within) &&
    (after === undefined || entry.text > after) &&
    !(expiring && staleAt(entry) === Number.POSITIVE_INFINITY)
  const texts = [...(tiers.memory?.entries() ?? [])].filter(isAsked).map(({ text }) => text)
  texts.sort((a, b) => (a < b ? -1 : 1))
  for (let start = 0; start < texts.length; start += size) {
    const live = texts.slice(start, start + size).map((text) => tiers.kept(text))
    const now = tiers.now()
    yield live
      .filter((entry) => entry?.isLive(now) === true)
      .map((entry) => ({ text: entry!.text, memory: entry! }))
  }
}

function parse(options: KeysOptions, more: readonly string[], where: string, within: string): Selection {
  checkOptions(options, ['prefix', 'match', 'limit', 'after', ...more], where)
  const { prefix, match, limit, after } = options
  return {
    prefix: prefix === undefined ? '' : stringOption(prefix, 'prefix'),
    glob: match === undefined ? undefined : new Glob(match),
    limit: limit === undefined ? Number.POSITIVE_INFINITY : positiveInteger(limit, 'limit'),
    after: after === undefined ? undefined : within + keyText(after as Key),
    expiring: false,
    within,
  }
}
