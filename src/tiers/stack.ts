/** The tiers as one: memory in front of the disk, coherent with it. Keys are canonical texts here. */
import type { ParsedOptions } from '../cache-options.js'
import type { Cell } from '../cells.js'
import { type CacheEntry, diskFacts, memoryFacts } from '../entry.js'
import { makeError } from '../errors.js'
import type { MetaTables } from '../meta.js'
import { attempt, type Soon, then } from '../soon.js'
import { giveOut, keep } from '../values/copies.js'
import { type Encoded, encode, kindName, kindOf, refusePromise } from '../values/index.js'
import type { Answer } from './answer.js'
import type { Batch, Coding, Packed } from './batch.js'
import { noted } from './clock.js'
import { type DiskHit, packSet } from './disk.js'
import type { Kept, KnownKey, Storing, TierStats, Write } from './entries.js'
import { MemoryFront, type TierEvents } from './front.js'
import { entrySize, MemoryEntry } from './memory.js'
import { type Outcome, staleAt, type Times } from './wire.js'

export class TierStack extends MemoryFront {
  /** Of metadata. */
  readonly tables: MetaTables
  readonly #codecs: ReadonlyMap<string, Coding>
  /** Then nothing keeps what is read, and the value is all that is asked for. */
  readonly #isDiskAlone: boolean
  /** Keys whose entries are being changed on disk, and by how many writes: what a read brings of them may be old. */
  readonly #changing = new Map<string, number>()

  /** Opens the directory, if there is one. Errors as `Cache`. */
  constructor(parsed: ParsedOptions, events: TierEvents) {
    super(parsed, events)
    this.tables = parsed.meta
    this.#codecs = parsed.codecs
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
    const live = this.readMemory(text)
    return live === undefined ? this.#fresh(this.findSync(text)) : live // not `??`: null is a value
  }

