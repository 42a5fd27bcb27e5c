/** Faults that break no call, told to whoever listens. */
import { publishError } from './channels.js'
import { type ErrorCode, makeError, TierceError } from './errors.js'

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
        // A listener's own error is the program's, not the cache's: it goes where uncaught errors go.
        queueMicrotask(() => {
          throw thrown
        })
      }
    }
  }

  /** As `report`, from a code and a message. */
  tell(code: string, message: string): void {
    this.report(makeError(code as ErrorCode, message))
  }
}
