/** The disk tier: entries as bytes, in and out of the addon. What it is made of is in `disk/`. */
import type { Cell } from '../cells.js'
import { fromNative } from '../errors.js'
import { type NativeDisk, native } from '../native.js'
import { turn } from '../pause.js'
import { type Soon, then } from '../soon.js'
import { type Answer, KnownColumns, readAnswer } from './answer.js'
import type { Batch, When } from './batch.js'
import { BUFFER } from './disk/access.js'
import { call, wait } from './disk/calls.js'
import { DiskReads } from './disk/reads.js'
import type { Access, DiskOptions, DiskWrite, PageOptions } from './disk/types.js'
import { encodeCells, encodeExtras, putCells } from './extras.js'
import { type Page, readPage } from './pages.js'
import { type Outcome, viewOf } from './wire.js'

export type { Access, DiskHit, DiskOptions } from './disk/types.js'

/** Bytes of an access: row id and hits. */
const ACCESS = 12
const MOST_ACCESSES = Math.floor(BUFFER / ACCESS)
/** Entries that take so little time that no other work has to come between two pages. */
const SHORT_PAGE = 100

export class DiskTier extends DiskReads {
  readonly #ask: ReturnType<NativeDisk['asker']>
  readonly #columns = new KnownColumns()

  constructor(options: DiskOptions, now: () => number, onFault: (code: string, message: string) => void) {
    super(options, now, onFault)
    this.#ask = call(() => this.disk.asker())
  }

  /** See `WriteQueue`. */
  write(count: number, pack: (batch: Batch) => void, sync: boolean): Soon<Outcome[]> {
    return this.queue.write(count, pack, sync)
  }

  /** See `WriteQueue`. */
  writeLater(count: number, pack: (batch: Batch) => void): Promise<Outcome[]> {
    return this.queue.writeLater(count, pack)
  }

  /** Removes every entry that has one of these tags, in one transaction; gives how many were live. */
  invalidateTags(tags: readonly string[], sync: boolean): Soon<number> {
    return then(
      this.write(1, (batch) => batch.invalidate(tags), sync),
      ([outcome]) => outcome!.invalidated,
    )
  }

  /** Notes accesses that the memory tier answered, the least recent first. */
  touch(accesses: readonly Access[]): void {
    for (let start = 0; start < accesses.length; start += MOST_ACCESSES) {
      const some = accesses.slice(start, start + MOST_ACCESSES)
      some.forEach(({ idLow, idHigh, hits }, index) => {
        this.inboxView.setUint32(ACCESS * index, idLow, true)
        this.inboxView.setUint32(ACCESS * index + 4, idHigh, true)
        this.inboxView.setUint32(ACCESS * index + 8, hits, true)
      })
      call(() => this.disk.touch(some.length, this.now()))
    }
  }

  /** A page of live entries, from where the last one ended: on this thread where that is quick, a turn of the event loop each. */
  async page(asked: PageOptions): Promise<Page> {
    await this.queue.afterWrites()
    const { cursor, after, limit, prefixes, expiring } = asked
    const listing = {
      ...(cursor === undefined ? {} : { cursor }),
      ...(after === undefined ? {} : { after: Buffer.from(after) }),
      ...(prefixes === undefined ? {} : { prefixes: prefixes.map((prefix) => Buffer.from(prefix)) }),
      limit,
      expiring,
    }
    const page = call(() => this.disk.pageNow(listing, this.now()))
    if (page === null) return readPage(await wait(() => this.disk.page(listing, this.now())))
    if (limit > SHORT_PAGE) await turn()
    return readPage(page)
  }

  /** Removes up to `limit` entries that have expired, in short transactions off this thread; gives how many. */
  async cleanup(limit = Number.POSITIVE_INFINITY): Promise<number> {
    await this.settled()
    return wait(() => this.disk.cleanup(limit, this.now()))
  }

  /** Entries that have expired and are still there, and the bytes of the values of all others. */
  async validity(): Promise<Awaited<ReturnType<NativeDisk['validity']>>> {
    await this.settled()
    return wait(() => this.disk.validity(this.now()))
  }

  async stats(): Promise<Awaited<ReturnType<NativeDisk['stats']>>> {
    await this.queue.afterWrites()
    const known = call(() => this.disk.statsNow(this.now()))
    return known ?? wait(() => this.disk.stats(this.now()))
  }

  /** Answers a query: on this thread when that is quick, and after the writes that were asked for. */
  query(sql: string, params: readonly (Cell | bigint)[]): Soon<Answer> {
    return then(this.queue.afterWrites(), () => this.#queryNow(sql, params) ?? this.#queryLong(sql, params))
  }

  /** `undefined` where it takes long. */
  #queryNow(sql: string, params: readonly (Cell | bigint)[]): Answer | undefined {
    const length = putCells(params, this.inbox)
    if (length < 0) return undefined
    if (!this.isHolding) this.holdForThisTurn()
    try {
      const answer = this.#ask(sql, length, this.#columns.hashOf(sql), this.now())
      if (typeof answer !== 'number') return this.#columns.read(sql, answer, viewOf(answer))
      return answer < 0 ? undefined : this.#columns.read(sql, this.inbox, this.inboxView)
    } catch (error) {
      throw fromNative(error)
    }
  }

  async #queryLong(sql: string, params: readonly (Cell | bigint)[]): Promise<Answer> {
    return readAnswer(await wait(() => this.disk.query(sql, encodeCells(params), this.now())))
  }

  /** Calls the addon on this thread. */
  native<T>(run: (disk: NativeDisk, now: number) => T): T {
    return call(() => run(this.disk, this.now()))
  }

  /** Waits for a call that needs nothing of this object. */
  async wait<T>(run: () => Promise<T>): Promise<T> {
    const done = await wait(run)
    this.tellFaults()
    return done
  }

  /** Runs a verb of management on the thread pool, after the writes that were asked for. */
  async manage<T>(run: (disk: NativeDisk, now: number) => Promise<T>): Promise<T> {
    await this.settled()
    const done = await wait(() => run(this.disk, this.now()))
    this.tellFaults()
    return done
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

let codecs: readonly string[] | undefined

/** The name of a codec number. */
export function codecName(codec: number): string {
  codecs ??= call(() => native().codecNames())
  return codecs[codec] || 'unknown'
}