  #counted(value: unknown): unknown {
    this.count(value !== undefined)
    return value
  }

  /** What is kept under a key, stale or not; `undefined` where there is nothing. Only a promise when it takes the disk. */
  find(text: string): Kept | undefined | Promise<Kept | undefined> {
    const kept = this.#used(text)
    if (kept !== undefined || this.disk === undefined) return this.#found(kept)
    const hit = this.disk.read(text)
    const done = (read: DiskHit | undefined) => this.#found(keptOf(this.#remember(text, read)))
    return hit instanceof Promise ? hit.then(done) : done(hit)
  }

  findSync(text: string): Kept | undefined {
    return this.#found(this.#used(text) ?? keptOf(this.#remember(text, this.disk?.readSync(text))))
  }

  /** Removes every entry that has one of these tags; gives how many were live. */
  invalidateTags(tags: readonly string[], sync = false): Soon<number> {
    const now = this.now()
    let live = 0
    for (const entry of this.memory?.tagged(tags) ?? []) {
      if (entry.isLive(now)) live++
      this.memory?.remove(entry)
    }
    if (this.disk === undefined) return live
    this.tellAccesses()
    // What memory read from disk follows its epoch, and those of removed entries move.
    return this.disk.invalidateTags(tags, sync)
  }

  /** The values of many keys, aligned with them; those on disk are read in one call, from one snapshot. */
  readMany(texts: readonly string[], sync = false): Soon<unknown[]> {
    if (this.#isDiskAlone) {
      return then(this.disk!.values(texts, sync), (values) => {
        for (const value of values ?? []) this.count(value !== undefined)
        return values ?? texts.map((text) => this.readSync(text))
      })
    }
    const live = texts.map((text) => this.live(text))
    const missing = texts.filter((_, index) => live[index] === undefined)
    const none = this.disk === undefined || missing.length === 0
    return then(none ? [] : this.disk!.readMany(missing, sync), (read) => {
      let next = 0
      return live.map((entry, index) => {
        if (entry === undefined && read === undefined) return this.readSync(texts[index]!)
        const hit = entry ?? this.#remember(texts[index]!, read![next++])
        this.count(hit !== undefined)
        return this.given(hit)
      })
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
      return this.isLive(entry) ? { is: 'live', expiresAt: staleAt(entry) } : { is: 'expired' }
    }
    if (this.disk === undefined) return { is: 'missing' }
    return then(this.disk.state(text, sync), ({ is, facts }) => ({ is, expiresAt: facts && staleAt(facts) }))
  }

  /** Stores values in one transaction. In memory they are there when this returns, on disk when it is done. */
  write(writes: readonly Write[], sync = false): Soon<void> {
    const { disk } = this
    if (disk === undefined) return this.#writeMemory(writes)
    const encoded = writes.map(({ value, encoded }) => encoded ?? this.encode(value))
    this.tellAccesses()
    this.counters.sets += writes.length
    const kept = writes.map((write, index) => this.keep(write, encoded[index]))
    const pack = (batch: Batch) => {
      if (writes.length > 1) {
        batch.expect(writes.map(({ text }, index) => ({ text, data: encoded[index]!.data })))
      }
      for (const [index, write] of writes.entries()) {
        packSet(batch, { ...write, encoded: this.packed(write, encoded[index]!) })
      }
    }
    const confirm = (outcomes: Outcome[]) => {
      for (const [index, entry] of kept.entries()) this.confirm(entry, outcomes[index]!)
    }
    const failed = (error: unknown): never => {
      for (const entry of kept) if (entry !== undefined) this.memory?.remove(entry)
      this.countRefused(error)
      throw error
    }
    if (disk.isRelaxed && !sync)
      return this.#writeLater(disk.writeLater(writes.length, pack).then(confirm, failed))
    return attempt(() => then(disk.write(writes.length, pack, sync), confirm), failed)
  }

  /** Stores a value: see `write`. */
  set(text: string, value: unknown, storing: Storing, sync = false): Soon<void> {
    if (this.disk !== undefined) return this.write([written(text, value, storing)], sync)
    const encoded = this.encode(value)
    this.hold(text, value, this.admitted(text, value, encoded), storing, encoded)
  }

  /** Of a memory tier alone: all of the values, or none. */
  #writeMemory(writes: readonly Write[]): void {
    const admitted = writes.map((write) => {
      const encoded = this.encode(write.value)
      return { write, encoded, size: this.admitted(write.text, write.value, encoded) }
    })
    for (const { write, encoded, size } of admitted) this.hold(write.text, write.value, size, write, encoded)
  }

  /** Nobody waits for it: what becomes of it is an event where it fails. */
  #writeLater(done: Promise<void>): void {
    done.catch((error) => this.events.onFault(error.code, error.message))
  }

  /** Gives an entry new times, and leaves its value alone; a stale one too where `stale` is set. Gives whether there was one. */
  renew(text: string, times: Times, stale: boolean, sync = false): Soon<boolean> {
    const { disk } = this
    const entry = this.renewed(text, times, stale)
    if (disk === undefined) return entry !== undefined
    const failed = (error: unknown): never => {
      if (entry !== undefined) this.memory?.remove(entry)
      throw error
    }
    const renewed = () => disk.write(1, (batch) => batch.renew(text, times, stale), sync)
    return attempt(() => then(renewed(), ([outcome]) => this.#confirmRenewal(entry, outcome!)), failed)
  }

  /** Removes keys in one transaction; gives how many had a live entry. */
  delete(texts: readonly string[], sync = false): Soon<number> {
    const live = texts.filter((text) => this.forget(text))
    const counted = (deleted: number): number => {
      this.counters.deleted += deleted
      return deleted
    }
    if (this.disk === undefined) return counted(live.length)
    const pack = (batch: Batch) => {
      for (const text of texts) batch.delete(text)
    }
    const count = (outcomes: Outcome[]) => outcomes.filter(({ existed }) => existed).length
    return then(then(this.change(texts, texts.length, pack, sync), count), counted)
  }

  /**
   * Writes to disk, `count` of them, that change the entries of these keys, in one transaction. Memory knows nothing of them: what it had
   * is to be forgotten before, and reads bring what is new.
   */
  change(
    texts: readonly string[],
    count: number,
    pack: (batch: Batch) => void,
    sync: boolean,
  ): Soon<Outcome[]> {
    const { disk } = this
    if (disk === undefined)
      throw makeError('E_INTERNAL', 'A change was asked of a disk tier that is not there.')
    this.tellAccesses()
    for (const text of texts) this.#changing.set(text, (this.#changing.get(text) ?? 0) + 1)
    const done = (): void => {
      for (const text of texts) {
        const left = this.#changing.get(text)! - 1
        if (left === 0) this.#changing.delete(text)
        else this.#changing.set(text, left)
      }
    }
    const failed = (error: unknown): never => {
      done()
      this.countRefused(error)
      throw error
    }
    const succeeded = (outcomes: Outcome[]): Outcome[] => {
      done()
      return outcomes
    }
    return attempt(() => then(disk.write(count, pack, sync), succeeded), failed)
  }

  clear(sync = false): Soon<void> {
    const { count = 0 } = this.memory ?? {}
    this.memory?.clear()
    const cleared = this.disk?.write(1, (batch) => batch.clear(), sync)
    return then(cleared, (outcomes) => {
      this.counters.cleared += outcomes?.[0]?.invalidated ?? count
    })
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

  /** @throws UnavailableError `E_UNAVAILABLE` without a disk tier */
  query(sql: string, params: readonly (Cell | bigint)[]): Soon<Answer> {
    if (this.disk !== undefined) return this.disk.query(sql, params)
    throw makeError(
      'E_UNAVAILABLE',
      'Metadata is kept on disk, and the cache has no disk tier: give it a dir.',
    )
  }

  async close(): Promise<void> {
    try {
      this.tellAccesses()
    } finally {
      this.memory?.clear()
      await this.disk?.close()
    }
  }

  /** A value that was found, as its callers get it; what is stale counts as a miss. */
  #found(kept: Kept | undefined): Kept | undefined {
    this.count(kept !== undefined && isFresh(kept, this.now()))
    if (kept === undefined || !this.copies) return kept
    const { createdAt, expiresAt, freshUntil, cost } = kept
    return { value: giveOut(kept.value), createdAt, expiresAt, freshUntil, cost }
  }

  /** As `kept`, and notes the access. */
  #used(text: string): MemoryEntry | undefined {
    const entry = this.kept(text)
    if (entry !== undefined) this.memory?.use(entry, this.clock.turn())
    return entry
  }

  #fresh(kept: Kept | undefined): unknown {
    return kept !== undefined && isFresh(kept, this.now()) ? kept.value : undefined
  }

  /** Keeps what was read from disk in memory, unless something newer is there by now. */
  #remember(text: string, hit: DiskHit | undefined): DiskHit | undefined {
    if (hit === undefined || this.memory === undefined || this.#changing.has(text)) return hit
    if (this.current(text) === undefined) {
      const { facts, value } = hit
      const kept = this.copies ? keep(value) : value
      const kind = kindName(facts.kind, value)
      const size = entrySize(text, facts.size)
      const entry = new MemoryEntry(text, kept, size, kind, noted(facts.createdAt), facts)
      entry.place = facts
      this.memory.put(entry)
    }
    return hit
  }

  /** The stored form, where a tier needs one. */
  encode(value: unknown): Encoded | undefined {
    const given = storable(value)
    if (this.disk !== undefined || this.copies) return encode(given)
    refusePromise(given)
    return undefined
  }

  packed({ coding }: Write, encoded: Encoded): Packed {
    const chosen = coding ?? (this.#codecs.size === 0 ? undefined : this.#codecs.get(kindOf(encoded)))
    return chosen === undefined ? encoded : { ...encoded, coding: chosen }
  }

  /** What the disk does not have any more goes from memory too. */
  #confirmRenewal(entry: MemoryEntry | undefined, outcome: Outcome): boolean {
    if (outcome.existed) this.confirm(entry, outcome)
    else if (entry !== undefined) this.memory?.remove(entry)
    return outcome.existed
  }
}

function keptOf(hit: DiskHit | undefined): Kept | undefined {
  if (hit === undefined) return undefined
  const { createdAt, expiresAt, freshUntil, cost } = hit.facts
  return { value: hit.value, createdAt, expiresAt, freshUntil, cost }
}

/** Field by field: a spread takes several times as long. */
export function written(text: string, value: unknown, storing: Storing): Write {
  const { expiresAt, freshUntil, cost, coding, extras } = storing
  return { text, value, expiresAt, freshUntil, cost, coding, extras }
}

function isFresh(kept: Kept, now: number): boolean {
  return kept.expiresAt > now && kept.freshUntil > now
}

/** @throws UnserializableError `E_UNSERIALIZABLE` for `undefined`, which is what a miss looks like */
function storable(value: unknown): unknown {
  if (value !== undefined) return value
  throw makeError(
    'E_UNSERIALIZABLE',
    'undefined cannot be stored, as it stands for a miss: store null, or delete the key.',
  )
}
