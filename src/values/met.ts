// Up to here the engine's own scan is cheaper than a Map, which also has to give each object an identity hash.
const SCANNED = 128

/** The objects met in one value, numbered in the order of their coming. */
export class Met {
  private list: object[] = []
  private numbers: Map<object, number> | undefined

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
