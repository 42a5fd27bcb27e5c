/** What goes into the tiers, and what comes out of them. */

import type { Encoded } from '../values/handler.js'
import type { Coding } from './batch.js'
import type { Extras } from './extras.js'
import type { SetTimes } from './wire.js'

/** What an entry gets beside its value. */
export interface Storing extends SetTimes {
  coding: Coding | undefined
  /** Tags, description, metadata. */
  extras: Extras | undefined
}

/** A value on its way into the tiers. */
export interface Write extends Storing {
  text: string
  value: unknown
  /** Its stored form, where that was made before. */
  encoded?: Encoded | undefined
}

/** A value that was found, and its times: see `MemoryEntry`. */
export interface Kept extends SetTimes {
  value: unknown
  createdAt: number
}

/** What is stored. Sizes in bytes; expired entries count until they are removed. */
export interface TierStats {
  /** On disk; in memory, without a disk tier. */
  entries: number
  /** Of the values. */
  size: number
  /** Of the values after compression; the same as `size` without a disk tier. */
  storedSize: number
  /** Database pages in use, value files and the log; 0 without a disk tier. */
  diskSize: number
  /** The log, a part of it. */
  logSize: number
  /** Whether a reader elsewhere keeps the log from ending: as long as it does, `diskSize` may be above `maxSize`. */
  logIsPinned: boolean
  /** Reads of this cache object that found an entry. */
  hits: number
  /** And those that did not. */
  misses: number
  /** What the memory tier of this cache object holds; `size` is an estimate. */
  memory: { entries: number; size: number }
}

/** What is known of a key. An expired entry is known until it is removed. */
export interface KnownKey {
  is: 'live' | 'expired' | 'missing'
  /** Of a live entry. */
  expiresAt?: number | undefined
}
