/** Counts of what a `MemoryCache` did. */

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

/** The counts. Plain numbers: one that is added to at each hit has to cost next to nothing. */
export class Counters {
  hits = 0
  misses = 0
  sets = 0
  expired = 0
  evicted = 0
  deleted = 0
  cleared = 0
  rejected = 0
  loads = 0
  loadFailures = 0
  loadTime = 0

  /** Counts a load that starts; `end` it when it is over. */
  startLoad(): { end(failed: boolean): void } {
    this.loads++
    const start = performance.now()
    return {
      end: (failed) => {
        if (failed) this.loadFailures++
        this.loadTime += performance.now() - start
      },
    }
  }

  /** Starts all counts again. */
  reset(): void {
    Object.assign(this, new Counters())
  }

  snapshot(size: number, bytes: number): MemoryMetrics {
    const { hits, misses, sets, expired, rejected, loads, loadFailures, loadTime } = this
    return {
      hits,
      misses,
      hitRatio: hits + misses === 0 ? 0 : hits / (hits + misses),
      sets,
      expired,
      removals: { evict: this.evicted, expire: expired, delete: this.deleted, clear: this.cleared },
      rejected,
      loads,
      loadFailures,
      loadTime,
      size,
      bytes,
    }
  }
}
