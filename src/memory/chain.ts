/** A list of slots from the oldest to the newest, in one typed array. */

/** The node that closes the ring; slot `n` is node `n + 1`. */
const END = 0

/**
 * Links of a ring: a node's next one (towards the newest) and the one before lie side by side, so that a use touches one cache
 * line for each node that it moves. 8 bytes a slot.
 */
export class Chain {
  #links = new Uint32Array(2)

  /** Makes room for slots up to `slots`, not included. */
  grow(slots: number): void {
    const links = new Uint32Array(2 * (slots + 1))
    links.set(this.#links)
    this.#links = links
  }

  clear(): void {
    this.#links = new Uint32Array(2)
  }

  /** Links a slot, which is not in the list, as the newest. */
  push(slot: number): void {
    const links = this.#links
    const node = slot + 1
    const last = links[END + 1]!
    links[2 * last] = node
    links[2 * node] = END
    links[2 * node + 1] = last
    links[END + 1] = node
  }

  unlink(slot: number): void {
    const links = this.#links
    const next = links[2 * slot + 2]!
    const previous = links[2 * slot + 3]!
    links[2 * previous] = next
    links[2 * next + 1] = previous
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
    return this.#links[2 * slot + 2]! - 1
  }

  /** The slots, the oldest first. */
  slots(): number[] {
    const slots: number[] = []
    for (let slot = this.oldest(); slot >= 0; slot = this.newer(slot)) slots.push(slot)
    return slots
  }
}
