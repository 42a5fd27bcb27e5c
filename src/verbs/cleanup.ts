/** Removing what has expired: at once, and in the background. */
import { Sweeper } from '../memory/sweeper.js'
import type { MemoryEntry } from '../tiers/memory.js'
import type { TierStack } from '../tiers/stack.js'

/** Entries that a background run removes from disk at most; the next one goes on. */
const MOST_AT_ONCE = 20_000
/** While nothing expires, the disk is looked at less and less often, down to one run in so many. */
const LONGEST_REST = 64

/** Removes what has expired from all tiers; resolves to how many entries that were. */
export async function cleanup(tiers: TierStack, most = Number.POSITIVE_INFINITY): Promise<number> {
  const inMemory = tiers.memory?.cleanup() ?? 0
  if (tiers.disk === undefined) return inMemory
  const removed = await tiers.disk.cleanup(most)
  tiers.counters.expired += removed
  return removed
}

/** Entries whose time has passed and which are still there. */
export async function expiredCount(tiers: TierStack): Promise<number> {
  if (tiers.disk !== undefined) return (await tiers.disk.validity()).expired
  const now = tiers.now()
  return countInMemory(tiers, ({ expiresAt }) => expiresAt <= now)
}

/** Entries that plain reads find. */
export async function validCount(tiers: TierStack): Promise<number> {
  if (tiers.disk !== undefined) return (await tiers.disk.validity()).valid
  const now = tiers.now()
  return countInMemory(tiers, (entry) => entry.isLive(now))
}

function countInMemory(tiers: TierStack, counts: (entry: MemoryEntry) => boolean): number {
  let count = 0
  for (const entry of tiers.memory?.entries() ?? []) if (counts(entry)) count++
  return count
}

/** What a background cleanup tells its owner. */
export interface CleanupEvents {
  onFault(fault: unknown): void
  onRemoved(removed: number): void
}

/**
 * Cleans up in the background. Keeps neither the process nor the cache alive, never runs twice at a time, and costs little where
 * little expires: memory knows what is due, and the disk is looked at less often while nothing is.
 */
export class BackgroundCleanup {
  readonly #sweeper: Sweeper
  readonly #tiers: TierStack
  readonly #events: CleanupEvents
  #isRunning = false
  /** Runs that leave the disk alone, and how many of them are left. */
  #rest = 0
  #left = 0

  constructor(tiers: TierStack, events: CleanupEvents) {
    this.#tiers = tiers
    this.#events = events
    this.#sweeper = new Sweeper(this, Number.POSITIVE_INFINITY)
  }

  /** @param interval milliseconds between two runs */
  start(interval: number): void {
    this.#rest = 0
    this.#left = 0
    this.#sweeper.restart(interval)
  }

  stop(): void {
    this.#sweeper.stop()
  }

  /** One run, unless the last one is still under way. */
  cleanup(): void {
    if (this.#isRunning) return
    if (this.#left > 0) {
      this.#left--
      try {
        this.#tiers.memory?.cleanup()
      } catch (fault) {
        this.#events.onFault(fault)
      }
      return
    }
    this.#isRunning = true
    this.#run()
      .catch((fault) => this.#events.onFault(fault))
      .finally(() => {
        this.#isRunning = false
      })
  }

  async #run(): Promise<void> {
    const removed = await cleanup(this.#tiers, MOST_AT_ONCE)
    this.#events.onRemoved(removed)
    this.#rest =
      removed > 0 || this.#tiers.disk === undefined ? 0 : Math.min(2 * this.#rest + 1, LONGEST_REST)
    this.#left = this.#rest
  }
}
