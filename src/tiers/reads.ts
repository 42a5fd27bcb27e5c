/** The tiers as one, for reading: memory in front of the disk, coherent with it. Keys are canonical texts here. */
import type { ParsedOptions } from '../cache-options.js'
import type { Cell } from '../cells.js'
import { type CacheEntry, diskFacts, memoryFacts } from '../entry.js'
import { makeError } from '../errors.js'
import type { MetaTables } from '../meta.js'
import { type Soon, then } from '../soon.js'
import { giveOut, keep } from '../values/copies.js'
import { kindName } from '../values/index.js'
import type { Answer } from './answer.js'
import type { DiskHit } from './disk.js'
import type { Kept, KnownKey, TierStats } from './entries.js'
import { MemoryFront, type TierEvents } from './front.js'
import { MemoryEntry } from './memory.js'
import { staleAt } from './wire.js'

export class TierReads extends MemoryFront {
  /** Of metadata. */
  readonly tables: MetaTables
  /** Then nothing keeps what is read, and the value is all that is asked for. */
  readonly #isDiskAlone: boolean
  /** Keys whose entries are being changed on disk, and by how many writes: what a read brings of them may be old. */
  protected readonly changing = new Map<string, number>()

  /** Opens the directory, if there is one. Errors as `Cache`. */
  constructor(parsed: ParsedOptions, events: TierEvents) {
    super(parsed, events)
    this.tables = parsed.meta
    this.#isDiskAlone = this.memory === undefined && this.disk !== undefined
  }

