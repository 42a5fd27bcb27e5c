/** A list of slots from the oldest to the newest, in one typed array. */

/** The node that closes the ring; slot `n` is node `n + 1`. */
const END = 0

/**
 * Links of a ring: a node's next one (towards the newest) and the one before lie side by side, so that a use touches one cache
 * line for each node that it moves. 8 bytes a slot.
 */
export class Chain {
  #links = new Int32Array(2)

  /** Makes room for slots up to `slots`, not included. */
  grow(slots: number): void {
    const links = new Int32Array(2 * (slots + 1))
    links.set(this.#links)
    this.#links = links
  }

  clear(): void {
    this.#links = new Int32Array(2)
  }

  /** Links a slot, which is not in the list, as the newest. */
  push(slot: number): void {
    const links = this.#links
    const node = slot + 1
    const last = links[END + 1]!
    links[last << 1] = node
    links[node << 1] = END
    links[(node << 1) + 1] = last
    links[END + 1] = node
  }

  unlink(slot: number): void {
    const links = this.#links
    const next = links[(slot << 1) + 2]!
    const previous = links[(slot << 1) + 3]!
    links[previous << 1] = next
    links[(next << 1) + 1] = previous
  }

  /** Makes a slot, which is in the list, the newest. */
  renew(slot: number): void {
    if (this.#links[END + 1] === slot + 1) return
    this.unlink(slot)
    this.push(slot)
  }

  /** -1 where the list is empty. */
  oldest(): number {
    return this.#links[END]! - 1
  }

  /** -1 where the list is empty. */
  newest(): number {
    return this.#links[END + 1]! - 1
  }

  /** The next newer slot; -1 behind the newest. */
  newer(slot: number): number {
    return this.#links[(slot << 1) + 2]! - 1
  }

  /** The slots, the oldest first. */
  slots(): number[] {
    const slots: number[] = []
    for (let slot = this.oldest(); slot >= 0; slot = this.newer(slot)) slots.push(slot)
    return slots
  }
}
