/** Lists of slots, from the oldest to the newest, that share their links: a slot is in one of them. */

/** Lists; their heads are the first nodes, and slot `n` is node `n + REGIONS`. */
export const REGIONS = 3

/** Links of rings. A node's next one (towards the newest) and the one before lie side by side. 8 bytes a slot. */
export class Regions {
  #links = heads()

  /** Makes room for slots up to `slots`, not included. */
  grow(slots: number): void {
    const links = new Int32Array(2 * (slots + REGIONS))
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
    const last = links[(list << 1) + 1]!
    links[last << 1] = node
    links[node << 1] = list
    links[(node << 1) + 1] = last
    links[(list << 1) + 1] = node
  }

  /** Links a slot, which is in no list, as the oldest of one. */
  unshift(list: number, slot: number): void {
    const links = this.#links
    const node = slot + REGIONS
    const first = links[list << 1]!
    links[(first << 1) + 1] = node
    links[node << 1] = first
    links[(node << 1) + 1] = list
    links[list << 1] = node
  }

  unlink(slot: number): void {
    const links = this.#links
    const node = slot + REGIONS
    const next = links[node << 1]!
    const previous = links[(node << 1) + 1]!
    links[previous << 1] = next
    links[(next << 1) + 1] = previous
  }

  /** Makes a slot, which is in this list, its newest. */
  renew(list: number, slot: number): void {
    if (this.#links[(list << 1) + 1] === slot + REGIONS) return
    this.unlink(slot)
    this.push(list, slot)
  }

  /** Negative where the list is empty. */
  oldest(list: number): number {
    return this.#links[list << 1]! - REGIONS
  }

  /** The next newer slot of the same list; negative behind the newest. */
  newer(slot: number): number {
    return this.#links[(slot + REGIONS) << 1]! - REGIONS
  }

  /** The slots of a list, the oldest first. */
  *slots(list: number): Generator<number, undefined> {
    for (let slot = this.oldest(list); slot >= 0; slot = this.newer(slot)) yield slot
    return undefined
  }
}

function heads(): Int32Array<ArrayBuffer> {
  const links = new Int32Array(2 * REGIONS)
  for (let list = 0; list < REGIONS; list++) links[list << 1] = links[(list << 1) + 1] = list
  return links
}
