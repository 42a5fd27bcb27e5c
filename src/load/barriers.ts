/** Who loads where not only this process could: a lock of the user's, or one that all processes of this machine share. */
import { makeError } from '../errors.js'
import { describe } from '../refusal.js'

/**
 * A lock of yours, synchronous or not. `acquire` gets the key's canonical text, so that loads of different keys need not wait
 * for each other, and may throw or give `false` where it cannot be had: then the load is asked without it. `release` gets the
 * same text and what `acquire` gave.
 */
export interface LockLike {
  /** Takes the lock of a key; `false`, or a promise of it, where it cannot be had. */
  acquire(key: string): unknown
  /** Gives it back, whatever became of the load. */
  release(key: string, acquired: unknown): unknown
}

/** Of whom one loads. */
export type SingleFlight = 'process' | 'machine' | LockLike

/** Lets the next one in. */
export type Release = () => void | Promise<void>

/** Locks that all processes on a directory share. */
export interface MachineLocks {
  /** Takes the lock of a key, unless somebody has it, also in this process. */
  tryLock(key: string): boolean
  unlock(key: string): void
  /** Whether this thread has it, so that to wait for it here would be for ever. */
  isHeldHere(key: string): boolean
}

/** @throws InvalidOptionError `E_INVALID_OPTION` */
export function parseSingleFlight(given: unknown): 'machine' | LockLike | undefined {
  if (given === undefined || given === 'process') return undefined
  if (given === 'machine') return given
  const lock = given as Partial<LockLike> | null
  if (typeof lock?.acquire === 'function' && typeof lock.release === 'function') return lock as LockLike
  throw makeError(
    'E_INVALID_OPTION',
    `Invalid singleFlight: got ${describe(given)}. Give 'process', 'machine', or a lock: an object with acquire(key) and release(key).`,
    { name: 'singleFlight' },
  )
}

/** Waits for a lock of the user's. Gives `undefined` where it was not to be had in time. */
export async function acquireLock(
  lock: LockLike,
  key: string,
  timeout: number,
  report: (fault: unknown) => void,
): Promise<Release | undefined> {
  const releasing = (acquired: unknown) => async () => {
    try {
      await lock.release(key, acquired)
    } catch (fault) {
      report(fault)
    }
  }
  let timer: NodeJS.Timeout | undefined
  const late = Symbol('late')
  try {
    const acquiring = Promise.resolve(lock.acquire(key))
    const acquired = await Promise.race([
      acquiring,
      new Promise((resolve) => {
        if (timeout < Infinity) timer = setTimeout(resolve, timeout, late)
      }),
    ])
    if (acquired === false) return undefined
    if (acquired !== late) return releasing(acquired)
    // It comes when nobody wants it any more.
    acquiring.then((unwanted) => (unwanted === false ? undefined : releasing(unwanted)()), report)
  } catch (fault) {
    report(fault)
  } finally {
    clearTimeout(timer)
  }
  return undefined
}

/** As `acquireLock`, on this thread. */
export function acquireLockSync(
  lock: LockLike,
  key: string,
  report: (fault: unknown) => void,
): (() => void) | undefined {
  let acquired: unknown
  try {
    acquired = lock.acquire(key)
  } catch (fault) {
    report(fault)
    return undefined
  }
  if (typeof (acquired as { then?: unknown } | null | undefined)?.then === 'function') {
    ;(acquired as Promise<unknown>).then((unwanted) => lock.release(key, unwanted)).catch(report)
    throw makeError(
      'E_INVALID_OPTION',
      'The lock of singleFlight gave a promise, and a load on this thread cannot wait for it: use getOrSet or wrap.',
      { name: 'singleFlight' },
    )
  }
  if (acquired === false) return undefined
  return () => {
    try {
      lock.release(key, acquired)
    } catch (fault) {
      report(fault)
    }
  }
}

/** Milliseconds between two looks at a lock: below the 5 ms in which a waiter is to notice that its holder is gone. */
const LOOK = 2

/** Keys that are waited for: one timer looks after all of them. */
export class MachineQueue {
  readonly #locks: MachineLocks
  readonly #waiting = new Set<{ key: string; until: number; settle: (held: boolean) => void }>()
  #timer: NodeJS.Timeout | undefined

  constructor(locks: MachineLocks) {
    this.#locks = locks
  }

  /** Waits for the lock of a key. Gives `undefined` where it was not to be had in time. */
  async acquire(key: string, timeout: number): Promise<Release | undefined> {
    const release = () => this.#locks.unlock(key)
    if (this.#locks.tryLock(key)) return release
    const held = await new Promise<boolean>((settle) => {
      this.#waiting.add({ key, until: performance.now() + timeout, settle })
      this.#timer ??= setInterval(() => this.#look(), LOOK)
    })
    return held ? release : undefined
  }

  /** As `acquire`, blocking this thread. */
  acquireSync(key: string, timeout: number): (() => void) | undefined {
    if (this.#locks.isHeldHere(key)) return undefined
    const until = performance.now() + timeout
    const cell = new Int32Array(new SharedArrayBuffer(4))
    while (!this.#locks.tryLock(key)) {
      if (performance.now() >= until) return undefined
      Atomics.wait(cell, 0, 0, LOOK)
    }
    return () => this.#locks.unlock(key)
  }

  #look(): void {
    const now = performance.now()
    for (const waiter of this.#waiting) {
      const held = this.#tryLock(waiter.key)
      if (!held && now < waiter.until) continue
      this.#waiting.delete(waiter)
      waiter.settle(held)
    }
    if (this.#waiting.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /** A fault, such as that of a cache that was closed, counts as one that is never to be had. */
  #tryLock(key: string): boolean {
    try {
      return this.#locks.tryLock(key)
    } catch {
      return false
    }
  }
}
