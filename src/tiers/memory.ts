/** The memory tier of `Cache`: live values, least recently used first out, bounded by entries and by bytes. */

/** Where an entry is on disk, and the epoch it was read at. */
export interface DiskPlace {
  slot: number
  epoch: number
  idLow: number
  idHigh: number
}

/** A value in memory. Times in milliseconds since the Unix epoch. */
export class MemoryEntry {
  hits = 0
  /** Hits that the disk tier was not told of. */
  untold = 0
  accessedAt: number
  /** Neighbours: `newer` was used after this one. */
  newer: MemoryEntry | undefined = undefined
  older: MemoryEntry | undefined = undefined

  constructor(
    readonly text: string,
    readonly value: unknown,
    /** Bytes, as the bound counts them. */
    readonly size: number,
    readonly kind: string,
    readonly createdAt: number,
    /** `Infinity` never expires. */
    public expiresAt: number,
    /** Undefined until the entry's write is done. */
    public place: DiskPlace | undefined,
  ) {
    this.accessedAt = createdAt
  }
}

/** What a new entry is made of. */
export type NewEntry = Pick<MemoryEntry, 'text' | 'value' | 'size' | 'kind' | 'createdAt' | 'expiresAt'> & {
  place?: DiskPlace | undefined
}

/** What an entry takes beside its value: the map's cell, the entry object and the key. */
const OVERHEAD = 200
/** A Map throws beyond 2^24 entries, and there is one too many for a moment. */
const MOST_ENTRIES = 2 ** 24 - 1

export class MemoryTier {
  readonly #max: number
  readonly #maxSize: number
  readonly #entries = new Map<string, MemoryEntry>()
  #newest: MemoryEntry | undefined
  #oldest: MemoryEntry | undefined
  #size = 0
  /** Entries with untold hits. */
  #untold = 0

  constructor(options: { max: number; maxSize: number }) {
    this.#max = Math.min(options.max, MOST_ENTRIES)
    this.#maxSize = options.maxSize
  }

  get count(): number {
    return this.#entries.size
  }

  /** Bytes that the bound counts. */
  get size(): number {
    return this.#size
  }

  /** The entry, without noting an access. */
  peek(text: string): MemoryEntry | undefined {
    return this.#entries.get(text)
  }

  /** Notes an access at `now`. */
  use(entry: MemoryEntry, now: number): void {
    entry.hits++
    entry.accessedAt = now
    if (entry.untold++ === 0) this.#untold++
    if (entry !== this.#newest) {
      this.#unlink(entry)
      this.#link(entry)
    }
  }

  /** Gives an entry another time. */
  expire(entry: MemoryEntry, expiresAt: number): void {
    entry.expiresAt = expiresAt
  }

  /** Stores an entry in the place of any other. One that is larger than the whole tier is not kept. */
  set(made: NewEntry): MemoryEntry | undefined {
    this.delete(made.text)
    const size = made.size + OVERHEAD + 2 * made.text.length
    if (size > this.#maxSize) return undefined
    const { text, value, kind, createdAt, expiresAt, place } = made
    const entry = new MemoryEntry(text, value, size, kind, createdAt, expiresAt, place)
    this.#entries.set(entry.text, entry)
    this.#size += size
    this.#link(entry)
    while (this.#size > this.#maxSize || this.#entries.size > this.#max) this.remove(this.#oldest!)
    return entry
  }

  delete(text: string): boolean {
    const entry = this.#entries.get(text)
    if (entry === undefined) return false
    this.remove(entry)
    return true
  }

  /** Removes an entry that is in the tier. */
  remove(entry: MemoryEntry): void {
    if (this.#entries.get(entry.text) !== entry) return
    this.#entries.delete(entry.text)
    this.#size -= entry.size
    if (entry.untold > 0) this.#untold--
    this.#unlink(entry)
  }

  clear(): void {
    this.#entries.clear()
    this.#newest = undefined
    this.#oldest = undefined
    this.#size = 0
    this.#untold = 0
  }

  /** Entries, the newest first. */
  *entries(): Generator<MemoryEntry> {
    for (let entry = this.#newest; entry !== undefined; entry = entry.older) yield entry
  }

  /** Hits since the last call, the least recently used entry first. */
  takeAccesses(): { idLow: number; idHigh: number; hits: number }[] {
    const accesses = []
    for (let entry = this.#newest; this.#untold > 0 && entry !== undefined; entry = entry.older) {
      const { place } = entry
      if (entry.untold === 0 || place === undefined) continue
      accesses.push({ idLow: place.idLow, idHigh: place.idHigh, hits: entry.untold })
      entry.untold = 0
      this.#untold--
    }
    return accesses.reverse()
  }

  #link(entry: MemoryEntry): void {
    entry.older = this.#newest
    entry.newer = undefined
    if (this.#newest !== undefined) this.#newest.newer = entry
    this.#newest = entry
    this.#oldest ??= entry
  }

  #unlink(entry: MemoryEntry): void {
    if (entry.newer === undefined) this.#newest = entry.older
    else entry.newer.older = entry.older
    if (entry.older === undefined) this.#oldest = entry.newer
    else entry.older.newer = entry.newer
    entry.newer = undefined
    entry.older = undefined
  }
}
