/** What decides who goes: an order kept here, the native ledger, or a policy that the user wrote. */

/** What an evictor needs of the store that it serves. */
export interface Host<K> {
  /** `undefined` where a slot is free. */
  keyAt(slot: number): K | undefined
  /** Whether an entry of this weight does not fit beside those that are held. */
  lacksRoom(weight: number): boolean
  /** Whether there are as many entries as there may be. */
  isFull(): boolean
  /** Whether what is held is over a bound, after an entry has become heavier. */
  isOver(): boolean
  weightOf(slot: number): number
  count(): number
  /** Takes the entry out; the evictor knows of it already. */
  evicted(slot: number): void
  /** 32 well-mixed bits of a key. */
  hashOf(key: K): number
  /** The slot of a key, if it is held. */
  slotOf(key: unknown): number | undefined
  /** The keys in the order of their insertion. */
  insertionOrder(): IterableIterator<K>
}

/** Is told of everything that happens to the slots, and says which go. */
export interface Evictor<K> {
  /** Where a dropped order is built up again by inserts: true if the next victim has to come last. */
  readonly newestFirst: boolean
  /** A use of a held slot. */
  hit(slot: number): void
  /** Evicts until an entry of this weight fits. What is inserted next is under this key. */
  makeRoom(weight: number, key: K): void
  /** In a cache of entries without weights, which is full: the slot that the new entry takes, and nothing is logged of. */
  replace(key: K): number
  /** A new entry, that there is room for. `key` is in no slot yet. */
  insert(slot: number, key: K, weight: number): void
  /** The entry is in its slot, under its key. */
  inserted(slot: number): void
  /** A held entry has another weight, for which others may have to go; false where it had to go itself. */
  reweigh(slot: number, weight: number, change: number): boolean
  /** A held entry has another value. */
  updated(slot: number): void
  /** An entry is taken out for another reason than room. Its key is in its slot still. */
  remove(slot: number): void
  /** The slots in the order of eviction. */
  order(): ArrayLike<number>
  /** Uses of a held slot, where they are what the policy goes by. */
  usesOf?(slot: number): number
  /** Sets the uses of a slot that was just inserted, in the order of eviction. */
  restoreUses?(slot: number, uses: number): void
  /** Slots up to this number (not included) may come. */
  grow(slots: number): void
  /** All entries are about to leave. */
  clearing(): void
  /** All entries have left. */
  clear(): void
  /** What is wrong, for tests; empty when nothing is. */
  check(entries: number, weight: number): string
}
