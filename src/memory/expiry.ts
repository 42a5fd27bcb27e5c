/** When the entries of a store expire. */
import { Wheel } from './wheel.js'

/** By slot: times, TTLs that slide, and the wheel that says what to look at. */
export class Expiry {
  readonly #now: () => number
  readonly #wheel: Wheel
  /** In milliseconds since the Unix epoch; `Infinity` never expires, nor does a free slot. */
  #at: Float64Array
  /** In milliseconds, once there is an entry whose TTL slides; 0 does not. */
  #slides: Float64Array | undefined

  /** @param tick milliseconds of a bucket of the wheel */
  constructor(slots: number, now: () => number, tick: number) {
    this.#now = now
    this.#at = timesOf(slots, [])
    this.#wheel = new Wheel(now(), tick)
    this.#wheel.grow(slots)
  }

  at(slot: number): number {
    return this.#at[slot]!
  }

  /** The TTL that each use of an entry starts again; 0 for none. */
  slideOf(slot: number): number {
    return this.#slides === undefined ? 0 : this.#slides[slot]!
  }

  /** Whether the time of an entry is not over. */
  isLive(slot: number): boolean {
    const at = this.#at[slot]!
    return at === Infinity || at > this.#now()
  }

  /** As `isLive`; if it is, a TTL that slides starts again. */
  use(slot: number): boolean {
    const at = this.#at[slot]!
    if (at === Infinity) return true
    const now = this.#now()
    if (at <= now) return false
    // Later than before, so the wheel will come by in time.
    if (this.#slides !== undefined && this.#slides[slot]! > 0) this.#at[slot] = now + this.#slides[slot]!
    return true
  }

  /** Sets the TTL of an entry, from now on. `slide` is what each use starts again: mostly the same, or 0. */
  set(slot: number, ttl: number, slide: number): void {
    if (ttl === Infinity) {
      this.free(slot)
      return
    }
    const time = this.#now() + ttl
    this.#at[slot] = time
    this.#wheel.schedule(slot, time)
    if (slide > 0 && this.#slides === undefined) this.#slides = new Float64Array(this.#at.length)
    if (this.#slides !== undefined) this.#slides[slot] = slide
  }

  /** The slot is free, or its entry never expires. The wheel finds out when it comes by. */
  free(slot: number): void {
    this.#at[slot] = Infinity
    if (this.#slides !== undefined) this.#slides[slot] = 0
  }

  grow(slots: number): void {
    this.#at = timesOf(slots, this.#at)
    if (this.#slides !== undefined) {
      const slides = new Float64Array(slots)
      slides.set(this.#slides)
      this.#slides = slides
    }
    this.#wheel.grow(slots)
  }

  /** Calls `remove` for each entry that has expired since the last time, in time in proportion to their number; gives that. */
  cleanup(remove: (slot: number) => void): number {
    const now = this.#now()
    let removed = 0
    this.#wheel.advance(now, (slot) => {
      const at = this.#at[slot]!
      if (at > now) return at
      remove(slot)
      removed++
      return Infinity
    })
    return removed
  }

  /** How many entries have expired and are held still. Looks at all. */
  countExpired(): number {
    const now = this.#now()
    let expired = 0
    for (const at of this.#at) if (at <= now) expired++
    return expired
  }
}

function timesOf(length: number, old: ArrayLike<number>): Float64Array {
  const times = new Float64Array(length)
  times.set(old)
  times.fill(Infinity, old.length)
  return times
}