  /** The value of a key; `undefined` on a miss. Only a promise when it takes the disk. */
  read(text: string): unknown {
    if (this.#isDiskAlone) {
      const value = this.disk!.value(text)
      return value instanceof Promise ? value.then((read) => this.#counted(read)) : this.#counted(value)
    }
    const live = this.readMemory(text)
    if (live !== undefined) return live
    const found = this.find(text)
    return found instanceof Promise ? found.then((kept) => this.#fresh(kept)) : this.#fresh(found)
  }

  readSync(text: string): unknown {
    if (this.#isDiskAlone) return this.#counted(this.disk!.valueSync(text))
    return this.readMemory(text) ?? this.#fresh(this.findSync(text))
  }

  #counted(value: unknown): unknown {
    this.count(value !== undefined)
    return value
  }

  /** What is kept under a key, stale or not; `undefined` where there is nothing. Only a promise when it takes the disk. */
  find(text: string): Kept | undefined | Promise<Kept | undefined> {
    const kept = this.kept(text)
    if (kept !== undefined || this.disk === undefined) return this.#found(kept)
    const hit = this.disk.read(text)
    const done = (read: DiskHit | undefined) => this.#found(keptOf(this.#remember(text, read)))
    return hit instanceof Promise ? hit.then(done) : done(hit)
  }

  findSync(text: string): Kept | undefined {
    return this.#found(this.kept(text) ?? keptOf(this.#remember(text, this.disk?.readSync(text))))
  }

  /** The values of many keys, aligned with them; those on disk are read in one call, from one snapshot. */
  async readMany(texts: readonly string[]): Promise<unknown[]> {
    const live = texts.map((text) => this.live(text))
    const missing = texts.filter((_, index) => live[index] === undefined)
    const read = this.disk === undefined || missing.length === 0 ? [] : await this.disk.readMany(missing)
    let next = 0
    return live.map((entry, index) => {
      const hit = entry ?? this.#remember(texts[index]!, read[next++])
      this.count(hit !== undefined)
      return this.given(hit)
    })
  }

  /** The value of a key and what is known beside it. */
  async entry<V>(text: string): Promise<CacheEntry<V> | undefined> {
    if (this.disk === undefined) return this.#memoryEntry(text)
    const live = this.current(text)
    this.tellAccesses()
    const hit = await this.disk.entry(text)
    if (hit === undefined) return this.#memoryEntry(text) // the disk may have evicted what memory still answers with
    const isLive = hit.facts.freshUntil > this.now()
    this.count(isLive)
    if (!isLive) return undefined
    const tier = live !== undefined && live === this.memory?.peek(text) ? 'memory' : 'disk'
    const { facts, value, extras } = hit
    const kind = kindName(facts.kind, value)
    return { value: value as V, ...diskFacts(facts, kind, tier, extras, this.tables) }
  }

  #memoryEntry<V>(text: string): CacheEntry<V> | undefined {
    const entry = this.live(text)
    this.count(entry !== undefined)
    if (entry === undefined) return undefined
    return { value: this.given(entry) as V, ...memoryFacts(entry, entry.hits - 1) }
  }

  /** What is known of a key. Does not count as an access. */
  state(text: string, sync: boolean): Soon<KnownKey> {
    const entry = this.current(text)
    if (entry !== undefined) {
      return entry.isLive(this.now()) ? { is: 'live', expiresAt: staleAt(entry) } : { is: 'expired' }
    }
    if (this.disk === undefined) return { is: 'missing' }
    return then(this.disk.state(text, sync), ({ is, facts }) => ({ is, expiresAt: facts && staleAt(facts) }))
  }

  /** @throws UnavailableError `E_UNAVAILABLE` without a disk tier */
  query(sql: string, params: readonly (Cell | bigint)[]): Soon<Answer> {
    if (this.disk !== undefined) return this.disk.query(sql, params)
    throw makeError(
      'E_UNAVAILABLE',
      'Metadata is kept on disk, and the cache has no disk tier: give it a dir.',
    )
  }

  async stats(): Promise<TierStats> {
    const memory = { entries: this.memory?.count ?? 0, size: this.memory?.size ?? 0 }
    const { hits, misses } = this.counters
    const reads = { hits, misses, memory }
    if (this.disk === undefined) {
      const none = { storedSize: memory.size, diskSize: 0, logSize: 0, logIsPinned: false }
      return { entries: memory.entries, size: memory.size, ...none, ...reads }
    }
    return { ...(await this.disk.stats()), ...reads }
  }

  /** As `read`, but of the disk alone, by a map of the file where it can be: the value is the caller's own. */
  async map(text: string): Promise<unknown> {
    if (this.disk === undefined) return this.read(text)
    this.tellAccesses()
    const hit = await this.disk.map(text)
    this.count(hit !== undefined)
    return hit?.value
  }

  /** A value that was found, as its callers get it; what is stale counts as a miss. */
  #found(kept: Kept | undefined): Kept | undefined {
    this.count(kept !== undefined && isFresh(kept, this.now()))
    if (kept === undefined || !this.copies) return kept
    const { createdAt, expiresAt, freshUntil, cost } = kept
    return { value: giveOut(kept.value), createdAt, expiresAt, freshUntil, cost }
  }

  #fresh(kept: Kept | undefined): unknown {
    return kept !== undefined && isFresh(kept, this.now()) ? kept.value : undefined
  }

  /** Keeps what was read from disk in memory, unless something newer is there by now. */
  #remember(text: string, hit: DiskHit | undefined): DiskHit | undefined {
    if (hit === undefined || this.memory === undefined || this.changing.has(text)) return hit
    if (this.current(text) === undefined) {
      const { facts, value } = hit
      const kept = this.copies ? keep(value) : value
      const kind = kindName(facts.kind, value)
      const entry = new MemoryEntry(text, kept, facts.size, kind, facts.createdAt, facts)
      entry.place = facts
      this.memory.put(entry)
    }
    return hit
  }
}

function keptOf(hit: DiskHit | undefined): Kept | undefined {
  if (hit === undefined) return undefined
  const { createdAt, expiresAt, freshUntil, cost } = hit.facts
  return { value: hit.value, createdAt, expiresAt, freshUntil, cost }
}

function isFresh(kept: Kept, now: number): boolean {
  return kept.expiresAt > now && kept.freshUntil > now
}
