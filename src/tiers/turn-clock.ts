/**
 * The time at the first look in this turn of the event loop: for what needs no more, as the system's clock can take longer
 * than the hit that is noted with it.
 */
export class TurnClock {
  readonly #now: () => number
  #known = 0

  constructor(now: () => number) {
    this.#now = now
  }

  now(): number {
    if (this.#known === 0) this.#look()
    return this.#known
  }

  #look(): void {
    this.#known = this.#now()
    setImmediate(() => {
      this.#known = 0
    }).unref()
  }
}
