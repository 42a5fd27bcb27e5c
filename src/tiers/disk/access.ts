/** An open directory: the addon's end of it, the memory that both sides share, and what is seen there of other writers. */
import type { TierceError } from '../../errors.js'
import { type NativeDisk, native } from '../../native.js'
import { setImmediate } from '../../pause.js'
import { META, viewOf } from '../wire.js'
import { call, wait } from './calls.js'
import { WriteQueue } from './queue.js'
import type { DiskOptions, Place } from './types.js'

/** Bytes of the buffers that this thread shares with the addon. A longer value takes the way over the thread pool. */
export const BUFFER = 64 * 1024

export class DiskAccess {
  /** The directory has no database: an entry is a file. */
  readonly isJson: boolean
  /** Whether a set is acknowledged when it is queued. */
  readonly isRelaxed: boolean
  /** Whether a listing can tell keys by their texts. */
  readonly storesKeys: boolean
  protected readonly disk: NativeDisk
  protected readonly now: () => number
  protected readonly inbox = Buffer.allocUnsafeSlow(META + BUFFER)
  protected readonly inboxView = viewOf(this.inbox)
  protected readonly queue: WriteQueue
  protected readonly onFault: (code: string, message: string) => void
  /** A snapshot is held, and let go of when the event loop turns. */
  protected isHolding = false
  #closed = false
  readonly #epochs: Uint32Array | undefined

  constructor(options: DiskOptions, now: () => number, onFault: (code: string, message: string) => void) {
    const { dir, ...rest } = options
    this.now = now
    this.onFault = onFault
    this.storesKeys = rest.storeKeys
    this.isRelaxed = rest.durability === 'relaxed'
    const outbox = Buffer.allocUnsafeSlow(BUFFER)
    const { NativeDisk } = native()
    try {
      this.disk = call(() => new NativeDisk(dir, rest, this.inbox, outbox, now()))
    } finally {
      rest.encryption?.fill(0)
    }
    const { disk, inboxView: inbox, isRelaxed } = this
    this.queue = new WriteQueue({ disk, now, outbox, inbox, isRelaxed, onFault })
    this.isJson = call(() => disk.isJson())
    if (!this.isJson) this.#epochs = this.#sharedEpochs()
    this.tellFaults()
  }

  #sharedEpochs(): Uint32Array | undefined {
    const epochs = call(() => this.disk.epochs())
    // Where memory of the addon's may not be shared, the array is a copy that never changes.
    return this.disk.sharesEpochs(epochs) ? epochs : undefined
  }

  /** Whether an entry of the memory tier is still the newest: one load from memory, or without a database one short read. */
  isCurrent(text: string, { slot, epoch }: Place): boolean {
    return this.isJson ? this.#isSameFile(text, slot, epoch) : this.epochOf(slot) === epoch
  }

  #isSameFile(text: string, slot: number, epoch: number): boolean {
    if (text.length * 3 > BUFFER) return false
    return call(() => this.disk.isCurrent(this.inbox.write(text), slot, epoch))
  }

  /** The slot of a key in the table of epochs. */
  slotOf(text: string): number {
    return call(() => this.disk.slotOf(Buffer.from(text)))
  }

  /** The epoch of a slot: it moves before and after each write of one of its keys, in any process. */
  epochOf(slot: number): number {
    return this.#epochs === undefined ? this.disk.epochAt(slot) : this.#epochs[slot]!
  }

  /** The reads of one turn of the event loop share a snapshot, as long as nobody writes. */
  protected holdForThisTurn(): void {
    this.isHolding = true
    setImmediate(() => {
      this.isHolding = false
      if (this.#closed) return
      try {
        call(() => this.disk.release())
      } catch (error) {
        const { code, message } = error as TierceError // nobody waits for it
        this.onFault(code, message)
      }
    })
  }

  /**
   * Resolves when every write that was asked for so far is done. It does not wait for those asked for later: under a steady
   * stream of writes there is always one under way.
   */
  settled(): Promise<void> {
    return this.queue.settled()
  }

  async close(): Promise<void> {
    await this.settled()
    this.tellFaults()
    this.#closed = true
    this.queue.close()
    // The map of the file goes with it, and not when the array is collected. What still looks finds nothing current.
    if (this.#epochs !== undefined) call(() => this.disk.detach(this.#epochs!.buffer as ArrayBuffer))
    for (const { code, message } of await wait(() => this.disk.close())) this.onFault(code, message)
  }

  protected tellFaults(): void {
    for (const { code, message } of call(() => this.disk.takeFaults())) this.onFault(code, message)
  }
}
