/** Fetches under way: who asks for a range that one of them brings waits for it. A fetch ends when nobody waits any more. */
import { makeError } from '../errors.js'

/** A fetch under way of `[start, end)`. */
export class Flight {
  /** Its range was uncovered meanwhile: what it brings is no coverage. */
  outdated = false
  readonly controller = new AbortController()
  readonly landed: Promise<void>
  #waiting = 0
  readonly #leave: (flight: Flight) => void

  constructor(
    readonly key: string,
    readonly start: number,
    readonly end: number,
    fly: (flight: Flight) => Promise<void>,
    leave: (flight: Flight) => void,
  ) {
    this.#leave = leave
    this.landed = fly(this).finally(() => leave(this))
    this.landed.catch(() => {}) // told to those who wait, of whom there may be none any more
  }

  /** Waits for it. Rejects with the signal's reason as soon as that is aborted. */
  async join(signal: AbortSignal | undefined): Promise<void> {
    this.#waiting++
    try {
      await unlessAborted(this.landed, signal)
    } finally {
      this.#waiting--
      if (this.#waiting === 0 && signal?.aborted) {
        this.#leave(this) // before it ends: who asks now starts another
        this.controller.abort(signal.reason)
      }
    }
  }
}

/** What `work` gives, or the signal's reason as soon as it is aborted. */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  const gone = aborted(signal)
  if (gone === undefined) return work
  try {
    return await Promise.race([work, gone.promise])
  } finally {
    gone.forget()
  }
}

function aborted(signal: AbortSignal | undefined): { promise: Promise<never>; forget(): void } | undefined {
  if (signal === undefined) return undefined
  let onAbort = () => {}
  const promise = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason)
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort)
  })
  promise.catch(() => {})
  return { promise, forget: () => signal.removeEventListener('abort', onAbort) }
}

/** All fetches under way of one table, no more of them at work than may be. */
export class Flights {
  readonly #byKey = new Map<string, Set<Flight>>()
  readonly #most: number
  readonly #queue: (() => void)[] = []
  #working = 0
  /** Moves when a fetch ends: coverage that was read before may be older than what it stored. */
  #landings = 0

  constructor(most: number) {
    this.#most = most
  }

  get landings(): number {
    return this.#landings
  }

  of(key: string): Flight[] {
    return [...(this.#byKey.get(key) ?? [])]
  }

  all(): Flight[] {
    return [...this.#byKey.values()].flatMap((flights) => [...flights])
  }

  /** Starts a fetch, at once or when another one ends. */
  start(key: string, start: number, end: number, work: (flight: Flight) => Promise<void>): Flight {
    const fly = async (flight: Flight) => {
      await this.#turn(flight.controller.signal)
      try {
        await work(flight)
      } finally {
        this.#done()
      }
    }
    // The work begins with the next microtask, when the flight is known.
    const flight = new Flight(
      key,
      start,
      end,
      (own) => Promise.resolve().then(() => fly(own)),
      (own) => this.#forget(own),
    )
    const flights = this.#byKey.get(key) ?? new Set()
    this.#byKey.set(key, flights.add(flight))
    return flight
  }

  #forget(flight: Flight): void {
    const flights = this.#byKey.get(flight.key)
    if (!flights?.delete(flight)) return
    this.#landings++
    if (flights.size === 0) this.#byKey.delete(flight.key)
  }

  async #turn(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#working < this.#most) {
      this.#working++
      return
    }
    await new Promise<void>((resolve, reject) => {
      const go = () => {
        signal.removeEventListener('abort', onAbort)
        resolve()
      }
      const onAbort = () => {
        this.#queue.splice(this.#queue.indexOf(go), 1)
        reject(signal.reason)
      }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#queue.push(go)
    })
  }

  #done(): void {
    const next = this.#queue.shift()
    if (next === undefined) this.#working--
    else next() // takes over the place
  }

  /** Ends all fetches, and waits until they have ended. */
  async end(): Promise<void> {
    const flights = this.all()
    const reason = makeError('E_CLOSED', 'The pull-through cache was closed during the fetch.')
    for (const flight of flights) flight.controller.abort(reason)
    await Promise.allSettled(flights.map(({ landed }) => landed))
  }
}
