/** The tiers as one: what is written, in memory and on disk. Reads are in `reads.ts`. */
import type { ParsedOptions } from '../cache-options.js'
import { makeError } from '../errors.js'
import { attempt, type Soon, then } from '../soon.js'
import { type Encoded, encode, kindOf } from '../values/index.js'
import type { Batch, Coding, Packed } from './batch.js'
import { packSet } from './disk.js'
import type { Storing, Write } from './entries.js'
import type { TierEvents } from './front.js'
import type { MemoryEntry } from './memory.js'
import { TierReads } from './reads.js'
import type { Outcome, Times } from './wire.js'

export class TierStack extends TierReads {
  readonly #codecs: ReadonlyMap<string, Coding>

  /** Opens the directory, if there is one. Errors as `Cache`. */
  constructor(parsed: ParsedOptions, events: TierEvents) {
    super(parsed, events)
    this.#codecs = parsed.codecs
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

  /** Stores values in one transaction. In memory they are there when this returns, on disk when it is done. */
  write(writes: readonly Write[], sync = false): Soon<void> {
    const { disk } = this
    if (disk === undefined) return this.#writeMemory(writes)
    const encoded = writes.map(({ value, encoded }) => encoded ?? this.encode(value))
    this.tellAccesses()
    this.counters.sets += writes.length
    const kept = writes.map((write, index) => this.keep(write, encoded[index]))
    const pack = (batch: Batch) => {
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
    const entry = this.admitted(text, value, storing, this.encode(value))
    this.counters.sets++
    this.#hold(entry)
  }

  /** Of a memory tier alone: all of the values, or none. */
  #writeMemory(writes: readonly Write[]): void {
    const entries = writes.map((write) =>
      this.admitted(write.text, write.value, write, this.encode(write.value)),
    )
    this.counters.sets += writes.length
    for (const entry of entries) this.#hold(entry)
  }

  #hold(entry: MemoryEntry): void {
    this.outdate(entry.text)
    this.memory!.put(entry)
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
    for (const text of texts) this.changing.set(text, (this.changing.get(text) ?? 0) + 1)
    const done = (): void => {
      for (const text of texts) {
        const left = this.changing.get(text)! - 1
        if (left === 0) this.changing.delete(text)
        else this.changing.set(text, left)
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

  async close(): Promise<void> {
    try {
      this.tellAccesses()
    } finally {
      this.memory?.clear()
      await this.disk?.close()
    }
  }

  /** The stored form, where a tier needs one. */
  encode(value: unknown): Encoded | undefined {
    const given = storable(value)
    return this.disk === undefined && !this.copies ? undefined : encode(given)
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

/** Field by field: a spread takes several times as long. */
export function written(text: string, value: unknown, storing: Storing): Write {
  const { expiresAt, freshUntil, cost, coding, extras } = storing
  return { text, value, expiresAt, freshUntil, cost, coding, extras }
}

/** @throws UnserializableError `E_UNSERIALIZABLE` for `undefined`, which is what a miss looks like */
function storable(value: unknown): unknown {
  if (value !== undefined) return value
  throw makeError(
    'E_UNSERIALIZABLE',
    'undefined cannot be stored, as it stands for a miss: store null, or delete the key.',
  )
}
