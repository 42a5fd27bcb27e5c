/** The time as the tiers need it: the system's clock can take longer than all the rest of a hit. */
import { isReplaced, pageNow, systemTime } from '../memory/clock.js'
import { setImmediate } from '../pause.js'

const BASE = systemTime()
/**
 * A time as it is noted in entries: a small integer, for some 24 days, is kept in the object, and any other number in one of its own. A
 * difference of two of those is one, too, whatever it is.
 */
export function noted(time: number): number {
  const since = time - BASE
  const small = since | 0
  return small === since ? small : since
}

export function timeOf(noted: number): number {
  return noted + BASE
}

/** Times that are not as near as this are compared with a clock that may lag behind, by less. */
const NEAR = 1000
/** Comparisons in a turn of the event loop before it is that clock: what it takes is the addon, and a thread that is awake. */
const FEW = 64
/** Where nothing was looked at. */
const NONE = -1

export class Clock {
  readonly #now: () => number
  readonly #isSystem: boolean
  /** Of this turn of the event loop: the last look, and how many times were compared. */
  #known = NONE
  #compared = 0

  constructor(now: () => number) {
    this.#now = now
    this.#isSystem = now === systemTime
  }

  /** The time as it is noted: of the system's clock the last that was looked at in this turn of the event loop. */
  turn(): number {
    return this.#known === NONE ? noted(this.now()) : this.#known
  }

  /** Milliseconds since the Unix epoch; `turn` gives them from here on. */
  now(): number {
    const now = this.#now()
    if (!this.#isSystem || isReplaced()) return now
    if (this.#known === NONE) {
      setImmediate(() => {
        this.#known = NONE
        this.#compared = 0
      }).unref()
    }
    this.#known = noted(now)
    return now
  }

  /** Whether it is before a time as it is noted, and not near it. False says nothing. */
  isWellBefore(time: number): boolean {
    if (this.#compared >= FEW) return pageNow() - (BASE - NEAR) < time
    if (this.#isSystem && !isReplaced()) this.#compared++
    return false
  }
}
