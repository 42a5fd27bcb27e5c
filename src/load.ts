/**
 * `getOrSet`: of all who ask for a key at one time, one loads; what is stale is given, renewed, or a fallback. The only place with
 * such control flow; its parts are in `load/`.
 */
import { answerOf, contextOf, once, orFallback, wantedOrIssues } from './load/answers.js'
import { acquireLock, MachineQueue, type Release } from './load/barriers.js'
import { Flight, type LoadCall, notModified, staleEntry } from './load/flight.js'
import { Keeping } from './load/keeping.js'
import type { LoadPlan } from './load/options.js'
import type { Store } from './load/store.js'
import { SyncLoads } from './load/sync.js'
import { isPromise } from './memory/flights.js'
import { attempt, type Soon, then } from './soon.js'
import type { Kept } from './tiers/entries.js'

/** Loads under way, by key. */
export class Loads {
  /** On this thread. */
  readonly sync: SyncLoads
  /** Stands for the cache in what is told of its loads. */
  readonly source: object
  readonly #store: Store
  readonly #keeping: Keeping
  readonly #flights = new Map<string, Flight>()
  readonly #queue: MachineQueue | undefined

  constructor(store: Store) {
    this.#store = store
    this.#keeping = new Keeping(store)
    this.source = this.#keeping
    this.#queue = store.locks && new MachineQueue(store.locks)
    this.sync = new SyncLoads(store, this.#keeping, this.#queue)
  }

  /** The value of a key, or what the load gives, which is stored unless it is `undefined`. */
  get(text: string, call: LoadCall, plan: LoadPlan): Soon<unknown> {
    plan.signal?.throwIfAborted()
    const flight = this.#flights.get(text) ?? this.#open(text, this.#keeping.find(text))
    return then(flight.found, (found) => this.#judge(flight, found, call, plan))
  }

  #judge(flight: Flight, found: Kept | undefined, call: LoadCall, plan: LoadPlan): Soon<unknown> {
    // Outdated while it was read: what was found may be what is no more.
    if (flight.outdated && flight.loading === undefined) return this.get(flight.text, call, plan)
    if (found === undefined) return this.#wait(flight, call, plan, undefined, undefined)
    return then(this.#keeping.issues(found, plan), (issues) =>
      issues === undefined
        ? this.#give(flight, found, call, plan)
        : this.#wait(flight, call, plan, undefined, undefined),
    )
  }

  #give(flight: Flight, kept: Kept, call: LoadCall, plan: LoadPlan): Soon<unknown> {
    const standing = this.#keeping.standing(kept, plan)
    if (standing === 'gone') return this.#wait(flight, call, plan, undefined, undefined)
    if (standing === 'fresh') {
      if (flight.loading === undefined) this.#land(flight)
      this.#keeping.slide(flight.text, kept, call, plan)
      return kept.value
    }
    if (standing === 'renew') {
      this.#renewBehind(flight, call, plan, kept)
      return kept.value
    }
    return this.#wait(flight, call, plan, kept, standing === 'fallback' ? kept : undefined)
  }

  /** Loads although there is a value, and stores the result. A load under way is joined no more. */
  fresh(text: string, call: LoadCall, plan: LoadPlan): Promise<unknown> {
    this.outdate(text)
    const flight = this.#open(text, undefined)
    this.#begin(flight, call, { ...plan, barrier: undefined }, undefined)
    return flight.wait(plan, undefined, () => {})
  }

  /** What loads under way bring for this key comes too late to be stored, and nobody joins them any more. */
  outdate(text: string): void {
    this.#keeping.forgetFailure(text)
    if (this.#flights.size === 0) return
    const flight = this.#flights.get(text)
    if (flight === undefined) return
    this.#flights.delete(text)
    flight.outdate()
  }

  /** As `outdate`, for what may come to have one of these tags. */
  outdateTags(tags: readonly string[]): void {
    for (const [text, flight] of this.#flights) {
      if (flight.loading === undefined || flight.tags === undefined) this.outdate(text)
      else if (flight.tags.some((tag) => tags.includes(tag))) this.outdate(text)
    }
  }

  outdateAll(): void {
    this.#keeping.forgetFailures()
    for (const text of [...this.#flights.keys()]) this.outdate(text)
  }

  #open(text: string, found: Flight['found']): Flight {
    const flight = new Flight(text, found, (abandoned) => {
      this.#land(abandoned)
      abandoned.outdate()
    })
    this.#flights.set(text, flight)
    return flight
  }

  #land(flight: Flight): void {
    if (this.#flights.get(flight.text) === flight) this.#flights.delete(flight.text)
  }

  /** Loads a value anew while the one that is kept is given. */
  #renewBehind(flight: Flight, call: LoadCall, plan: LoadPlan, kept: Kept): void {
    if (this.#keeping.failure(flight.text) !== undefined) {
      if (flight.loading === undefined) this.#land(flight)
      return
    }
    const begun = this.#begin(flight, call, plan, kept)
    begun.hold(plan, this.#onHidden(begun))
  }

  #wait(
    flight: Flight,
    call: LoadCall,
    plan: LoadPlan,
    kept: Kept | undefined,
    fallback: Kept | undefined,
  ): Soon<unknown> {
    const failure = flight.loading === undefined ? this.#keeping.failure(flight.text) : undefined
    if (failure !== undefined) {
      this.#land(flight)
      return orFallback(fallback, failure.error)
    }
    const begun = this.#begin(flight, call, plan, kept)
    return begun.wait(plan, fallback, this.#onHidden(begun))
  }

  /** Once a load: of a thousand callers that a stale value keeps from an error, one is enough to tell. */
  #onHidden(flight: Flight): (error: unknown) => void {
    return (error) => {
      if (flight.isTold) return
      flight.isTold = true
      this.#keeping.hidden(flight.text, error)
    }
  }

  /** Starts the load of a flight, unless it has started. Gives the flight that has it: somebody has to wait for it, or hold it. */
  #begin(flight: Flight, call: LoadCall, plan: LoadPlan, kept: Kept | undefined): Flight {
    if (flight.loading !== undefined) return flight
    // It may have landed as what it found was fresh enough for another caller.
    const current = this.#flights.get(flight.text)
    if (current !== undefined && current !== flight) return this.#begin(current, call, plan, kept)
    if (!flight.outdated) this.#flights.set(flight.text, flight)
    flight.tags = plan.tagsOf === undefined ? (plan.entry.tags ?? []) : undefined
    flight.loading =
      plan.barrier === undefined
        ? this.#load(flight, call, plan, kept)
        : this.#loadInTurn(flight, call, plan, kept)
    return flight
  }

