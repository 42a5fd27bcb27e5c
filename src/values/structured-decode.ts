import { TierceError } from '../errors.js'
import { ERROR_TYPES, VIEW_CLASSES } from '../intrinsics.js'
import { damagedValue, unreadable } from './handler.js'
import { ANYTHING, arrayOf } from './structured-arrays.js'
import {
  Elements,
  ERROR_NAMES,
  ERROR_PARTS,
  MAX_DEPTH,
  Part,
  SHORT_STRING,
  Tag,
  VIEW_NAMES,
  WIDTH_MIN,
} from './structured-format.js'
import { Input } from './structured-input.js'
import { arraysOf, define, objectsOf, type ReadShape } from './structured-rows.js'

/**
 * Reads `buffer[start, end)` back; the result shares no memory with it. Whatever the bytes, it ends, stays in bounds, takes
 * memory in proportion to them and runs no code of theirs.
 * @throws CorruptError `E_CORRUPT`
 * @throws UnavailableError `E_UNAVAILABLE` for another version of the format, or a type that this run time lacks
 */
export function decodeStructured(buffer: Buffer, start: number, end: number): unknown {
  try {
    return new Reader(buffer, start, end).whole()
  } catch (error) {
    if (error instanceof TierceError) throw error
    if (isStackOverflow(error)) throw unreadable('too little is left of the call stack')
    // What a constructor refuses (a URL that does not parse, an offset that does not fit) is damage too.
    throw damagedValue('a part does not parse', error)
  }
}

function isStackOverflow(error: unknown): boolean {
  return error instanceof RangeError && /call stack/i.test(error.message)
}

type Members = Record<string, unknown>

class Reader extends Input {
  private readonly objects: object[] = []
  private readonly shapes: ReadShape[] = []

  whole(): unknown {
    const value = this.value(0)
    if (!this.isAtEnd) throw damagedValue('bytes follow its end')
    return value
  }

  private value(depth: number): unknown {
    const tag = this.byte()
    if (tag < SHORT_STRING) return tag
    if (tag >= Part.of) return this.part(tag - Part.of)
    switch (tag) {
      case Tag.undefined:
        return undefined
      case Tag.null:
        return null
      case Tag.false:
        return false
      case Tag.true:
        return true
      case Tag.reference:
        return this.reference()
      case Tag.object:
      case Tag.knownObject:
      case Tag.nullObject:
      case Tag.knownNullObject:
      case Tag.array:
        break
      default:
        return this.scalar(tag) ?? this.object(tag, depth + 1)
    }
    if (depth === MAX_DEPTH) throw damagedValue('it is nested too deep')
    return tag === Tag.array ? this.array(depth + 1) : this.plain(tag, depth + 1)
  }

  private scalar(tag: number): number | bigint | string | undefined {
    switch (tag) {
      case Tag.int: {
        const bits = this.varint()
        return (bits >>> 1) ^ -(bits & 1)
      }
      case Tag.double:
        return this.float()
      case Tag.bigint:
        return this.magnitude()
      case Tag.negativeBigint:
        return -this.magnitude()
      default:
        return this.string(tag)
    }
  }

  private reference(): object {
    const object = this.objects[this.varint()]
    if (object === undefined) throw damagedValue('a reference to nothing')
    return object
  }

  private object(tag: number, depth: number): object {
    if (depth > MAX_DEPTH) throw damagedValue('it is nested too deep')
    switch (tag) {
      case Tag.numbers:
        return this.numberArray(depth)
      case Tag.sparseArray:
        return this.sparseArray(depth)
      case Tag.map:
        return this.map(depth)
      case Tag.set:
        return this.set(depth)
      case Tag.date:
        return this.add(new Date(this.float()))
      case Tag.regExp:
        return this.add(this.regExp())
      case Tag.url:
        return this.add(new URL(this.name()))
      case Tag.error:
        return this.error(depth)
      case Tag.arrayBuffer:
        return this.add(this.memory(this.count(1)))
      case Tag.viewOfBytes:
        return this.add(this.viewOfBytes())
      case Tag.viewOfBuffer:
        return this.add(this.viewOfBuffer(depth))
      default:
        throw damagedValue(`unknown tag ${tag}`)
    }
  }

