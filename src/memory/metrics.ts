/** Counts of what a `MemoryCache` did. */

/** The places of the counts. */
export const Counter = {
  hits: 0,
  misses: 1,
  sets: 2,
  expired: 3,
  evicted: 4,
  deleted: 5,
  cleared: 6,
  rejected: 7,
  loads: 8,
  loadFailures: 9,
  loadTime: 10,
} as const

/** What a `MemoryCache` did since it was made, or since `resetMetrics()`. */
export interface MemoryMetrics {
  /** Calls that found a live entry. */
  hits: number
  /** Calls that found none; an expired entry is none. */
  misses: number
  /** hits / (hits + misses); 0 before the first call. */
  hitRatio: number
  /** Values stored, by any method. */
  sets: number
  /** Entries removed because their TTL had passed. */
  expired: number
  /** Entries that left, by the reason. */
  removals: { evict: number; expire: number; delete: number; clear: number }
  /** Values that were refused because they alone are over `maxSize`. */
  rejected: number
  /** Loaders called by `getOrSet`. */
  loads: number
  /** Of these, those that threw or rejected. */
  loadFailures: number
  /** Milliseconds in loaders, added up. */
  loadTime: number
  /** Entries held now. */
  size: number
  /** Bytes held now, as the weigher counts; 0 without `maxSize`. */
  bytes: number
}

export class Counters {
  readonly #counts = new Float64Array(Object.keys(Counter).length)

  add(place: number, by = 1): void {
    this.#counts[place]! += by
  }

  reset(): void {
    this.#counts.fill(0)
  }

  snapshot(size: number, bytes: number): MemoryMetrics {
    const at = (place: number) => this.#counts[place] as number
    const [hits, misses] = [at(Counter.hits), at(Counter.misses)]
    return {
      hits,
      misses,
      hitRatio: hits + misses === 0 ? 0 : hits / (hits + misses),
      sets: at(Counter.sets),
      expired: at(Counter.expired),
      removals: {
        evict: at(Counter.evicted),
        expire: at(Counter.expired),
        delete: at(Counter.deleted),
        clear: at(Counter.cleared),
      },
      rejected: at(Counter.rejected),
      loads: at(Counter.loads),
      loadFailures: at(Counter.loadFailures),
      loadTime: at(Counter.loadTime),
      size,
      bytes,
    }
  }
}
