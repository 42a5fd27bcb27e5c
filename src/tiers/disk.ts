/** The disk tier: entries as bytes, in and out of the addon. */

import type { Cell } from '../cells.js'
import { fromNative } from '../errors.js'
import type { DeclaredTable } from '../meta.js'
import { type NativeDisk, type NativeEntry, native } from '../native.js'
import { decode } from '../values/index.js'
import { type Answer, readAnswer } from './answer.js'
import { decodeExtras, type Extras, encodeCells, encodeExtras } from './extras.js'
import {
  Batch,
  type Facts,
  META,
  OUTCOME,
  type Outcome,
  type Packed,
  packKeys,
  readFacts,
  readOutcome,
  readPage,
  type SetTimes,
  type Times,
  viewOf,
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

/** Options of the disk tier, parsed. */
export interface DiskOptions {
  dir: string
  maxSize?: number
  codec: string
  level?: number
  durability: string
  lockTimeout: number
  meta?: DeclaredTable[]
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

/** Hits of one entry. */
export interface Access {
  idLow: number
  idHigh: number
  hits: number
}

/** A call that waits for its batch: `writes` of it, in bytes `start` to `end`, are its own. */
interface Waiting {
  writes: number
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
  readonly #now: () => number
  readonly #inbox = Buffer.allocUnsafeSlow(META + BUFFER)
  readonly #inboxView = viewOf(this.#inbox)
  readonly #outbox = Buffer.allocUnsafeSlow(BUFFER)
  readonly #epochs: Uint32Array | undefined
  readonly #onFault: (code: string, message: string) => void
  #batch = new Batch(this.#outbox)
  #waiting: Waiting[] = []
  /** The batch on the thread pool; the next one fills meanwhile, and follows it before this resolves. */
  #underWay: Promise<void> | undefined
  /** A snapshot is held, and let go of when the event loop turns. */
  #holding = false
  #closed = false

  constructor(options: DiskOptions, now: () => number, onFault: (code: string, message: string) => void) {
    const { dir, ...rest } = options
    this.#now = now
    this.#onFault = onFault
    const { NativeDisk } = native()
    this.#disk = call(() => new NativeDisk(dir, rest, this.#inbox, this.#outbox, now()))
    const epochs = call(() => this.#disk.epochs())
    // Where memory of the addon's may not be shared, the array is a copy that never changes.
    this.#epochs = this.#disk.sharesEpochs(epochs) ? epochs : undefined
    this.#tellFaults()
  }

  /** Whether an entry of the memory tier that was read at `epoch` is still the newest: one load from memory. */
  isCurrent(slot: number, epoch: number): boolean {
    return (this.#epochs === undefined ? this.#disk.epochAt(slot) : this.#epochs[slot]) === epoch
  }

  /** Reads an entry, a stale one too, on this thread when that is quick. */
  read(text: string): DiskHit | undefined | Promise<DiskHit | undefined> {
    this.#flush()
    return this.#underWay === undefined ? this.#readNow(text) : this.#readAfterWrites(text)
  }

  /** As `read`, with tags, description and metadata. */
  async entry(text: string): Promise<DiskHit | undefined> {
    await this.settled()
    const hit = this.#fetch(text, true)
    return hit === TOO_LARGE ? this.#readLarge(text) : hit
  }

  async #readAfterWrites(text: string): Promise<DiskHit | undefined> {
    await this.settled()
    return this.#readNow(text)
  }

  #readNow(text: string): DiskHit | undefined | Promise<DiskHit | undefined> {
    const hit = this.#fetch(text)
    return hit === TOO_LARGE ? this.#readLarge(text) : hit
  }

  async #readLarge(text: string): Promise<DiskHit | undefined> {
    return this.#decoded(await wait(() => this.#disk.read(Buffer.from(text), this.#now())))
  }

  /** Reads an entry, a stale one too, on this thread. A write that is still on its way to the disk is not waited for. */
  readSync(text: string): DiskHit | undefined {
    this.#flush()
    const hit = this.#fetch(text)
    if (hit !== TOO_LARGE) return hit
    return this.#decoded(call(() => this.#disk.readSync(Buffer.from(text), this.#now())))
  }

  #fetch(text: string, whole = false): DiskHit | undefined | typeof TOO_LARGE {
    if (text.length * 3 > BUFFER) return TOO_LARGE
    this.#holdForThisTurn()
    const length = call(() => this.#disk.fetch(this.#inbox.write(text), whole, this.#now()))
    if (length < 0) {
      if (length === MISS) this.#tellFaults()
      return length === TOO_LARGE ? TOO_LARGE : undefined
    }
    const facts = readFacts(this.#inboxView, 0)
    return this.#hit(facts, this.#inbox, META, META + length, false)
  }

  /** The reads of one turn of the event loop share a snapshot, as long as nobody writes. */
  #holdForThisTurn(): void {
    if (this.#holding) return
    this.#holding = true
    setImmediate(() => {
      this.#holding = false
      if (!this.#closed) this.#disk.release()
    })
  }

  /** Reads many live entries on one snapshot; the answer is aligned with `texts`. */
  async readMany(texts: readonly string[]): Promise<(DiskHit | undefined)[]> {
    await this.settled()
    const entries = await wait(() => this.#disk.readMany(packKeys(texts), this.#now()))
    return entries.map((entry) => this.#decoded(entry))
  }

  #decoded(entry: NativeEntry | null): DiskHit | undefined {
    if (entry === null) {
      this.#tellFaults()
      return undefined
    }
    const hit = this.#hit(readFacts(viewOf(entry.meta), 0), entry.value, 0, entry.value.length, true)
    if (hit !== undefined && entry.extras !== undefined) hit.extras = decodeExtras(entry.extras)
    return hit
  }

  /** A value that this run time cannot read, or that does not decode, is a miss; the bytes were sound and stay. */
  #hit(facts: Facts, buffer: Buffer, start: number, end: number, owned: boolean): DiskHit | undefined {
    try {
      return { value: decode(facts.kind, buffer, start, end, owned), facts }
    } catch (error) {
      const { code = 'E_CORRUPT', message } = error as { code?: string; message: string }
      this.#onFault(code, message)
      return undefined
    }
  }

  /** Whether there is a live entry, without reading its value. */
  async has(text: string): Promise<boolean> {
    await this.settled()
    if (text.length * 3 > BUFFER) {
      const hit = await this.#readLarge(text)
      return hit !== undefined && hit.facts.freshUntil > this.#now()
    }
    return call(() => this.#disk.has(this.#inbox.write(text), this.#now()))
  }

  /** Stores values in one transaction. They are copied before this returns. */
  set(entries: readonly DiskWrite[]): Promise<Outcome[]> {
    return this.#enqueue(entries.length, (batch) => {
      for (const entry of entries) pack(batch, entry)
    })
  }

  /** Removes keys in one transaction. */
  delete(texts: readonly string[]): Promise<Outcome[]> {
    return this.#enqueue(texts.length, (batch) => {
      for (const text of texts) batch.delete(text)
    })
  }

  async clear(): Promise<void> {
    await this.#enqueue(1, (batch) => batch.clear())
  }

  /** Removes every entry that has one of these tags, in one transaction; gives how many were live. */
  async invalidateTags(tags: readonly string[]): Promise<number> {
    const [outcome] = await this.#enqueue(1, (batch) => batch.invalidate(tags))
    return outcome?.invalidated ?? 0
  }

  /** As `invalidateTags`, on this thread. */
  invalidateTagsSync(tags: readonly string[]): number {
    return this.#writeSync((batch) => batch.invalidate(tags)).invalidated
  }

  /** Stores a value on this thread. */
  setSync(entry: DiskWrite): Outcome {
    return this.#writeSync((batch) => pack(batch, entry))
  }

  /** Gives an entry new times, a stale one too where `stale` is set. */
  async renew(text: string, times: Times, stale: boolean): Promise<Outcome> {
    const [outcome] = await this.#enqueue(1, (batch) => batch.renew(text, times, stale))
    return outcome!
  }

  /** As `renew`, on this thread. */
  renewSync(text: string, times: Times, stale: boolean): Outcome {
    return this.#writeSync((batch) => batch.renew(text, times, stale))
  }

  /** Removes a key on this thread. */
  deleteSync(text: string): Outcome {
    return this.#writeSync((batch) => batch.delete(text))
  }

  #writeSync(pack: (batch: Batch) => void): Outcome {
    this.#flush()
    const batch = new Batch(Buffer.allocUnsafe(0))
    pack(batch)
    const outcomes = call(() => this.#disk.writeSync(batch.bytes(), batch.blobs, this.#now()))
    // An earlier write may still be on its way to the disk: this one must have the last word.
    if (this.#underWay !== undefined)
      this.#enqueue(1, pack).catch((error) => this.#onFault(error.code, error.message))
    return readOutcome(viewOf(outcomes), 0)
  }

  #enqueue(writes: number, pack: (batch: Batch) => void): Promise<Outcome[]> {
    if (writes === 0) return Promise.resolve([])
    return new Promise((resolve, reject) => {
      const start = this.#batch.length
      pack(this.#batch)
      if (this.#waiting.length === 0) queueMicrotask(() => this.#flush())
      this.#waiting.push({ writes, start, end: this.#batch.length, resolve, reject })
    })
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
    this.#underWay = this.#writeOrSplit(batch.bytes(), batch.blobs, waiting).then(() => {
      this.#underWay = undefined
      this.#flush()
    })
  }

  #takeBatch(): { batch: Batch; waiting: Waiting[] } {
    const taken = { batch: this.#batch, waiting: this.#waiting }
    this.#batch = new Batch(this.#outbox)
    this.#waiting = []
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

  /** A page of live entries, from where the last one ended. */
  async page(cursor: Buffer | undefined, limit: number): Promise<ReturnType<typeof readPage>> {
    await this.settled()
    return readPage(await wait(() => this.#disk.page(cursor, limit, this.#now())))
  }

  async stats(): Promise<Awaited<ReturnType<NativeDisk['stats']>>> {
    await this.settled()
    return wait(() => this.#disk.stats(this.#now()))
  }

  /** Answers a query: on this thread when that is quick, and after the writes that were asked for. */
  async query(sql: string, params: readonly (Cell | bigint)[]): Promise<Answer> {
    await this.settled()
    const cells = encodeCells(params)
    const now = call(() => this.#disk.queryNow(sql, cells, this.#now()))
    return readAnswer(now ?? (await wait(() => this.#disk.query(sql, cells, this.#now()))))
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
    await wait(() => this.#disk.close())
  }

  #tellFaults(): void {
    for (const { code, message } of call(() => this.#disk.takeFaults())) this.#onFault(code, message)
  }
}

function pack(batch: Batch, write: DiskWrite): void {
  const { text, encoded, extras } = write
  batch.set(text, encoded, write, extras === undefined ? undefined : encodeExtras(extras))
}

function settle(waiting: readonly Waiting[], outcomes: DataView): void {
  let at = 0
  for (const { writes, resolve } of waiting) {
    resolve(Array.from({ length: writes }, (_, index) => readOutcome(outcomes, at + index * OUTCOME)))
    at += writes * OUTCOME
  }
}

/** The name of a codec number. */
export function codecName(codec: number): string {
  return call(() => native().codecNames())[codec] || 'unknown'
}
