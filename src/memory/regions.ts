/** Lists of slots, from the oldest to the newest, that share their links: a slot is in one of them. */

/** Lists; their heads are the first nodes, and slot `n` is node `n + REGIONS`. */
export const REGIONS = 3

/** Links of rings. A node's next one (towards the newest) and the one before lie side by side. 8 bytes a slot. */
export class Regions {
  #links = heads()

  /** Makes room for slots up to `slots`, not included. */
  grow(slots: number): void {
    const links = new Uint32Array(2 * (slots + REGIONS))
    links.set(this.#links)
    this.#links = links
  }

  clear(): void {
    this.#links = heads()
  }

  /** Links a slot, which is in no list, as the newest of one. */
  push(list: number, slot: number): void {
    const links = this.#links
    const node = slot + REGIONS
    const last = links[2 * list + 1]!
    links[2 * last] = node
    links[2 * node] = list
    links[2 * node + 1] = last
    links[2 * list + 1] = node
  }

  /** Links a slot, which is in no list, as the oldest of one. */
  unshift(list: number, slot: number): void {
    const links = this.#links
    const node = slot + REGIONS
    const first = links[2 * list]!
    links[2 * first + 1] = node
    links[2 * node] = first
    links[2 * node + 1] = list
    links[2 * list] = node
  }

  unlink(slot: number): void {
    const links = this.#links
    const node = slot + REGIONS
    const next = links[2 * node]!
    const previous = links[2 * node + 1]!
    links[2 * previous] = next
    links[2 * next + 1] = previous
  }

  /** Makes a slot, which is in this list, its newest. */
  renew(list: number, slot: number): void {
    if (this.#links[2 * list + 1] === slot + REGIONS) return
    this.unlink(slot)
    this.push(list, slot)
  }

  /** Negative where the list is empty. */
  oldest(list: number): number {
    return this.#links[2 * list]! - REGIONS
  }

  /** The next newer slot of the same list; negative behind the newest. */
  newer(slot: number): number {
    return this.#links[2 * (slot + REGIONS)]! - REGIONS
  }

  /** The slots of a list, the oldest first. */
  *slots(list: number): Generator<number, undefined> {
    for (let slot = this.oldest(list); slot >= 0; slot = this.newer(slot)) yield slot
    return undefined
  }
}

function heads(): Uint32Array<ArrayBuffer> {
  const links = new Uint32Array(2 * REGIONS)
  for (let list = 0; list < REGIONS; list++) links[2 * list] = links[2 * list + 1] = list
  return links
}
