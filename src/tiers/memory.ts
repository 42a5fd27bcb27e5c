/** The memory tier of `Cache`: live values, bounded by entries and by bytes, in the store of `MemoryCache`. */
import { Chain } from '../memory/chain.js'
import { evictorFor, isCustom } from '../memory/policies.js'
import { MOST_ENTRIES, Store } from '../memory/store.js'
import { Wheel } from '../memory/wheel.js'
import { native } from '../native.js'
import { noted, timeOf } from './clock.js'
import type { Access } from './disk.js'
import type { Extras } from './extras.js'
import { TagIndex } from './tags.js'
import type { SetTimes, Times } from './wire.js'

/** Where an entry is on disk, and the epoch it was read at. */
export interface DiskPlace {
  slot: number
  epoch: number
  idLow: number
  idHigh: number
}

/** The largest small integer. As milliseconds 24 days. */
const LONGEST = 2 ** 31 - 1

/** A value in memory. Times in milliseconds since the Unix epoch. */
export class MemoryEntry {
  // What a hit looks at comes first, to lie together. Fields are set in the constructor alone, which is faster than where they are declared.
  declare value: unknown
  /** Undefined until the entry's write is done. */
  declare place: DiskPlace | undefined
  /** Undefined where it never expires nor gets stale. Change them with `MemoryTier.retime`. */
  declare times: Times | undefined
  declare hits: number
  /** Noted. */
  declare accessed: number
  /** Where it is in the tier; -1 where it is no longer. */
  declare slot: number
  /** Noted: until then reads find it, or longer where it is `LONGEST`. */
  declare until: number
  /** Hits that the disk tier was not told of. */
  declare untold: number
  /** Noted. */
  declare created: number
  declare text: string
  /** Bytes, as the bound counts them. */
  declare size: number
  declare kind: string
  /** Milliseconds that making the value took; 0 where that is not known. */
  declare cost: number
  declare extras: Extras | undefined
  /** Whether somebody looks at it after other calls: then another value of its key gets another entry. */
  declare isKept: boolean
  /** Of an index that leads to it, and lets go of it when it leaves. */
  declare cell: { entry: MemoryEntry | undefined; promise: Promise<unknown> | undefined } | undefined

  /**
   * @param size as `entrySize` gives it
   * @param created noted
   */
  constructor(text: string, value: unknown, size: number, kind: string, created: number, more: EntryMore) {
    this.value = value
    this.place = undefined
    this.times = undefined
    this.hits = 0
    this.accessed = created
    this.slot = -1
    this.until = LONGEST
    this.untold = 0
    this.created = created
    this.text = text
    this.size = size
    this.kind = kind
    this.cost = more.cost
    this.extras = more.extras
    this.isKept = false
    this.cell = undefined
    if (more.expiresAt !== Infinity || more.freshUntil !== Infinity) this.setTimes(more)
  }

  /** Makes it the entry of another value: all as the constructor does, but for where it is. */
  renew(text: string, value: unknown, size: number, kind: string, created: number, more: EntryMore): void {
    this.value = value
    this.hits = 0
    this.accessed = created
    this.created = created
    this.text = text
    this.size = size
    this.kind = kind
    this.cost = more.cost
    this.extras = more.extras
    if (more.expiresAt !== Infinity || more.freshUntil !== Infinity) this.setTimes(more)
    else {
      this.times = undefined
      this.until = LONGEST
    }
  }

  setTimes({ expiresAt, freshUntil }: Times): void {
    if (this.times === undefined) this.times = { expiresAt, freshUntil }
    else {
      this.times.expiresAt = expiresAt
      this.times.freshUntil = freshUntil
    }
    this.until = Math.min(noted(Math.min(expiresAt, freshUntil)), LONGEST)
  }

  get createdAt(): number {
    return timeOf(this.created)
  }

  get accessedAt(): number {
    return timeOf(this.accessed)
  }

  /** `Infinity` never expires. */
  get expiresAt(): number {
    return this.times === undefined ? Infinity : this.times.expiresAt
  }

  /** From then on it is stale: expired for all but a load. `Infinity` where it is fresh as long as it lives. */
  get freshUntil(): number {
    return this.times === undefined ? Infinity : this.times.freshUntil
  }

  /** Whether plain reads find it. */
  isLive(now: number): boolean {
    return this.times === undefined || (this.times.expiresAt > now && this.times.freshUntil > now)
  }
}

/** What an entry gets beside its value. */
export interface EntryMore extends SetTimes {
  extras?: Extras | undefined
}

/** Options of the memory tier, parsed. */
export interface MemoryTierOptions {
  max: number
  maxSize: number
  policy: string
  /** Whether there is a disk tier to be told of accesses. */
  tells: boolean
}

