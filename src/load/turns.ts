/** Locks of keys that all processes on a directory share, and that die with their holder. */
import { resolve } from 'node:path'
import { fromNative } from '../errors.js'
import { type NativeTurns, native } from '../native.js'
import type { MachineLocks } from './barriers.js'

/** Those that this thread holds, through any cache. */
const heldHere = new Set<string>()

export class Turns implements MachineLocks {
  readonly #dir: string
  #turns: NativeTurns | undefined
  #held = 0
  #isClosed = false

  constructor(dir: string) {
    this.#dir = resolve(dir) // a change of the working directory moves nothing
  }

  tryLock(key: string): boolean {
    return this.#call((turns) => {
      if (!turns.tryTake(key)) return false
      heldHere.add(this.#name(key))
      this.#held++
      return true
    })
  }

  unlock(key: string): void {
    if (heldHere.delete(this.#name(key))) this.#held--
    this.#call((turns) => turns.giveBack(key))
  }

  /** Closes the file as soon as no turn is held; one that is taken later is as before. */
  close(): void {
    this.#isClosed = true
    if (this.#held > 0) return
    this.#turns?.close()
    this.#turns = undefined
  }

  isHeldHere(key: string): boolean {
    return heldHere.has(this.#name(key))
  }

  #name(key: string): string {
    return `${this.#dir}\0${key}`
  }

  #call<T>(run: (turns: NativeTurns) => T): T {
    try {
      this.#turns ??= new (native().NativeTurns)(this.#dir)
      return run(this.#turns)
    } catch (error) {
      throw fromNative(error)
    } finally {
      if (this.#isClosed) this.close()
    }
  }
}
