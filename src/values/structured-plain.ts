/** The bytes of plain data: primitives, objects and arrays, and which of them were met before. */
import { describe, property, Refusal } from '../refusal.js'
import { memberOf } from './member.js'
import { LateMet } from './met.js'
import { MAX_DEPTH, Tag } from './structured-format.js'
import { hashOfArray, hashOfNumber, hashOfString, joined } from './structured-hash.js'
import { ADVICE, haveSymbols, isIndex, isPolluted, membersOf, refuseSymbols } from './structured-members.js'
import { Output } from './structured-output.js'
import { type Shape, Shapes } from './structured-shapes.js'

/** A structured form, and whether JSON would give the same value back. */
export interface Structured {
  data: Uint8Array
  isJson: boolean
}

/** Thrown through the containers of a value that is given up: its path is of no interest. */
export const TOO_LONG = new Error('too long')

/** The same where it has to be written anew, each object being looked for when it comes. */
export const AGAIN = new Error('again')

/** The step to where something was thrown. */
export function at(error: unknown, owner: object, segment: string): unknown {
  return error === TOO_LONG || error === AGAIN ? error : Refusal.at(error, owner, segment)
}

/** How much longer than this form the text may be: compressed, long text is smaller, as names that come again take next to nothing. */
const TEXT_FACTOR = 2

/** Before one of these it is asked whether what there is so far is too long. */
const LONG_STRING = 1024

/** From here on objects are looked for when they come: a cycle has no other end, and what was written in vain is limited. */
const LATE_DEPTH = 64
const LATE_BYTES = 16 * 1024

export type Members = Record<string, unknown>

/** Writes one value after the other; what is not plain data is left to `other`. */
export abstract class PlainWriter {
  protected readonly out = new Output()
  /** An object is numbered before its parts, so that these may refer to it; a view after its buffer. */
  protected readonly met = new LateMet()
  /** Of the numbers and strings of the object so far; what else it has may be written in two ways. */
  private hash = 0
  /** Arrays without items, of which it is not known yet whether they have symbols. */
  private readonly empty: object[] = []
  private readonly shapes = new Shapes()
  /** Which shapes have a number in this value. */
  private stamp = 1
  private count = 0
  protected isJson = true
  protected isReferred = false
  /** Whether something was written by columns, whose objects have no numbers. */
  protected hasColumns = false
  protected isPolluted = false
  private longestJson = 0
  /** What the names of all objects so far take in JSON text. */
  protected namesSize = 0

  whole(value: unknown, longestJson: number): Structured | undefined {
    this.longestJson = longestJson
    this.isPolluted = isPolluted()
    try {
      this.begin(value)
      this.refuseSymbolsOfEmpty()
    } catch (error) {
      if (error !== AGAIN) throw error
      this.reset()
      this.met.isLate = false
      this.begin(value)
    }
    const { isJson } = this
    if (isJson && this.isLong) return undefined
    return { data: this.out.take(this.isReferred), isJson }
  }

  private begin(value: unknown): void {
    this.out.begin()
    this.value(value, 0)
  }

  reset(): void {
    this.out.drop()
    this.met.reset()
    this.empty.length = 0
    this.stamp += 1
    this.count = 0
    this.isJson = true
    this.isReferred = false
    this.hasColumns = false
    this.namesSize = 0
  }

  private refuseSymbolsOfEmpty(): void {
    if (this.empty.length > 0 && haveSymbols(this.empty)) throw AGAIN
  }

  protected value(value: unknown, depth: number): void {
    switch (typeof value) {
      case 'string':
        this.hash = joined(this.hash, hashOfString(value))
        return this.out.string(value)
      case 'number':
        this.hash = joined(this.hash, hashOfNumber(value))
        if (!this.out.number(value)) this.isJson = false
        return
      case 'boolean':
        return this.out.byte(value ? Tag.true : Tag.false)
      case 'object':
        return value === null ? this.out.byte(Tag.null) : this.reference(value, depth)
      default:
        return this.rare(value)
    }
  }

  private rare(value: unknown): void {
    this.isJson = false
    if (value === undefined) return this.out.byte(Tag.undefined)
    if (typeof value === 'bigint') return this.out.bigint(value)
    throw new Refusal(describe(value), ADVICE)
  }

  protected reference(value: object, depth: number): void {
    const { met } = this
    if (met.isLate && (depth > LATE_DEPTH || !met.hasRoom(2) || this.out.length > LATE_BYTES)) this.early()
    if (!met.isLate && this.isAgain(value)) return
    if (depth === MAX_DEPTH) {
      throw new Refusal(`nested deeper than ${MAX_DEPTH}`, 'Give flatter data.', { deep: true })
    }
    if (this.isJson && this.isLong) throw TOO_LONG
    this.object(value, depth + 1)
  }

  private get isLong(): boolean {
    const { longestJson, namesSize, out } = this
    return out.length > longestJson || out.length + namesSize > TEXT_FACTOR * longestJson
  }

  /** Whether a value was met before, whose number is written then. */
  protected isAgain(value: object): boolean {
    const number = this.met.find(value)
    if (number < 0) return false
    if (this.hasColumns) throw AGAIN
    this.isJson = false
    this.isReferred = true
    this.out.byte(Tag.reference)
    this.out.varint(number)
    return true
  }

