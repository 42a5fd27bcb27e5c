/** Loads on this thread: they wait for nobody, and nobody joins them. */

import type { Kept } from '../tiers/entries.js'
import { answerOf, orFallback, refusePromise, wantedOrIssues } from './answers.js'
import { acquireLockSync, type MachineQueue } from './barriers.js'
import { type LoadCall, notModified, staleEntry } from './flight.js'
import type { Standing } from './freshness.js'
import type { Keeping } from './keeping.js'
import type { LoadPlan } from './options.js'
import type { Store } from './store.js'

/** A signal for loads that nobody can stop. */
const NEVER = new AbortController().signal

export class SyncLoads {
  readonly #store: Store
  readonly #keeping: Keeping
  readonly #queue: MachineQueue | undefined

  constructor(store: Store, keeping: Keeping, queue: MachineQueue | undefined) {
    this.#store = store
    this.#keeping = keeping
    this.#queue = queue
  }

  /** The value of a key, or what the load gives, which is stored unless it is `undefined`. */
  get(text: string, call: LoadCall, plan: LoadPlan): unknown {
    let kept = this.#find(text, plan)
    const standing = this.#standing(kept, plan)
    if (standing === 'fresh') {
      this.#keeping.slide(text, kept!, call, plan)
      return kept!.value
    }
    const fallback = standing === 'fallback' ? kept : undefined
    const failure = this.#keeping.failure(text)
    if (failure !== undefined) return orFallback(fallback, failure.error)
    const release = plan.barrier === undefined ? undefined : this.#acquire(text, plan)
    try {
      if (release !== undefined) {
        kept = this.#find(text, plan) ?? kept
        if (this.#standing(kept, plan) === 'fresh') return kept!.value
      }
      return this.fresh(text, call, plan, kept)
    } catch (error) {
      if (fallback !== undefined) this.#keeping.hidden(text, error)
      return orFallback(fallback, error)
    } finally {
      release?.()
    }
  }

  /** Loads although there may be a value, and stores the result. */
  fresh(text: string, call: LoadCall, plan: LoadPlan, kept?: Kept): unknown {
    let took = 0
    let value: unknown
    let answer: unknown
    try {
      const old = kept && staleEntry(kept)
      if (old !== undefined && plan.validate !== undefined) {
        const started = this.#store.timer()
        value = plan.validate(old, ...call.args)
        refusePromise(value, 'validate')
        took = this.#store.timer() - started
      }
      if (value === undefined) {
        const started = this.#keeping.started()
        let failed = true
        try {
          value = this.#keeping.call(text, call, { signal: NEVER, old }, true)
          failed = false
        } finally {
          took += this.#keeping.ended(started, failed)
        }
      }
      answer = answerOf(value, kept)
    } catch (error) {
      this.#keeping.fail(text, error, plan)
      throw error
    }
    try {
      this.#keep(text, value, answer, took, call, plan)
    } catch (fault) {
      this.#store.report(fault)
    }
    return answer
  }

  #find(text: string, plan: LoadPlan): Kept | undefined {
    const kept = this.#keeping.findSync(text)
    const issues = kept && this.#keeping.issues(kept, plan)
    refusePromise(issues, plan.shouldCache === undefined ? 'schema' : 'shouldCache, or the schema,')
    return issues === undefined ? kept : undefined
  }

  #standing(kept: Kept | undefined, plan: LoadPlan): Standing | undefined {
    return kept && this.#keeping.standing(kept, plan)
  }

  #keep(text: string, value: unknown, answer: unknown, took: number, call: LoadCall, plan: LoadPlan): void {
    if (value === notModified) {
      if (this.#store.renewSync(text, this.#keeping.times(answer, call, plan))) return
    } else {
      const issues = wantedOrIssues(value, plan)
      refusePromise(issues, 'schema')
      if (issues !== undefined) return this.#keeping.refuse(text, issues as string)
    }
    this.#store.writeSync(text, answer, this.#keeping.storing(answer, took, call, plan))
  }

  #acquire(text: string, { barrier, lockTimeout }: LoadPlan): (() => void) | undefined {
    const report = (fault: unknown) => this.#store.report(fault)
    if (barrier !== 'machine') return acquireLockSync(barrier!, text, report)
    try {
      return this.#queue!.acquireSync(text, lockTimeout) // without a directory it is refused with the options
    } catch (fault) {
      report(fault)
      return undefined
    }
  }
}
