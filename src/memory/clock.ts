/**
 * The time, for caches that ask for it at each hit: the system's takes longer than the hit itself.
 *
 * A thread of the addon writes the time to memory that this reads, once a millisecond, as long as somebody reads.
 */
import { native } from '../native.js'

/** `[milliseconds since the Unix epoch, or 0 while nobody writes it; whether it was read]`, or undefined where there is none. */
let page: Float64Array | undefined
let asked = false
const systemNow = Date.now

/** Whether something stands in the place of the system's clock, as where a test has fake timers. */
export function isReplaced(): boolean {
  return Date.now !== systemNow
}

/** The system's clock, or what stands in its place by now: the default of every `clock`. */
export function systemTime(): number {
  return Date.now()
}

/**
 * Milliseconds since the Unix epoch, at most about a millisecond ago; more only where the system lets no other thread run.
 * A `Date.now` that was replaced (fake timers) is asked instead.
 */
export function coarseNow(): number {
  return isReplaced() ? Date.now() : pageNow()
}

/** As `coarseNow`, of the system. */
export function pageNow(): number {
  if (page !== undefined) {
    const now = page[0]!
    page[1] = 1
    if (now !== 0) return now
  }
  return wake()
}

function wake(): number {
  if (!asked) {
    asked = true
    try {
      const given = native().coarseClock()
      if (given !== null && native().isClock(given)) page = given
    } catch {} // without the addon the system's clock is asked each time
  }
  if (page !== undefined) native().wakeClock()
  return systemNow()
}
