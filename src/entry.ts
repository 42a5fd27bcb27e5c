/** What is known of an entry beside its value. */
import { fromMetaCells, type MetaRows, type MetaTables, type NoMeta } from './meta.js'
import { codecName } from './tiers/disk.js'
import type { Extras } from './tiers/extras.js'
import type { MemoryEntry } from './tiers/memory.js'
import { type Facts, staleAt } from './tiers/wire.js'

/** What is known of an entry. Sizes in bytes, times in milliseconds since the Unix epoch. */
export interface CacheEntry<V = unknown, M extends MetaTables = NoMeta> {
  /** The live value where it is in memory: treat it as read-only, unless `values` is `'copy'`. */
  value: V
  /**
   * The form that the value is stored in: bytes, string, typed-array, ndarray, series, json, structured, or the name of a handler
   * that was defined; `live` where it is in memory only.
   */
  kind: string
  /** When it was set; in memory alone and without a TTL, as of the last look at the clock in that turn of the event loop. */
  createdAt: number
  /** From then on reads do not find it; `Infinity` never expires. A load may keep it longer: see `staleIfError`. */
  expiresAt: number
  /** When it was read last, before this; when it was set, where it was not read yet. */
  accessedAt: number
  /** Reads before this one. */
  hits: number
  /** Of the value; an estimate where it is in memory only. */
  size: number
  /** After compression. */
  storedSize: number
  /** How it is compressed: `none`, `lz4`, `zstd`, `pco` and so on; `auto` has chosen by then. */
  codec: string
  /** The first tier that holds it. */
  tier: 'memory' | 'disk'
  /** Without those that a namespace adds for itself, where a namespace gives them. */
  tags: readonly string[]
  /** The text given as `set(…, { description })`. */
  description: string | undefined
  /** The entry's rows in declared tables; `undefined` where it has none. */
  meta: MetaRows<M> | undefined
}

/** The same without the value. */
export type EntryFacts = Omit<CacheEntry, 'value'>

/** Of an entry that is in memory only. */
export function memoryFacts(entry: MemoryEntry, hits: number): EntryFacts {
  const { kind, createdAt, accessedAt, size } = entry
  return {
    kind,
    createdAt,
    expiresAt: staleAt(entry),
    accessedAt,
    hits,
    size,
    storedSize: size,
    codec: 'none',
    tier: 'memory',
    tags: entry.extras?.tags ?? [],
    description: entry.extras?.description,
    meta: undefined,
  }
}

/** Of an entry on disk, whether or not it is in memory too. */
export function diskFacts(
  facts: Facts,
  kind: string,
  tier: 'memory' | 'disk',
  extras: Extras | undefined,
  tables: MetaTables,
): EntryFacts {
  const { createdAt, accessedAt, hits, size, storedSize } = facts
  return {
    kind,
    createdAt,
    expiresAt: staleAt(facts),
    accessedAt,
    hits,
    size,
    storedSize,
    codec: codecName(facts.codec),
    tier,
    tags: extras?.tags ?? [],
    description: extras?.description,
    meta: fromMetaCells(tables as NoMeta, extras?.meta),
  }
}
