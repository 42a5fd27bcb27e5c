/** The disk tier: entries as bytes, in and out of the addon. */

import type { Cell } from '../cells.js'
import { fromNative } from '../errors.js'
import type { DeclaredTable } from '../meta.js'
import { type NativeDisk, type NativeEntry, native } from '../native.js'
import { turn } from '../pause.js'
import { type Soon, then } from '../soon.js'
import { decode, decodeSoon } from '../values/index.js'
import { type Answer, KnownColumns, readAnswer } from './answer.js'
import { atExit } from './exit.js'
import { decodeExtras, type Extras, encodeCells, encodeExtras, putCells } from './extras.js'
import {
  Batch,
  type Facts,
  freshUntil,
  kindOf,
  META,
  type Outcome,
  type Packed,
  type Page,
  packKeys,
  readFacts,
  readOutcomes,
  readPage,
  type SetTimes,
  viewOf,
  type When,
} from './wire.js'

/** Bytes of the buffers that this thread shares with the addon. A longer value takes the way over the thread pool. */
const BUFFER = 64 * 1024
/** Bytes of an access: row id and hits. */
const ACCESS = 12
const MOST_ACCESSES = Math.floor(BUFFER / ACCESS)
/** `fetch` and `apply`: see the addon. */
const MISS = -1
const TOO_LARGE = -2
const BUSY = -3
const FAULT = -4
/** Entries that take so little time that no other work has to come between two pages. */
const SHORT_PAGE = 100
/** How long a set waits for others under `relaxed`. */
const RELAXED_MS = 5
/** `state`. */
const STATES = ['missing', 'live', 'expired'] as const

/** What decodes to no value. */
const UNREADABLE = Symbol('unreadable')

/** Options of the disk tier, parsed. */
export interface DiskOptions {
  dir: string
  maxSize?: number
  max?: number
  policy?: string
  codec: string
  level?: number
  durability: string
  lockTimeout: number
  meta?: DeclaredTable[]
  metadata?: string
  storeKeys: boolean
  integrity: boolean
  /** A copy of the key, which the tier overwrites when it is open. */
  encryption?: Uint8Array
}

/** An entry that was read. */
export interface DiskHit {
  value: unknown
  facts: Facts
  /** Where it was asked for, and there are some. */
  extras?: Extras
}

/** A value on its way to the disk. */
export interface DiskWrite extends SetTimes {
  text: string
  encoded: Packed
  extras?: Extras | undefined
}

/** Which entries a page has. */
export interface PageOptions {
  /** Where the last page ended. */
  cursor: Buffer | undefined
  /** The key that the first page starts behind. */
  after: string | undefined
  limit: number
  /** Two beginnings of keys, of which an entry has one. */
  prefixes: readonly [string, string] | undefined
  /** Only entries that expire. */
  expiring: boolean
}

/** What there is of a key. An expired entry is known until it is removed. */
export type KeyState = { is: 'live'; facts: Facts } | { is: 'missing' | 'expired'; facts?: undefined }

/** By what is seen whether an entry is still the newest of its key. */
export interface Place {
  slot: number
  epoch: number
}

/** Hits of one entry. */
export interface Access {
  idLow: number
  idHigh: number
  hits: number
}

/** A call that waits for its batch: `writes` of it, in bytes `start` to `end`, are its own. */
interface Waiting {
  writes: number
  /** Only sets, and nobody waits for them. */
  isPatient: boolean
  start: number
  end: number
  resolve(outcomes: Outcome[]): void
  reject(error: unknown): void
}

/** Calls the addon, and turns its errors into ours. */
function call<T>(run: () => T): T {
  try {
    return run()
  } catch (error) {
    throw fromNative(error)
  }
}

async function wait<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    throw fromNative(error)
  }
}

/**
 * Writes of one tick are one batch and one transaction: applied on this thread when nobody else is writing and the
 * batch is small, on the thread pool otherwise. Batches never overtake each other, and a read waits for the writes
 * that were asked for before it.
 */
