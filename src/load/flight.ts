/** One load under way, and those who wait for it. */
import { makeError } from '../errors.js'
import type { Kept } from '../tiers/entries.js'
import { staleAt } from '../tiers/wire.js'
import type { LoadPlan } from './options.js'

declare const brand: unique symbol
/** The type of `notModified`: an object, as a symbol would be any symbol in what an async function is inferred to return. */
export interface NotModified {
  readonly [brand]: true
}
/** What a load answers where the old value is still the right one. */
export const notModified = Object.freeze({ toString: () => 'notModified' }) as unknown as NotModified

/** A value that is no longer fresh. Times in milliseconds since the Unix epoch. */
export interface StaleEntry<V = unknown> {
  /** As it was stored. */
  readonly value: V
  /** When it was loaded. */
  readonly createdAt: number
  /** When it went stale. */
  readonly expiresAt: number
}

/** What a load is given. */
export interface LoadContext<V = unknown> {
  /** Aborts when the last one who waited for the load has left. */
  readonly signal: AbortSignal
  /** The value that was there before, where there is one: the load may answer `notModified`. */
  readonly old: StaleEntry<V> | undefined
}

export function staleEntry(kept: Kept): StaleEntry {
  return { value: kept.value, createdAt: kept.createdAt, expiresAt: staleAt(kept) }
}

/** What is asked for a value: the function, and the arguments that options with functions get beside the value. */
export interface LoadCall {
  load(context: LoadContext): unknown
  readonly args: readonly unknown[]
}

export class Flight {
  /** What is kept under the key; `undefined` where there is nothing or it could not be read. */
  found: Kept | undefined | Promise<Kept | undefined>
  /** Settles with the value, or with the load's own error; set when the first one wants the load. */
  loading: Promise<unknown> | undefined
  /** The key was written or removed since: what the load brings is the waiters' alone. */
  outdated = false
  /** Those of the entry that it makes; `undefined` where only its value tells. */
  tags: readonly string[] | undefined = []
  /** An error of it was kept from a caller, and told. */
  isTold = false
  /** Lets others in before the load has landed, as it is outdated. */
  onOutdated: (() => void) | undefined
  #waiters = 0
  #isHeld = false
  #landed = false
  #controller: AbortController | undefined

  constructor(
    readonly text: string,
    found: Flight['found'],
    /** Called when the last waiter has left a load that is under way. */
    private readonly onAbandoned: (flight: Flight) => void,
  ) {
    this.found = found
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    return this.#controller.signal
  }

  outdate(): void {
    if (this.outdated) return
    this.outdated = true
    this.onOutdated?.()
  }

  /** The load has settled. */
  land(): void {
    this.#landed = true
  }

  /**
   * Waits for the load as `plan` says. Where it is late or fails, `fallback` is given in its place.
   * @throws TimeoutError `E_TIMEOUT`, the signal's reason, or the load's own error
   */
  wait(plan: LoadPlan, fallback: Kept | undefined, onHidden: (error: unknown) => void): Promise<unknown> {
    this.#waiters++
    const isBounded =
      plan.signal !== undefined || plan.hard < Infinity || (plan.soft < Infinity && fallback !== undefined)
    // Who waits for as long as it takes, and gets what comes, never leaves before the load has landed.
    if (!isBounded && fallback === undefined) return this.loading!
    return this.#waitFor(
      isBounded ? this.#bounded(plan, fallback, onHidden) : this.loading!,
      plan,
      fallback,
      onHidden,
    )
  }

  async #waitFor(
    value: Promise<unknown>,
    plan: LoadPlan,
    fallback: Kept | undefined,
    onHidden: (error: unknown) => void,
  ): Promise<unknown> {
    let why: unknown
    try {
      return await value
    } catch (error) {
      why = error
      if (fallback === undefined || plan.signal?.aborted) throw error
      onHidden(error)
      return fallback.value
    } finally {
      this.#leave(why)
    }
  }

  /** Keeps the load going although nobody waits for it: for no longer than `plan.hard`. */
  hold(plan: LoadPlan, onHidden: (error: unknown) => void): void {
    if (this.#isHeld) return
    this.#isHeld = true
    this.#waiters++
    let isOver = false
    const over = (error?: unknown) => {
      if (isOver) return
      isOver = true
      this.#isHeld = false
      clearTimeout(timer)
      if (error !== undefined) onHidden(error)
      this.#leave(error)
    }
    const timer = later(plan.hard, () => over(tooLate(this.text, plan.hard)))
    timer?.unref()
    this.loading!.then(() => over(), over)
  }

  #bounded(plan: LoadPlan, fallback: Kept | undefined, onHidden: (error: unknown) => void): Promise<unknown> {
    const { signal, soft, hard } = plan
    return new Promise((resolve, reject) => {
      const timers = [
        fallback === undefined
          ? undefined
          : later(soft, () => {
              this.hold(plan, onHidden)
              settle(() => resolve(fallback.value))
            }),
        later(hard, () => settle(() => reject(tooLate(this.text, hard)))),
      ]
      const onAbort = () => settle(() => reject(signal!.reason))
      const settle = (then: () => void) => {
        for (const timer of timers) clearTimeout(timer)
        signal?.removeEventListener('abort', onAbort)
        then()
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.loading!.then(
        (value) => settle(() => resolve(value)),
        (error) => settle(() => reject(error)),
      )
    })
  }

  #leave(why: unknown): void {
    if (--this.#waiters > 0 || this.#landed) return
    this.onAbandoned(this)
    this.#controller ??= new AbortController()
    this.#controller.abort(why)
  }
}

/** A timer's longest delay; a longer one is as good as none. */
const LONGEST = 2 ** 31 - 1

function later(ms: number, run: () => void): NodeJS.Timeout | undefined {
  return ms <= LONGEST ? setTimeout(run, ms) : undefined
}

function tooLate(text: string, ms: number): Error {
  return makeError('E_TIMEOUT', `A load took longer than its hard timeout of ${ms} ms.`, { key: text, ms })
}
