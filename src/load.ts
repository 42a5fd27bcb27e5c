/** `getOrSet`: of all who ask for a key at one time, one loads. The only place with such control flow. */

/** What a load needs of a cache. Keys are canonical texts. */
export interface Store<Options> {
  /** The live value; `undefined` on a miss. Only a promise when it takes the disk. */
  read(text: string): unknown
  write(text: string, value: unknown, options: Options): Promise<void>
  /** A fault of the cache that must not break the load. */
  report(fault: unknown): void
}

interface Flight {
  promise: Promise<unknown>
  /** The key was written or removed while the load was under way: its result is the callers' alone. */
  outdated: boolean
}

/** Loads under way, by key. */
export class Flights<Options> {
  readonly #store: Store<Options>
  readonly #flights = new Map<string, Flight>()

  constructor(store: Store<Options>) {
    this.#store = store
  }

  /** The value of a key, or what `load` gives, which is stored unless it is `undefined`. */
  getOrSet(text: string, load: () => unknown, options: Options): Promise<unknown> {
    const known = this.#flights.get(text)
    if (known !== undefined) return known.promise
    return this.#start(text, (flight) => this.#fly(text, load, options, flight))
  }

  /** Loads although there is a value, and stores the result. A load under way is joined no more. */
  fresh(text: string, load: () => unknown, options: Options): Promise<unknown> {
    this.outdate(text)
    // Not at once: the load may ask for its own key, and must find this flight.
    return this.#start(text, (flight) =>
      Promise.resolve().then(() => this.#loadAndStore(text, load, options, flight)),
    )
  }

  /** What loads under way bring for this key comes too late to be stored, and nobody joins them any more. */
  outdate(text: string): void {
    const flight = this.#flights.get(text)
    if (flight === undefined) return
    flight.outdated = true
    this.#flights.delete(text)
  }

  outdateAll(): void {
    for (const text of [...this.#flights.keys()]) this.outdate(text)
  }

  #start(text: string, begin: (flight: Flight) => Promise<unknown>): Promise<unknown> {
    const flight: Flight = { promise: Promise.resolve(), outdated: false }
    this.#flights.set(text, flight)
    flight.promise = begin(flight)
    return flight.promise
  }

  async #fly(text: string, load: () => unknown, options: Options, flight: Flight): Promise<unknown> {
    let known: unknown
    try {
      known = await this.#store.read(text)
    } catch (fault) {
      this.#store.report(fault)
    }
    if (known === undefined) return this.#loadAndStore(text, load, options, flight)
    this.#land(text, flight)
    return known
  }

  async #loadAndStore(text: string, load: () => unknown, options: Options, flight: Flight): Promise<unknown> {
    try {
      const value = await load()
      if (value !== undefined && !flight.outdated) {
        // Landed first: the write itself would outdate this flight, and whoever comes now finds the value.
        this.#land(text, flight)
        await this.#store.write(text, value, options).catch((fault) => this.#store.report(fault))
      }
      return value
    } finally {
      this.#land(text, flight)
    }
  }

  #land(text: string, flight: Flight): void {
    if (this.#flights.get(text) === flight) this.#flights.delete(text)
  }
}
