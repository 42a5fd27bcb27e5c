/**
 * Transactions without locks (optimistic concurrency control, Kung and Robinson 1981): reads note the version that they saw, writes
 * are kept here, and a commit applies them in one step if every version is still the same. While the program awaits, nobody is held up.
 */

import { AsyncLocalStorage } from 'node:async_hooks'
import { makeError } from '../errors.js'
import { callback, checkOptions, countOption } from '../options.js'
import { pause } from '../pause.js'
import type { TierStack } from '../tiers/stack.js'
import { misused, SyncTransaction, Transaction } from './transaction-verbs.js'
import type { TransactionHost } from './transaction-work.js'

export type { SyncTransaction, Transaction } from './transaction-verbs.js'

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
