/**
 * What a cache tells on `diagnostics_channel`; where nobody listens, nothing is made.
 *
 * - `tracing:tierce:load:start`, `:end`, `:asyncStart`, `:asyncEnd`, `:error`: each call of a load, with a `LoadMessage`
 * - `tierce:error`: each fault that broke no call, a `TierceError`
 */
import { channel, tracingChannel } from 'node:diagnostics_channel'
import type { TierceError } from './errors.js'

/** What is told of a load: one object from its start to its end. */
export interface LoadMessage {
  /** The key's canonical text. */
  readonly key: string
  /** Stands for the cache: the same object for all its loads. */
  readonly source: object
  /** Whether a stale value was there. */
  readonly isStale: boolean
  /** Whether it is on this thread: `getOrSetSync`, `wrapSync`. */
  readonly isSync: boolean
  /** Set by the channel where the load failed. */
  error?: unknown
  /** Set by the channel where it did not. */
  result?: unknown
}

/** The name of the tracing channel of loads: for `tracingChannel` of `node:diagnostics_channel`, whose messages are `LoadMessage`s. */
export const LOAD_CHANNEL = 'tierce:load'
/** The name of the channel of faults that broke no call: for `subscribe` of `node:diagnostics_channel`, each a `TierceError`. */
export const ERROR_CHANNEL = 'tierce:error'

const loads = tracingChannel<unknown, LoadMessage>(LOAD_CHANNEL)
const errors = channel(ERROR_CHANNEL)

/** Whether somebody listens to loads. */
export function hearsLoads(): boolean {
  const { start, asyncEnd, error, end } = loads
  return start.hasSubscribers || asyncEnd.hasSubscribers || error.hasSubscribers || end.hasSubscribers
}

/** Calls a load and tells of it. */
export function traced(message: LoadMessage, load: () => unknown): unknown {
  return loads.tracePromise(async () => load(), message)
}

/** As `traced`, for a load on this thread. */
export function tracedSync(message: LoadMessage, load: () => unknown): unknown {
  return loads.traceSync(load, message)
}

export function publishError(fault: TierceError): void {
  if (errors.hasSubscribers) errors.publish(fault)
}
