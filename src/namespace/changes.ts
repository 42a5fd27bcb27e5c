/** Changes in a namespace that depend on what a key holds. */
import type { Duration } from '../cache-options.js'
import { part } from '../parts.js'
import type { SetOptions } from '../set-options.js'
import { now } from '../soon.js'
import { addend, type Increment, type IncrementOptions, increment, parseIncrement } from '../verbs/changes.js'
import type { SyncTransaction, Transaction, TransactionOptions } from '../verbs/transaction.js'
import type { TransactionHost } from '../verbs/transaction-work.js'
import { NamespaceListing } from './listing.js'
import type { AnyKey } from './scope.js'

export class NamespaceChanges<T = unknown> extends NamespaceListing<T> {
  async add(key: AnyKey, value: T, options?: SetOptions): Promise<boolean> {
    return this.whole.cache.add(this.scope.key(key), value, this.scope.setOptions(options))
  }

  addSync(key: AnyKey, value: T, options?: SetOptions): boolean {
    return this.whole.cache.addSync(this.scope.key(key), value, this.scope.setOptions(options))
  }

  async update(key: AnyKey, value: T, options?: SetOptions): Promise<boolean> {
    return this.whole.cache.update(this.scope.key(key), value, this.scope.setOptions(options))
  }

  updateSync(key: AnyKey, value: T, options?: SetOptions): boolean {
    return this.whole.cache.updateSync(this.scope.key(key), value, this.scope.setOptions(options))
  }

  async touch(key: AnyKey): Promise<boolean> {
    return this.whole.cache.touch(this.scope.key(key))
  }

  touchSync(key: AnyKey): boolean {
    return this.whole.cache.touchSync(this.scope.key(key))
  }

  async expire(key: AnyKey, ttl: Duration): Promise<boolean> {
    return this.whole.cache.expire(this.scope.key(key), ttl)
  }

  expireSync(key: AnyKey, ttl: Duration): boolean {
    return this.whole.cache.expireSync(this.scope.key(key), ttl)
  }

  async ttl(key: AnyKey): Promise<number | undefined> {
    return this.whole.cache.ttl(this.scope.key(key))
  }

  ttlSync(key: AnyKey): number | undefined {
    return this.whole.cache.ttlSync(this.scope.key(key))
  }

  /** As `cache.increment`; an entry that is made has the defaults of the namespace. */
  increment(key: AnyKey, by?: number, options?: IncrementOptions): Promise<number>
  increment(key: AnyKey, by: bigint, options?: IncrementOptions): Promise<bigint>
  async increment(
    key: AnyKey,
    by: number | bigint = 1,
    options: IncrementOptions = {},
  ): Promise<number | bigint> {
    const asked = this.#incrementing(by, options)
    const { core } = this.whole
    return core.at(this.scope.key(key), (text) => increment(core.tiers, { text, ...asked }, false))
  }

  /** As `increment`, on this thread. */
  incrementSync(key: AnyKey, by?: number, options?: IncrementOptions): number
  incrementSync(key: AnyKey, by: bigint, options?: IncrementOptions): bigint
  incrementSync(key: AnyKey, by: number | bigint = 1, options: IncrementOptions = {}): number | bigint {
    const { core } = this.whole
    const text = core.text(this.scope.key(key))
    return now(increment(core.tiers, { text, ...this.#incrementing(by, options) }, true))
  }

  /** As `cache.transaction`: keys, tags and defaults of what it does are those of the namespace. */
  async transaction<T>(
    run: (tx: Transaction<SetOptions>) => T | Promise<T>,
    options: TransactionOptions = {},
  ): Promise<T> {
    return part('transaction').transact(this.#host(), run, options)
  }

  /** As `transaction`, on this thread. */
  transactionSync<T>(run: (tx: SyncTransaction<SetOptions>) => T, options: TransactionOptions = {}): T {
    return part('transaction').transactSync(this.#host(), run, options)
  }

  #incrementing(by: unknown, options: IncrementOptions): Omit<Increment, 'text'> {
    const { ttl } = parseIncrement(options)
    const given = ttl === undefined ? {} : { ttl }
    const { expiresAt, extras } = this.whole.core.storing(this.scope.setOptions(given))
    return { by: addend(by), expiresAt, extras }
  }

  #host(): TransactionHost<SetOptions> {
    const { core } = this.whole
    const { scope } = this
    return {
      tiers: core.tiers,
      open: () => core.open(),
      text: (key) => core.text(scope.key(key)),
      textSoon: (key) => core.textSoon(scope.key(key)),
      storing: (options) => core.storing(scope.setOptions(options)),
      times: (ttl) => core.times(ttl),
    }
  }
}