export const DEFAULT_POLICY = 'w-tinylfu'
/** Told of an entry that went for others, or by `cleanup`; in the middle of the change: it must not change the tier. */
export type OnRemove = (entry: MemoryEntry, reason: 'evict' | 'expire') => void

/** What an entry takes beside its value: the map's cell, the entry object and the key. */
const OVERHEAD = 200

/** Bytes of an entry, as the bound counts them. */
export function entrySize(text: string, valueSize: number): number {
  return valueSize + OVERHEAD + 2 * text.length
}

/** A policy counts no more for one entry. */
const HEAVIEST = 2 ** 32 - 1
/** Accesses of evicted entries that are kept for the disk tier. */
const MOST_LOST = 4096
/** A text of no more units is stored as it is: 1024 bytes at three bytes a unit. */
export const SHORT = 341
/** Milliseconds of the innermost bucket of the timer wheel. */
const TICK = 500

export class MemoryTier {
  /** Bytes of the largest value that it keeps. */
  readonly heaviest: number
  readonly #store: Store<string, MemoryEntry>
  readonly #tags = new TagIndex<MemoryEntry>()
  readonly #now: () => number
  readonly #onRemove: OnRemove | undefined
  readonly #tells: boolean
  /** Slots of entries with untold hits, by their last use. */
  readonly #untold = new Chain()
  #untoldRoom = 0
  /** Untold hits of entries that were evicted. */
  #lost: Access[] = []
  /** When entries are to be looked at, once there is one that expires. */
  #wheel: Wheel | undefined
  #wheelRoom = 0
  #hasDigests = false

