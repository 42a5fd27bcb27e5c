/**
 * `getOrSet`: of all who ask for a key at one time, one loads; what is stale is given, renewed, or a fallback. The only place with
 * such control flow; its parts are in `load/`.
 */
import { type LoadMessage, traced, tracedSync } from './channels.js'
import { makeError } from './errors.js'
import {
  answerOf,
  contextOf,
  entryOf,
  once,
  orFallback,
  refusePromise,
  wantedOrIssues,
} from './load/answers.js'
import {
  acquireLock,
  acquireLockSync,
  type MachineLocks,
  MachineQueue,
  type Release,
} from './load/barriers.js'
import { Failures } from './load/failures.js'
import { Flight, type LoadCall, notModified, staleEntry } from './load/flight.js'
import { costOf, slide, standingOf, timesFor, ttlOf } from './load/freshness.js'
import type { LoadPlan } from './load/options.js'
import { issuesOf } from './load/schema.js'
import type { SetOptions } from './set-options.js'
import type { Kept } from './tiers/entries.js'
import type { SetTimes, Times } from './tiers/wire.js'

/** What a load needs of a cache. Keys are canonical texts. */
export interface Store {
  /** What is kept, stale or not; `undefined` where there is nothing. Only a promise when it takes the disk. */
  find(text: string): Kept | undefined | Promise<Kept | undefined>
  findSync(text: string): Kept | undefined
  write(text: string, value: unknown, entry: SetOptions, times: SetTimes): Promise<void>
  writeSync(text: string, value: unknown, entry: SetOptions, times: SetTimes): void
  /** New times for an entry, a stale one too. Gives whether there was one. */
  renew(text: string, times: Times): Promise<boolean>
  renewSync(text: string, times: Times): boolean
  /** New times in memory alone. */
  slide(text: string, times: Times): void
  /** Milliseconds; `Infinity` for no end. */
  readonly ttl: number
  now(): number
  random(): number
  /** A fault of the cache that must not break the load. */
  report(fault: unknown): void
  /** Undefined without a directory. */
  locks: MachineLocks | undefined
}

/** A signal for loads that nobody can stop. */
const NEVER = new AbortController().signal

/** Loads under way, by key. */
export class Loads {
  readonly #store: Store
  readonly #flights = new Map<string, Flight>()
  readonly #failures = new Failures()
  readonly #queue: MachineQueue | undefined

  constructor(store: Store) {
    this.#store = store
    if (store.locks !== undefined) this.#queue = new MachineQueue(store.locks)
  }

  /** The value of a key, or what the load gives, which is stored unless it is `undefined`. */
  async get(text: string, call: LoadCall, plan: LoadPlan): Promise<unknown> {
    plan.signal?.throwIfAborted()
    const flight = this.#flights.get(text) ?? this.#open(text, this.#find(text))
    const found = flight.found instanceof Promise ? await flight.found : flight.found
    // Outdated while it was read: what was found may be what is no more.
    if (flight.outdated && flight.loading === undefined) return this.get(text, call, plan)
    const invalid = found === undefined ? undefined : this.#issues(found, plan)
    const kept = (invalid instanceof Promise ? await invalid : invalid) === undefined ? found : undefined
    if (kept !== undefined) {
      const standing = standingOf(kept, plan, this.#store.now(), () => this.#store.random())
      if (standing === 'fresh') {
        if (flight.loading === undefined) this.#land(flight)
        this.#slide(text, kept, call, plan)
        return kept.value
      }
      if (standing === 'renew') {
        this.#renewBehind(flight, call, plan, kept)
        return kept.value
      }
      if (standing !== 'gone') {
        return this.#wait(flight, call, plan, kept, standing === 'fallback' ? kept : undefined)
      }
    }
    return this.#wait(flight, call, plan, undefined, undefined)
  }

  /** Loads although there is a value, and stores the result. A load under way is joined no more. */
  fresh(text: string, call: LoadCall, plan: LoadPlan): Promise<unknown> {
    this.outdate(text)
    const flight = this.#open(text, undefined)
    this.#begin(flight, call, { ...plan, barrier: undefined }, undefined)
    return flight.wait(plan, undefined, () => {})
  }

  /** As `get`, on this thread. Never waits for a load that is under way. */
  getSync(text: string, call: LoadCall, plan: LoadPlan): unknown {
    let kept = this.#findSync(text, plan)
    const standing = this.#standing(kept, plan)
    if (standing === 'fresh') {
      this.#slide(text, kept!, call, plan)
      return kept!.value
    }
    const fallback = standing === 'fallback' ? kept : undefined
    const failure = this.#failures.get(text, this.#store.now())
    if (failure !== undefined) return orFallback(fallback, failure.error)
    const release = this.#acquireSync(text, plan)
    try {
      if (release !== undefined) {
        kept = this.#findSync(text, plan) ?? kept
        if (this.#standing(kept, plan) === 'fresh') return kept!.value
      }
      return this.freshSync(text, call, plan, kept)
    } catch (error) {
      if (fallback !== undefined) this.#hidden(text, error)
      return orFallback(fallback, error)
    } finally {
      release?.()
    }
  }

  /** As `fresh`, on this thread. */
  freshSync(text: string, call: LoadCall, plan: LoadPlan, kept?: Kept): unknown {
    const started = this.#store.now()
    const old = kept && staleEntry(kept)
    let value: unknown
    let answer: unknown
    try {
      value = old && plan.validate?.(old, ...call.args)
      refusePromise(value, 'validate')
      if (value === undefined) {
        const message = () => this.#message(text, old, true)
        value = tracedSync(message, () => call.load({ signal: NEVER, old }))
      }
      answer = answerOf(value, kept)
    } catch (error) {
      this.#fail(text, error, plan)
      throw error
    }
    try {
      this.#keepSync(text, value, answer, call, plan, started)
    } catch (fault) {
      this.#store.report(fault)
    }
    return answer
  }

  /** What loads under way bring for this key comes too late to be stored, and nobody joins them any more. */
  outdate(text: string): void {
    this.#failures.delete(text)
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
    this.#failures.clear()
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

  /** What is kept; a fault of the tiers is reported, and is as if nothing were. */
  #find(text: string): Flight['found'] {
    const failed = (fault: unknown) => {
      this.#store.report(fault)
      return undefined
    }
    try {
      const found = this.#store.find(text)
      return found instanceof Promise ? found.catch(failed) : found
    } catch (fault) {
      return failed(fault)
    }
  }

  #findSync(text: string, plan: LoadPlan): Kept | undefined {
    let kept: Kept | undefined
    try {
      kept = this.#store.findSync(text)
    } catch (fault) {
      this.#store.report(fault)
    }
    const issues = kept && this.#issues(kept, plan)
    refusePromise(issues, 'schema')
    return issues === undefined ? kept : undefined
  }

  #issues(kept: Kept, plan: LoadPlan): string | undefined | Promise<string | undefined> {
    return plan.schema === undefined ? undefined : issuesOf(plan.schema, kept.value)
  }

