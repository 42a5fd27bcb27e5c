/** Entries as they are read: on this thread where that is quick. A read waits for the writes that were asked for before it. */
import { fromNative } from '../../errors.js'
import type { NativeDisk, NativeEntry } from '../../native.js'
import type { Soon } from '../../soon.js'
import { decode, decodeSoon } from '../../values/index.js'
import { packKeys, putKeys, roomForKeys } from '../batch.js'
import { decodeExtras } from '../extras.js'
import { type Facts, freshUntil, kindOf, META, readFacts, viewOf } from '../wire.js'
import { BUFFER, DiskAccess } from './access.js'
import { call, wait } from './calls.js'
import { type ManyAnswer, type Placed, takeMany } from './many.js'
import type { DiskHit, DiskOptions, KeyState } from './types.js'

/** `fetch`: see the addon. */
const MISS = -1
const TOO_LARGE = -2
const FAULT = -4
/** `state`. */
const STATES = ['missing', 'live', 'expired'] as const

/** What decodes to no value. */
const UNREADABLE = Symbol('unreadable')

export class DiskReads extends DiskAccess {
  readonly #fetchNative: ReturnType<NativeDisk['fetcher']>

  constructor(options: DiskOptions, now: () => number, onFault: (code: string, message: string) => void) {
    super(options, now, onFault)
    this.#fetchNative = call(() => this.disk.fetcher())
  }

  /** The value of a fresh entry: what else is known of it is not looked at. Only a promise when it takes a thread. */
  value(text: string): unknown {
    const written = this.queue.afterWrites()
    return written === undefined ? this.#valueNow(text) : written.then(() => this.#valueNow(text))
  }

  /** As `value`, on this thread. A write that is still on its way to the disk is not waited for. */
  valueSync(text: string): unknown {
    this.queue.flush()
    const now = this.now()
    const length = this.#fetch(text, false, now)
    return length === TOO_LARGE ? this.#fresh(this.readSync(text)) : this.#valueOf(length, now)
  }

