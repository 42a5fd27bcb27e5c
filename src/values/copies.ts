/** Values that are kept apart from those that callers hold: `values: 'copy'`. */

import type { Encoded } from './handler.js'
import { decode, encode } from './index.js'

/** A value as bytes, of which each reader gets its own. */
class Copied {
  readonly #kind: number
  readonly #bytes: Buffer

  constructor({ kind, data }: Encoded) {
    this.#kind = kind
    this.#bytes = Buffer.from(data as Uint8Array) // of a string, its UTF-8; of bytes, a copy
  }

  value(): unknown {
    return decode(this.#kind, this.#bytes, 0, this.#bytes.length, false)
  }
}

const isPrimitive = (value: unknown): boolean =>
  value === null || (typeof value !== 'object' && typeof value !== 'function')

/**
 * What is kept of a value so that no later change of it is seen.
 * @throws UnserializableError `E_UNSERIALIZABLE`
 */
export function keep(value: unknown, encoded?: Encoded): unknown {
  return isPrimitive(value) ? value : new Copied(encoded ?? encode(value))
}

/** A value of the caller's own, from what was kept. */
export function giveOut(kept: unknown): unknown {
  return kept instanceof Copied ? kept.value() : kept
}