  private add<T extends object>(object: T): T {
    if (this.isReferred) this.objects.push(object)
    return object
  }

  private plain(tag: number, depth: number): object {
    const { names, risky } =
      tag === Tag.object || tag === Tag.nullObject ? this.newShape() : this.knownShape()
    const hasProto = tag === Tag.object || tag === Tag.knownObject
    const object = this.add((hasProto ? {} : Object.create(null)) as Members)
    if (names.length > this.left) throw damagedValue('it ends too soon')
    for (let i = 0; i < names.length; i++) {
      const name = names[i] as string
      const value = this.value(depth)
      if (risky) define(object, name, value, true)
      else object[name] = value
    }
    return object
  }

  private newShape(): ReadShape {
    const count = this.count(2)
    const shape: ReadShape = { names: [], risky: false }
    for (let i = 0; i < count; i++) {
      const name = this.name()
      shape.names.push(name)
      shape.risky ||= name in Object.prototype
    }
    this.shapes.push(shape)
    return shape
  }

  private knownShape(): ReadShape {
    const shape = this.shapes[this.varint()]
    if (shape === undefined) throw damagedValue('a reference to no shape')
    return shape
  }

  private array(depth: number): unknown[] {
    const count = this.count(1)
    if (count === 0) return this.add([])
    if (!this.isReferred) {
      // A literal takes a third of the time, but is there only when its items are.
      if (count === 1) return [this.value(depth)]
      if (count === 2) return [this.value(depth), this.value(depth)]
    }
    const array = this.add(arrayOf(ANYTHING, count))
    for (let i = 0; i < count; i++) array[i] = this.value(depth)
    return array
  }

  private numberArray(depth: number): unknown[] {
    const elements = this.byte()
    if (elements === Elements.booleans) return this.add(this.booleans())
    if (elements === Elements.objects) return this.tableOfObjects(depth)
    if (elements === Elements.arrays) return arraysOf(this.columns(this.count(1), depth))
    return elements === Elements.rows ? this.rows(depth) : this.add(this.numbers(elements))
  }

  private tableOfObjects(depth: number): object[] {
    const tag = this.byte()
    if (tag !== Tag.object && tag !== Tag.knownObject) throw damagedValue('columns without names')
    const shape = tag === Tag.object ? this.newShape() : this.knownShape()
    return objectsOf(shape, this.columns(shape.names.length, depth))
  }

  /** As many columns of one length, which are arrays of a kind that takes a byte for an item at least. */
  private columns(width: number, depth: number): unknown[][] {
    if (this.isReferred || width < WIDTH_MIN) throw damagedValue('columns that cannot be')
    if (width > this.left) throw damagedValue('it ends too soon')
    if (depth === MAX_DEPTH) throw damagedValue('it is nested too deep')
    const columns: unknown[][] = []
    for (let at = 0; at < width; at++) {
      const tag = this.byte()
      if (tag !== Tag.array && tag !== Tag.numbers) throw damagedValue('a column that is no array')
      const column = tag === Tag.array ? this.array(depth + 1) : this.numberArray(depth + 1)
      if (column.length !== (columns[0] ?? column).length) throw damagedValue('columns of two lengths')
      columns.push(column)
    }
    return columns
  }

  private rows(depth: number): unknown[] {
    if (depth === MAX_DEPTH) throw damagedValue('it is nested too deep')
    const width = this.count(1)
    const array = this.add<unknown[]>([])
    const all = this.numbers(this.byte())
    if (width === 0 || all.length % width !== 0) throw damagedValue('half a row')
    for (let at = 0; at < all.length; at += width) {
      array.push(this.add(width === 2 ? [all[at], all[at + 1]] : all.slice(at, at + width)))
    }
    return array
  }

