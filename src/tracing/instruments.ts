/** What `openTelemetry` and `prometheus` do: spans and figures out of what a cache tells and counts. */
import { type TracingChannelSubscribers, tracingChannel } from 'node:diagnostics_channel'
import type { CacheStats } from '../cache/upkeep.js'
import type { Cache } from '../cache.js'
import { hostOf } from '../caching.js'
import { LOAD_CHANNEL, type LoadMessage } from '../channels.js'
import { makeError } from '../errors.js'
import { requireOptional } from '../optional.js'
import { checkOptions, invalid } from '../options.js'
import { describe, isUnreadable } from '../refusal.js'
import type { Instrumentation, InstrumentationOptions } from '../tracing.js'

/** Part of `@opentelemetry/api` 1.x that is used. */
interface OpenTelemetryApi {
  trace: { getTracer(name: string): { startSpan(name: string, options: object): Span } }
  metrics: { getMeter(name: string): Meter }
  SpanKind: { INTERNAL: number }
  SpanStatusCode: { ERROR: number }
}
interface Span {
  setStatus(status: { code: number; message: string }): unknown
  recordException(error: Error): void
  end(): void
}
interface Observable {
  addCallback(callback: (result: { observe(value: number, attributes: object): void }) => Promise<void>): void
  removeCallback(callback: (result: never) => Promise<void>): void
}
interface Meter {
  createObservableCounter(name: string, options: object): Observable
  createObservableGauge(name: string, options: object): Observable
}

/** What is counted: name, help, whether it only grows, and where it is found. */
const FIGURES: readonly [name: string, help: string, grows: boolean, of: (stats: CacheStats) => number][] = [
  ['hits', 'Reads that found an entry', true, (stats) => stats.hits],
  ['misses', 'Reads that found none', true, (stats) => stats.misses],
  ['entries', 'Entries, expired ones included until they are removed', false, (stats) => stats.entries],
  ['size_bytes', 'Bytes of the values', false, (stats) => stats.size],
  ['stored_bytes', 'Bytes of the values after compression', false, (stats) => stats.storedSize],
  ['disk_bytes', 'Bytes in use on disk', false, (stats) => stats.diskSize],
  ['memory_entries', 'Entries in memory', false, (stats) => stats.memory.entries],
  [
    'memory_bytes',
    'Bytes of the entries in memory, as its bound counts them',
    false,
    (stats) => stats.memory.size,
  ],
]

export function openTelemetry(cache: Cache, options: InstrumentationOptions = {}): Instrumentation {
  const name = nameOf(options, 'openTelemetry')
  const api = requireOptional<OpenTelemetryApi>('@opentelemetry/api', 'openTelemetry', 'E_UNAVAILABLE')
  const ends = [traceLoads(cache, name, api), observeFigures(cache, name, api)]
  return instrumentation(() => {
    for (const end of ends) end()
  })
}

function traceLoads(cache: Cache, name: string, api: OpenTelemetryApi): () => void {
  const tracer = api.trace.getTracer('tierce')
  const source = hostOf(cache).loading.loads.source
  const spans = new WeakMap<LoadMessage, Span>()
  const end = (message: LoadMessage) => {
    spans.get(message)?.end()
    spans.delete(message)
  }
  const subscribers: Partial<TracingChannelSubscribers<LoadMessage>> = {
    start(message) {
      if (message.source !== source) return
      const attributes = { 'tierce.cache': name, 'tierce.key': message.key, 'tierce.stale': message.isStale }
      spans.set(message, tracer.startSpan('tierce.load', { kind: api.SpanKind.INTERNAL, attributes }))
    },
    end(message) {
      // Of a load on this thread there is no more to come.
      if (message.isSync) end(message)
    },
    asyncEnd: end,
    error(message) {
      const { error } = message
      spans.get(message)?.recordException(error instanceof Error ? error : new Error(String(error)))
      spans.get(message)?.setStatus({ code: api.SpanStatusCode.ERROR, message: String(error) })
    },
  }
  const channel = tracingChannel<unknown, LoadMessage>(LOAD_CHANNEL)
  const all = { asyncStart() {}, ...subscribers } as TracingChannelSubscribers<LoadMessage>
  channel.subscribe(all)
  return () => void channel.unsubscribe(all)
}

