/** What a load was asked, what it answered, and what becomes of that: the parts of `load.ts` that need no state. */
import { makeError } from '../errors.js'
import { isPromise } from '../refusal.js'
import type { SetOptions } from '../set-options.js'
import type { Soon } from '../soon.js'
import type { Kept } from '../tiers/entries.js'
import type { Release } from './barriers.js'
import { type Flight, type LoadCall, type LoadContext, notModified } from './flight.js'
import type { LoadPlan } from './options.js'
import { issuesOf } from './schema.js'

/** What an entry gets beside its value, where that may depend on the value. */
export function entryOf(answer: unknown, { args }: LoadCall, { entry, tagsOf }: LoadPlan): SetOptions {
  return tagsOf === undefined ? entry : { ...entry, tags: tagsOf(answer, ...args) }
}

/** The signal is made when it is asked for. */
class Context implements LoadContext {
  readonly old: LoadContext['old']
  readonly #flight: Flight

  constructor(flight: Flight, old: LoadContext['old']) {
    this.#flight = flight
    this.old = old
  }

  get signal(): AbortSignal {
    return this.#flight.signal
  }
}

export function contextOf(flight: Flight, old: LoadContext['old'], { load }: LoadCall): LoadContext {
  // A property of its own, which a spread takes along, costs 300 ns: for loads that have a parameter.
  if (load.length === 0) return new Context(flight, old)
  return {
    get signal() {
      return flight.signal
    },
    old,
  }
}

/** @throws InvalidOptionError `E_INVALID_OPTION` where an old value is to be kept and there is none */
export function answerOf(value: unknown, kept: Kept | undefined): unknown {
  if (value !== notModified) return value
  if (kept !== undefined) return kept.value
  throw makeError(
    'E_INVALID_OPTION',
    'A load answered notModified, and there is no old value: answer it only where the context has one (context.old).',
  )
}

/** Why a value is not stored: `''` where nobody wants it, what its schema says; `undefined` where it is. */
export function wantedOrIssues(value: unknown, plan: LoadPlan): Soon<string | undefined> {
  if (value === undefined) return ''
  const wanted = plan.shouldCache?.(value)
  return wanted instanceof Promise
    ? wanted.then((isWanted) => issuesIfWanted(isWanted, value, plan))
    : issuesIfWanted(wanted, value, plan)
}

function issuesIfWanted(isWanted: unknown, value: unknown, { schema }: LoadPlan): Soon<string | undefined> {
  if (isWanted === false) return ''
  return schema === undefined ? undefined : issuesOf(schema, value)
}

export function orFallback(fallback: Kept | undefined, error: unknown): unknown {
  if (fallback === undefined) throw error
  return fallback.value
}

export function refusePromise(value: unknown, name: string): void {
  if (!isPromise(value)) return
  throw makeError(
    'E_INVALID_OPTION',
    `${name} gave a promise, and a load on this thread cannot wait for it: use getOrSet, wrap or cached.`,
    { name },
  )
}

export function once(release: Release | undefined): Release | undefined {
  if (release === undefined) return undefined
  let released: void | Promise<void>
  let isReleased = false
  return () => {
    if (!isReleased) {
      isReleased = true
      released = release()
    }
    return released
  }
}
