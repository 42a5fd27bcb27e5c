/** From a single primitive argument of a wrapped function to the entry in memory that holds its result. */
import type { MemoryEntry } from './tiers/memory.js'

/** A place that lets go of its entry when that leaves memory: an index keeps no value alive. */
export interface Cell {
  entry: MemoryEntry | undefined
  /** Of the value, where all callers get the same. */
  promise: Promise<unknown> | undefined
}

export type Primitive = string | number | bigint | boolean | null

/** So many places before the first sweep. */
const FIRST_SWEEP = 1024

export class CallIndex {
  readonly #cells = new Map<Primitive, Cell>()
  #sweepAt = FIRST_SWEEP

  get(argument: Primitive): Cell | undefined {
    return this.#cells.get(argument)
  }

  set(argument: Primitive, entry: MemoryEntry): void {
    entry.cell ??= { entry, promise: undefined }
    this.#cells.set(argument, entry.cell)
    if (this.#cells.size < this.#sweepAt) return
    for (const [known, cell] of this.#cells) if (cell.entry === undefined) this.#cells.delete(known)
    this.#sweepAt = Math.max(FIRST_SWEEP, 2 * this.#cells.size)
  }
}

/** Whether a Map and the key of a call take two such arguments for the same or not alike: all but -0. */
export function isIndexable(argument: unknown): argument is Primitive {
  switch (typeof argument) {
    case 'string':
    case 'bigint':
    case 'boolean':
      return true
    case 'number':
      return argument !== 0 || 1 / argument > 0
    default:
      return argument === null
  }
}
