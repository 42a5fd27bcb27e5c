/** What programs see of a transaction: its verbs, one after the other or on this thread. */
import { makeError } from '../errors.js'
import type { Key } from '../keys.js'
import { type Entries, entriesOf, keysOf } from '../many.js'
import { now, type Soon } from '../soon.js'
import type { TierStack } from '../tiers/stack.js'
import { addend } from './changes.js'
import { type TransactionHost, Work } from './transaction-work.js'

/** What both kinds of a transaction share: it is one cache's, and it ends. */
abstract class Started<Options> {
  protected readonly host: TransactionHost<Options>
  protected readonly work: Work<Options>
  protected isOver = false

  constructor(host: TransactionHost<Options>, sync: boolean) {
    this.host = host
    this.work = new Work(host, sync)
  }

  /** @internal */
  belongsTo(tiers: TierStack): boolean {
    return !this.isOver && this.host.tiers === tiers
  }

  /** @internal Whether an error says that somebody else wrote. */
  isConflict(error: unknown): boolean {
    return this.work.conflict !== undefined && error === this.work.conflict
  }

  /** @internal Every later use is an error. */
  end(): void {
    this.isOver = true
  }

  protected check(): void {
    if (this.isOver)
      throw misused('The transaction is over: await what is asked of it before its function ends')
    this.host.open()
  }
}

/** What a transaction can do: reads see one state of the cache and the transaction's own writes, which nobody else sees before the end. */
export class Transaction<Options> extends Started<Options> {
  /** The end of what was asked: one after the other, in the order of the program. */
  #last: Promise<unknown> = Promise.resolve()

  /** @internal */
  constructor(host: TransactionHost<Options>) {
    super(host, false)
  }

  /** As of `Cache`. @throws TransactionError `E_TRANSACTION` where what was read before has been changed by others meanwhile */
  get<V = unknown>(key: Key): Promise<V | undefined> {
    return this.#at(key, async (text) => (await this.work.look(text))?.value as V | undefined)
  }

  /** As of `Cache`. */
  async getMany<V = unknown>(keys: Iterable<Key>): Promise<(V | undefined)[]> {
    return Promise.all(Array.from(keysOf(keys), (key) => this.get<V>(key)))
  }

  /** As of `Cache`. */
  has(key: Key): Promise<boolean> {
    return this.#at(key, async (text) => (await this.work.look(text)) !== undefined)
  }

  /** As of `Cache`: milliseconds until a live entry expires. */
  ttl(key: Key): Promise<number | undefined> {
    return this.#at(key, (text) => this.work.ttl(text))
  }

  /** As of `Cache`; what is stored is the value of this moment. */
  set(key: Key, value: unknown, options: Options = {} as Options): Promise<void> {
    const made = this.work.make(value, options)
    return this.#at(key, (text) => this.work.set(text, made))
  }

  /** As of `Cache`. */
  setMany(entries: Iterable<readonly [Key, unknown]>, options?: Options): Promise<void>
  setMany(entries: { readonly [key: string]: unknown }, options?: Options): Promise<void>
  async setMany(entries: Entries<Key, unknown>, options: Options = {} as Options): Promise<void> {
    await Promise.all(entriesOf(entries).map(([key, value]) => this.set(key, value, options)))
  }

  /** As of `Cache`. */
  add(key: Key, value: unknown, options: Options = {} as Options): Promise<boolean> {
    const made = this.work.make(value, options)
    return this.#at(key, (text) => this.work.setWhen(text, made, false))
  }

  /** As of `Cache`. */
  update(key: Key, value: unknown, options: Options = {} as Options): Promise<boolean> {
    const made = this.work.make(value, options)
    return this.#at(key, (text) => this.work.setWhen(text, made, true))
  }

  /** As of `Cache`. */
  delete(key: Key): Promise<boolean> {
    return this.#at(key, (text) => this.work.delete(text))
  }

  /** As of `Cache`. */
  async deleteMany(keys: Iterable<Key>): Promise<number> {
    const deleted = await Promise.all(Array.from(keysOf(keys), (key) => this.delete(key)))
    return deleted.filter((one) => one).length
  }