  private object(value: object, depth: number): void {
    const proto = Object.getPrototypeOf(value) as object | null
    const { hash, met } = this
    const number = met.count
    if (proto === Object.prototype) {
      met.add(value)
      this.hash = 0
      this.plain(value as Members, 0, depth)
      this.finish(number, this.hash)
    } else if (proto === Array.prototype && Array.isArray(value)) {
      met.add(value)
      this.hash = 0
      if (!this.emptyArray(value)) {
        this.array(value, depth)
        this.finish(number, hashOfArray(value))
      }
    } else if (!met.isLate || !this.isAgain(value)) {
      this.other(value, proto, depth)
    }
    this.hash = hash
  }

  protected finish(number: number, hash: number): void {
    this.hash = hash
    if (!this.met.finish(number, hash)) throw AGAIN
  }

  protected early(): void {
    if (!this.met.early()) throw AGAIN
  }

  /** Anything else. */
  protected abstract other(value: object, proto: object | null, depth: number): void

  /** `nullProto` is 2 for an object without a prototype, else 0: the distance of its tags. */
  protected plain(value: Members, nullProto: 0 | 2, depth: number): void {
    let count = 0
    let here = ''
    try {
      refuseSymbols(value)
      const shape = this.shapeOf(value)
      const { length } = shape.names
      this.namesSize += shape.textSize
      this.shape(shape, nullProto)
      if (this.isPolluted) {
        for (here of Object.keys(value)) {
          count += 1
          this.value(value[here], depth)
        }
      } else {
        // The engine's quickest way through an object: names and members come from where its layout says.
        for (const name in value) {
          here = name
          count += 1
          this.value(memberOf(value, name), depth)
        }
      }
      if (count !== length) throw new Refusal('an object that changes while it is read', 'Give plain data.')
    } catch (error) {
      throw at(error, value, count === 0 ? '' : property(here))
    }
  }

  protected shapeOf(value: object): Shape {
    const { last } = this.shapes
    let shape = last.next
    if (shape === undefined || this.isPolluted || !shape.isOf(value)) {
      shape = this.shapes.find(Object.keys(value))
      last.next = shape
    }
    this.shapes.last = shape
    return shape
  }

  /** Writes the names of an object, or the number of an earlier object's names. */
  protected shape(shape: Shape, nullProto: 0 | 2): void {
    if (shape.stamp === this.stamp) {
      this.out.byte(Tag.knownObject + nullProto)
      this.out.varint(shape.number)
    } else {
      shape.stamp = this.stamp
      shape.number = this.count++
      this.out.byte(Tag.object + nullProto)
      this.out.names(shape)
    }
  }

  /** Writes an array that has nothing, unless it is for symbols: they are asked for at the end. */
  private emptyArray(value: readonly unknown[]): boolean {
    if (value.length > 0 || !this.met.isLate || Object.keys(value).length > 0) return false
    if (this.empty.includes(value)) throw AGAIN
    this.empty.push(value)
    this.out.byte(Tag.array)
    this.out.byte(0)
    return true
  }

  protected array(value: readonly unknown[], depth: number): void {
    refuseSymbols(value)
    const members = membersOf(value)
    if (members === undefined) {
      this.isJson = false
      return this.sparseArray(value, Object.keys(value), depth)
    }
    const { length } = members
    // An item takes a byte at least.
    if (this.isJson && length > this.longestJson) throw TOO_LONG
    this.items(members, value, depth)
  }

  protected items(members: readonly unknown[], owner: object, depth: number): void {
    const { length } = members
    if (length > 0 && this.alike(members, owner, depth)) return
    this.out.byte(Tag.array)
    this.out.varint(length)
    let index = 0
    try {
      for (; index < length; index++) {
        const item = members[index]
        if (typeof item !== 'string') this.value(item, depth)
        else if (this.isJson && item.length > LONG_STRING && this.isLong) throw TOO_LONG
        else this.out.string(item)
      }
    } catch (error) {
      throw at(error, owner, `[${index}]`)
    }
  }

  /** Writes items that are alike at once; false where they are better written one by one. */
  protected abstract alike(members: readonly unknown[], owner: object, depth: number): boolean

  /** Its length, the items by index, then the properties that are not items. */
  private sparseArray(value: readonly unknown[], names: readonly string[], depth: number): void {
    const count = names.findIndex((name) => !isIndex(name))
    const items = count < 0 ? names : names.slice(0, count)
    this.out.byte(Tag.sparseArray)
    this.out.varint(value.length)
    this.out.varint(items.length)
    for (const name of items) {
      this.out.varint(Number(name))
      this.member(value, name, `[${name}]`, depth)
    }
    this.properties(value, names.slice(items.length), depth)
  }

  protected properties(value: object, names: readonly string[], depth: number): void {
    this.out.varint(names.length)
    for (const name of names) {
      this.out.string(name)
      this.member(value, name, property(name), depth)
    }
  }

  protected member(owner: object, name: string, segment: string, depth: number): void {
    try {
      this.value((owner as Record<string, unknown>)[name], depth)
    } catch (error) {
      throw at(error, owner, segment)
    }
  }
}
