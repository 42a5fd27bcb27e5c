import { subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel'
import { metrics, trace } from '@opentelemetry/api'
import { Registry } from 'prom-client'
import {
  ERROR_CHANNEL,
  LOAD_CHANNEL,
  type LoadMessage,
  openTelemetry,
  prometheus,
  type TierceError,
} from 'tierce'
import { expect, it } from 'vitest'
import { codeOf } from './helpers/errors.js'
import { openCache } from './helpers/temp.js'

it('loads_and_faults_are_told_on_diagnostics_channel', async () => {
  const cache = openCache()
  const told: string[] = []
  const channel = tracingChannel<unknown, LoadMessage>(LOAD_CHANNEL)
  const note = (what: string) => (message: LoadMessage) => void told.push(`${what} ${message.key}`)
  const all = { start: note('start'), end: note('end'), asyncStart: note('asyncStart'), asyncEnd: note('asyncEnd'), error: note('error') } // biome-ignore format: one line
  const onError = (fault: unknown) => void told.push((fault as TierceError).code)
  channel.subscribe(all)
  subscribe(ERROR_CHANNEL, onError)
  cache.on('error', () => {})
  try {
    await cache.getOrSet('a', async () => 1)
    await cache.getOrSet('a', async () => 2)
    await expect(cache.getOrSet('b', () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    cache.getOrSetSync('c', () => 1)
    await cache.getOrSet('d', () => 1, { ttl: () => -1 })
  } finally {
    channel.unsubscribe(all)
    unsubscribe(ERROR_CHANNEL, onError)
  }
  await cache.getOrSet('unheard', async () => 1)
  const of = (key: string) =>
    told.filter((line) => line.endsWith(` ${key}`)).map((line) => line.split(' ')[0])
  expect(of('a')).toEqual(['start', 'end', 'asyncStart', 'asyncEnd'])
  expect(of('b')).toEqual(['start', 'end', 'error', 'asyncStart', 'asyncEnd'])
  expect(of('c')).toEqual(['start', 'end'])
  expect(told).toContain('E_INVALID_TTL')
  expect(of('unheard')).toEqual([])
})

it('openTelemetry_makes_a_span_of_each_load_and_observes_the_counts', async () => {
  const spans: { name: string; attributes: object; error?: string; ended: boolean }[] = []
  const startSpan = (name: string, { attributes }: { attributes: object }) => {
    const span = { name, attributes, ended: false } as (typeof spans)[number]
    spans.push(span)
    return { recordException: (error: Error) => { span.error = error.message }, setStatus() {}, end: () => { span.ended = true } } // biome-ignore format: one line
  }
  trace.setGlobalTracerProvider({ getTracer: () => ({ startSpan }) } as never)
  const callbacks = new Map<string, (result: object) => Promise<void>>()
  const create = (name: string) => ({ addCallback: (callback: never) => callbacks.set(name, callback), removeCallback: () => callbacks.delete(name) }) // biome-ignore format: one line
  metrics.setGlobalMeterProvider({
    getMeter: () => ({ createObservableCounter: create, createObservableGauge: create }),
  } as never)
  const [cache, other] = [openCache(), openCache()]
  const instrumentation = openTelemetry(cache, { name: 'mine' })
  await cache.getOrSet('a', async () => 1)
  await cache.getOrSet('a', async () => 2)
  await other.getOrSet('a', async () => 1)
  await expect(cache.getOrSet('b', () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  cache.getOrSetSync('c', () => 1)
  expect(spans.map(({ attributes, error, ended }) => [(attributes as Record<string, unknown>)['tierce.key'], error, ended])).toEqual([['a', undefined, true], ['b', 'no', true], ['c', undefined, true]]) // biome-ignore format: one line
  const observed: unknown[] = []
  await callbacks.get('tierce.hits')!({
    observe: (value: number, labels: object) => observed.push([value, labels]),
  })
  expect(observed).toEqual([[1, { cache: 'mine' }]])
  instrumentation.stop()
  instrumentation.stop()
  await cache.getOrSet('d', async () => 1)
  expect(spans).toHaveLength(3)
  expect(callbacks.size).toBe(0)
})

it('prometheus_shows_the_counts_of_each_cache_in_a_registry', async () => {
  const register = new Registry()
  const [one, two] = [openCache(), openCache()]
  const first = prometheus(one, { name: 'one', register })
  prometheus(two, { name: 'two', register })
  expect(await codeOf(() => prometheus(one, { name: 'one', register }))).toBe('E_INVALID_OPTION')
  await one.set('k', 'value')
  await one.get('k')
  await one.get('none')
  await two.get('none')
  const lines = async () => (await register.metrics()).split('\n')
  expect(await lines()).toEqual(expect.arrayContaining(['tierce_hits_total{cache="one"} 1', 'tierce_misses_total{cache="one"} 1', 'tierce_entries{cache="one"} 1', 'tierce_misses_total{cache="two"} 1'])) // biome-ignore format: one line
  first.stop()
  expect((await lines()).some((line) => line.includes('"one"'))).toBe(false)
  await two.close()
  expect((await lines()).filter((line) => line.includes('tierce_entries{'))).toEqual([])
})
