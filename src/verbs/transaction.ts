/**
 * Transactions without locks (optimistic concurrency control, Kung and Robinson 1981): reads note the version that they saw, writes
 * are kept here, and a commit applies them in one step if every version is still the same. While the program awaits, nobody is held up.
 */

import { AsyncLocalStorage } from 'node:async_hooks'
import { makeError } from '../errors.js'
import type { Key } from '../keys.js'
import { type Entries, entriesOf, keysOf } from '../many.js'
import { callback, checkOptions, countOption } from '../options.js'
import { pause } from '../pause.js'
import { now, type Soon } from '../soon.js'
import type { TierStack } from '../tiers/stack.js'
import { addend } from './changes.js'
import { type TransactionHost, Work } from './transaction-work.js'

/** Options of `transaction`. */
export interface TransactionOptions {
  /** How often it is run again after a conflict, `Infinity` for as long as it takes. Default 0: a conflict is an `E_TRANSACTION`. */
  retries?: number | undefined
}

/** The longest pause before another try, in milliseconds. */
const LONGEST_PAUSE = 64

/** The transactions that the running code is inside of. */
const running = new AsyncLocalStorage<readonly { belongsTo(tiers: TierStack): boolean }[]>()

/** Runs `run`, and commits what it did. */
export async function transact<T, Options>(
  host: TransactionHost<Options>,
  run: (tx: Transaction<Options>) => T | Promise<T>,
  options: TransactionOptions,
): Promise<T> {
  const { retries, outer } = prepare(host, run, options)
  for (let tries = 0; ; tries++) {
    host.open()
    const tx = new Transaction(host)
    try {
      const result = await running.run([...outer, tx], () => run(tx))
      await tx.commit()
      return result
    } catch (error) {
      if (!tx.isConflict(error) || tries >= retries) throw error
    } finally {
      tx.end()
    }
    await pause(pauseBefore(tries))
  }
}

/** As `transact`, on this thread. */
export function transactSync<T, Options>(
  host: TransactionHost<Options>,
  run: (tx: SyncTransaction<Options>) => T,
  options: TransactionOptions,
): T {
  const { retries, outer } = prepare(host, run, options)
  for (let tries = 0; ; tries++) {
    host.open()
    const tx = new SyncTransaction(host)
    try {
      const result = running.run([...outer, tx], () => run(tx))
      refusePromise(result)
      tx.commit()
      return result
    } catch (error) {
      if (!tx.isConflict(error) || tries >= retries) throw error
    } finally {
      tx.end()
    }
    Atomics.wait(CELL, 0, 0, pauseBefore(tries))
  }
}

const CELL = new Int32Array(new SharedArrayBuffer(4))

function pauseBefore(tries: number): number {
  return Math.random() * Math.min(2 ** tries, LONGEST_PAUSE)
}

function prepare<Options>(
  { tiers }: TransactionHost<Options>,
  run: unknown,
  options: TransactionOptions,
): { retries: number; outer: readonly { belongsTo(tiers: TierStack): boolean }[] } {
  callback(run, 'the function of a transaction')
  checkOptions(options, ['retries'], 'transaction')
  const retries = countOption(options.retries ?? 0, 'retries')
  if (tiers.disk?.isJson) {
    throw makeError(
      'E_UNAVAILABLE',
      "A transaction takes a database, and the cache's directory has none (metadata 'json'): use add, update and setMany, or give a directory with locks.",
    )
  }
  const outer = running.getStore() ?? []
  if (outer.some((one) => one.belongsTo(tiers))) {
    throw misused(
      'A transaction of this cache is running here already, and a second one would commit on its own',
    )
  }
  return { retries, outer }
}

/** What would be done after its end would be done outside of the transaction. */
function refusePromise(result: unknown): void {
  if (typeof (result as { then?: unknown } | null | undefined)?.then !== 'function') return
  Promise.resolve(result).catch(() => {}) // the caller is told of this error instead
  throw misused(
    'The function of transactionSync gave a promise, and nothing was stored: give a synchronous one, or use transaction',
  )
}

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

function misused(what: string): Error {
  return makeError('E_TRANSACTION', `${what}.`)
}
