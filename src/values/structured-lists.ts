/** The bytes of lists whose items are alike: numbers, booleans, rows of numbers, and what is written by columns. */
import { Columns } from './structured-columns.js'
import { Elements, MAX_DEPTH, Tag, WIDTH_MIN } from './structured-format.js'
import { hashOfArray } from './structured-hash.js'
import { numbersOf, refuseSymbols } from './structured-members.js'
import { Numbers } from './structured-numbers.js'
import { AGAIN, at, PlainWriter, TOO_LONG } from './structured-plain.js'

/** Fewer of these take as many bytes one by one. */
const FEWEST_NUMBERS = 4
const FEWEST_BOOLEANS = 4

export abstract class ListWriter extends PlainWriter {
  private readonly numbers = new Numbers()
  private readonly columns = new Columns()

  override reset(): void {
    super.reset()
    this.numbers.clear()
  }

  protected override alike(members: readonly unknown[], owner: object, depth: number): boolean {
    const first = members[0]
    if (typeof first === 'number') return this.numbersIn(members)
    if (typeof first === 'boolean') return this.booleans(members)
    if (typeof first !== 'object' || first === null || depth === MAX_DEPTH) return false
    if (Array.isArray(first) && typeof first[0] === 'number' && this.rows(members, owner)) return true
    return this.byColumns(members, first, depth)
  }

  /** Writes a list of alike objects or arrays; false where it is none. Nothing can refer to what is in it. */
  private byColumns(rows: readonly unknown[], first: object, depth: number): boolean {
    if (this.isReferred || !this.met.isLate || !this.met.hasRoom(rows.length)) return false
    try {
      return Array.isArray(first) ? this.arrays(rows, first.length, depth) : this.objects(rows, first, depth)
    } catch (error) {
      // Written one by one, each part has its path.
      throw error === TOO_LONG ? error : AGAIN
    }
  }

  private objects(rows: readonly unknown[], first: object, depth: number): boolean {
    if (this.isPolluted || Object.getPrototypeOf(first) !== Object.prototype) return false
    if (!this.columns.fit(rows.length, WIDTH_MIN)) return false
    const shape = this.shapeOf(first)
    if (!this.columns.fit(rows.length, shape.names.length)) return false
    const columns = this.columns.ofObjects(rows, shape.names)
    if (columns === undefined) return false
    this.out.byte(Tag.numbers)
    this.out.byte(Elements.objects)
    this.namesSize += rows.length * shape.textSize
    this.shape(shape, 0)
    this.write(columns, rows as readonly object[], depth)
    return true
  }

  private arrays(rows: readonly unknown[], width: number, depth: number): boolean {
    const columns = this.columns.fit(rows.length, width) ? this.columns.ofArrays(rows, width) : undefined
    if (columns === undefined) return false
    this.out.byte(Tag.numbers)
    this.out.byte(Elements.arrays)
    this.out.varint(width)
    this.write(columns, rows as readonly object[], depth)
    return true
  }

  private write(columns: unknown[][], rows: readonly object[], depth: number): void {
    const { count } = this.met
    for (let i = 0; i < rows.length; i++) {
      this.met.add(rows[i] as object)
      this.finish(count + i, this.columns.hashes[i] as number)
    }
    this.hasColumns = true
    for (const column of columns) this.items(column, column, depth + 1)
  }

  private numbersIn(members: readonly unknown[]): boolean {
    const { numbers } = this
    if (members.length < FEWEST_NUMBERS) return false
    numbers.count = 0
    return numbers.add(members) && this.laidOut(0)
  }

  private laidOut(width: number): boolean {
    const layout = this.numbers.layout()
    if (layout === undefined) return false
    if (!this.out.numbers(this.numbers, layout, width)) this.isJson = false
    return true
  }

  private booleans(members: readonly unknown[]): boolean {
    if (members.length < FEWEST_BOOLEANS) return false
    for (let i = 0; i < members.length; i++) if (typeof members[i] !== 'boolean') return false
    this.out.booleans(members as readonly boolean[])
    return true
  }

  private rows(members: readonly unknown[], owner: object): boolean {
    const { met, numbers } = this
    if (met.isLate && !met.hasRoom(members.length)) this.early()
    const { count } = met
    const width = (members[0] as unknown[]).length
    let index = 0
    numbers.count = 0
    try {
      while (index < members.length && this.row(members[index], width)) index += 1
    } catch (error) {
      throw at(error, owner, `[${index}]`)
    }
    if (index === members.length && this.laidOut(width)) {
      if (met.isLate) this.finishRows(members as readonly unknown[][], count)
      return true
    }
    met.cut(count)
    return false
  }

  private finishRows(rows: readonly unknown[][], number: number): void {
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i] as unknown[]
      this.met.add(row)
      this.finish(number + i, hashOfArray(row))
    }
  }

  /** Takes a row of numbers that was not met before, or of which it is not known yet. */
  private row(row: unknown, width: number): boolean {
    if (!Array.isArray(row) || row.length !== width || Object.getPrototypeOf(row) !== Array.prototype)
      return false
    if (typeof row[0] !== 'number') return false
    const { isLate } = this.met
    if (!isLate && this.met.find(row) >= 0) return false
    refuseSymbols(row)
    const members = numbersOf(row)
    if (members === undefined || !this.numbers.add(members)) return false
    if (!isLate) this.met.add(row)
    return true
  }
}
