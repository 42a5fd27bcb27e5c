/**
 * How wide the window of W-TinyLFU should be. The same, number by number, is in crates/tierce/src/policy/climber.rs, with reasons.
 *
 * G. Einziger, O. Eytan, R. Friedman, B. Manes: Adaptive software cache management, Middleware 2018.
 */

const FIRST_STEP = 0.0625
const DECAY = 0.98
const RESTART = 0.05
const SAMPLE = 5
const SMALL_CACHE = 512
const SMALL_SAMPLE = 10
const SMALL_DECAY = 0.995
const SMALL_LONGEST = 4

/** Moves the window while the hit ratio grows, and turns round when it falls. */
export class Climber {
  hits = 0
  misses = 0
  #before = 0
  #step = 0
  #widen = true
  #stretch = 1
  #started = false

  /** After a request to a full cache of `entries`: by how many entries to widen (or narrow) the window; mostly 0. */
  step(entries: number): number {
    const sample = entries <= SMALL_CACHE ? SMALL_SAMPLE : SAMPLE
    const requests = this.hits + this.misses
    return requests < entries * sample * this.#stretch ? 0 : this.#turn(entries, requests)
  }

  #turn(entries: number, requests: number): number {
    const first = Math.max(entries * FIRST_STEP, 2)
    const isSmall = entries <= SMALL_CACHE
    if (!this.#started) {
      this.#started = true
      this.#step = first
    }
    const ratio = this.hits / requests
    const chance = Math.sqrt((2 * ratio * (1 - ratio)) / requests)
    if (ratio < this.#before - chance || (this.#widen && ratio <= this.#before + chance))
      this.#widen = !this.#widen
    if (Math.abs(ratio - this.#before) >= RESTART) {
      this.#step = first
      this.#stretch = 1
    }
    const by = this.#widen ? this.#step : -this.#step
    this.#step *= isSmall ? SMALL_DECAY : DECAY
    if (isSmall) this.#stretch = Math.min(Math.max(first / this.#step, 1), SMALL_LONGEST)
    this.#before = ratio
    this.hits = 0
    this.misses = 0
    return by
  }
}
