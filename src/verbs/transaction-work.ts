/**
 * What a transaction has read and what it is to change: by texts of keys, and on this thread or not. `transaction-verbs.ts` is what programs see
 * of it.
 */
import { makeError, TierceError } from '../errors.js'
import type { Key } from '../keys.js'
import { attempt, type Soon, then } from '../soon.js'
import type { Batch } from '../tiers/batch.js'
import { packSet } from '../tiers/disk.js'
import type { Storing, Write } from '../tiers/entries.js'
import type { MemoryEntry } from '../tiers/memory.js'
import type { TierStack } from '../tiers/stack.js'
import { staleAt, type Times, type Version } from '../tiers/wire.js'
import type { Encoded } from '../values/index.js'
import { increment, sum } from './changes.js'

/** What a transaction needs of its cache. */
export interface TransactionHost<Options> {
  tiers: TierStack
  /** @throws ClosedError `E_CLOSED` */
  open(): void
  /** The text of a key. @throws ClosedError `E_CLOSED`, InvalidKeyError `E_INVALID_KEY` */
  text(key: Key): string
  textSoon(key: Key): Soon<string>
  storing(options: Options): Storing
  times(ttl: number | string): Times
}

/** What was read of a key: its version, and where it is seen that it may have changed. */
interface Read {
  version: Version | undefined
  slot: number
  epoch: number
  /** Without a disk: the entry, and its times. */
  entry: MemoryEntry | undefined
  expiresAt: number
  freshUntil: number
}

/** A change that waits for the commit. */
type Change =
  | { op: 'set'; write: Write; encoded: Encoded | undefined }
  | { op: 'delete' }
  | { op: 'renew'; times: Times }
  | { op: 'increment'; by: number | bigint; expiresAt: number }

/** What the transaction knows of a key. */
interface Known {
  changes: Change[]
  /** As the transaction sees it. */
  view: { live: Live | undefined }
}

export interface Live {
  value: unknown
  expiresAt: number
}

/** A value that is to be set, as it was when that was asked. */
export interface Made {
  value: unknown
  storing: Storing
  encoded: Encoded | undefined
  /** As the transaction shows it. */
  kept: unknown
}

/** How often a read looks again while others write. */
const LOOKS = 16

/** Each method gives a promise only where the transaction may wait. */
export class Work<Options> {
  /** The error that says that somebody else wrote. */
  conflict: TierceError | undefined
  readonly #host: TransactionHost<Options>
  readonly #tiers: TierStack
  readonly #sync: boolean
  readonly #known = new Map<string, Known>()
  readonly #reads: [text: string, read: Read][] = []

  constructor(host: TransactionHost<Options>, sync: boolean) {
    this.#host = host
    this.#tiers = host.tiers
    this.#sync = sync
  }

  /** A value as it is at this moment. */
  make(value: unknown, options: Options): Made {
    return this.#made(value, this.#host.storing(options))
  }

  #made(value: unknown, storing: Storing): Made {
    const encoded = owned(this.#tiers.encode(value))
    return { value, storing, encoded, kept: this.#tiers.held(value, encoded) }
  }

  set(text: string, { value, storing, encoded, kept }: Made): void {
    const view = { live: { value: kept, expiresAt: storing.expiresAt } }
    this.#known.set(text, { changes: [{ op: 'set', write: { ...storing, text, value }, encoded }], view })
  }

  #change(text: string, change: Change, live: Live | undefined): void {
    const changes = change.op === 'delete' ? [] : this.#known.get(text)!.changes
    this.#known.set(text, { changes: [...changes, change], view: { live } })
  }

