/** What goes to the disk tier and comes from it. */
import type { DeclaredTable } from '../../meta.js'
import type { Packed } from '../batch.js'
import type { Extras } from '../extras.js'
import type { Facts, SetTimes } from '../wire.js'

/** Options of the disk tier, parsed. */
export interface DiskOptions {
  dir: string
  maxSize?: number
  max?: number
  policy?: string
  codec: string
  level?: number
  durability: string
  lockTimeout: number
  meta?: DeclaredTable[]
  metadata?: string
  journal: boolean
  storeKeys: boolean
  integrity: boolean
  /** A copy of the key, which the tier overwrites when it is open. */
  encryption?: Uint8Array
}

/** An entry that was read. */
export interface DiskHit {
  value: unknown
  facts: Facts
  /** Where it was asked for, and there are some. */
  extras?: Extras
}

/** A value on its way to the disk. */
export interface DiskWrite extends SetTimes {
  text: string
  encoded: Packed
  extras?: Extras | undefined
}

/** Which entries a page has. */
export interface PageOptions {
  /** Where the last page ended. */
  cursor: Buffer | undefined
  /** The key that the first page starts behind. */
  after: string | undefined
  limit: number
  /** Two beginnings of keys, of which an entry has one. */
  prefixes: readonly [string, string] | undefined
  /** Only entries that expire. */
  expiring: boolean
}

/** What there is of a key. An expired entry is known until it is removed. */
export type KeyState = { is: 'live'; facts: Facts } | { is: 'missing' | 'expired'; facts?: undefined }

/** By what is seen whether an entry is still the newest of its key. */
export interface Place {
  slot: number
  epoch: number
}

/** Hits of one entry. */
export interface Access {
  idLow: number
  idHigh: number
  hits: number
}