  private sparseArray(depth: number): unknown[] {
    const array: unknown[] = this.add([])
    const length = this.varint()
    if (length > 2 ** 32 - 1) throw damagedValue('an array that is too long')
    // Writing the last item first makes V8 keep a long array as a table and not as `length` slots of memory.
    if (length > 0) array[length - 1] = null
    if (length > 0) delete array[length - 1]
    const count = this.count(2)
    for (let i = 0; i < count; i++) {
      const index = this.varint()
      if (index >= length) throw damagedValue('an item beyond the end of its array')
      array[index] = this.value(depth)
    }
    this.properties(array, depth)
    return array
  }

  private properties(object: object, depth: number): void {
    const count = this.count(2)
    for (let i = 0; i < count; i++) {
      const name = this.name()
      if (Array.isArray(object) && name === 'length') throw damagedValue('an array with a second length')
      define(object, name, this.value(depth), true)
    }
  }

  private map(depth: number): Map<unknown, unknown> {
    const map = this.add(new Map<unknown, unknown>())
    const count = this.count(2)
    for (let i = 0; i < count; i++) {
      const key = this.value(depth)
      map.set(key, this.value(depth))
    }
    return map
  }

  private set(depth: number): Set<unknown> {
    const set = this.add(new Set<unknown>())
    const count = this.count(1)
    for (let i = 0; i < count; i++) set.add(this.value(depth))
    return set
  }

  private regExp(): RegExp {
    const source = this.name()
    const flags = this.name()
    const lastIndex = this.value(MAX_DEPTH)
    if (typeof lastIndex !== 'number') throw damagedValue('a RegExp without a position')
    try {
      const regExp = new RegExp(source, flags)
      regExp.lastIndex = lastIndex
      return regExp
    } catch {
      throw unreadable('it has a regular expression that this run time refuses')
    }
  }

  private error(depth: number): Error {
    const className = ERROR_NAMES[this.byte()]
    const type = ERROR_TYPES.find(({ name }) => name === className)
    if (type === undefined) throw damagedValue('unknown class of error')
    const error = this.add(type.name === 'AggregateError' ? new AggregateError([]) : new type())
    // What the constructor made is not part of the value: which parts there are is said by the bits.
    for (const [part] of ERROR_PARTS) delete (error as Members & Error)[part]
    const bits = this.byte()
    for (const [part, bit] of ERROR_PARTS) {
      if (bits & bit) define(error, part, this.value(depth), false)
    }
    this.properties(error, depth)
    return error
  }

  private viewOfBytes(): ArrayBufferView {
    const name = VIEW_NAMES[this.byte()] ?? ''
    const memory = this.memory(this.count(1))
    return view(name, memory, 0, memory.byteLength)
  }

  private viewOfBuffer(depth: number): ArrayBufferView {
    const name = VIEW_NAMES[this.byte()] ?? ''
    const offset = this.varint()
    const length = this.varint()
    const memory = this.value(depth)
    if (!(memory instanceof ArrayBuffer)) throw damagedValue('a view of no buffer')
    return view(name, memory, offset, length)
  }
}

function view(name: string, memory: ArrayBuffer, offset: number, byteLength: number): ArrayBufferView {
  if (name === 'Buffer') return Buffer.from(memory, offset, byteLength)
  const type = VIEW_CLASSES.get(name)
  if (type === undefined) {
    throw name === ''
      ? damagedValue('unknown class of view')
      : unreadable(`it has a ${name}, which this run time lacks`)
  }
  const size = (type as { BYTES_PER_ELEMENT?: number }).BYTES_PER_ELEMENT ?? 1
  if (byteLength % size !== 0) throw damagedValue('a view that holds part of an element')
  return new type(memory, offset, byteLength / size)
}
