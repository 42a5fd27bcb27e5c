/** Steps on a cache that nobody else takes at the same time: on this machine, as far as the cache's directory reaches. */
import { type Caching, hostOf } from '../caching.js'
import { makeError } from '../errors.js'

/** Tries before the thread sleeps: a step takes some ten microseconds. */
const SPINS = 50
const PAUSE = 1
/** A holder that dies lets go at once; one that hangs for so long is a fault. */
const PATIENCE = 10_000

/**
 * Runs a short synchronous step on one thing of a cache. In memory alone, being synchronous is enough.
 * @throws LockTimeoutError `E_LOCK_TIMEOUT` where another process hangs in such a step; UnavailableError `E_UNAVAILABLE` where the
 *   cache's directory has no locks
 */
export function exclusively<T>(cache: Caching, name: string, step: () => T): T {
  const { loading, tiers } = hostOf(cache)
  if (tiers.disk?.isJson) {
    throw makeError(
      'E_UNAVAILABLE',
      "This takes locks, and the cache's directory has none (metadata 'json'): give a cache with a database, or one in memory.",
    )
  }
  const { turns } = loading
  if (turns === undefined) return step()
  const until = performance.now() + PATIENCE
  for (let tries = 0; !turns.tryLock(name); tries++) {
    if (tries < SPINS) continue
    if (performance.now() > until) {
      throw makeError(
        'E_LOCK_TIMEOUT',
        `Another process holds ${JSON.stringify(name)} for over ${PATIENCE} ms.`,
      )
    }
    Atomics.wait(CELL, 0, 0, PAUSE)
  }
  try {
    return step()
  } finally {
    turns.unlock(name)
  }
}

const CELL = new Int32Array(new SharedArrayBuffer(4))
