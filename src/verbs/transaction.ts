/**
 * Transactions without locks (optimistic concurrency control, Kung and Robinson 1981): reads note the version that they saw, writes
 * are kept here, and a commit applies them in one step if every version is still the same. While the program awaits, nobody is held up.
 */

import { AsyncLocalStorage } from 'node:async_hooks'
import { makeError, TierceError } from '../errors.js'
import { type Key, keyTextSoon } from '../keys.js'
import { type Entries, entriesOf, keysOf } from '../many.js'
import { callback, checkOptions, countOption } from '../options.js'
import { pause } from '../pause.js'
import { packSet } from '../tiers/disk.js'
import type { Storing, Write } from '../tiers/entries.js'
import type { MemoryEntry } from '../tiers/memory.js'
import type { TierStack } from '../tiers/stack.js'
import type { Batch, Times, Version } from '../tiers/wire.js'
import type { Encoded } from '../values/index.js'
import { addend, increment, sum } from './changes.js'

/** Options of `transaction`. */
export interface TransactionOptions {
  /** How often it is run again after a conflict, `Infinity` for as long as it takes. Default 0: a conflict is an `E_TRANSACTION`. */
  retries?: number | undefined
}

/** What a transaction needs of its cache. */
export interface TransactionHost<Options> {
  tiers: TierStack
  /** @throws ClosedError `E_CLOSED` */
  open(): void
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

interface Live {
  value: unknown
  expiresAt: number
}

/** A value that is to be set, as it was when that was asked. */
interface Made {
  value: unknown
  storing: Storing
  encoded: Encoded | undefined
  /** As the transaction shows it. */
  kept: unknown
}

/** The longest pause before another try, in milliseconds. */
const LONGEST_PAUSE = 64
/** How often a read looks again while others write. */
const LOOKS = 16

/** The transactions that the running code is inside of. */
const running = new AsyncLocalStorage<readonly Transaction<never>[]>()

/** Runs `run`, and commits what it did. */
export async function transact<T, Options>(
  host: TransactionHost<Options>,
  run: (tx: Transaction<Options>) => T | Promise<T>,
  options: TransactionOptions,
): Promise<T> {
  callback(run, 'the function of a transaction')
  checkOptions(options, ['retries'], 'transaction')
  const retries = countOption(options.retries ?? 0, 'retries')
  const outer = running.getStore() ?? []
  if (outer.some((one) => one.belongsTo(host.tiers))) {
    throw misused(
      'A transaction of this cache is running here already, and a second one would commit on its own',
    )
  }
  for (let tries = 0; ; tries++) {
    host.open()
    const tx = new Transaction(host)
    try {
      const result = await running.run([...outer, tx as Transaction<never>], () => run(tx))
      await tx.commit()
      return result
    } catch (error) {
      if (tx.conflict === undefined || error !== tx.conflict || tries >= retries) throw error
    } finally {
      tx.end()
    }
    await pause(Math.random() * Math.min(2 ** tries, LONGEST_PAUSE))
  }
}

/** What a transaction can do: reads see one state of the cache and the transaction's own writes, which nobody else sees before the end. */
export class Transaction<Options> {
  /** @internal The error that says that somebody else wrote. */
  conflict: TierceError | undefined
  readonly #host: TransactionHost<Options>
  readonly #tiers: TierStack
  readonly #known = new Map<string, Known>()
  readonly #reads: [text: string, read: Read][] = []
  /** The end of what was asked: one after the other, in the order of the program. */
  #last: Promise<unknown> = Promise.resolve()
  #isOver = false

  /** @internal */
  constructor(host: TransactionHost<Options>) {
    this.#host = host
    this.#tiers = host.tiers
  }

  /** As of `Cache`. @throws TransactionError `E_TRANSACTION` where what was read before has been changed by others meanwhile */
  get<V = unknown>(key: Key): Promise<V | undefined> {
    return this.#at(key, async (text) => (await this.#look(text))?.value as V | undefined)
  }

  /** As of `Cache`. */
  async getMany<V = unknown>(keys: Iterable<Key>): Promise<(V | undefined)[]> {
    return Promise.all(Array.from(keysOf(keys), (key) => this.get<V>(key)))
  }

  /** As of `Cache`. */
  has(key: Key): Promise<boolean> {
    return this.#at(key, async (text) => (await this.#look(text)) !== undefined)
  }

