// Up to here the engine's own scan is cheaper than a Map, which also has to give each object an identity hash.
const SCANNED = 128
const SLOTS = 256

/** The objects met in one value, numbered in the order of their coming. */
export class Met {
  protected list: object[] = []
  protected numbers: Map<object, number> | undefined

  get count(): number {
    return this.numbers?.size ?? this.list.length
  }

  /** The number of an object, or -1. */
  find(object: object): number {
    return this.numbers === undefined ? this.list.indexOf(object) : (this.numbers.get(object) ?? -1)
  }

  /** Adds an object that was not found. */
  add(object: object): void {
    const { list, numbers } = this
    if (numbers !== undefined) numbers.set(object, numbers.size)
    else if (list.push(object) === SCANNED) this.numbers = new Map(list.map((met, at) => [met, at]))
  }

  /** Forgets those from number `count` on. */
  cut(count: number): void {
    for (const [object, number] of this.numbers ?? []) if (number >= count) this.numbers?.delete(object)
    if (this.numbers === undefined) this.list.length = count
  }

  /** Forgets all. */
  reset(): void {
    this.list = []
    this.numbers = undefined
  }
}

/**
 * The same, but as long as it is `late`, an object is not looked for when it comes, but when it is finished, among those of the same
 * hash of their content: which is cheaper than any way to find it by its identity. Who meets one again begins anew, without `late`.
 */
export class LateMet extends Met {
  isLate = true
  /** By hash, the last object that was finished, and of each object the one before it: their numbers and one, 0 is none. */
  private readonly last = new Int32Array(SLOTS)
  private readonly before = new Int32Array(SCANNED)

  /** Whether `more` objects can come while it is late. */
  hasRoom(more: number): boolean {
    return this.list.length + more < SCANNED
  }

  /** Ends object `number`, which came while it was late; false where it was met before. It has the same hash each time. */
  finish(number: number, hash: number): boolean {
    if (!this.isLate) return true
    const { before, last, list } = this
    const object = list[number]
    const slot = (hash ^ (hash >>> 15)) & (SLOTS - 1)
    const head = last[slot] as number
    for (let at = head; at > 0; at = before[at - 1] as number) if (list[at - 1] === object) return false
    before[number] = head
    last[slot] = number + 1
    return true
  }

  /** From now on objects are looked for when they come. False where one came twice. */
  early(): boolean {
    this.isLate = false
    const { list } = this
    this.numbers = new Map(list.map((met, at) => [met, at]))
    return this.numbers.size === list.length
  }

  override reset(): void {
    if (this.count > 0) this.last.fill(0)
    super.reset()
    this.isLate = true
  }
}
