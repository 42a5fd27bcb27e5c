/** Keys in more than one `Map`, where one cannot hold them. */

/**
 * Keys that a `Map` of V8 holds through any churn: a table has 2^24 places, deleted keys keep theirs until half of all are deleted, and where
 * none is left to take, `set` throws.
 */
const MOST = 2 ** 23

/** The slots of keys, by key, in the order in which the keys were added. Of `MOST` keys or fewer it is one `Map`. */
export class Maps<K> {
  size = 0
  readonly #most: number
  /** Where keys are added. */
  #map = new Map<K, number>()
  /** The keys that were added before those, the first first: two maps at most. */
  #before: Map<K, number>[] = []

  /** @param most keys of a map; there are never more than twice as many in all, and one */
  constructor(most = MOST) {
    this.#most = most
  }

  get(key: K): number | undefined {
    const slot = this.#map.get(key)
    return slot !== undefined || this.#before.length === 0 ? slot : this.#holder(key)?.get(key)
  }

  /** Gives a slot to a key that has none. */
  add(key: K, slot: number): void {
    if (this.#map.size >= this.#most) this.#turn()
    this.#map.set(key, slot)
    this.size++
  }

  /** Takes its slot from a key that has one. */
  delete(key: K): void {
    if (!this.#map.delete(key)) this.#holder(key)?.delete(key)
    this.size--
  }

  clear(): void {
    this.#map.clear()
    this.#before = []
    this.size = 0
  }

  *entries(): Generator<[K, number], undefined> {
    for (const map of this.#all()) yield* map
    return undefined
  }

  keys(): IterableIterator<K> {
    return this.#before.length === 0 ? this.#map.keys() : this.#keys()
  }

  *#keys(): Generator<K, undefined> {
    for (const map of this.#all()) yield* map.keys()
    return undefined
  }

  #all(): Map<K, number>[] {
    return [...this.#before, this.#map]
  }

  #holder(key: K): Map<K, number> | undefined {
    return this.#before.find((map) => map.has(key))
  }

  /** Begins a new map. The last one is full, so all before it fit in one. */
  #turn(): void {
    const [first, ...others] = this.#before
    if (first !== undefined) {
      for (const map of others) for (const [key, slot] of map) first.set(key, slot)
    }
    this.#before = first === undefined || first.size === 0 ? [this.#map] : [first, this.#map]
    this.#map = new Map()
  }
}