export class DiskTier {
  readonly #disk: NativeDisk
  readonly #fetchNative: ReturnType<NativeDisk['fetcher']>
  readonly #ask: ReturnType<NativeDisk['asker']>
  readonly #columns = new KnownColumns()
  readonly #now: () => number
  readonly #inbox = Buffer.allocUnsafeSlow(META + BUFFER)
  readonly #inboxView = viewOf(this.#inbox)
  readonly #outbox = Buffer.allocUnsafeSlow(BUFFER)
  /** The directory has no database: an entry is a file. */
  readonly isJson: boolean
  readonly #epochs: Uint32Array | undefined
  readonly #onFault: (code: string, message: string) => void
  #batch = new Batch(this.#outbox)
  #waiting: Waiting[] = []
  /** Whether a set is acknowledged when it is queued. */
  readonly isRelaxed: boolean
  /** Whether a listing can tell keys by their texts. */
  readonly storesKeys: boolean
  /** Under `relaxed`: sends off what is queued. */
  #timer: NodeJS.Timeout | undefined
  /** Under `relaxed`: the batch on the thread pool, if it may be written again. */
  #sent: { bytes: Buffer; blobs: Uint8Array[] } | undefined
  readonly #stayAtExit: () => void
  /** The batch on the thread pool; the next one fills meanwhile, and follows it before this resolves. */
  #underWay: Promise<void> | undefined
  /** A snapshot is held, and let go of when the event loop turns. */
  #holding = false
  #closed = false

