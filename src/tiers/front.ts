/**
 * The memory tier in front of the disk: which of its entries answer, what callers get of them, and what the disk is told. Keys are
 * canonical texts here.
 */
import type { ParsedOptions } from '../cache-options.js'
import { makeError, TierceError } from '../errors.js'
import { Counters } from '../memory/metrics.js'
import { giveOut, keep } from '../values/copies.js'
import { type Encoded, kindOf } from '../values/index.js'
import { Clock } from './clock.js'
import { DiskTier } from './disk.js'
import type { Write } from './entries.js'
import { type EntryMore, entrySize, MemoryEntry, MemoryTier } from './memory.js'
import { weigh } from './weigh.js'
import type { Outcome, Times } from './wire.js'

/** What the tiers tell their owner. */
export interface TierEvents {
  /** A key is being written or removed: what loads under way bring for it comes too late. */
  onChange(text: string): void
  /** A fault that breaks no call. */
  onFault(code: string, message: string): void
  /** An entry left memory by itself. May be in the middle of a change. */
  onLeave(text: string, reason: 'evict' | 'expire'): void
}

export class MemoryFront {
  readonly now: () => number
  readonly memory: MemoryTier | undefined
  readonly disk: DiskTier | undefined
  /** Memory keeps values apart from those that callers hold. */
  readonly copies: boolean
  readonly counters = new Counters()
  protected readonly events: TierEvents
  readonly clock: Clock

  /** Opens the directory, if there is one. Errors as `Cache`. */
  constructor(parsed: ParsedOptions, events: TierEvents) {
    this.clock = new Clock(parsed.now)
    this.now = () => this.clock.now()
    this.copies = parsed.copies
    this.events = events
    if (parsed.disk !== undefined) {
      this.disk = new DiskTier(parsed.disk, parsed.now, (code, message) => events.onFault(code, message))
      if (parsed.cleanupOnOpen) {
        this.disk.cleanup().catch(({ code, message }) => code !== 'E_CLOSED' && events.onFault(code, message))
      }
    }
    if (parsed.memory !== undefined && !(parsed.isMemoryDefault && this.disk?.isJson === true))
      this.memory = new MemoryTier(parsed.memory, parsed.now, (entry, reason) => this.#left(entry, reason))
  }

  /** The entry in memory, stale or not, if it is neither expired nor overtaken by a write of another process or thread. */
  current(text: string): MemoryEntry | undefined {
    const entry = this.memory?.seek(text)
    if (entry === undefined) return undefined
    const overtaken = this.#isOvertaken(entry)
    const isOver = !this.#isSurelyLive(entry) && entry.expiresAt <= this.now()
    if (!isOver && !overtaken) return entry
    this.memory?.remove(entry)
    if (isOver) this.#left(entry, 'expire')
    return undefined
  }

  /** As `kept`, where it is fresh. */
  live(text: string): MemoryEntry | undefined {
    const entry = this.current(text)
    if (entry === undefined || !this.isLive(entry)) return undefined
    this.memory?.use(entry, this.clock.turn())
    return entry
  }

  /** Whether plain reads find an entry that is in the memory tier. */
  isLive(entry: MemoryEntry): boolean {
    return this.#isSurelyLive(entry) || entry.isLive(this.now())
  }

  #isSurelyLive(entry: MemoryEntry): boolean {
    return entry.times === undefined || this.clock.isWellBefore(entry.until)
  }