  /** What the transaction sees of a key. */
  look(text: string): Soon<Live | undefined> {
    return then(this.#known.get(text) ?? this.#read(text), ({ view }) =>
      view.live === undefined ? undefined : { ...view.live, value: this.#tiers.given(view.live) },
    )
  }

  ttl(text: string): Soon<number | undefined> {
    return then(this.look(text), (live) =>
      live === undefined ? undefined : Math.max(0, live.expiresAt - this.#tiers.now()),
    )
  }

  setWhen(text: string, made: Made, isThere: boolean): Soon<boolean> {
    return then(this.look(text), (live) => {
      const isMet = (live !== undefined) === isThere
      if (isMet) this.set(text, made)
      return isMet
    })
  }

  delete(text: string): Soon<boolean> {
    return then(this.look(text), (live) => {
      if (live !== undefined) this.#change(text, { op: 'delete' }, undefined)
      return live !== undefined
    })
  }

  expire(text: string, times: Times): Soon<boolean> {
    return then(this.look(text), (live) => {
      if (live === undefined) return false
      this.#change(text, { op: 'renew', times }, { value: live.value, expiresAt: times.expiresAt })
      return true
    })
  }

  increment(text: string, by: number | bigint, storing: Storing): Soon<number | bigint> {
    const { expiresAt, extras } = storing
    return then(this.look(text), (live) => {
      const value = sum(live?.value, by)
      if (live === undefined && extras !== undefined) {
        this.set(text, this.#made(value, storing)) // an increment makes entries of numbers alone
        return value
      }
      this.#change(
        text,
        { op: 'increment', by, expiresAt },
        { value, expiresAt: live?.expiresAt ?? expiresAt },
      )
      return value
    })
  }

  /** Applies what was asked, in one step. */
  commit(): Soon<void> {
    if (this.conflict !== undefined) throw this.conflict
    const changed = [...this.#known].filter(([, { changes }]) => changes.length > 0)
    if (changed.length === 0) return // it saw one state, and leaves it as it is
    this.#host.open()
    if (this.#tiers.disk === undefined) this.#commitToMemory(changed)
    else return this.#commitToDisk(changed)
  }

  #commitToDisk(changed: readonly [string, Known][]): Soon<void> {
    const reads = this.#reads
    const texts = changed.map(([text]) => text)
    const count = changed.reduce((total, [, { changes }]) => total + changes.length, reads.length)
    const pack = (batch: Batch): void => {
      for (const [text, { version }] of reads) batch.check(text, version)
      for (const [text, { changes }] of changed) {
        for (const change of changes) this.#pack(batch, text, change)
      }
    }
    for (const text of texts) this.#tiers.forget(text)
    const failed = (error: unknown): never => {
      if (error instanceof TierceError && error.code === 'E_TRANSACTION') this.conflict = error
      throw error
    }
    return attempt(() => then(this.#tiers.change(texts, count, pack, this.#sync), () => {}), failed)
  }

  #pack(batch: Batch, text: string, change: Change): void {
    if (change.op === 'set') {
      const { write, encoded } = change
      packSet(batch, { ...write, encoded: this.#tiers.packed(write, encoded!) })
    } else if (change.op === 'delete') batch.delete(text)
    else if (change.op === 'renew') batch.renew(text, change.times, false)
    else batch.increment(text, change.by, change.expiresAt)
  }

  /** Nothing comes between, as nothing here waits. */
  #commitToMemory(changed: readonly [string, Known][]): void {
    if (!this.#reads.every(([text, read]) => this.#isSame(text, read))) this.#fail()
    const sets = changed.flatMap(([, { changes }]) =>
      changes.flatMap((one) => (one.op === 'set' ? [one] : [])),
    )
    for (const { write, encoded } of sets) this.#tiers.admitted(write.text, write.value, encoded)
    for (const [text, { changes }] of changed) {
      for (const change of changes) {
        if (change.op === 'set') this.#tiers.keep(change.write, change.encoded)
        else if (change.op === 'delete') this.#tiers.forget(text)
        else if (change.op === 'renew') this.#tiers.renew(text, change.times, false, true)
        else increment(this.#tiers, { text, by: change.by, expiresAt: change.expiresAt }, true)
      }
    }
  }

  #read(text: string): Soon<Known> {
    const reading = this.#tiers.disk === undefined ? this.#readMemory(text) : this.#readDisk(text)
    return then(reading, ({ read, live }) => {
      const known = { changes: [], view: { live } }
      this.#known.set(text, known)
      this.#reads.push([text, read])
      return then(this.#validate(LOOKS), () => known)
    })
  }

  #readMemory(text: string): { read: Read; live: Live | undefined } {
    const entry = this.#tiers.live(text)
    if (entry !== undefined) entry.isKept = true
    const { expiresAt = 0, freshUntil = 0 } = entry ?? {}
    const read = { version: undefined, slot: 0, epoch: 0, entry, expiresAt, freshUntil }
    return { read, live: entry === undefined ? undefined : { value: entry.value, expiresAt: staleAt(entry) } }
  }

  #readDisk(text: string): Soon<{ read: Read; live: Live | undefined }> {
    const disk = this.#tiers.disk!
    return then(this.#sync ? undefined : disk.settled(), () => {
      const slot = disk.slotOf(text)
      const epoch = disk.epochOf(slot) // before the read, or a change beside it would not be seen
      return then(this.#sync ? disk.readSync(text) : disk.read(text), (hit) => {
        const isLive = hit !== undefined && hit.facts.freshUntil > this.#tiers.now()
        const { version, expiresAt = 0, freshUntil = 0 } = isLive ? hit.facts : {}
        const read = { version, slot, epoch, entry: undefined, expiresAt, freshUntil }
        const live = isLive
          ? { value: this.#tiers.held(hit.value), expiresAt: staleAt(hit.facts) }
          : undefined
        return { read, live }
      })
    })
  }

  /** All that was read must still be as it was, or the program would see two states at once. */
  #validate(looks: number): Soon<void> {
    if (this.conflict !== undefined) throw this.conflict
    const moved = this.#reads.filter(([text, read]) => !this.#isSame(text, read))
    if (moved.length === 0) return
    if (this.#tiers.disk === undefined || looks === 0) this.#fail()
    const looked = moved.reduce<Soon<void>>(
      (before, [text, read]) => then(before, () => this.#lookAgain(text, read)),
      undefined,
    )
    return then(looked, () => this.#validate(looks - 1))
  }

  /** The slot of a key has moved, which another key may have done. */
  #lookAgain(text: string, read: Read): Soon<void> {
    const disk = this.#tiers.disk!
    const epoch = disk.epochOf(read.slot)
    return then(disk.state(text, this.#sync), ({ facts }) => {
      const { version } = facts ?? {}
      if (version?.low !== read.version?.low || version?.high !== read.version?.high) this.#fail()
      read.epoch = epoch
    })
  }

  #isSame(text: string, read: Read): boolean {
    const { disk } = this.#tiers
    if (disk !== undefined) return disk.isCurrent(text, read)
    const entry = this.#tiers.current(text)
    const live = entry?.isLive(this.#tiers.now()) === true ? entry : undefined
    const { expiresAt = 0, freshUntil = 0 } = live ?? {}
    return live === read.entry && expiresAt === read.expiresAt && freshUntil === read.freshUntil
  }

  #fail(): never {
    this.conflict = makeError(
      'E_TRANSACTION',
      'A key that the transaction read was written since: run it again, or give retries.',
    )
    throw this.conflict
  }
}

/** The bytes of a value may be its own memory, which the program can change before the commit. */
function owned(encoded: Encoded | undefined): Encoded | undefined {
  if (encoded === undefined || typeof encoded.data === 'string') return encoded
  return { ...encoded, data: Buffer.from(encoded.data) }
}