  constructor(options: DiskOptions, now: () => number, onFault: (code: string, message: string) => void) {
    const { dir, ...rest } = options
    this.#now = now
    this.#onFault = onFault
    this.storesKeys = rest.storeKeys
    this.isRelaxed = rest.durability === 'relaxed'
    this.#stayAtExit = this.isRelaxed ? atExit(() => this.#flushAtExit()) : () => {}
    const { NativeDisk } = native()
    try {
      this.#disk = call(() => new NativeDisk(dir, rest, this.#inbox, this.#outbox, now()))
    } finally {
      rest.encryption?.fill(0)
    }
    this.#fetchNative = call(() => this.#disk.fetcher())
    this.#ask = call(() => this.#disk.asker())
    this.isJson = call(() => this.#disk.isJson())
    if (!this.isJson) this.#epochs = this.#sharedEpochs()
    this.#tellFaults()
  }

  #sharedEpochs(): Uint32Array | undefined {
    const epochs = call(() => this.#disk.epochs())
    // Where memory of the addon's may not be shared, the array is a copy that never changes.
    return this.#disk.sharesEpochs(epochs) ? epochs : undefined
  }

  /** Whether an entry of the memory tier is still the newest: one load from memory, or without a database one short read. */
  isCurrent(text: string, { slot, epoch }: Place): boolean {
    return this.isJson ? this.#isSameFile(text, slot, epoch) : this.epochOf(slot) === epoch
  }

  #isSameFile(text: string, slot: number, epoch: number): boolean {
    if (text.length * 3 > BUFFER) return false
    return call(() => this.#disk.isCurrent(this.#inbox.write(text), slot, epoch))
  }

  /** The slot of a key in the table of epochs. */
  slotOf(text: string): number {
    return call(() => this.#disk.slotOf(Buffer.from(text)))
  }

  /** The epoch of a slot: it moves before and after each write of one of its keys, in any process. */
  epochOf(slot: number): number {
    return this.#epochs === undefined ? this.#disk.epochAt(slot) : this.#epochs[slot]!
  }

  /** The value of a fresh entry: what else is known of it is not looked at. Only a promise when it takes a thread. */
  value(text: string): unknown {
    this.#flush()
    if (this.#underWay !== undefined) return this.settled().then(() => this.#valueNow(text))
    return this.#valueNow(text)
  }

  /** As `value`, on this thread. A write that is still on its way to the disk is not waited for. */
  valueSync(text: string): unknown {
    this.#flush()
    const now = this.#now()
    const length = this.#fetch(text, false, now)
    return length === TOO_LARGE ? this.#fresh(this.readSync(text)) : this.#valueOf(length, now)
  }

  #valueNow(text: string): unknown {
    const now = this.#now()
    const length = this.#fetch(text, false, now)
    if (length !== TOO_LARGE) return this.#valueOf(length, now)
    return this.#readLarge(text).then((hit) => this.#fresh(hit))
  }

  #fresh(hit: DiskHit | undefined): unknown {
    return hit !== undefined && hit.facts.freshUntil > this.#now() ? hit.value : undefined
  }

  /** Of what `#fetch` put into the inbox. */
  #valueOf(length: number, now: number): unknown {
    if (length < 0 || freshUntil(this.#inboxView) <= now) return undefined
    const value = this.#decode(kindOf(this.#inboxView), this.#inbox, META, META + length, false)
    return value === UNREADABLE ? undefined : value
  }

  /** Reads an entry, a stale one too, on this thread when that is quick. */
  read(text: string): DiskHit | undefined | Promise<DiskHit | undefined> {
    this.#flush()
    return this.#underWay === undefined ? this.#readNow(text) : this.#readAfterWrites(text)
  }

  /** As `read`, with tags, description and metadata. */
  async entry(text: string): Promise<DiskHit | undefined> {
    await this.settled()
    const length = this.#fetch(text, true, this.#now())
    return length === TOO_LARGE ? this.#readLarge(text) : this.#hitOf(length)
  }

  /** The stored form of a fresh entry. */
  async stored(text: string): Promise<{ kind: number; data: Buffer } | undefined> {
    await this.settled()
    const entry = await wait(() => this.#disk.read(Buffer.from(text), this.#now()))
    if (entry === null) {
      this.#tellFaults()
      return undefined
    }
    const { kind, freshUntil } = readFacts(viewOf(entry.meta), 0)
    return freshUntil > this.#now() ? { kind, data: entry.value } : undefined
  }

  async #readAfterWrites(text: string): Promise<DiskHit | undefined> {
    await this.settled()
    return this.#readNow(text)
  }

  #readNow(text: string): DiskHit | undefined | Promise<DiskHit | undefined> {
    const length = this.#fetch(text, false, this.#now())
    return length === TOO_LARGE ? this.#readLarge(text) : this.#hitOf(length)
  }

  async #readLarge(text: string): Promise<DiskHit | undefined> {
    const entry = await wait(() => this.#disk.read(Buffer.from(text), this.#now()))
    const facts = entry === null ? undefined : readFacts(viewOf(entry.meta), 0)
    const soon = facts === undefined ? undefined : decodeSoon(facts.kind, entry!.value)
    if (soon === undefined) return this.#decoded(entry)
    const value = await soon.catch((error: unknown) => this.#unreadable(error))
    return value === UNREADABLE ? undefined : withExtras({ value, facts: facts! }, entry!)
  }

  /** Reads a fresh entry; a large value that is stored as it is shares its memory with a private map of the file. */
  async map(text: string): Promise<DiskHit | undefined> {
    await this.settled()
    const entry = await wait(() => this.#disk.map(Buffer.from(text), this.#now()))
    if (entry === null) return this.#decoded(null)
    const { buffer, byteOffset, byteLength } = entry.value
    return this.#decoded({ meta: entry.meta, value: Buffer.from(buffer, byteOffset, byteLength) })
  }

  /** Reads an entry, a stale one too, on this thread. A write that is still on its way to the disk is not waited for. */
  readSync(text: string): DiskHit | undefined {
    this.#flush()
    const length = this.#fetch(text, false, this.#now())
    if (length !== TOO_LARGE) return this.#hitOf(length)
    return this.#decoded(call(() => this.#disk.readSync(Buffer.from(text), this.#now())))
  }

  /** Reads an entry into the inbox; gives the length of its value, `MISS` or `TOO_LARGE`. */
  #fetch(text: string, whole: boolean, now: number): number {
    if (this.isJson || text.length * 3 > BUFFER) return TOO_LARGE
    if (!this.#holding) this.#holdForThisTurn()
    try {
      const length = this.#fetchNative(this.#inbox.write(text), whole, now)
      if (length !== FAULT) return length
    } catch (error) {
      throw fromNative(error)
    }
    this.#tellFaults()
    return MISS
  }

  #hitOf(length: number): DiskHit | undefined {
    if (length < 0) return undefined
    return this.#hit(readFacts(this.#inboxView, 0), this.#inbox, META, META + length, false)
  }

  /** The reads of one turn of the event loop share a snapshot, as long as nobody writes. */
  #holdForThisTurn(): void {
    this.#holding = true
    setImmediate(() => {
      this.#holding = false
      if (this.#closed) return
      try {
        this.#disk.release()
      } catch (error) {
        this.#unreadable(fromNative(error)) // nobody waits for it
      }
    })
  }

  /** Reads many live entries on one snapshot; the answer is aligned with `texts`. */
  async readMany(texts: readonly string[]): Promise<(DiskHit | undefined)[]> {
    await this.settled()
    const { entries, hasFaults } = await wait(() => this.#disk.readMany(packKeys(texts), this.#now()))
    if (hasFaults) this.#tellFaults()
    return entries.map((entry) => (entry ? this.#decoded(entry) : undefined))
  }

  #decoded(entry: NativeEntry | null): DiskHit | undefined {
    if (entry === null) {
      this.#tellFaults()
      return undefined
    }
    const hit = this.#hit(readFacts(viewOf(entry.meta), 0), entry.value, 0, entry.value.length, true)
    return withExtras(hit, entry)
  }

  #hit(facts: Facts, buffer: Buffer, start: number, end: number, owned: boolean): DiskHit | undefined {
    const value = this.#decode(facts.kind, buffer, start, end, owned)
    return value === UNREADABLE ? undefined : { value, facts }
  }

  /** A value that this run time cannot read, or that does not decode, is a miss; the bytes were sound and stay. */
  #decode(kind: number, buffer: Buffer, start: number, end: number, owned: boolean): unknown {
    try {
      return decode(kind, buffer, start, end, owned)
    } catch (error) {
      return this.#unreadable(error)
    }
  }

  #unreadable(error: unknown): typeof UNREADABLE {
    const { code = 'E_CORRUPT', message } = error as { code?: string; message: string }
    this.#onFault(code, message)
    return UNREADABLE
  }

  /** What is known of a key, without reading its value. With `touch`, an access of a live entry. */
  state(text: string, sync: boolean, touch = false): Soon<KeyState> {
    if (sync) this.#flush()
    return sync ? this.#stateNow(text, touch) : this.settled().then(() => this.#stateNow(text, touch))
  }

  #stateNow(text: string, touch: boolean): KeyState {
    if (text.length * 3 > BUFFER) {
      const facts = this.readSync(text)?.facts
      return facts === undefined || facts.freshUntil <= this.#now()
        ? { is: 'missing' }
        : { is: 'live', facts }
    }
    const is = STATES[call(() => this.#disk.state(this.#inbox.write(text), touch, this.#now()))]!
    return is === 'live' ? { is, facts: readFacts(this.#inboxView, 0) } : { is }
  }

  /**
   * Applies `count` writes in one transaction, after all that were asked for before; gives what became of each. What `pack`
   * reads is copied before this returns. With `sync`, on this thread, which waits for batches that are under way.
   */
  write(count: number, pack: (batch: Batch) => void, sync: boolean): Soon<Outcome[]> {
    return sync ? this.#writeSync(count, pack) : this.#enqueue(count, pack)
  }

  /** As `write`, for sets that were acknowledged already: under `relaxed` they may wait for others. */
  writeLater(count: number, pack: (batch: Batch) => void): Promise<Outcome[]> {
    return this.#enqueue(count, pack, true)
  }

  /** Removes every entry that has one of these tags, in one transaction; gives how many were live. */
  invalidateTags(tags: readonly string[], sync: boolean): Soon<number> {
    return then(
      this.write(1, (batch) => batch.invalidate(tags), sync),
      ([outcome]) => outcome!.invalidated,
    )
  }

  #writeSync(count: number, pack: (batch: Batch) => void): Outcome[] {
    this.#flush()
    if (this.#waiting.length > 0) {
      const { batch, waiting } = this.#takeBatch()
      this.#writeOrSplitSync(batch.bytes(), batch.blobs, waiting)
    }
    const batch = new Batch(Buffer.allocUnsafe(0))
    pack(batch)
    const outcomes = call(() => this.#disk.writeSync(batch.bytes(), batch.blobs, this.#now()))
    return readOutcomes(viewOf(outcomes), 0, count).outcomes
  }

  #enqueue(writes: number, pack: (batch: Batch) => void, isPatient = false): Promise<Outcome[]> {
    if (writes === 0) return Promise.resolve([])
    return new Promise((resolve, reject) => {
      const start = this.#batch.length
      pack(this.#batch)
      if (this.#waiting.length === 0 && !isPatient) queueMicrotask(() => this.#flush())
      this.#waiting.push({ writes, start, end: this.#batch.length, isPatient, resolve, reject })
      if (isPatient) this.#flushSoon()
      else if (this.#timer !== undefined) queueMicrotask(() => this.#flush())
    })
  }

  /** A full batch at once, others within some milliseconds: then many are one transaction. */
  #flushSoon(): void {
    if (!this.#batch.isSmall) queueMicrotask(() => this.#flush())
    else this.#timer ??= setTimeout(() => this.#onTime(), RELAXED_MS).unref()
  }

  #onTime(): void {
    this.#timer = undefined
    this.#flush()
  }

  /** There is no event loop any more. A batch that the thread pool has may never be written, so it is written again. */
  #flushAtExit(): void {
    if (this.#closed) return
    try {
      if (this.#sent !== undefined) this.#disk.writeSync(this.#sent.bytes, this.#sent.blobs, this.#now())
      const { batch, waiting } = this.#takeBatch()
      if (waiting.length > 0) this.#disk.writeSync(batch.bytes(), batch.blobs, this.#now())
    } catch (error) {
      this.#onFault((error as { code: string }).code, (error as Error).message)
    }
  }

  /** Sends the batch off, unless others are under way: they take it with them when they are done. */
  #flush(): void {
    if (this.#waiting.length === 0 || this.#underWay !== undefined) return
    const { batch, waiting } = this.#takeBatch()
    if (batch.isSmall) {
      try {
        if (this.#disk.apply(batch.length, this.#now()) !== BUSY) {
          settle(waiting, this.#inboxView)
          return
        }
      } catch (error) {
        if (waiting.length === 1) {
          waiting[0]?.reject(fromNative(error))
          return
        }
      }
    }
    const bytes = batch.bytes()
    if (waiting.every(({ isPatient }) => isPatient)) this.#sent = { bytes, blobs: batch.blobs }
    this.#underWay = this.#writeOrSplit(bytes, batch.blobs, waiting).then(() => {
      this.#sent = undefined
      this.#underWay = undefined
      this.#flush()
    })
  }

  #takeBatch(): { batch: Batch; waiting: Waiting[] } {
    const taken = { batch: this.#batch, waiting: this.#waiting }
    this.#batch = new Batch(this.#outbox)
    this.#waiting = []
    clearTimeout(this.#timer)
    this.#timer = undefined
    return taken
  }

  /** One call's bad write must not fail the others of its batch: they are tried one by one. */
  async #writeOrSplit(bytes: Buffer, blobs: Uint8Array[], waiting: Waiting[]): Promise<void> {
    try {
      settle(waiting, viewOf(await this.#disk.write(bytes, blobs, this.#now())))
    } catch (error) {
      if (waiting.length === 1) waiting[0]?.reject(fromNative(error))
      else
        for (const one of waiting) await this.#writeOrSplit(bytes.subarray(one.start, one.end), blobs, [one])
    }
  }

  /** As `#writeOrSplit`, on this thread: what is queued goes before a write that cannot wait. */
  #writeOrSplitSync(bytes: Buffer, blobs: Uint8Array[], waiting: Waiting[]): void {
    try {
      settle(waiting, viewOf(this.#disk.writeSync(bytes, blobs, this.#now())))
    } catch (error) {
      if (waiting.length === 1) waiting[0]?.reject(fromNative(error))
      else for (const one of waiting) this.#writeOrSplitSync(bytes.subarray(one.start, one.end), blobs, [one])
    }
  }

  /**
   * Resolves when every write that was asked for so far is done. It does not wait for those asked for later: under a steady
   * stream of writes there is always one under way.
   */
  async settled(): Promise<void> {
    this.#flush()
    const areQueued = this.#waiting.length > 0
    await this.#underWay
    if (areQueued) await this.#underWay // they left when the batch before them was done
  }

  /** As `settled`; `undefined` where there is nothing to wait for, which is what an `await` of a promise takes. */
  #afterWrites(): Promise<void> | undefined {
    this.#flush()
    return this.#underWay === undefined ? undefined : this.settled()
  }

  /** Notes accesses that the memory tier answered, the least recent first. */
  touch(accesses: readonly Access[]): void {
    for (let start = 0; start < accesses.length; start += MOST_ACCESSES) {
      const some = accesses.slice(start, start + MOST_ACCESSES)
      some.forEach(({ idLow, idHigh, hits }, index) => {
        this.#inboxView.setUint32(ACCESS * index, idLow, true)
        this.#inboxView.setUint32(ACCESS * index + 4, idHigh, true)
        this.#inboxView.setUint32(ACCESS * index + 8, hits, true)
      })
      call(() => this.#disk.touch(some.length, this.#now()))
    }
  }

  /** A page of live entries, from where the last one ended: on this thread where that is quick, a turn of the event loop each. */
  async page(asked: PageOptions): Promise<Page> {
    await this.#afterWrites()
    const { cursor, after, limit, prefixes, expiring } = asked
    const listing = {
      ...(cursor === undefined ? {} : { cursor }),
      ...(after === undefined ? {} : { after: Buffer.from(after) }),
      ...(prefixes === undefined ? {} : { prefixes: prefixes.map((prefix) => Buffer.from(prefix)) }),
      limit,
      expiring,
    }
    const page = call(() => this.#disk.pageNow(listing, this.#now()))
    if (page === null) return readPage(await wait(() => this.#disk.page(listing, this.#now())))
    if (limit > SHORT_PAGE) await turn()
    return readPage(page)
  }

  /** Removes up to `limit` entries that have expired, in short transactions off this thread; gives how many. */
  async cleanup(limit = Number.POSITIVE_INFINITY): Promise<number> {
    await this.settled()
    return wait(() => this.#disk.cleanup(limit, this.#now()))
  }

  /** Entries that have expired and are still there, and the bytes of the values of all others. */
  async validity(): Promise<Awaited<ReturnType<NativeDisk['validity']>>> {
    await this.settled()
    return wait(() => this.#disk.validity(this.#now()))
  }

  async stats(): Promise<Awaited<ReturnType<NativeDisk['stats']>>> {
    await this.#afterWrites()
    const known = call(() => this.#disk.statsNow(this.#now()))
    return known ?? wait(() => this.#disk.stats(this.#now()))
  }

  /** Answers a query: on this thread when that is quick, and after the writes that were asked for. */
  query(sql: string, params: readonly (Cell | bigint)[]): Soon<Answer> {
    return then(this.#afterWrites(), () => this.#queryNow(sql, params) ?? this.#queryLong(sql, params))
  }

  /** `undefined` where it takes long. */
  #queryNow(sql: string, params: readonly (Cell | bigint)[]): Answer | undefined {
    const length = putCells(params, this.#inbox)
    if (length < 0) return undefined
    if (!this.#holding) this.#holdForThisTurn()
    try {
      const answer = this.#ask(sql, length, this.#columns.hashOf(sql), this.#now())
      if (typeof answer !== 'number') return this.#columns.read(sql, answer, viewOf(answer))
      return answer < 0 ? undefined : this.#columns.read(sql, this.#inbox, this.#inboxView)
    } catch (error) {
      throw fromNative(error)
    }
  }

  async #queryLong(sql: string, params: readonly (Cell | bigint)[]): Promise<Answer> {
    return readAnswer(await wait(() => this.#disk.query(sql, encodeCells(params), this.#now())))
  }

  /** Calls the addon on this thread. */
  native<T>(run: (disk: NativeDisk, now: number) => T): T {
    return call(() => run(this.#disk, this.#now()))
  }

  /** Waits for a call that needs nothing of this object. */
  async wait<T>(run: () => Promise<T>): Promise<T> {
    const done = await wait(run)
    this.#tellFaults()
    return done
  }

  /** Runs a verb of management on the thread pool, after the writes that were asked for. */
  async manage<T>(run: (disk: NativeDisk, now: number) => Promise<T>): Promise<T> {
    await this.settled()
    const done = await wait(() => run(this.#disk, this.#now()))
    this.#tellFaults()
    return done
  }

  async close(): Promise<void> {
    await this.settled()
    this.#tellFaults()
    this.#closed = true
    this.#stayAtExit()
    await wait(() => this.#disk.close())
  }

  #tellFaults(): void {
    for (const { code, message } of call(() => this.#disk.takeFaults())) this.#onFault(code, message)
  }
}

/** Puts a set into a batch. */
export function packSet(batch: Batch, write: DiskWrite, when: When = 'always'): void {
  const { text, encoded, extras } = write
  batch.set(text, encoded, write, {
    extras: extras === undefined ? undefined : encodeExtras(extras),
    when,
  })
}

function settle(waiting: readonly Waiting[], view: DataView): void {
  let at = 0
  for (const { writes, resolve } of waiting) {
    const { outcomes, end } = readOutcomes(view, at, writes)
    resolve(outcomes)
    at = end
  }
}

let codecs: readonly string[] | undefined

/** The name of a codec number. */
export function codecName(codec: number): string {
  codecs ??= call(() => native().codecNames())
  return codecs[codec] || 'unknown'
}

function withExtras(hit: DiskHit | undefined, { extras }: NativeEntry): DiskHit | undefined {
  if (hit !== undefined && extras !== undefined) hit.extras = decodeExtras(extras)
  return hit
}
