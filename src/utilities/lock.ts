/** A lock by name, with a lease: whoever dies with it keeps it no longer than that. */
import type { Duration } from '../cache-options.js'
import { type Caching, hostOf } from '../caching.js'
import { makeError } from '../errors.js'
import { CallKey } from '../keys.js'
import { checkOptions, parseDuration, signalOption } from '../options.js'
import { describe } from '../refusal.js'
import { exclusively } from './exclusive.js'

/** Options of `lock`. */
export interface LeaseOptions {
  /** The lock ends by itself after so long. Default 30 s. */
  lease?: Duration | undefined
  /** How long to wait for it. Default 10 s. */
  timeout?: Duration | undefined
  /** Ends the wait. */
  signal?: AbortSignal | undefined
}

/** A lock that was taken. */
export interface Lease extends AsyncDisposable {
  /** Of the lock. */
  readonly name: string
  /** Milliseconds since the Unix epoch; it moves with `extend`. */
  readonly expiresAt: number
  /** Whether it still is this one's. */
  isHeld(): boolean
  /** Starts the lease again. False where it has ended meanwhile, and the lock may be another's. */
  extend(lease?: Duration): boolean
  /** False where it had ended before. */
  release(): boolean
}

/** Milliseconds between two looks at a lock that another has. */
const LOOK = 4

/**
 * Takes a lock of a name in a cache; all processes on its directory see it.
 * @throws LockTimeoutError `E_LOCK_TIMEOUT` where another keeps it for too long; the signal's reason; InvalidOptionError
 */
export async function lock(cache: Caching, name: string, options: LeaseOptions = {}): Promise<Lease> {
  checkOptions(options, ['lease', 'timeout', 'signal'], 'lock')
  if (typeof name !== 'string' || name === '') {
    throw makeError('E_INVALID_OPTION', `The name of a lock is ${describe(name)}; accepted is a text.`, {
      name: 'name',
    })
  }
  const lease = parseDuration(options.lease ?? '30s', 'lease')
  const timeout = parseDuration(options.timeout ?? '10s', 'timeout')
  if (options.signal !== undefined) signalOption(options.signal)
  const held = new HeldLease(cache, name, lease)
  const until = performance.now() + timeout
  for (;;) {
    options.signal?.throwIfAborted()
    if (held.take()) return held
    if (performance.now() >= until) {
      const why = `The lock ${JSON.stringify(name)} was not to be had in ${timeout} ms: another holds it.`
      throw makeError('E_LOCK_TIMEOUT', why, { name, timeout })
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK))
  }
}

class HeldLease implements Lease {
  expiresAt = 0
  readonly #cache: Caching
  readonly #key: CallKey
  readonly #token = crypto.randomUUID()
  readonly #lease: number

  constructor(
    cache: Caching,
    readonly name: string,
    lease: number,
  ) {
    this.#cache = cache
    this.#key = new CallKey('tierce.lock', '', [name])
    this.#lease = lease
  }

  take(): boolean {
    return this.#step(() => {
      if (this.#cache.getSync(this.#key) !== undefined) return false
      this.#write(this.#lease)
      return true
    })
  }

  isHeld(): boolean {
    return this.#cache.getSync(this.#key) === this.#token
  }

  extend(lease: Duration = this.#lease): boolean {
    const ms = parseDuration(lease, 'lease')
    return this.#step(() => {
      if (!this.isHeld()) return false
      this.#write(ms)
      return true
    })
  }

  release(): boolean {
    return this.#step(() => this.isHeld() && this.#cache.deleteSync(this.#key))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release()
  }

  #write(lease: number): void {
    this.#cache.setSync(this.#key, this.#token, { ttl: lease })
    this.expiresAt = hostOf(this.#cache).tiers.now() + lease
  }

  #step<T>(step: () => T): T {
    return exclusively(this.#cache, `\0lock ${hostOf(this.#cache).prefix}${this.name}`, step)
  }
}
