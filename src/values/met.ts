// Up to here a scan is cheaper than a Map, which also has to give each object an identity hash.
const SCANNED = 64

/** The objects met in one value, numbered in the order of their coming. */
export class Met {
  private list: object[] = []
  private numbers: Map<object, number> | undefined

  /** The number of an object, or -1. */
  find(object: object): number {
    if (this.numbers !== undefined) return this.numbers.get(object) ?? -1
    const { list } = this
    for (let i = 0; i < list.length; i++) if (list[i] === object) return i
    return -1
  }

  add(object: object): void {
    if (this.numbers !== undefined) {
      this.numbers.set(object, this.numbers.size)
    } else if (this.list.push(object) === SCANNED) {
      this.numbers = new Map()
      for (const met of this.list) this.numbers.set(met, this.numbers.size)
    }
  }
}