function observeFigures(cache: Cache, name: string, api: OpenTelemetryApi): () => void {
  const meter = api.metrics.getMeter('tierce')
  const ends = FIGURES.map(([figure, description, grows, of]) => {
    const options = { description, unit: figure.endsWith('bytes') ? 'By' : '1' }
    const observable = grows
      ? meter.createObservableCounter(`tierce.${figure}`, options)
      : meter.createObservableGauge(`tierce.${figure}`, options)
    const observe = async (result: { observe(value: number, attributes: object): void }) => {
      const stats = await statsOf(cache)
      if (stats !== undefined) result.observe(of(stats), { cache: name })
    }
    observable.addCallback(observe)
    return () => observable.removeCallback(observe)
  })
  return () => {
    for (const end of ends) end()
  }
}

/** Part of `prom-client` 15 that is used. */
interface PromClient {
  register: Registry
  Gauge: MetricClass
  Counter: MetricClass
}
interface Registry {
  getSingleMetric(name: string): Metric | undefined
  removeSingleMetric(name: string): void
}
interface Metric {
  set?(labels: object, value: number): void
  inc?(labels: object, value: number): void
  reset(): void
}
type MetricClass = new (options: object) => Metric

/** Caches that a registry shows. */
const shown = new WeakMap<object, Map<string, Cache>>()

export function prometheus(
  cache: Cache,
  options: InstrumentationOptions & { register?: object | undefined } = {},
): Instrumentation {
  const name = nameOf(options, 'prometheus')
  hostOf(cache) // it is one
  const client = requireOptional<PromClient>('prom-client', 'prometheus', 'E_UNAVAILABLE')
  const registry = registryOf(options.register ?? client.register)
  const caches = shown.get(registry) ?? new Map<string, Cache>()
  if (caches.has(name)) {
    const why = `The registry shows a cache named '${name}' already: give this one its own name.`
    throw makeError('E_INVALID_OPTION', why, { name: 'name' })
  }
  caches.set(name, cache)
  if (!shown.has(registry)) {
    shown.set(registry, caches)
    showFigures(client, registry, caches)
  }
  return instrumentation(() => {
    caches.delete(name)
    if (caches.size > 0) return
    shown.delete(registry)
    for (const [figure, , grows] of FIGURES) registry.removeSingleMetric(metricName(figure, grows))
  })
}

function showFigures(client: PromClient, registry: Registry, caches: ReadonlyMap<string, Cache>): void {
  for (const [figure, help, grows, of] of FIGURES) {
    ;new (grows ? client.Counter : client.Gauge)({
      name: metricName(figure, grows),
      help,
      labelNames: ['cache'],
      registers: [registry],
      async collect(this: Metric) {
        this.reset()
        for (const [name, cache] of caches) {
          const stats = await statsOf(cache)
          if (stats === undefined) continue
          if (grows) this.inc!({ cache: name }, of(stats))
          else this.set!({ cache: name }, of(stats))
        }
      },
    })
  }
}

function metricName(figure: string, grows: boolean): string {
  return `tierce_${figure}${grows ? '_total' : ''}`
}

/** Those of a cache that is closed are no more. */
async function statsOf(cache: Cache): Promise<CacheStats | undefined> {
  try {
    return await cache.stats()
  } catch {
    return undefined
  }
}

function registryOf(given: object): Registry {
  if (!isUnreadable(given) && typeof (given as Registry | null)?.getSingleMetric === 'function')
    return given as Registry
  throw invalid('register', given, 'a Registry of prom-client')
}

function nameOf(options: InstrumentationOptions, where: string): string {
  checkOptions(options, ['name', ...(where === 'prometheus' ? ['register'] : [])], where)
  const { name = 'default' } = options
  if (typeof name === 'string' && name !== '') return name
  throw makeError('E_INVALID_OPTION', `The name of a cache is ${describe(name)}; accepted is a text.`, {
    name: 'name',
  })
}

function instrumentation(stop: () => void): Instrumentation {
  let isStopped = false
  const once = () => {
    if (isStopped) return
    isStopped = true
    stop()
  }
  return { stop: once, [Symbol.dispose]: once }
}
