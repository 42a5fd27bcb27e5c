/** Which slot a key has, and what is in the slots. */
import { hashKey } from './hash.js'
import { Integers } from './integers.js'
import { Maps } from './maps.js'
import { LONGEST, Strings } from './strings.js'

/** Elements of the longest array that V8 makes at once. */
const LONGEST_ARRAY = 2 ** 25

/**
 * Keys and values by slot, side by side so that a use touches one cache line; and the slots by key. Integers of 32 bits and short strings
 * have tables of their own, which are faster than a `Map`.
 */
export class Slots<K, V> {
  /** `undefined` where a slot is free. */
  #cells: unknown[] = []
  readonly #isOrdered: boolean
  readonly #integers = new Integers()
  readonly #strings = new Strings()
  /** All other keys, and short strings that would collide with too many. */
  readonly #map: Maps<K>
  /** A key of the map that was not found, and not added since: most are added next. */
  #missed: K | undefined

  /**
   * @param isOrdered whether all keys come in the order of their insertion; else they come in no order
   * @param mostInMap see `Maps`
   */
  constructor(isOrdered: boolean, mostInMap?: number) {
    this.#isOrdered = isOrdered
    this.#map = new Maps(mostInMap)
  }

  /** Slots that are in use. */
  get size(): number {
    return this.#map.size + this.#integers.size + this.#strings.size
  }

  /** Slots that there is room for. */
  get room(): number {
    return this.#cells.length / 2
  }

  keyAt(slot: number): K | undefined {
    return this.#cells[2 * slot] as K | undefined
  }

  valueAt(slot: number): V | undefined {
    return this.#cells[2 * slot + 1] as V | undefined
  }

  setValue(slot: number, value: V): void {
    this.#cells[2 * slot + 1] = value
  }

  /** The slot of a key. */
  get(key: K): number | undefined {
    if (typeof key === 'string' && this.#isShort(key)) {
      const slot = this.#strings.get(key, this.#cells)
      return slot >= 0 ? slot : this.#collided(key)
    }
    if (typeof key === 'number' && this.#isInteger(key)) {
      const slot = this.#integers.get(key, this.#cells)
      return slot >= 0 ? slot : undefined
    }
    const slot = this.#map.get(key)
    if (slot === undefined) this.#missed = key
    return slot
  }

  /** As `get`, but does not look again where `get` has just said that there is none. */
  find(key: K): number | undefined {
    if (typeof key === 'string' && this.#isShort(key)) {
      return this.#strings.isMissed(key) ? this.#collided(key) : this.get(key)
    }
    return key === this.#missed ? undefined : this.get(key)
  }

  /** 32 well-mixed bits of a key. */
  hashOf(key: K): number {
    return typeof key === 'string' && this.#isShort(key) ? this.#strings.hashOf(key) : hashKey(key)
  }

  /** Fills a free slot; the key has none. */
  add(key: K, value: V, slot: number): void {
    this.#cells[2 * slot] = key
    this.#cells[2 * slot + 1] = value
    if (typeof key === 'string' && this.#isShort(key)) {
      if (!this.#strings.add(key, slot, this.#cells)) this.#map.add(key, slot)
    } else if (typeof key === 'number' && this.#isInteger(key)) {
      this.#integers.add(key, slot)
    } else {
      this.#map.add(key, slot)
      this.#missed = undefined
    }
  }

  /** Empties a slot. */
  delete(slot: number): void {
    // The key, which may not have been touched for long, is read only where it is in a map.
    if (!this.#strings.delete(slot) && !this.#integers.delete(slot))
      this.#map.delete(this.#cells[2 * slot] as K)
    this.#cells[2 * slot] = undefined
    this.#cells[2 * slot + 1] = undefined
  }

  /** Makes room for slots up to `room`, not included. */
  grow(room: number): void {
    // Of objects in all elements, so that V8 never changes the kind of the array; with no room beyond its length.
    const cells = new Array<unknown>(Math.min(2 * room, LONGEST_ARRAY)).fill(undefined)
    while (cells.length < 2 * room) cells.push(undefined)
    for (let at = 0; at < this.#cells.length; at++) cells[at] = this.#cells[at]
    this.#cells = cells
    this.#integers.grow(room)
    this.#strings.grow(room)
  }

  clear(): void {
    this.#cells = []
    this.#integers.clear()
    this.#strings.clear()
    this.#map.clear()
  }

  /** All keys, each with its slot; what is added meanwhile may or may not come. */
  *entries(): Generator<[K, number], undefined> {
    for (const index of [this.#integers, this.#strings]) {
      for (const slot of index.slots()) yield [this.#cells[2 * slot] as K, slot]
    }
    yield* this.#map.entries()
    return undefined
  }

  /** The keys in the order of their insertion, where they are kept in it. */
  ordered(): IterableIterator<K> {
    return this.#map.keys()
  }

  /** The slot of a short string that is not in the table. */
  #collided(key: K): number | undefined {
    return this.#map.size === 0 ? undefined : this.#map.get(key)
  }

  #isShort(key: string): boolean {
    return key.length <= LONGEST && !this.#isOrdered
  }

  #isInteger(key: number): boolean {
    return (key | 0) === key && !this.#isOrdered
  }
}