  /** As `#load`, behind those who load it elsewhere: what they brought is enough. */
  async #loadInTurn(
    flight: Flight,
    call: LoadCall,
    plan: LoadPlan,
    kept: Kept | undefined,
  ): Promise<unknown> {
    let release: Release | undefined
    try {
      await undefined // as in `#load`
      release = once(await this.#acquire(flight.text, plan))
      flight.onOutdated = release
      const found = await this.#keeping.find(flight.text)
      const isValid = found !== undefined && (await this.#keeping.issues(found, plan)) === undefined
      if (isValid && this.#keeping.standing(found, plan) === 'fresh') return found.value
      return await this.#load(flight, call, plan, isValid ? found : kept)
    } finally {
      flight.land()
      this.#land(flight)
      await release?.()
    }
  }

  /** Calls the load and stores what it gives. Without a promise of its own for each of its steps: that is what a miss takes. */
  async #load(flight: Flight, call: LoadCall, plan: LoadPlan, kept: Kept | undefined): Promise<unknown> {
    const keeping = this.#keeping
    try {
      await undefined // not at once: the load may ask for its own key, and must find this flight
      const old = kept && staleEntry(kept)
      let took = 0
      let value: unknown
      if (old !== undefined && plan.validate !== undefined) {
        const started = this.#store.timer()
        value = await plan.validate(old, ...call.args)
        took = this.#store.timer() - started
      }
      if (value === undefined) {
        const started = keeping.started()
        let failed = true
        try {
          const loaded = keeping.call(flight.text, call, contextOf(flight, old, call), false)
          value = isPromise(loaded) ? await loaded : loaded
          failed = false
        } finally {
          took += keeping.ended(started, failed)
        }
      }
      const answer = answerOf(value, kept)
      const stored = flight.outdated ? undefined : this.#keepSafely(flight, value, answer, took, call, plan)
      if (stored !== undefined) await stored
      return answer
    } catch (error) {
      if (!flight.outdated) keeping.fail(flight.text, error, plan)
      throw error
    } finally {
      flight.land()
      this.#land(flight)
    }
  }

  /** As `#keep`; what fails is reported. */
  #keepSafely(
    flight: Flight,
    value: unknown,
    answer: unknown,
    took: number,
    call: LoadCall,
    plan: LoadPlan,
  ): Soon<void> {
    return attempt(
      () => this.#keep(flight, value, answer, took, call, plan),
      (fault) => this.#store.report(fault),
    )
  }

  #keep(
    flight: Flight,
    value: unknown,
    answer: unknown,
    took: number,
    call: LoadCall,
    plan: LoadPlan,
  ): Soon<void> {
    const write = (): Soon<void> => {
      const storing = this.#keeping.storing(answer, took, call, plan)
      // Landed first: the write itself would outdate this flight, and whoever comes now finds the value.
      this.#land(flight)
      return this.#store.write(flight.text, answer, storing)
    }
    if (value === notModified) {
      return then(this.#store.renew(flight.text, this.#keeping.times(answer, call, plan)), (renewed) => {
        if (!renewed && !flight.outdated) return write()
      })
    }
    return then(wantedOrIssues(value, plan), (issues) => {
      if (issues !== undefined) this.#keeping.refuse(flight.text, issues)
      else if (!flight.outdated) return write()
    })
  }

  /** Waits until it is this process's turn; where that is not to be had, the load is asked all the same. */
  async #acquire(text: string, { barrier, lockTimeout }: LoadPlan): Promise<Release | undefined> {
    const report = (fault: unknown) => this.#store.report(fault)
    if (barrier !== 'machine') return acquireLock(barrier!, text, lockTimeout, report)
    // Without a directory it is refused with the options.
    return this.#queue!.acquire(text, lockTimeout).catch((fault) => {
      report(fault)
      return undefined
    })
  }
}
