// Up to here a scan is cheaper than a Map, which also has to give each object an identity hash.
const SCANNED = 256

/** The objects met in one value, numbered in the order of their coming. */
export class Met {
  private readonly list: (object | undefined)[] = []
  private count = 0
  private numbers: Map<object, number> | undefined

  /** The number of an object, or -1. */
  find(object: object): number {
    if (this.numbers !== undefined) return this.numbers.get(object) ?? -1
    const { list, count } = this
    for (let i = 0; i < count; i++) if (list[i] === object) return i
    return -1
  }

  add(object: object): void {
    const { list } = this
    const number = this.count++
    if (number < SCANNED) list[number] = object
    else this.numbers ??= new Map(list.map((met, at) => [met as object, at]))
    this.numbers?.set(object, number)
  }

  /** Forgets all, and keeps the room for them. */
  reset(): void {
    this.list.fill(undefined, 0, this.count)
    this.count = 0
    this.numbers = undefined
  }
}
