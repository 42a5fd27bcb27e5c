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

  constructor(dir: string) {
    this.#dir = resolve(dir) // a change of the working directory moves nothing
  }

  tryLock(key: string): boolean {
    const taken = this.#call((turns) => turns.tryTake(key))
    if (taken) heldHere.add(this.#name(key))
    return taken
  }

  unlock(key: string): void {
    heldHere.delete(this.#name(key))
    this.#call((turns) => turns.giveBack(key))
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
    }
  }
}