  #valueNow(text: string): unknown {
    const now = this.now()
    const length = this.#fetch(text, false, now)
    if (length !== TOO_LARGE) return this.#valueOf(length, now)
    return this.#readLarge(text).then((hit) => this.#fresh(hit))
  }

  #fresh(hit: DiskHit | undefined): unknown {
    return hit !== undefined && hit.facts.freshUntil > this.now() ? hit.value : undefined
  }

  /** Of what `#fetch` put into the inbox. */
  #valueOf(length: number, now: number): unknown {
    if (length < 0 || freshUntil(this.inboxView) <= now) return undefined
    const value = this.#decode(kindOf(this.inboxView), this.inbox, META, META + length, false)
    return value === UNREADABLE ? undefined : value
  }

  /** Reads an entry, a stale one too, on this thread when that is quick. */
  read(text: string): DiskHit | undefined | Promise<DiskHit | undefined> {
    const written = this.queue.afterWrites()
    return written === undefined ? this.#readNow(text) : written.then(() => this.#readNow(text))
  }

  /** As `read`, with tags, description and metadata. */
  async entry(text: string): Promise<DiskHit | undefined> {
    await this.settled()
    const length = this.#fetch(text, true, this.now())
    return length === TOO_LARGE ? this.#readLarge(text) : this.#hitOf(length)
  }

  /** The stored form of a fresh entry. */
  async stored(text: string): Promise<{ kind: number; data: Buffer } | undefined> {
    await this.settled()
    const entry = await wait(() => this.disk.read(Buffer.from(text), this.now()))
    if (entry === null) {
      this.tellFaults()
      return undefined
    }
    const { kind, freshUntil } = readFacts(viewOf(entry.meta), 0)
    return freshUntil > this.now() ? { kind, data: entry.value } : undefined
  }

  #readNow(text: string): DiskHit | undefined | Promise<DiskHit | undefined> {
    const length = this.#fetch(text, false, this.now())
    return length === TOO_LARGE ? this.#readLarge(text) : this.#hitOf(length)
  }

  async #readLarge(text: string): Promise<DiskHit | undefined> {
    const entry = await wait(() => this.disk.read(Buffer.from(text), this.now()))
    const facts = entry === null ? undefined : readFacts(viewOf(entry.meta), 0)
    const soon = facts === undefined ? undefined : decodeSoon(facts.kind, entry!.value)
    if (soon === undefined) return this.#decoded(entry)
    const value = await soon.catch((error: unknown) => this.#unreadable(error))
    return value === UNREADABLE ? undefined : withExtras({ value, facts: facts! }, entry!)
  }

  /** Reads a fresh entry; a large value that is stored as it is shares its memory with a private map of the file. */
  async map(text: string): Promise<DiskHit | undefined> {
    await this.settled()
    const entry = await wait(() => this.disk.map(Buffer.from(text), this.now()))
    if (entry === null) return this.#decoded(null)
    const { buffer, byteOffset, byteLength } = entry.value
    return this.#decoded({ meta: entry.meta, value: Buffer.from(buffer, byteOffset, byteLength) })
  }

  /** Reads an entry, a stale one too, on this thread. A write that is still on its way to the disk is not waited for. */
  readSync(text: string): DiskHit | undefined {
    this.queue.flush()
    const length = this.#fetch(text, false, this.now())
    if (length !== TOO_LARGE) return this.#hitOf(length)
    return this.#decoded(call(() => this.disk.readSync(Buffer.from(text), this.now())))
  }

  /** Reads an entry into the inbox; gives the length of its value, `MISS` or `TOO_LARGE`. */
  #fetch(text: string, whole: boolean, now: number): number {
    if (this.isJson || text.length * 3 > BUFFER) return TOO_LARGE
    if (!this.isHolding) this.holdForThisTurn()
    try {
      const length = this.#fetchNative(this.inbox.write(text), whole, now)
      if (length !== FAULT) return length
    } catch (error) {
      throw fromNative(error)
    }
    this.tellFaults()
    return MISS
  }

  #hitOf(length: number): DiskHit | undefined {
    if (length < 0) return undefined
    return this.#hit(readFacts(this.inboxView, 0), this.inbox, META, META + length, false)
  }

  /**
   * The values of the live entries of many keys, aligned with them, all as they were at one time. Only a promise when it takes a thread; with
   * `sync`, `undefined` where it does.
   */
  values(texts: readonly string[], sync: boolean): Soon<unknown[] | undefined> {
    return this.#many(texts, false, sync, (_, value) => value)
  }

  /** The same with what is known of them. */
  readMany(texts: readonly string[], sync: boolean): Soon<(DiskHit | undefined)[] | undefined> {
    return this.#many(texts, true, sync, ({ view, facts }, value) => ({
      value,
      facts: readFacts(view, facts),
    }))
  }

  #many<T>(
    texts: readonly string[],
    isWhole: boolean,
    sync: boolean,
    made: (placed: Placed, value: unknown) => T,
  ): Soon<(T | undefined)[] | undefined> {
    const read = (): Soon<(T | undefined)[] | undefined> => {
      const answer = this.#fetchMany(texts, isWhole)
      if (answer !== undefined || sync) return answer && this.#taken(texts.length, isWhole, answer, made)
      return this.#answerSoon(texts, isWhole).then((soon) => this.#taken(texts.length, isWhole, soon, made))
    }
    if (sync) this.queue.flush()
    const written = sync ? undefined : this.queue.afterWrites()
    return written === undefined ? read() : written.then(read)
  }

  #taken<T>(
    count: number,
    isWhole: boolean,
    answer: ManyAnswer,
    made: (placed: Placed, value: unknown) => T,
  ): (T | undefined)[] {
    const faults: unknown[] = []
    const found = takeMany(count, isWhole, answer, (placed) => {
      try {
        const { kind, buffer, start, end, owned } = placed
        return made(placed, decode(kind, buffer, start, end, owned))
      } catch (error) {
        faults.push(error)
        return undefined
      }
    })
    // Listeners may read, and that changes the answer.
    for (const error of faults) this.#unreadable(error)
    if (answer.hasFaults) this.tellFaults()
    return found
  }

  /** An answer in the inbox; `undefined` where that does not do. */
  #fetchMany(texts: readonly string[], isWhole: boolean): ManyAnswer | undefined {
    if (this.isJson || roomForKeys(texts) > BUFFER) return undefined
    if (!this.isHolding) this.holdForThisTurn()
    const outcome = call(() => this.disk.fetchMany(putKeys(texts, this.inbox), isWhole, this.now()))
    if (outcome === TOO_LARGE) return undefined
    return { bytes: this.inbox, isShared: true, apart: [], hasFaults: outcome !== 0 }
  }

  async #answerSoon(texts: readonly string[], isWhole: boolean): Promise<ManyAnswer> {
    const soon = wait(() => this.disk.readMany(packKeys(texts), isWhole, this.now()))
    const { answer: bytes, apart, hasFaults } = await soon
    return { bytes, isShared: false, apart, hasFaults }
  }

  #decoded(entry: NativeEntry | null): DiskHit | undefined {
    if (entry === null) {
      this.tellFaults()
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
    // A code of the run time's own says what it cannot do with sound bytes: make a string of so many, for one.
    const { code = 'E_CORRUPT', message } = error as { code?: string; message: string }
    this.onFault(code.startsWith('E_') ? code : 'E_UNAVAILABLE', message)
    return UNREADABLE
  }

  /** What is known of a key, without reading its value. With `touch`, an access of a live entry. */
  state(text: string, sync: boolean, touch = false): Soon<KeyState> {
    if (sync) this.queue.flush()
    return sync ? this.#stateNow(text, touch) : this.settled().then(() => this.#stateNow(text, touch))
  }

  #stateNow(text: string, touch: boolean): KeyState {
    if (text.length * 3 > BUFFER) {
      const facts = this.readSync(text)?.facts
      return facts === undefined || facts.freshUntil <= this.now() ? { is: 'missing' } : { is: 'live', facts }
    }
    const is = STATES[call(() => this.disk.state(this.inbox.write(text), touch, this.now()))]!
    return is === 'live' ? { is, facts: readFacts(this.inboxView, 0) } : { is }
  }
}

function withExtras(hit: DiskHit | undefined, { extras }: NativeEntry): DiskHit | undefined {
  if (hit !== undefined && extras !== undefined) hit.extras = decodeExtras(extras)
  return hit
}
