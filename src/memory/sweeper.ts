/** Background cleanups. */
import { Faults } from '../events.js'

/** What is cleaned up. */
interface Swept {
  cleanup(): void
}

/** Milliseconds that a timer of Node can wait; a longer one would fire at once. */
const LONGEST = 2 ** 31 - 1

/**
 * A timer that keeps neither the process nor the cache alive: a cache that nobody holds any more ends its timer.
 */
export class Sweeper {
  readonly #cache: WeakRef<Swept>
  #interval: number
  #timer: NodeJS.Timeout | undefined
  #isStopped = false

  /** @param interval milliseconds; `Infinity` for never */
  constructor(cache: Swept, interval: number) {
    this.#cache = new WeakRef(cache)
    this.#interval = interval
  }

  /** Starts the timer, unless it runs, or was stopped. */
  start(): void {
    if (this.#isStopped || this.#interval === Infinity || this.#timer !== undefined) return
    const cache = this.#cache
    const timer = setInterval(
      () => {
        const swept = cache.deref()
        if (swept === undefined) clearInterval(timer)
        else sweep(swept)
      },
      Math.min(this.#interval, LONGEST),
    )
    timer.unref()
    this.#timer = timer
  }

  /** Starts the timer, whatever was before. */
  restart(interval: number): void {
    this.stop()
    this.#isStopped = false
    this.#interval = interval
    this.start()
  }

  stop(): void {
    this.#isStopped = true
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

/** What a cleanup throws, such as the error of an `onEvict`, has no caller to reach, and must not end the process. */
function sweep(swept: Swept): void {
  try {
    swept.cleanup()
  } catch (fault) {
    new Faults().report(fault)
  }
}
