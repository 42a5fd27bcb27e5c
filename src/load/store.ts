/** What loads need of a cache. Keys are canonical texts. */
import type { Counters } from '../memory/metrics.js'
import type { SetOptions } from '../set-options.js'
import type { Soon } from '../soon.js'
import type { Kept, Storing } from '../tiers/entries.js'
import type { Times } from '../tiers/wire.js'
import type { MachineLocks } from './barriers.js'

export interface Store {
  /** What is kept, stale or not; `undefined` where there is nothing. Only a promise when it takes the disk. */
  find(text: string): Soon<Kept | undefined>
  findSync(text: string): Kept | undefined
  write(text: string, value: unknown, storing: Storing): Soon<void>
  writeSync(text: string, value: unknown, storing: Storing): void
  /** New times for an entry, a stale one too. Gives whether there was one. */
  renew(text: string, times: Times): Promise<boolean>
  renewSync(text: string, times: Times): boolean
  /** New times in memory alone. */
  slide(text: string, times: Times): void
  /** Options of an entry, checked. */
  storing(entry: SetOptions): Storing
  /** Milliseconds; `Infinity` for no end. */
  readonly ttl: number
  now(): number
  /** Milliseconds since any moment: what loads take is measured with it. */
  timer(): number
  random(): number
  readonly counters: Counters
  /** A fault of the cache that must not break the load. */
  report(fault: unknown): void
  /** Undefined without a directory. */
  locks: MachineLocks | undefined
}
