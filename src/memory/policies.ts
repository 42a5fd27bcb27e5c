/** The policies by name: what evicts for a store. */
import { oneOf } from '../options.js'
import { part } from '../parts.js'
import type { Evictor, Host } from './evictor.js'
import { ORDERS, Ordered, Sieve } from './ordered.js'
import { S3Fifo } from './s3-fifo.js'
import { TinyLfu } from './tinylfu.js'

/** The native policies, and whether each learns from what it no longer holds. The same names are in crates/tierce/src/policy/kind.rs. */
const LEDGERS = { lfu: false, auto: true } as const

/** The built-in policies. */
export type PolicyName = keyof typeof ORDERS | 'sieve' | 's3-fifo' | 'w-tinylfu' | keyof typeof LEDGERS

/** What is held, at most. */
export interface Bounds {
  /** Entries. */
  max: number
  /** Units of weight; `Infinity` where entries have none. */
  maxWeight: number
}

type MakeEvictor = <K>(host: Host<K>, bounds: Bounds) => Evictor<K>

const makers = new Map<string, MakeEvictor>([['sieve', (host) => new Sieve(host)]])
for (const [name, order] of Object.entries(ORDERS)) makers.set(name, (host) => new Ordered(host, order))

/** Adds a policy that needs two entries at least: of one there is nothing to choose. */
function addChooser(name: string, make: MakeEvictor): void {
  makers.set(name, (host, bounds) =>
    capacityOf(bounds) < 2 ? new Ordered(host, ORDERS.lru) : make(host, bounds),
  )
}

addChooser('s3-fifo', (host, bounds) => new S3Fifo(host, bounds))
addChooser('w-tinylfu', (host, bounds) => new TinyLfu(host, bounds))
for (const [name, learns] of Object.entries(LEDGERS)) {
  addChooser(name, (host, bounds) => {
    const { Ledger } = part('ledger')
    return new Ledger(host, name, learns, capacityOf(bounds), bounds.maxWeight !== Infinity)
  })
}

/** In the unit in which a policy counts: of weight, where entries have one. */
function capacityOf({ max, maxWeight }: Bounds): number {
  return maxWeight === Infinity ? max : maxWeight
}

const builtIn = new Set(makers.keys())

/** Whether a policy was written by the user. */
export function isCustom(name: string): boolean {
  return !builtIn.has(name)
}

/** Whether there is a policy of this name. */
export function hasPolicy(name: string): boolean {
  return makers.has(name)
}

/** Adds a policy, by a name that none has. */
export function addPolicy(name: string, make: MakeEvictor): void {
  makers.set(name, make)
}

/** The name of a policy that there is. @throws InvalidOptionError `E_INVALID_OPTION` */
export function parsePolicy(value: unknown, option: string): string {
  return oneOf(value, option, [...makers.keys()])
}

/** What evicts for a host, by the name of its policy. @throws UnavailableError `E_UNAVAILABLE` where it is native, and the addon does not load */
export function evictorFor<K>(name: string, host: Host<K>, bounds: Bounds): Evictor<K> {
  return makers.get(name)!(host, bounds)
}
