/** Loads under way in a `MemoryCache`, by key: of all who ask for a key at one time, one loads. */
import type { Counters } from './metrics.js'

interface Flight<V> {
  promise: Promise<V>
  /** The key was written or removed meanwhile: the result is the callers' alone. */
  outdated: boolean
}

export class Flights<K, V> {
  readonly #flights = new Map<K, Flight<V>>()

  /** The load that is under way for a key. */
  find(key: K): Promise<V> | undefined {
    return this.#flights.size === 0 ? undefined : this.#flights.get(key)?.promise
  }

  /** Follows a load; `store` gets what it gives, unless that came too late. */
  follow(key: K, loaded: PromiseLike<V>, store: (value: V) => void): Promise<V> {
    const flight: Flight<V> = { promise: Promise.resolve(loaded), outdated: false }
    flight.promise = this.#land(key, flight, store)
    this.#flights.set(key, flight)
    return flight.promise
  }

  /** Nobody joins the load of this key any more, and what it brings is not stored. */
  outdate(key: K): void {
    if (this.#flights.size === 0) return
    const flight = this.#flights.get(key)
    if (flight === undefined) return
    flight.outdated = true
    this.#flights.delete(key)
  }

  outdateAll(): void {
    for (const flight of this.#flights.values()) flight.outdated = true
    this.#flights.clear()
  }

  async #land(key: K, flight: Flight<V>, store: (value: V) => void): Promise<V> {
    try {
      const value = await flight.promise
      // Before the write: that would outdate this flight.
      if (this.#flights.get(key) === flight) this.#flights.delete(key)
      if (!flight.outdated) store(value)
      return value
    } finally {
      if (this.#flights.get(key) === flight) this.#flights.delete(key)
    }
  }
}

/** Whether a loader gave a promise. */
export function isPromise<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return (
    typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
  )
}

/** Runs a loader and counts it: also one that gives a promise, until that settles. */
export function counted<T>(counters: Counters | undefined, load: () => T | PromiseLike<T>): T | Promise<T> {
  const counting = counters?.startLoad()
  let loaded: T | PromiseLike<T>
  try {
    loaded = load()
  } catch (error) {
    counting?.end(true)
    throw error
  }
  if (!isPromise(loaded)) {
    counting?.end(false)
    return loaded
  }
  return Promise.resolve(loaded).then(
    (value) => {
      counting?.end(false)
      return value
    },
    (error: unknown) => {
      counting?.end(true)
      throw error
    },
  )
}