  #isOvertaken(entry: MemoryEntry): boolean {
    const { place } = entry
    return place !== undefined && this.disk?.isCurrent(entry.text, place) === false
  }

  /** As `current`, to be kept for longer than this call. */
  kept(text: string): MemoryEntry | undefined {
    const entry = this.current(text)
    if (entry !== undefined) entry.isKept = true
    return entry
  }

  /** The value in memory; a miss there is not counted, as the disk has not been asked. */
  readMemory(text: string): unknown {
    const entry = this.memory?.peek(text)
    return entry === undefined ? undefined : this.readEntry(entry)
  }

  /** The value of an entry that is in the memory tier; `undefined` where it is not live any more. */
  readEntry(entry: MemoryEntry): unknown {
    if (this.#isOvertaken(entry) || !this.isLive(entry)) return undefined
    this.memory!.use(entry, this.clock.turn())
    this.counters.hits++
    return this.copies ? giveOut(entry.value) : entry.value
  }

  /** An entry that is not in memory yet. */
  protected made(
    text: string,
    value: unknown,
    more: EntryMore,
    encoded: Encoded | undefined,
    created: number,
  ): MemoryEntry {
    const size = entrySize(text, sizeOf(value, encoded))
    return new MemoryEntry(text, this.held(value, encoded), size, kindIn(encoded), created, more)
  }

  /** Puts a value into memory, where it answers at once; its epoch is not known before it is on disk. */
  keep(write: Write, encoded: Encoded | undefined, created = this.clock.turn()): MemoryEntry | undefined {
    const { text, value } = write
    this.outdate(text)
    if (this.memory === undefined) return undefined
    const entry = this.made(text, value, write, encoded, created)
    return this.memory.put(entry) ? entry : undefined
  }

  /** The write is on disk: from now on the entry in memory follows its epoch. */
  protected confirm(entry: MemoryEntry | undefined, outcome: Outcome): void {
    if (entry === undefined) return
    if (outcome.cacheable) entry.place = outcome
    else this.memory?.remove(entry)
  }

  /** Removes a key from memory and from loads under way; whether it was live there. */
  forget(text: string): boolean {
    this.outdate(text)
    const entry = this.current(text)
    if (entry === undefined) return false
    this.memory?.remove(entry)
    return this.isLive(entry)
  }

  /** What loads under way bring for a key comes too late. */
  outdate(text: string): void {
    this.events.onChange(text)
  }

  /** Gives an entry new times in memory, and not on disk. */
  slide(text: string, times: Times): void {
    const entry = this.current(text)
    if (entry !== undefined) this.memory?.retime(entry, times)
  }

  /** The entry in memory has its new times at once; its epoch is not known before they are on disk. */
  protected renewed(text: string, times: Times, stale: boolean): MemoryEntry | undefined {
    this.tellAccesses()
    const entry = this.current(text)
    if (entry === undefined || !(stale || this.isLive(entry))) return undefined
    this.memory?.retime(entry, times)
    return entry
  }

  /**
   * Of a memory tier alone: the size of an entry that it takes.
   * @throws ValueTooLargeError `E_VALUE_TOO_LARGE`
   */
  admitted(text: string, value: unknown, encoded: Encoded | undefined): number {
    const size = entrySize(text, sizeOf(value, encoded))
    if (size <= this.memory!.heaviest) return size
    this.counters.rejected++
    throw tooLarge()
  }

  /** Of a memory tier alone: stores a value of an admitted size. */
  protected hold(text: string, value: unknown, size: number, more: EntryMore, encoded?: Encoded): void {
    this.counters.sets++
    this.outdate(text)
    const kept = this.held(value, encoded)
    this.memory!.set(text, kept, size, kindIn(encoded), this.clock.turn(), more)
  }

  /** What is in memory and has not expired, in the order in which it would be evicted. */
  *stored(): Generator<Write> {
    const now = this.now()
    for (const entry of this.memory?.inOrder() ?? []) {
      if (entry.expiresAt <= now) continue
      const { text, expiresAt, freshUntil, cost, extras } = entry
      yield { text, value: this.given(entry), expiresAt, freshUntil, cost, extras, coding: undefined }
    }
  }

  /** What a caller gets of a value that was found. */
  given(hit: { value: unknown } | undefined): unknown {
    return this.copies ? giveOut(hit?.value) : hit?.value
  }

  /** What is kept of a value: `given` makes a caller's of it. */
  held(value: unknown, encoded?: Encoded): unknown {
    return this.copies ? keep(value, encoded) : value
  }

  /** What one of several callers gets of a value that all of them would share. */
  own(value: unknown): unknown {
    if (!this.copies) return value
    try {
      return giveOut(keep(value))
    } catch {
      return value // it has no stored form, so nothing else holds it
    }
  }

  /** The disk tier's order of eviction counts what memory answered. */
  protected tellAccesses(): void {
    const accesses = this.disk === undefined ? undefined : this.memory?.takeAccesses()
    if (accesses !== undefined && accesses.length > 0) this.disk?.touch(accesses)
  }

  protected count(hit: boolean): void {
    if (hit) this.counters.hits++
    else this.counters.misses++
  }

  protected countRefused(error: unknown): void {
    if (error instanceof TierceError && error.code === 'E_VALUE_TOO_LARGE') this.counters.rejected++
  }

  #left({ text }: MemoryEntry, reason: 'evict' | 'expire'): void {
    if (reason === 'evict') this.counters.evicted++
    else if (this.disk === undefined) this.counters.expired++ // else it is counted where it leaves the disk
    this.events.onLeave(text, reason)
  }
}

/** Bytes, as the memory tier counts them. */
function sizeOf(value: unknown, encoded: Encoded | undefined): number {
  return encoded === undefined ? weigh(value) : encoded.data.length
}

function kindIn(encoded: Encoded | undefined): string {
  return encoded === undefined ? 'live' : kindOf(encoded)
}

function tooLarge(): Error {
  return makeError(
    'E_VALUE_TOO_LARGE',
    'The value does not fit into memory.maxSize, and there is no disk tier: store less, or raise the bound.',
  )
}