  constructor(options: MemoryTierOptions, now: () => number, onRemove?: OnRemove) {
    const { max, maxSize, policy, tells } = options
    this.heaviest = Math.min(maxSize, HEAVIEST)
    this.#now = now
    this.#onRemove = onRemove
    this.#tells = tells
    this.#store = new Store<string, MemoryEntry>({
      max: Math.min(max, MOST_ENTRIES),
      maxWeight: maxSize,
      now,
      tick: TICK,
      tells: false,
      counters: undefined,
      isOrdered: isCustom(policy),
      evictor: (host, bounds) => evictorFor(policy, host, bounds),
      onTimed: () => {},
      onEvict: (entry) => this.#evicted(entry),
    })
  }

  get count(): number {
    return this.#store.slots.size
  }

  /** Bytes that the bound counts. */
  get size(): number {
    return this.#store.weight
  }

  /** The entry, without noting an access. */
  peek(text: string): MemoryEntry | undefined {
    const slot = this.#store.slots.get(text) ?? this.#digested(text)
    return slot === undefined ? undefined : this.#store.slots.valueAt(slot)
  }

  /** As `peek`, but does not look again where it has just said that there is none. */
  seek(text: string): MemoryEntry | undefined {
    const slot = this.#store.slots.find(text) ?? this.#digested(text)
    return slot === undefined ? undefined : this.#store.slots.valueAt(slot)
  }

  /** Entries may stand under the digests of their texts from now on, as a file has of long ones. */
  expectDigests(): void {
    this.#hasDigests = true
  }

  #digested(text: string): number | undefined {
    if (!this.#hasDigests || text.length <= SHORT) return undefined
    const stored = native().storedKeyText(text)
    return stored === text ? undefined : this.#store.slots.get(stored)
  }

  /** Notes an access, at a time as `Clock.turn` gives it, of an entry that is in the tier. */
  use(entry: MemoryEntry, now: number): void {
    entry.hits++
    entry.accessed = now
    if (this.#tells) this.#noteUntold(entry)
    this.#store.evictor.hit(entry.slot)
  }

  /** Stores an entry in the place of any other of its key. One that is larger than the whole tier is not kept: gives whether it is. */
  put(entry: MemoryEntry): boolean {
    const replaced = this.seek(entry.text)
    if (entry.size > this.heaviest) {
      if (replaced !== undefined) this.remove(replaced)
      return false
    }
    this.#place(entry, replaced)
    return true
  }

  /** Of a tier alone: stores a value that fits, in the entry of its key where nobody keeps that. */
  set(text: string, value: unknown, size: number, kind: string, created: number, more: EntryMore): void {
    const known = this.seek(text)
    if (known === undefined || known.isKept) {
      this.#place(new MemoryEntry(text, value, size, kind, created, more), known)
      return
    }
    known.slot = this.#store.replace(known.slot, known, size, Infinity, 0)
    if (known.extras !== undefined) this.#tags.remove(known)
    if (known.cell !== undefined) {
      letGo(known)
      known.cell = undefined
    }
    known.renew(text, value, size, kind, created, more)
    this.#entered(known)
  }

  #place(entry: MemoryEntry, replaced: MemoryEntry | undefined): void {
    const { text, size } = entry
    if (replaced === undefined) entry.slot = this.#store.set(text, entry, size, Infinity, 0)
    else {
      const { slot } = replaced
      this.#leaves(replaced)
      entry.slot = this.#store.replace(slot, entry, size, Infinity, 0)
    }
    this.#entered(entry)
  }

  #entered(entry: MemoryEntry): void {
    if (entry.times !== undefined) this.#schedule(entry)
    if (entry.extras !== undefined) this.#tags.add(entry)
  }

  /** Gives an entry that is in the tier other times. */
  retime(entry: MemoryEntry, times: Times): void {
    entry.setTimes(times)
    this.#schedule(entry)
  }

  /** Removes what has expired, in time in proportion to that; gives how many. */
  cleanup(): number {
    const now = this.#now()
    let removed = 0
    this.#wheel?.advance(now, (slot) => {
      const entry = this.#store.slots.valueAt(slot)
      if (entry === undefined) return Infinity
      if (entry.expiresAt > now) return entry.expiresAt
      this.remove(entry)
      this.#onRemove?.(entry, 'expire')
      removed++
      return Infinity
    })
    return removed
  }

  delete(text: string): boolean {
    const entry = this.peek(text)
    if (entry === undefined) return false
    this.remove(entry)
    return true
  }

  /** Removes an entry, if it is in the tier. */
  remove(entry: MemoryEntry): void {
    if (this.#store.slots.valueAt(entry.slot) !== entry) return
    this.#store.remove(entry.slot, 'delete')
    this.#leaves(entry)
  }

  /** The entries that have one of these tags, as far as they were given here. */
  tagged(tags: readonly string[]): Set<MemoryEntry> {
    return this.#tags.with(tags)
  }

  clear(): void {
    for (const entry of this.entries()) letGo(entry)
    this.#tags.clear()
    this.#store.clear()
    this.#untold.clear()
    this.#untoldRoom = 0
    this.#lost = []
    this.#wheel = undefined
  }

  /** Entries, so that whoever stores them in this order has them evicted in the same. */
  inOrder(): MemoryEntry[] {
    const { evictor, slots } = this.#store
    const entries = Array.from(evictor.order(), (slot) => slots.valueAt(slot)!)
    return evictor.newestFirst ? entries.reverse() : entries
  }

  /** Entries, in no order. */
  *entries(): Generator<MemoryEntry> {
    for (const [, slot] of this.#store.slots.entries()) yield this.#store.slots.valueAt(slot)!
  }

  /** Hits since the last call, the least recently used entry first; of entries whose write is under way later. */
  takeAccesses(): Access[] {
    const accesses = this.#lost
    this.#lost = []
    for (const slot of this.#untold.slots()) {
      const entry = this.#store.slots.valueAt(slot)!
      const access = accessOf(entry)
      if (access === undefined) continue
      accesses.push(access)
      this.#untold.unlink(slot)
      entry.untold = 0
    }
    return accesses
  }

  /** What is wrong, for tests; empty when nothing is. */
  check(): string {
    return this.#store.check()
  }

  #schedule(entry: MemoryEntry): void {
    if (entry.expiresAt === Infinity || entry.slot < 0) return
    if (this.#wheel === undefined) {
      this.#wheel = new Wheel(this.#now(), TICK)
      this.#wheelRoom = 0
    }
    if (entry.slot >= this.#wheelRoom) {
      this.#wheelRoom = this.#store.slots.room
      this.#wheel.grow(this.#wheelRoom)
    }
    this.#wheel.schedule(entry.slot, entry.expiresAt)
  }

  #noteUntold(entry: MemoryEntry): void {
    if (entry.slot >= this.#untoldRoom) {
      this.#untoldRoom = this.#store.slots.room
      this.#untold.grow(this.#untoldRoom)
    }
    if (entry.untold++ === 0) this.#untold.push(entry.slot)
    else this.#untold.renew(entry.slot)
  }

  #evicted(entry: MemoryEntry): void {
    const access = this.#tells ? accessOf(entry) : undefined
    if (access !== undefined && this.#lost.length < MOST_LOST) this.#lost.push(access)
    this.#leaves(entry)
    this.#onRemove?.(entry, 'evict')
  }

  #leaves(entry: MemoryEntry): void {
    if (entry.untold > 0) this.#untold.unlink(entry.slot)
    entry.untold = 0
    entry.slot = -1
    if (entry.extras !== undefined) this.#tags.remove(entry)
    if (entry.cell !== undefined) letGo(entry)
  }
}

function letGo(entry: MemoryEntry): void {
  if (entry.cell === undefined) return
  entry.cell.entry = undefined
  entry.cell.promise = undefined
}

function accessOf({ place, untold }: MemoryEntry): Access | undefined {
  if (untold === 0 || place === undefined) return undefined
  return { idLow: place.idLow, idHigh: place.idHigh, hits: untold }
}
