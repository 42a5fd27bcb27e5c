/** What is kept of a key before a load, and what becomes of what the load gave: as much as loads on this thread share with all others. */
import { hearsLoads, traced, tracedSync } from '../channels.js'
import { makeError } from '../errors.js'
import type { Soon } from '../soon.js'
import type { Kept, Storing } from '../tiers/entries.js'
import type { Times } from '../tiers/wire.js'
import { entryOf } from './answers.js'
import { Failures } from './failures.js'
import type { LoadCall, LoadContext } from './flight.js'
import { costOf, type Standing, slide, standingOf, timesFor, ttlOf } from './freshness.js'
import type { LoadPlan } from './options.js'
import { issuesOf } from './schema.js'
import type { Store } from './store.js'

const NEVER: Times = { expiresAt: Infinity, freshUntil: Infinity }

export class Keeping {
  readonly #store: Store
  readonly #failures = new Failures()

  constructor(store: Store) {
    this.#store = store
  }

  /** What is kept; a fault of the tiers is reported, and is as if nothing were. */
  find(text: string): Soon<Kept | undefined> {
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

  findSync(text: string): Kept | undefined {
    try {
      return this.#store.findSync(text)
    } catch (fault) {
      this.#store.report(fault)
      return undefined
    }
  }

  /** What is wrong with what is kept, by the plan's schema. */
  issues(kept: Kept, { schema }: LoadPlan): Soon<string | undefined> {
    return schema === undefined ? undefined : issuesOf(schema, kept.value)
  }

  standing(kept: Kept, plan: LoadPlan): Standing {
    return standingOf(kept, plan, this.#store.now(), () => this.#store.random())
  }

  /** A hit of a fresh entry: its time starts again, if it slides. */
  slide(text: string, kept: Kept, { args }: LoadCall, plan: LoadPlan): void {
    if (!plan.sliding) return
    const ttl = ttlOf(kept.value, args, plan, this.#store.ttl)
    if (ttl === Infinity) return
    const { times, tells } = slide(kept, ttl, plan, this.#store.now())
    if (tells) this.#store.renew(text, times).catch((fault) => this.#store.report(fault))
    else this.#store.slide(text, times)
  }

  /** Calls a load, and tells of it where somebody listens. */
  call(text: string, call: LoadCall, context: LoadContext, isSync: boolean): unknown {
    if (!hearsLoads()) return call.load(context)
    const message = { key: text, source: this, isStale: context.old !== undefined, isSync }
    const load = () => call.load(context)
    return isSync ? tracedSync(message, load) : traced(message, load)
  }

  /** Counts a load that starts. */
  started(): number {
    this.#store.counters.loads++
    return this.#store.timer()
  }

  /** Counts its end; gives the milliseconds that it took. */
  ended(started: number, failed: boolean): number {
    const { counters } = this.#store
    const took = this.#store.timer() - started
    counters.loadTime += took
    if (failed) counters.loadFailures++
    return took
  }

  /** How a value is stored that took so long to make. */
  storing(answer: unknown, took: number, call: LoadCall, plan: LoadPlan): Storing {
    const storing =
      plan.tagsOf === undefined ? plan.storing : this.#store.storing(entryOf(answer, call, plan))
    const { expiresAt, freshUntil } = this.times(answer, call, plan)
    const cost = costOf(took)
    // What most get is what the plan has.
    if (expiresAt === storing.expiresAt && freshUntil === storing.freshUntil && cost === storing.cost)
      return storing
    const { coding, extras } = storing
    return { expiresAt, freshUntil, cost, coding, extras }
  }

  times(answer: unknown, { args }: LoadCall, plan: LoadPlan): Times {
    const ttl = ttlOf(answer, args, plan, this.#store.ttl)
    return ttl === Infinity ? NEVER : timesFor(ttl, plan, this.#store.now(), () => this.#store.random())
  }

  /** A value that was loaded and is not stored. */
  refuse(text: string, issues: string): void {
    if (issues === '') return
    const why = `A loaded value does not pass its schema and was not stored: ${issues}`
    this.#store.report(makeError('E_UNSERIALIZABLE', why, { key: text }))
  }

  /** An error that is given again for a while. */
  failure(text: string): { error: unknown } | undefined {
    return this.#failures.isEmpty ? undefined : this.#failures.get(text, this.#store.now())
  }

  fail(text: string, error: unknown, { cacheErrors }: LoadPlan): void {
    if (cacheErrors > 0) this.#failures.add(text, error, this.#store.now() + cacheErrors)
  }

  /** A stale value is given in the place of an error. */
  hidden(text: string, error: unknown): void {
    const why = `A load failed and a stale value was given in its place: ${error}`
    this.#store.report(makeError('E_UNAVAILABLE', why, { key: text }, error))
  }

  forgetFailure(text: string): void {
    this.#failures.delete(text)
  }

  forgetFailures(): void {
    this.#failures.clear()
  }
}
