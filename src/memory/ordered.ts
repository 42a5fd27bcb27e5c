/** The policies that look at nothing but the order of what is held: lru, fifo, lifo, mru and sieve. Exact, and without a native call. */
import { Chain } from './chain.js'
import type { Evictor, Host } from './evictor.js'

/** In what the first four differ. */
interface Order {
  /** A use makes an entry the newest. */
  renews: boolean
  /** The newest entry goes first. */
  newestFirst: boolean
}

/** fifo, lru, lifo and mru by their two answers; the same are in crates/tierce/src/policy. */
export const ORDERS = {
  fifo: { renews: false, newestFirst: false },
  lru: { renews: true, newestFirst: false },
  lifo: { renews: false, newestFirst: true },
  mru: { renews: true, newestFirst: true },
} as const satisfies Record<string, Order>

/** A list, of which one end goes first. */
export class Ordered<K> implements Evictor<K> {
  readonly newestFirst: boolean
  protected readonly chain = new Chain()
  protected readonly host: Host<K>
  readonly #renews: boolean

  constructor(host: Host<K>, { renews, newestFirst }: Order) {
    this.host = host
    this.#renews = renews
    this.newestFirst = newestFirst
  }

  hit(slot: number): void {
    if (this.#renews) this.chain.renew(slot)
  }

  replace(): number {
    const victim = this.victim()
    this.chain.renew(victim)
    return victim
  }

  makeRoom(weight: number): void {
    while (this.host.lacksRoom(weight)) this.#evict()
  }

  insert(slot: number): void {
    this.chain.push(slot)
  }

  inserted(): void {}

  reweigh(slot: number): boolean {
    while (this.host.isOver()) if (this.#evict(slot) === slot) return false
    return true
  }

  updated(slot: number): void {
    this.hit(slot)
  }

  remove(slot: number): void {
    this.chain.unlink(slot)
  }

  order(): number[] {
    const slots = this.chain.slots()
    return this.newestFirst ? slots.reverse() : slots
  }

  grow(slots: number): void {
    this.chain.grow(slots)
  }

  clearing(): void {}

  clear(): void {
    this.chain.clear()
  }

  check(entries: number): string {
    const linked = this.order().length
    return linked === entries ? '' : `the list has ${linked} slots, the store ${entries}`
  }

  /** The slot that goes next; it stays in the list. */
  protected victim(): number {
    return this.newestFirst ? this.chain.newest() : this.chain.oldest()
  }

  /** Takes the next victim out; of `own` the store is not told. */
  #evict(own = -1): number {
    const victim = this.victim()
    this.chain.unlink(victim)
    if (victim !== own) this.host.evicted(victim)
    return victim
  }
}

/**
 * A hand goes from the oldest entry to the newest, spares those that were used since it last passed, and stops at the first that
 * was not. A use stores one byte.
 *
 * Y. Zhang, J. Yang, Y. Yue, Y. Vigfusson, K. V. Rashmi: SIEVE is simpler than LRU, NSDI 2024.
 */
export class Sieve<K> extends Ordered<K> {
  #visited = new Uint8Array(0)
  /** Where the hand stands; -1 stands for the oldest. */
  #hand = -1

  constructor(host: Host<K>) {
    super(host, ORDERS.fifo)
  }

  override hit(slot: number): void {
    this.#visited[slot] = 1
  }

  override insert(slot: number): void {
    this.#visited[slot] = 0
    super.insert(slot)
  }

  override remove(slot: number): void {
    if (this.#hand === slot) this.#hand = this.chain.newer(slot)
    super.remove(slot)
  }

  override order(): number[] {
    const slots = this.chain.slots()
    const from = Math.max(0, slots.indexOf(this.#hand))
    const round = [...slots.slice(from), ...slots.slice(0, from)]
    const isSpared = (slot: number): boolean => this.#visited[slot] === 1
    return [...round.filter((slot) => !isSpared(slot)), ...round.filter(isSpared)]
  }

  override grow(slots: number): void {
    const visited = new Uint8Array(slots)
    visited.set(this.#visited)
    this.#visited = visited
    super.grow(slots)
  }

  override clear(): void {
    this.#hand = -1
    this.#visited = new Uint8Array(0)
    super.clear()
  }

  protected override victim(): number {
    const { chain } = this
    const visited = this.#visited
    let at = this.#hand < 0 ? chain.oldest() : this.#hand
    while (visited[at] === 1) {
      visited[at] = 0
      at = chain.newer(at)
      if (at < 0) at = chain.oldest()
    }
    this.#hand = chain.newer(at)
    return at
  }
}
