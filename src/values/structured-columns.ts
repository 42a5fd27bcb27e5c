/** Lists of objects of the same names, or of arrays of one length, turned by columns: what is in one is alike. */
import { memberOf } from './member.js'
import { ANYTHING, arrayOf } from './structured-arrays.js'
import { WIDTH_MIN } from './structured-format.js'
import { hashOfArray, withItem } from './structured-hash.js'
import { haveSymbols, membersOf, refuseSymbols } from './structured-members.js'

/** Fewer rows take less one by one. */
const FEWEST = 8
/** As many as can come while it is not asked of each whether it came before. */
const MOST = 128
const WIDTH_MAX = 32
/** Of objects of so few names it is asked all at once whether they have symbols. */
const FEW_NAMES = 3

export class Columns {
  /** The hash of each row's content. */
  readonly hashes = new Int32Array(MOST)

  /** Whether so many rows of so many members are worth it. */
  fit(rows: number, width: number): boolean {
    return rows >= FEWEST && rows <= MOST && width >= WIDTH_MIN && width <= WIDTH_MAX
  }

  /** Of objects that have `names` and nothing else; undefined where another is met. */
  ofObjects(rows: readonly unknown[], names: readonly string[]): unknown[][] | undefined {
    const { length } = rows
    const columns = names.map(() => arrayOf(ANYTHING, length))
    const isNarrow = names.length <= FEW_NAMES
    for (let i = 0; i < length; i++) {
      const row = rows[i]
      if (typeof row !== 'object' || row === null || Object.getPrototypeOf(row) !== Object.prototype)
        return undefined
      let hash = 0
      let at = 0
      for (const name in row) {
        if (name !== names[at]) return undefined
        const item = memberOf(row, name)
        const column = columns[at++] as unknown[]
        column[i] = item
        hash = withItem(hash, item)
      }
      if (at !== names.length) return undefined
      if (!isNarrow) refuseSymbols(row)
      this.hashes[i] = hash
    }
    if (isNarrow && haveSymbols(rows as readonly object[])) return undefined
    return columns
  }

  /** Of arrays of `width` items without other properties; undefined where another is met. */
  ofArrays(rows: readonly unknown[], width: number): unknown[][] | undefined {
    const { length } = rows
    const columns = Array.from({ length: width }, () => arrayOf(ANYTHING, length))
    for (let i = 0; i < length; i++) {
      const row = rows[i]
      if (!Array.isArray(row) || row.length !== width || Object.getPrototypeOf(row) !== Array.prototype)
        return undefined
      refuseSymbols(row)
      const items = membersOf(row)
      if (items === undefined) return undefined
      for (let at = 0; at < width; at++) (columns[at] as unknown[])[i] = items[at]
      this.hashes[i] = hashOfArray(items)
    }
    return columns
  }
}
