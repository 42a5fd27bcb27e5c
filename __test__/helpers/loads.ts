/** Loads whose answers and times a test gives. */
import type { Cache, CacheOptions, TierceError } from 'tierce'
import { afterEach, beforeEach, vi } from 'vitest'
import { openCache, tempDir } from './temp.js'

/** Caches of each make-up. */
export const TIERS: { tiers: string; make: (options?: CacheOptions) => Cache }[] = [
  { tiers: 'memory', make: (options) => openCache(options) },
  { tiers: 'disk', make: (options) => openCache({ dir: tempDir(), memory: false, ...options }) },
  { tiers: 'memory and disk', make: (options) => openCache({ dir: tempDir(), ...options }) },
]

/** Has times pass only when a test says so: a cache asks `Date.now`, and its timers are those of `setTimeout`. */
export function holdTime(): void {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'], now: 1_700_000_000_000 })
  })
  afterEach(() => {
    vi.useRealTimers()
    vi.restoreAllMocks()
  })
}

export const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms)
export const turn = () => new Promise((resolve) => setImmediate(resolve))

/** A load whose answers a test gives one by one. */
export function loader<V>() {
  const waiting: { give(value: V): void; fail(error: unknown): void; signal: AbortSignal }[] = []
  const load = vi.fn(
    ({ signal }: { signal: AbortSignal }) =>
      new Promise<V>((give, fail) => {
        waiting.push({ give, fail, signal })
      }),
  )
  return { load, waiting }
}

export function faultsOf(cache: Cache): TierceError[] {
  const faults: TierceError[] = []
  cache.on('error', (error) => faults.push(error))
  return faults
}