  /** As of `Cache`: milliseconds until a live entry expires. */
  ttl(key: Key): Promise<number | undefined> {
    return this.#at(key, async (text) => {
      const live = await this.#look(text)
      return live === undefined ? undefined : Math.max(0, live.expiresAt - this.#tiers.now())
    })
  }

  /** As of `Cache`; what is stored is the value of this moment. */
  set(key: Key, value: unknown, options: Options = {} as Options): Promise<void> {
    const made = this.#make(value, options)
    return this.#at(key, async (text) => this.#set(text, made))
  }

  /** As of `Cache`. */
  setMany(entries: Iterable<readonly [Key, unknown]>, options?: Options): Promise<void>
  setMany(entries: { readonly [key: string]: unknown }, options?: Options): Promise<void>
  async setMany(entries: Entries<Key, unknown>, options: Options = {} as Options): Promise<void> {
    await Promise.all(entriesOf(entries).map(([key, value]) => this.set(key, value, options)))
  }

  /** As of `Cache`. */
  add(key: Key, value: unknown, options: Options = {} as Options): Promise<boolean> {
    return this.#setWhen(key, value, options, false)
  }

  /** As of `Cache`. */
  update(key: Key, value: unknown, options: Options = {} as Options): Promise<boolean> {
    return this.#setWhen(key, value, options, true)
  }

