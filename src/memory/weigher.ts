/** What entries count for `maxSize`. */
import { makeError, TierceError } from '../errors.js'
import { describe } from '../refusal.js'
import type { Counters } from './metrics.js'
import type { ParsedMemoryOptions } from './options.js'

/** The greatest weight that a policy counts for one entry. */
const HEAVIEST = 2 ** 32 - 1

export class Weigher<K, V> {
  readonly #weigher: (value: V, key: K) => number
  readonly #isWeighed: boolean
  readonly #most: number
  readonly #counters: Counters | undefined

  constructor({ maxSize, weigher }: ParsedMemoryOptions, counters: Counters | undefined) {
    this.#weigher = weigher as (value: V, key: K) => number
    this.#isWeighed = maxSize !== Infinity
    this.#most = Math.min(maxSize, HEAVIEST)
    this.#counters = counters
  }

  /**
   * Bytes of an entry; 1 where the cache does not count them.
   * @throws ValueTooLargeError `E_VALUE_TOO_LARGE`
   * @throws InvalidOptionError `E_INVALID_OPTION` where the weigher gives no number
   */
  weigh(key: K, value: V): number {
    if (!this.#isWeighed) return 1
    const given = this.#weigher(value, key)
    if (typeof given !== 'number' || !(given >= 0)) {
      throw makeError(
        'E_INVALID_OPTION',
        `Invalid weigher: it gave ${describe(given)}. It has to give a number of bytes.`,
        { name: 'weigher' },
      )
    }
    const weight = Math.max(1, Math.ceil(given))
    if (weight <= this.#most) return weight
    if (this.#counters !== undefined) this.#counters.rejected++
    throw makeError(
      'E_VALUE_TOO_LARGE',
      `The value of key ${describe(key)} weighs ${weight} bytes, and all of the cache may hold ${this.#most}. Nothing was changed.`,
      { weight, maxSize: this.#most },
    )
  }

  /** As `weigh`, or `undefined` for what is too large. */
  weighIfItFits(key: K, value: V): number | undefined {
    try {
      return this.weigh(key, value)
    } catch (error) {
      if (error instanceof TierceError && error.code === 'E_VALUE_TOO_LARGE') return undefined
      throw error
    }
  }
}