  /** As of `Cache`. */
  expire(key: Key, ttl: number | string): Promise<boolean> {
    const times = this.host.times(ttl)
    return this.#at(key, (text) => this.work.expire(text, times))
  }

  /** As of `Cache`. */
  increment(key: Key, by?: number): Promise<number>
  increment(key: Key, by: bigint): Promise<bigint>
  increment(key: Key, by: number | bigint = 1): Promise<number | bigint> {
    const added = addend(by)
    const storing = this.host.storing({} as Options)
    return this.#at(key, (text) => this.work.increment(text, added, storing))
  }

  /** @internal Applies what was asked, in one step. */
  async commit(): Promise<void> {
    for (let last: Promise<unknown> | undefined; last !== this.#last; ) {
      last = this.#last // what was not awaited is a part of it, and may ask for more
      await last
    }
    this.end()
    await this.work.commit()
  }

  /** Goes on with the text of a key, after all that was asked before. */
  async #at<T>(key: Key, run: (text: string) => Soon<T>): Promise<T> {
    this.check()
    const soon = this.host.textSoon(key)
    const done = this.#last.then(async () => {
      const text = await soon
      this.host.open()
      return run(text)
    })
    this.#last = done.catch(() => {}) // whoever asked is told
    return done
  }
}

/** As `Transaction`, for a synchronous function: each method gives what it finds. */
export class SyncTransaction<Options> extends Started<Options> {
  /** @internal */
  constructor(host: TransactionHost<Options>) {
    super(host, true)
  }

  /** As of `Cache`. @throws TransactionError `E_TRANSACTION` where what was read before has been changed by others meanwhile */
  get<V = unknown>(key: Key): V | undefined {
    return now(this.work.look(this.#text(key)))?.value as V | undefined
  }

  /** As of `Cache`. */
  getMany<V = unknown>(keys: Iterable<Key>): (V | undefined)[] {
    return Array.from(keysOf(keys), (key) => this.get<V>(key))
  }

  /** As of `Cache`. */
  has(key: Key): boolean {
    return now(this.work.look(this.#text(key))) !== undefined
  }

  /** As of `Cache`: milliseconds until a live entry expires. */
  ttl(key: Key): number | undefined {
    return now(this.work.ttl(this.#text(key)))
  }

  /** As of `Cache`; what is stored is the value of this moment. */
  set(key: Key, value: unknown, options: Options = {} as Options): void {
    this.work.set(this.#text(key), this.work.make(value, options))
  }

  /** As of `Cache`. */
  setMany(entries: Iterable<readonly [Key, unknown]>, options?: Options): void
  setMany(entries: { readonly [key: string]: unknown }, options?: Options): void
  setMany(entries: Entries<Key, unknown>, options: Options = {} as Options): void {
    for (const [key, value] of entriesOf(entries)) this.set(key, value, options)
  }

  /** As of `Cache`. */
  add(key: Key, value: unknown, options: Options = {} as Options): boolean {
    return now(this.work.setWhen(this.#text(key), this.work.make(value, options), false))
  }

  /** As of `Cache`. */
  update(key: Key, value: unknown, options: Options = {} as Options): boolean {
    return now(this.work.setWhen(this.#text(key), this.work.make(value, options), true))
  }

  /** As of `Cache`. */
  delete(key: Key): boolean {
    return now(this.work.delete(this.#text(key)))
  }

  /** As of `Cache`. */
  deleteMany(keys: Iterable<Key>): number {
    return Array.from(keysOf(keys), (key) => this.delete(key)).filter((one) => one).length
  }

  /** As of `Cache`. */
  expire(key: Key, ttl: number | string): boolean {
    return now(this.work.expire(this.#text(key), this.host.times(ttl)))
  }

  /** As of `Cache`. */
  increment(key: Key, by?: number): number
  increment(key: Key, by: bigint): bigint
  increment(key: Key, by: number | bigint = 1): number | bigint {
    const storing = this.host.storing({} as Options)
    return now(this.work.increment(this.#text(key), addend(by), storing))
  }

  /** @internal Applies what was asked, in one step. */
  commit(): void {
    this.end()
    now(this.work.commit())
  }

  #text(key: Key): string {
    this.check()
    return this.host.text(key)
  }
}

export function misused(what: string): Error {
  return makeError('E_TRANSACTION', `${what}.`)
}
