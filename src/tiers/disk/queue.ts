/** Writes on their way to the disk. */
import { fromNative } from '../../errors.js'
import type { NativeDisk } from '../../native.js'
import { queueMicrotask } from '../../pause.js'
import type { Soon } from '../../soon.js'
import { Batch } from '../batch.js'
import { atExit } from '../exit.js'
import { type Outcome, readOutcomes, viewOf } from '../wire.js'
import { call } from './calls.js'

/** What `apply` answers where others are writing. */
const BUSY = -3
/** How long a set waits for others under `relaxed`. */
const RELAXED_MS = 5

/** Bytes of a batch whose memory is given back at once. */
const RELEASED = 1 << 20

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

/** What the queue needs of the tier. */
export interface WriteQueueOptions {
  disk: NativeDisk
  now: () => number
  /** Memory that is shared with the addon: small batches go out in the one, and what became of them comes back in the other. */
  outbox: Buffer
  inbox: DataView
  /** Whether a set is acknowledged when it is queued. */
  isRelaxed: boolean
  onFault: (code: string, message: string) => void
}

/**
 * Writes of one tick are one batch and one transaction: applied on this thread when nobody else is writing and the
 * batch is small, on the thread pool otherwise. Batches never overtake each other.
 */
export class WriteQueue {
  readonly #disk: NativeDisk
  readonly #now: () => number
  readonly #outbox: Buffer
  readonly #inboxView: DataView
  readonly #onFault: (code: string, message: string) => void
  #batch: Batch
  #waiting: Waiting[] = []
  /** Under `relaxed`: sends off what is queued. */
  #timer: NodeJS.Timeout | undefined
  /** Under `relaxed`: the batch on the thread pool, if it may be written again. */
  #sent: { bytes: Buffer; blobs: Uint8Array[] } | undefined
  readonly #stayAtExit: () => void
  /** The batch on the thread pool; the next one fills meanwhile, and follows it before this resolves. */
  #underWay: Promise<void> | undefined

  constructor({ disk, now, outbox, inbox, isRelaxed, onFault }: WriteQueueOptions) {
    this.#disk = disk
    this.#now = now
    this.#outbox = outbox
    this.#inboxView = inbox
    this.#onFault = onFault
    this.#batch = new Batch(outbox)
    this.#stayAtExit = isRelaxed ? atExit(() => this.#flushAtExit()) : () => {}
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

  #writeSync(count: number, pack: (batch: Batch) => void): Outcome[] {
    this.flush()
    if (this.#waiting.length > 0) {
      const { batch, waiting } = this.#takeBatch()
      this.#writeOrSplitSync(batch.bytes(), batch.blobs, waiting)
    }
    const batch = new Batch(Buffer.allocUnsafeSlow(0))
    pack(batch)
    const bytes = batch.bytes()
    const outcomes = call(() => this.#disk.writeSync(bytes, batch.blobs, this.#now()))
    this.#release(batch, bytes)
    return readOutcomes(viewOf(outcomes), 0, count).outcomes
  }

  #enqueue(writes: number, pack: (batch: Batch) => void, isPatient = false): Promise<Outcome[]> {
    if (writes === 0) return Promise.resolve([])
    return new Promise((resolve, reject) => {
      const start = this.#batch.length
      pack(this.#batch)
      if (this.#waiting.length === 0 && !isPatient) queueMicrotask(() => this.flush())
      this.#waiting.push({ writes, start, end: this.#batch.length, isPatient, resolve, reject })
      if (isPatient) this.#flushSoon()
      else if (this.#timer !== undefined) queueMicrotask(() => this.flush())
    })
  }

  /** A full batch at once, others within some milliseconds: then many are one transaction. */
  #flushSoon(): void {
    if (!this.#batch.isSmall) queueMicrotask(() => this.flush())
    else this.#timer ??= setTimeout(() => this.#onTime(), RELAXED_MS).unref()
  }

  #onTime(): void {
    this.#timer = undefined
    this.flush()
  }

  /** There is no event loop any more. A batch that the thread pool has may never be written, so it is written again. */
  #flushAtExit(): void {
    try {
      if (this.#sent !== undefined) this.#disk.writeSync(this.#sent.bytes, this.#sent.blobs, this.#now())
      const { batch, waiting } = this.#takeBatch()
      if (waiting.length > 0) this.#disk.writeSync(batch.bytes(), batch.blobs, this.#now())
    } catch (error) {
      this.#onFault((error as { code: string }).code, (error as Error).message)
    }
  }

  /** Sends the batch off, unless others are under way: they take it with them when they are done. */
  flush(): void {
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
      this.#release(batch, bytes)
      this.flush()
    })
  }

  /** Gives back what a large batch took, and does not leave it to a collection that may come after many of them. */
  #release({ blobs, isInOutbox }: Batch, bytes: Buffer): void {
    const apart = blobs.filter(({ buffer, byteLength }) => buffer.byteLength === byteLength) // else a pool's
    const own = isInOutbox ? apart : [bytes, ...apart]
    const size = own.reduce((sum, { buffer }) => sum + buffer.byteLength, 0)
    if (size < RELEASED) return
    for (const { buffer } of own) call(() => this.#disk.detach(buffer as ArrayBuffer))
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
    this.flush()
    const areQueued = this.#waiting.length > 0
    await this.#underWay
    if (areQueued) await this.#underWay // they left when the batch before them was done
  }

  /** As `settled`; `undefined` where there is nothing to wait for, which is what an `await` of a promise takes. */
  afterWrites(): Promise<void> | undefined {
    this.flush()
    return this.#underWay === undefined ? undefined : this.settled()
  }

  /** Nothing is asked for any more, and nothing is under way. */
  close(): void {
    this.#stayAtExit()
  }
}

function settle(waiting: readonly Waiting[], view: DataView): void {
  let at = 0
  for (const { writes, resolve } of waiting) {
    const { outcomes, end } = readOutcomes(view, at, writes)
    resolve(outcomes)
    at = end
  }
}