  #standing(kept: Kept | undefined, plan: LoadPlan) {
    return kept && standingOf(kept, plan, this.#store.now(), () => this.#store.random())
  }

  #slide(text: string, kept: Kept, { args }: LoadCall, plan: LoadPlan): void {
    if (!plan.sliding) return
    const ttl = ttlOf(kept.value, args, plan, this.#store.ttl)
    if (ttl === Infinity) return
    const { times, tells } = slide(kept, ttl, plan, this.#store.now())
    if (tells) this.#store.renew(text, times).catch((fault) => this.#store.report(fault))
    else this.#store.slide(text, times)
  }

  /** Loads a value anew while the one that is kept is given. */
  #renewBehind(flight: Flight, call: LoadCall, plan: LoadPlan, kept: Kept): void {
    if (this.#failures.get(flight.text, this.#store.now()) !== undefined) {
      if (flight.loading === undefined) this.#land(flight)
      return
    }
    const begun = this.#begin(flight, call, plan, kept)
    begun.hold(plan, this.#onHidden(begun))
  }

  async #wait(
    flight: Flight,
    call: LoadCall,
    plan: LoadPlan,
    kept: Kept | undefined,
    fallback: Kept | undefined,
  ): Promise<unknown> {
    const failure =
      flight.loading === undefined ? this.#failures.get(flight.text, this.#store.now()) : undefined
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
      this.#hidden(flight.text, error)
    }
  }

  #hidden(text: string, error: unknown): void {
    const why = `A load failed and a stale value was given in its place: ${error}`
    this.#store.report(makeError('E_UNAVAILABLE', why, { key: text }, error))
  }

  /** Starts the load of a flight, unless it has started. Gives the flight that has it. */
  #begin(flight: Flight, call: LoadCall, plan: LoadPlan, kept: Kept | undefined): Flight {
    if (flight.loading !== undefined) return flight
    // It may have landed as what it found was fresh enough for another caller.
    const current = this.#flights.get(flight.text)
    if (current !== undefined && current !== flight) return this.#begin(current, call, plan, kept)
    if (!flight.outdated) this.#flights.set(flight.text, flight)
    flight.tags = plan.tagsOf === undefined ? (plan.entry.tags ?? []) : undefined
    // Not at once: the load may ask for its own key, and must find this flight.
    flight.loading = Promise.resolve().then(() => this.#load(flight, call, plan, kept))
    flight.loading.catch(() => {}) // each waiter has its own promise
    return flight
  }

  async #load(flight: Flight, call: LoadCall, plan: LoadPlan, kept: Kept | undefined): Promise<unknown> {
    let release: Release | undefined
    try {
      if (plan.barrier === undefined) return await this.#loadAndStore(flight, call, plan, kept)
      release = once(await this.#acquire(flight.text, plan))
      flight.onOutdated = release
      const found = await this.#find(flight.text)
      const isValid = found !== undefined && (await this.#issues(found, plan)) === undefined
      if (isValid && this.#standing(found, plan) === 'fresh') return found.value
      return await this.#loadAndStore(flight, call, plan, isValid ? found : kept)
    } finally {
      flight.land()
      this.#land(flight)
      await release?.()
    }
  }

  async #loadAndStore(
    flight: Flight,
    call: LoadCall,
    plan: LoadPlan,
    kept: Kept | undefined,
  ): Promise<unknown> {
    const started = this.#store.now()
    try {
      const old = kept && staleEntry(kept)
      let value = old && plan.validate && (await plan.validate(old, ...call.args))
      if (value === undefined) {
        const message = () => this.#message(flight.text, old, false)
        value = await traced(message, () => call.load(contextOf(flight, old)))
      }
      const answer = answerOf(value, kept)
      if (!flight.outdated) {
        await this.#keep(flight, value, answer, call, plan, started).catch((fault) =>
          this.#store.report(fault),
        )
      }
      return answer
    } catch (error) {
      if (!flight.outdated) this.#fail(flight.text, error, plan)
      throw error
    }
  }

  async #keep(
    flight: Flight,
    value: unknown,
    answer: unknown,
    call: LoadCall,
    plan: LoadPlan,
    started: number,
  ): Promise<void> {
    const { text } = flight
    if (value === notModified) {
      const renewed = await this.#store.renew(text, this.#times(answer, call, plan))
      if (renewed || flight.outdated) return
    } else {
      const issues = await wantedOrIssues(value, plan)
      if (issues !== undefined) return this.#refuse(text, issues)
      if (flight.outdated) return
    }
    const times = { ...this.#times(answer, call, plan), cost: costOf(started, this.#store.now()) }
    // Landed first: the write itself would outdate this flight, and whoever comes now finds the value.
    this.#land(flight)
    await this.#store.write(text, answer, entryOf(answer, call, plan), times)
  }

  #keepSync(
    text: string,
    value: unknown,
    answer: unknown,
    call: LoadCall,
    plan: LoadPlan,
    started: number,
  ): void {
    if (value === notModified) {
      if (this.#store.renewSync(text, this.#times(answer, call, plan))) return
    } else {
      const issues = wantedOrIssues(value, plan)
      refusePromise(issues, 'schema')
      if (issues !== undefined) return this.#refuse(text, issues as string)
    }
    const times = { ...this.#times(answer, call, plan), cost: costOf(started, this.#store.now()) }
    this.#store.writeSync(text, answer, entryOf(answer, call, plan), times)
  }

  #times(answer: unknown, { args }: LoadCall, plan: LoadPlan): Times {
    const ttl = ttlOf(answer, args, plan, this.#store.ttl)
    return timesFor(ttl, plan, this.#store.now(), () => this.#store.random())
  }

  /** A value that was loaded and is not stored. */
  #refuse(text: string, issues: string): void {
    if (issues === '') return
    const why = `A loaded value does not pass its schema and was not stored: ${issues}`
    this.#store.report(makeError('E_UNSERIALIZABLE', why, { key: text }))
  }

  #message(key: string, old: unknown, isSync: boolean): LoadMessage {
    return { key, source: this, isStale: old !== undefined, isSync }
  }

  #fail(text: string, error: unknown, { cacheErrors }: LoadPlan): void {
    if (cacheErrors > 0) this.#failures.add(text, error, this.#store.now() + cacheErrors)
  }

  get #machine(): MachineQueue {
    return this.#queue! // without a directory it is refused with the options
  }

  /** Waits until it is this process's turn; where that is not to be had, the load is asked all the same. */
  async #acquire(text: string, { barrier, lockTimeout }: LoadPlan): Promise<Release | undefined> {
    const report = (fault: unknown) => this.#store.report(fault)
    if (barrier !== 'machine') return acquireLock(barrier!, text, lockTimeout, report)
    return this.#machine.acquire(text, lockTimeout).catch((fault) => {
      report(fault)
      return undefined
    })
  }

  #acquireSync(text: string, { barrier, lockTimeout }: LoadPlan): (() => void) | undefined {
    if (barrier === undefined) return undefined
    if (barrier !== 'machine') return acquireLockSync(barrier, text, (fault) => this.#store.report(fault))
    try {
      return this.#machine.acquireSync(text, lockTimeout)
    } catch (fault) {
      this.#store.report(fault)
      return undefined
    }
  }
}
