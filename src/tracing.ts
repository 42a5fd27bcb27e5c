/** OpenTelemetry and Prometheus, out of what a cache tells and counts. Nothing of them is loaded before it is asked for. */
import type { Cache } from './cache.js'
import { part } from './parts.js'

/** Ends what was begun. */
export interface Instrumentation extends Disposable {
  /** Removes what listens and what is registered. */
  stop(): void
}

/** Options of `openTelemetry` and `prometheus`. */
export interface InstrumentationOptions {
  /** Tells caches apart: the attribute or label `cache`. Default `'default'`. */
  name?: string | undefined
}

/**
 * Makes a span of each load of a cache (`tierce.load`, with the attributes `tierce.cache`, `tierce.key`, `tierce.stale`), and
 * observes its counts (`tierce.hits` and so on), with the providers that are registered with `@opentelemetry/api`.
 * @throws UnavailableError `E_UNAVAILABLE` where `@opentelemetry/api` is not installed
 */
export function openTelemetry(cache: Cache, options: InstrumentationOptions = {}): Instrumentation {
  return part('tracing').openTelemetry(cache, options)
}

/**
 * Shows the counts of a cache in a registry of `prom-client` (its default one, unless given): `tierce_hits_total`,
 * `tierce_entries` and so on, with the label `cache`. They are read when the registry is, and cost nothing before.
 * @throws UnavailableError `E_UNAVAILABLE` where `prom-client` is not installed; InvalidOptionError `E_INVALID_OPTION` where
 * the registry shows a cache of this name
 */
export function prometheus(
  cache: Cache,
  options: InstrumentationOptions & { register?: object | undefined } = {},
): Instrumentation {
  return part('tracing').prometheus(cache, options)
}
