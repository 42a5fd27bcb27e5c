/** Changes that depend on what a key holds. Each is one step between all processes on the directory. */
import type { Duration } from '../cache-options.js'
import type { Key } from '../keys.js'
import type { MetaTables } from '../meta.js'
import { part } from '../parts.js'
import type { SetOptions } from '../set-options.js'
import { now } from '../soon.js'
import { written } from '../tiers/stack.js'
import {
  add,
  addend,
  type Increment,
  type IncrementOptions,
  increment,
  parseIncrement,
  touch,
  ttl,
  update,
} from '../verbs/changes.js'
import type { SyncTransaction, Transaction, TransactionOptions } from '../verbs/transaction.js'
import type { Core } from './core.js'
import { CacheListing } from './listing.js'

export class CacheChanges<M extends MetaTables> extends CacheListing<M> {
  readonly #core: Core<M>

  /** @internal */
  constructor(core: Core<M>) {
    super(core)
    this.#core = core
  }

  /**
   * Stores a value if the key has no live entry, in one step between all processes. Resolves to whether it did. Errors as `set`.
   */
  async add(key: Key, value: unknown, options: SetOptions<M> = {}): Promise<boolean> {
    const storing = this.#core.storing(options)
    return this.#core.at(key, (text) => add(this.#core.tiers, written(text, value, storing), false))
  }

  /** As `add`, on this thread. */
  addSync(key: Key, value: unknown, options: SetOptions<M> = {}): boolean {
    return now(add(this.#core.tiers, this.#core.write(key, value, options), true))
  }

  /**
   * Stores a value if the key has a live entry, in its place as `set` does: with the time to live that is given, or the cache's.
   * Resolves to whether it did. Errors as `set`.
   */
  async update(key: Key, value: unknown, options: SetOptions<M> = {}): Promise<boolean> {
    const storing = this.#core.storing(options)
    return this.#core.at(key, (text) => update(this.#core.tiers, written(text, value, storing), false))
  }

  /** As `update`, on this thread. */
  updateSync(key: Key, value: unknown, options: SetOptions<M> = {}): boolean {
    return now(update(this.#core.tiers, this.#core.write(key, value, options), true))
  }

  /** Counts as an access of a live entry, without reading it. Resolves to whether there is one. */
  async touch(key: Key): Promise<boolean> {
    return this.#core.at(key, (text) => touch(this.#core.tiers, text, false))
  }

  /** As `touch`, on this thread. */
  touchSync(key: Key): boolean {
    return now(touch(this.#core.tiers, this.#core.text(key), true))
  }

  /**
   * Gives a live entry another time to live, from now on. Resolves to whether there is one.
   * @throws InvalidTtlError `E_INVALID_TTL`
   */
  async expire(key: Key, ttl: Duration): Promise<boolean> {
    const times = this.#core.times(ttl)
    return this.#core.at(key, (text) => this.#core.tiers.renew(text, times, false))
  }

  /** As `expire`, on this thread. */
  expireSync(key: Key, ttl: Duration): boolean {
    return now(this.#core.tiers.renew(this.#core.text(key), this.#core.times(ttl), false, true))
  }

  /** Milliseconds until a live entry expires, `Infinity` for never; `undefined` where there is none. */
  async ttl(key: Key): Promise<number | undefined> {
    return this.#core.at(key, (text) => ttl(this.#core.tiers, text, false))
  }

  /** As `ttl`, on this thread. */
  ttlSync(key: Key): number | undefined {
    return now(ttl(this.#core.tiers, this.#core.text(key), true))
  }

  /**
   * Adds to the number or the bigint that a key holds, in one step between all processes; resolves to the sum. A key without a
   * live entry holds 0, and gets the time to live that is given, or the cache's; an entry that is there keeps its own. A bigint
   * has up to 128 bits.
   * @throws InvalidOptionError `E_INVALID_OPTION` where the key holds something else, or the sum is out of range
   * @throws UnavailableError `E_UNAVAILABLE`: the directory has no database (`metadata: 'json'`)
   */
  increment(key: Key, by?: number, options?: IncrementOptions): Promise<number>
  increment(key: Key, by: bigint, options?: IncrementOptions): Promise<bigint>
  async increment(
    key: Key,
    by: number | bigint = 1,
    options: IncrementOptions = {},
  ): Promise<number | bigint> {
    const asked = this.#incrementing(by, options)
    return this.#core.at(key, (text) => increment(this.#core.tiers, { text, ...asked }, false))
  }

  /** As `increment`, on this thread. */
  incrementSync(key: Key, by?: number, options?: IncrementOptions): number
  incrementSync(key: Key, by: bigint, options?: IncrementOptions): bigint
  incrementSync(key: Key, by: number | bigint = 1, options: IncrementOptions = {}): number | bigint {
    return now(
      increment(this.#core.tiers, { text: this.#core.text(key), ...this.#incrementing(by, options) }, true),
    )
  }

  /**
   * Runs `run` and commits what it did through its argument, all or nothing. Reads see one state of the cache and the transaction's own
   * writes; nobody is held up meanwhile. Where somebody else changed what was read, it is run again `retries` times, so `run` must do
   * nothing else that cannot be done twice. What `run` throws passes through untouched, and nothing was changed.
   * @throws TransactionError `E_TRANSACTION`: others changed what was read; or a transaction of this cache in another, or used after its end
   * @throws UnavailableError `E_UNAVAILABLE`: the directory has no database (`metadata: 'json'`)
   */
  async transaction<T>(
    run: (tx: Transaction<SetOptions>) => T | Promise<T>,
    options: TransactionOptions = {},
  ): Promise<T> {
    return part('transaction').transact(this.#core, run, options)
  }

  /**
   * As `transaction`, on this thread: `run` is synchronous, as what it asks of its argument is. Nobody is held up by it but this thread.
   * @throws TransactionError `E_TRANSACTION`: as of `transaction`; `run` gave a promise, and then nothing is stored
   */
  transactionSync<T>(run: (tx: SyncTransaction<SetOptions>) => T, options: TransactionOptions = {}): T {
    return part('transaction').transactSync(this.#core, run, options)
  }

  #incrementing(by: unknown, options: IncrementOptions): Omit<Increment, 'text'> {
    return { by: addend(by), expiresAt: this.#core.storing(parseIncrement(options)).expiresAt }
  }
}
