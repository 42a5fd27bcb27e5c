/** The memory tier of `Cache`: live values, bounded by entries and by bytes, in the store of `MemoryCache`. */
import { Chain } from '../memory/chain.js'
import { evictorFor } from '../memory/policies.js'
import { MOST_ENTRIES, Store } from '../memory/store.js'
import { Wheel } from '../memory/wheel.js'
import type { Access } from './disk.js'
import type { Extras } from './extras.js'
import { TagIndex } from './tags.js'

/** Where an entry is on disk, and the epoch it was read at. */
export interface DiskPlace {
  slot: number
  epoch: number
  idLow: number
  idHigh: number
}

const BASE = Date.now()

/** A value in memory. Times in milliseconds since the Unix epoch. */
export class MemoryEntry {
  hits = 0
  /** Hits that the disk tier was not told of. */
  untold = 0
  /** Whether it has a time at which it expires or gets stale: reads of all others need not look at those times. */
  isTimed: boolean
  /** Since `BASE`: a small integer is kept in the object, any other number in one of its own. */
  #accessed: number
  /** Where it is in the tier; -1 where it is no longer. */
  slot = -1
  /** Of an index that leads to it, and lets go of it when it leaves. */
  cell: { entry: MemoryEntry | undefined; promise: Promise<unknown> | undefined } | undefined = undefined

  constructor(
    readonly text: string,
    readonly value: unknown,
    /** Bytes, as the bound counts them. */
    readonly size: number,
    readonly kind: string,
    readonly createdAt: number,
    /** `Infinity` never expires. Change it with `MemoryTier.expire`, so that `cleanup` knows. */
    public expiresAt: number,
    /** From then on it is stale: expired for all but a load. `Infinity` where it is fresh as long as it lives. */
    public freshUntil: number,
    /** Milliseconds that making the value took; 0 where that is not known. */
    readonly cost: number,
    /** Undefined until the entry's write is done. */
    public place: DiskPlace | undefined,
    readonly extras: Extras | undefined,
  ) {
    this.isTimed = expiresAt !== Infinity || freshUntil !== Infinity
    this.#accessed = createdAt - BASE
  }

  get accessedAt(): number {
    return this.#accessed + BASE
  }

  set accessedAt(time: number) {
    this.#accessed = time - BASE
  }

  /** Whether plain reads find it. */
  isLive(now: number): boolean {
    return this.expiresAt > now && this.freshUntil > now
  }
}

/** What a new entry is made of. */
export type NewEntry = Pick<
  MemoryEntry,
  'text' | 'value' | 'size' | 'kind' | 'createdAt' | 'expiresAt' | 'freshUntil' | 'cost'
> & {
  place?: DiskPlace | undefined
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
/** A policy counts no more for one entry. */
const HEAVIEST = 2 ** 32 - 1
/** Accesses of evicted entries that are kept for the disk tier. */
const MOST_LOST = 4096
/** Milliseconds of the innermost bucket of the timer wheel. */
const TICK = 500

export class MemoryTier {
  /** Entries that had to go for others. */
  evictions = 0
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
      isOrdered: true,
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
    const slot = this.#store.look(text)
    return slot === undefined ? undefined : this.#store.values[slot]
  }

  /** Notes an access at `now` of an entry that is in the tier. */
  use(entry: MemoryEntry, now: number): void {
    entry.hits++
    entry.accessedAt = now
    if (this.#tells) this.#noteUntold(entry)
    this.#store.evictor.hit(entry.slot)
  }

  /** Whether a value of so many bytes fits at all. */
  admits(text: string, size: number): boolean {
    return sizeOf(text, size) <= this.heaviest
  }

  /** Stores an entry in the place of any other. One that is larger than the whole tier is not kept. */
  set(made: NewEntry): MemoryEntry | undefined {
    const { text, value, kind, createdAt, expiresAt, freshUntil, cost, place, extras } = made
    const size = sizeOf(text, made.size)
    const replaced = this.peek(text)
    if (size > this.heaviest) {
      if (replaced !== undefined) this.remove(replaced)
      return undefined
    }
    if (replaced !== undefined) this.#leaves(replaced)
    const times = [createdAt, expiresAt, freshUntil] as const
    const entry = new MemoryEntry(text, value, size, kind, ...times, cost, place, extras)
    entry.slot = this.#store.set(text, entry, size, Infinity, 0)
    this.#schedule(entry)
    this.#tags.add(entry)
    return entry
  }

  /** Gives an entry that is in the tier another time to expire. */
  expire(entry: MemoryEntry, expiresAt: number): void {
    entry.expiresAt = expiresAt
    entry.isTimed = true
    this.#schedule(entry)
  }

  /** Removes what has expired, in time in proportion to that; gives how many. */
  cleanup(): number {
    const now = this.#now()
    let removed = 0
    this.#wheel?.advance(now, (slot) => {
      const entry = this.#store.values[slot]
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
    if (this.#store.values[entry.slot] !== entry) return
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

  /** Entries, in the order of their insertion. */
  *entries(): Generator<MemoryEntry> {
    for (const [, slot] of this.#store.slots.entries()) yield this.#store.values[slot]!
  }

  /** Hits since the last call, the least recently used entry first; of entries whose write is under way later. */
  takeAccesses(): Access[] {
    const accesses = this.#lost
    this.#lost = []
    for (const slot of this.#untold.slots()) {
      const entry = this.#store.values[slot]!
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
      this.#wheelRoom = this.#store.keys.length
      this.#wheel.grow(this.#wheelRoom)
    }
    this.#wheel.schedule(entry.slot, entry.expiresAt)
  }

  #noteUntold(entry: MemoryEntry): void {
    if (entry.slot >= this.#untoldRoom) {
      this.#untoldRoom = this.#store.keys.length
      this.#untold.grow(this.#untoldRoom)
    }
    if (entry.untold++ === 0) this.#untold.push(entry.slot)
    else this.#untold.renew(entry.slot)
  }

  #evicted(entry: MemoryEntry): void {
    this.evictions++
    const access = accessOf(entry)
    if (access !== undefined && this.#lost.length < MOST_LOST) this.#lost.push(access)
    this.#leaves(entry)
    this.#onRemove?.(entry, 'evict')
  }

  #leaves(entry: MemoryEntry): void {
    if (entry.untold > 0) this.#untold.unlink(entry.slot)
    entry.untold = 0
    entry.slot = -1
    this.#tags.remove(entry)
    letGo(entry)
  }
}

function letGo(entry: MemoryEntry): void {
  if (entry.cell === undefined) return
  entry.cell.entry = undefined
  entry.cell.promise = undefined
}

/** Bytes of an entry, as the bound counts them. */
function sizeOf(text: string, size: number): number {
  return size + OVERHEAD + 2 * text.length
}

function accessOf({ place, untold }: MemoryEntry): Access | undefined {
  if (untold === 0 || place === undefined) return undefined
  return { idLow: place.idLow, idHigh: place.idHigh, hits: untold }
}