  #setWhen(key: Key, value: unknown, options: Options, isThere: boolean): Promise<boolean> {
    const made = this.#make(value, options)
    return this.#at(key, async (text) => {
      const isMet = ((await this.#look(text)) !== undefined) === isThere
      if (isMet) this.#set(text, made)
      return isMet
    })
  }

  /** As of `Cache`. */
  delete(key: Key): Promise<boolean> {
    return this.#at(key, async (text) => {
      if ((await this.#look(text)) === undefined) return false
      this.#change(text, { op: 'delete' }, undefined)
      return true
    })
  }

  /** As of `Cache`. */
  async deleteMany(keys: Iterable<Key>): Promise<number> {
    const deleted = await Promise.all(Array.from(keysOf(keys), (key) => this.delete(key)))
    return deleted.filter((one) => one).length
  }

  /** As of `Cache`. */
  expire(key: Key, ttl: number | string): Promise<boolean> {
    const times = this.#host.times(ttl)
    return this.#at(key, async (text) => {
      const live = await this.#look(text)
      if (live === undefined) return false
      this.#change(text, { op: 'renew', times }, { value: live.value, expiresAt: times.expiresAt })
      return true
    })
  }

  /** As of `Cache`. */
  increment(key: Key, by?: number): Promise<number>
  increment(key: Key, by: bigint): Promise<bigint>
  increment(key: Key, by: number | bigint = 1): Promise<number | bigint> {
    const added = addend(by)
    const { expiresAt } = this.#host.storing({} as Options)
    return this.#at(key, async (text) => {
      const live = await this.#look(text)
      const value = sum(live?.value, added)
      const view = { value, expiresAt: live?.expiresAt ?? expiresAt }
      this.#change(text, { op: 'increment', by: added, expiresAt }, view)
      return value
    })
  }

  /** @internal */
  belongsTo(tiers: TierStack): boolean {
    return !this.#isOver && this.#tiers === tiers
  }

  /** @internal Every later use is an error. */
  end(): void {
    this.#isOver = true
  }

  /** @internal Applies what was asked, in one step. */
  async commit(): Promise<void> {
    for (let last: Promise<unknown> | undefined; last !== this.#last; ) {
      last = this.#last // what was not awaited is a part of it, and may ask for more
      await last
    }
    this.#isOver = true
    if (this.conflict !== undefined) throw this.conflict
    const changed = [...this.#known].filter(([, { changes }]) => changes.length > 0)
    if (changed.length === 0) return // it saw one state, and leaves it as it is
    this.#host.open()
    if (this.#tiers.disk === undefined) this.#commitToMemory(changed)
    else await this.#commitToDisk(changed)
  }

  async #commitToDisk(changed: readonly [string, Known][]): Promise<void> {
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
    try {
      await this.#tiers.change(texts, count, pack, false)
    } catch (error) {
      if (error instanceof TierceError && error.code === 'E_TRANSACTION') this.conflict = error
      throw error
    }
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
    this.#tiers.admit(sets.map(({ write, encoded }) => ({ write, encoded })))
    for (const [text, { changes }] of changed) {
      for (const change of changes) {
        if (change.op === 'set') this.#tiers.keep(change.write, change.encoded)
        else if (change.op === 'delete') this.#tiers.forget(text)
        else if (change.op === 'renew') this.#tiers.renew(text, change.times, false, true)
        else increment(this.#tiers, { text, by: change.by, expiresAt: change.expiresAt }, true)
      }
    }
  }

  /** Goes on with the text of a key, after all that was asked before. */
  async #at<T>(key: Key, run: (text: string) => Promise<T>): Promise<T> {
    this.#check()
    const soon = keyTextSoon(key)
    const done = this.#last.then(async () => {
      const text = await soon
      this.#host.open()
      return run(text)
    })
    this.#last = done.catch(() => {}) // whoever asked is told
    return done
  }

  #check(): void {
    if (this.#isOver)
      throw misused('The transaction is over: await what is asked of it before its function ends')
    this.#host.open()
  }

  /** A value as it is at this moment. */
  #make(value: unknown, options: Options): Made {
    const storing = this.#host.storing(options)
    const encoded = owned(this.#tiers.encode(value))
    return { value, storing, encoded, kept: this.#tiers.held(value, encoded) }
  }

  #set(text: string, { value, storing, encoded, kept }: Made): void {
    const view = { live: { value: kept, expiresAt: storing.expiresAt } }
    this.#known.set(text, { changes: [{ op: 'set', write: { ...storing, text, value }, encoded }], view })
  }

  #change(text: string, change: Change, live: Live | undefined): void {
    const changes = change.op === 'delete' ? [] : this.#known.get(text)!.changes
    this.#known.set(text, { changes: [...changes, change], view: { live } })
  }

  /** What the transaction sees of a key. */
  async #look(text: string): Promise<Live | undefined> {
    const { view } = this.#known.get(text) ?? (await this.#read(text))
    return view.live === undefined ? undefined : { ...view.live, value: this.#tiers.given(view.live) }
  }

  async #read(text: string): Promise<Known> {
    const { read, live } =
      this.#tiers.disk === undefined ? this.#readMemory(text) : await this.#readDisk(text)
    const known = { changes: [], view: { live } }
    this.#known.set(text, known)
    this.#reads.push([text, read])
    await this.#validate()
    return known
  }

  #readMemory(text: string): { read: Read; live: Live | undefined } {
    const entry = this.#tiers.live(text)
    const { expiresAt = 0, freshUntil = 0 } = entry ?? {}
    const read = { version: undefined, slot: 0, epoch: 0, entry, expiresAt, freshUntil }
    return { read, live: entry === undefined ? undefined : { value: entry.value, expiresAt } }
  }

  async #readDisk(text: string): Promise<{ read: Read; live: Live | undefined }> {
    const disk = this.#tiers.disk!
    await disk.settled()
    const slot = disk.slotOf(text)
    const epoch = disk.epochOf(slot) // before the read, or a change beside it would not be seen
    const hit = await disk.read(text)
    const isLive = hit !== undefined && hit.facts.freshUntil > this.#tiers.now()
    const { version, expiresAt = 0, freshUntil = 0 } = isLive ? hit.facts : {}
    const read = { version, slot, epoch, entry: undefined, expiresAt, freshUntil }
    return { read, live: isLive ? { value: this.#tiers.held(hit.value), expiresAt } : undefined }
  }

  /** All that was read must still be as it was, or the program would see two states at once. */
  async #validate(): Promise<void> {
    if (this.conflict !== undefined) throw this.conflict
    for (let looks = 0; looks < LOOKS; looks++) {
      const moved = this.#reads.filter(([text, read]) => !this.#isSame(text, read))
      if (moved.length === 0) return
      if (this.#tiers.disk === undefined) this.#fail()
      for (const [text, read] of moved) await this.#lookAgain(text, read)
    }
    this.#fail()
  }

  /** The slot of a key has moved, which another key may have done. */
  async #lookAgain(text: string, read: Read): Promise<void> {
    const disk = this.#tiers.disk!
    const epoch = disk.epochOf(read.slot)
    const { facts } = await disk.state(text, false)
    const { version } = facts ?? {}
    if (version?.low !== read.version?.low || version?.high !== read.version?.high) this.#fail()
    read.epoch = epoch
  }

  #isSame(text: string, read: Read): boolean {
    const { disk } = this.#tiers
    if (disk !== undefined) return disk.isCurrent(read.slot, read.epoch)
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

function misused(what: string): Error {
  return makeError('E_TRANSACTION', `${what}.`)
}
