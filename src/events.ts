/** What a cache tells of its own accord: faults that break no call, and entries that leave. */
import { publishError } from './channels.js'
import { type ErrorCode, makeError, TierceError } from './errors.js'
import type { CallKey, Key } from './keys.js'
import { callback, oneOf } from './options.js'
import { queueMicrotask } from './pause.js'

/** Hears of faults that broke no call. */
export type ErrorListener = (error: TierceError) => void

/** A listener list that never throws: an unheard fault becomes one process warning a code. */
export class Faults {
  readonly #listeners = new Set<ErrorListener>()
  static readonly #warned = new Set<string>()

  add(listener: ErrorListener): void {
    this.#listeners.add(listener)
  }

  remove(listener: ErrorListener): void {
    this.#listeners.delete(listener)
  }

  report(fault: unknown): void {
    const error =
      fault instanceof TierceError
        ? fault
        : makeError('E_INTERNAL', `A cache failed: ${fault}`, undefined, fault)
    if (this.#listeners.size === 0 && !Faults.#warned.has(error.code)) {
      Faults.#warned.add(error.code)
      process.emitWarning(`${error.message} (listen to the cache's 'error' event to handle this)`, {
        type: 'TierceWarning',
        code: error.code,
      })
    }
    publishError(error)
    for (const listener of this.#listeners) {
      try {
        listener(error)
      } catch (thrown) {
        throwLater(thrown)
      }
    }
  }

  /** As `report`, from a code and a message. */
  tell(code: string, message: string): void {
    this.report(makeError(code as ErrorCode, message))
  }
}

/** An entry that left a tier. */
export interface EntryEvent {
  /** As it was given. */
  key: Key | CallKey
  /** The one that it left. */
  tier: 'memory'
}

/** What a cache tells. */
export interface CacheEvents {
  /** A fault that broke no call: a damaged entry, a store that failed after a load. Unheard, one process warning a code. */
  error: TierceError
  /** An entry had to go from memory, for others; where there is a disk tier it is still there. */
  evict: EntryEvent
  /** An entry went from memory, because its time had passed. */
  expire: EntryEvent
  /** `cleanup`, called or in the background, removed entries from all tiers together. */
  cleanup: { removed: number }
}

/** Hears of an event of a cache. */
export type CacheListener<E extends keyof CacheEvents> = (event: CacheEvents[E]) => void

const EVENTS: readonly (keyof CacheEvents)[] = ['error', 'evict', 'expire', 'cleanup']

/** Who listens to what. Listeners are called after the change that they are told of, so that they may use the cache. */
export class Events {
  readonly #faults: Faults
  readonly #listeners = new Map<keyof CacheEvents, Set<CacheListener<never>>>()

  constructor(faults: Faults) {
    this.#faults = faults
  }

  /** @throws InvalidOptionError `E_INVALID_OPTION` */
  on<E extends keyof CacheEvents>(event: E, listener: CacheListener<E>): void {
    const heard = callback<CacheListener<E>>(listener, 'listener')
    if (oneOf(event, 'event', EVENTS) === 'error') this.#faults.add(heard as ErrorListener)
    else {
      const known = this.#listeners.get(event)
      if (known === undefined) this.#listeners.set(event, new Set([heard]))
      else known.add(heard)
    }
  }

  /** @throws InvalidOptionError `E_INVALID_OPTION` */
  off<E extends keyof CacheEvents>(event: E, listener: CacheListener<E>): void {
    if (oneOf(event, 'event', EVENTS) === 'error') this.#faults.remove(listener as ErrorListener)
    else this.#listeners.get(event)?.delete(listener)
  }

  /** Whether somebody listens: for who would make much of what nobody hears. */
  hears(event: keyof CacheEvents): boolean {
    return this.#listeners.size > 0 && (this.#listeners.get(event)?.size ?? 0) > 0
  }

  /** `make` is called only where somebody listens. */
  tell<E extends keyof CacheEvents>(event: E, make: () => CacheEvents[E]): void {
    const listeners = this.#listeners.get(event)
    if (listeners === undefined || listeners.size === 0) return
    queueMicrotask(() => {
      const told = make()
      for (const listener of [...listeners] as CacheListener<E>[]) {
        try {
          listener(told)
        } catch (thrown) {
          throwLater(thrown)
        }
      }
    })
  }
}

/** A listener's own error is the program's, not the cache's: it goes where uncaught errors go. */
function throwLater(thrown: unknown): void {
  queueMicrotask(() => {
    throw thrown
  })
}
