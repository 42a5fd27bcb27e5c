import { types } from 'node:util'
import { builtinName, bytesOf, isFixed, isShared } from '../intrinsics.js'
import { describe, property, Refusal } from '../refusal.js'
import { unserializable } from './handler.js'
import { Met } from './met.js'
import { ERROR_NAMES, ERROR_PARTS, MAX_DEPTH, Tag, VERSION, VIEW_NAMES } from './structured-format.js'
import { Output } from './structured-output.js'

const ADVICE = 'Give plain data, or teach the cache a kind for the whole value with defineHandler.'
const KNOWN_SHAPES_SEARCHED = 32

let spare: Writer | undefined

/**
 * The structured form of a value.
 * @throws UnserializableError `E_UNSERIALIZABLE`, naming the path inside the value
 */
export function encodeStructured(value: unknown): Uint8Array {
  // Taken, not shared: a getter inside the value may encode another one meanwhile.
  const writer = spare ?? new Writer()
  spare = undefined
  try {
    writer.out.byte(VERSION)
    writer.value(value, 0)
    return writer.out.take()
  } catch (error) {
    throw unserializable(Refusal.from(error))
  } finally {
    writer.reset()
    spare = writer
  }
}

class Writer {
  readonly out = new Output()
  /** An object is numbered before its parts, so that these may refer to it; a view after its buffer. */
  private met = new Met()
  private shapes: string[][] = []

  reset(): void {
    this.out.drop()
    this.met = new Met()
    this.shapes = []
  }

  value(value: unknown, depth: number): void {
    switch (typeof value) {
      case 'string':
        return this.out.string(value)
      case 'number':
        return this.out.number(value)
      case 'boolean':
        return this.out.byte(value ? Tag.true : Tag.false)
      case 'undefined':
        return this.out.byte(Tag.undefined)
      case 'bigint':
        return this.out.bigint(value)
      case 'object':
        return value === null ? this.out.byte(Tag.null) : this.reference(value, depth)
      default:
        throw new Refusal(describe(value), ADVICE)
    }
  }

  private reference(value: object, depth: number): void {
    const number = this.met.find(value)
    if (number < 0) {
      if (depth === MAX_DEPTH) {
        throw new Refusal(`nested deeper than ${MAX_DEPTH}`, 'Give flatter data.', { deep: true })
      }
      this.object(value, depth + 1)
    } else {
      this.out.byte(Tag.reference)
      this.out.varint(number)
    }
  }

  private object(value: object, depth: number): void {
    const proto = Object.getPrototypeOf(value) as object | null
    if (proto === Object.prototype || proto === null) {
      this.met.add(value)
      return this.plain(value as Record<string, unknown>, proto === null ? 2 : 0, depth)
    }
    const name = proto === Array.prototype ? 'Array' : builtinName(value, proto)
    if (name === undefined) throw new Refusal(describe(value), ADVICE)
    if (name === 'ArrayBuffer') return this.arrayBuffer(value as ArrayBuffer)
    if (ArrayBuffer.isView(value)) return this.view(value, name, depth)
    this.met.add(value)
    if (name === 'Array' && Array.isArray(value)) return this.array(value, depth)
    if (name === 'Object') return this.plain(value as Record<string, unknown>, 0, depth)
    if (name.endsWith('Error')) return this.error(value as Error, name, depth)
    this.builtin(value, name, depth)
  }

  /** `nullProto` is 2 for an object without a prototype, else 0: the distance of its tags. */
  private plain(value: Record<string, unknown>, nullProto: 0 | 2, depth: number): void {
    const names = Object.keys(value)
    let at = -1
    try {
      refuseSymbols(value)
      this.shape(names, nullProto)
      for (at = 0; at < names.length; at++) this.value(value[names[at] as string], depth)
    } catch (error) {
      throw Refusal.at(error, value, at < 0 ? '' : property(names[at] as string))
    }
  }

  /** The names of an object, or the number of an earlier object's names. */
  private shape(names: string[], nullProto: 0 | 2): void {
    const known = this.knownShape(names)
    if (known >= 0) {
      this.out.byte(Tag.knownObject + nullProto)
      this.out.varint(known)
      return
    }
    this.out.byte(Tag.object + nullProto)
    this.out.varint(names.length)
    for (let i = 0; i < names.length; i++) this.out.string(names[i] as string)
    this.shapes.push(names)
  }

  // Names are compared by pointer in all usual cases. Only the newest shapes are looked at, so data with many shapes
  // costs no more than a fixed number of comparisons an object.
  private knownShape(names: readonly string[]): number {
    const { shapes } = this
    const stop = Math.max(0, shapes.length - KNOWN_SHAPES_SEARCHED)
    next: for (let s = shapes.length - 1; s >= stop; s--) {
      const shape = shapes[s] as string[]
      if (shape.length !== names.length) continue
      for (let i = 0; i < names.length; i++) if (shape[i] !== names[i]) continue next
      return s
    }
    return -1
  }

  private array(value: readonly unknown[], depth: number): void {
    refuseSymbols(value)
    // Far cheaper than the names: as many members as items and no undefined among those means no hole and nothing else.
    const members = Object.values(value)
    if (members.length !== value.length || value.includes(undefined)) {
      const names = Object.keys(value)
      if (!isDense(value, names)) return this.sparseArray(value, names, depth)
    }
    this.out.byte(Tag.array)
    this.out.varint(members.length)
    let index = 0
    try {
      for (; index < members.length; index++) this.value(members[index], depth)
    } catch (error) {
      throw Refusal.at(error, value, `[${index}]`)
    }
  }

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

  private properties(value: object, names: readonly string[], depth: number): void {
    this.out.varint(names.length)
    for (const name of names) {
      this.out.string(name)
      this.member(value, name, property(name), depth)
    }
  }

  private member(owner: object, name: string, segment: string, depth: number): void {
    try {
      this.value((owner as Record<string, unknown>)[name], depth)
    } catch (error) {
      throw Refusal.at(error, owner, segment)
    }
  }

  private builtin(value: object, name: string, depth: number): void {
    refuseSymbols(value)
    if (Object.keys(value).length > 0) throw new Refusal(`a ${name} with properties of its own`, ADVICE)
    switch (name) {
      case 'Date':
        this.out.byte(Tag.date)
        return this.out.float(Date.prototype.getTime.call(value))
      case 'Map':
        return this.map(value as Map<unknown, unknown>, depth)
      case 'Set':
        return this.set(value as Set<unknown>, depth)
      case 'RegExp':
        return this.regExp(value as RegExp)
      case 'URL':
        this.out.byte(Tag.url)
        return this.out.string((value as URL).href)
      default:
        throw new Refusal(describe(value), ADVICE)
    }
  }

  // Keys and members are copied first: a getter inside may change the collection after its count was written.
  private map(value: Map<unknown, unknown>, depth: number): void {
    const keys = [...Map.prototype.keys.call(value)]
    const members = [...Map.prototype.values.call(value)]
    this.out.byte(Tag.map)
    this.out.varint(keys.length)
    let index = 0
    let inKey = true
    try {
      for (; index < keys.length; index++) {
        inKey = true
        this.value(keys[index], depth)
        inKey = false
        this.value(members[index], depth)
      }
    } catch (error) {
      const key = keys[index]
      const step =
        typeof key === 'string' ? `.get(${describe(key)})` : ` ${inKey ? 'key' : 'value'} #${index}`
      throw Refusal.at(error, value, step)
    }
  }

  private set(value: Set<unknown>, depth: number): void {
    const members = [...Set.prototype.values.call(value)]
    this.out.byte(Tag.set)
    this.out.varint(members.length)
    let index = 0
    try {
      for (; index < members.length; index++) this.value(members[index], depth)
    } catch (error) {
      throw Refusal.at(error, value, ` member #${index}`)
    }
  }

  private regExp(value: RegExp): void {
    const { source, flags, lastIndex } = value
    if (typeof lastIndex !== 'number') throw new Refusal('a RegExp whose lastIndex is not a number', ADVICE)
    this.out.byte(Tag.regExp)
    this.out.string(source)
    this.out.string(flags)
    this.out.number(lastIndex)
  }

  /** Its class, which of its parts are there, those parts, and its enumerable properties. */
  private error(value: Error, name: string, depth: number): void {
    if (!types.isNativeError(value)) throw new Refusal(`an object that only looks like a ${name}`, ADVICE)
    refuseSymbols(value)
    const names = Object.keys(value)
    const parts = ERROR_PARTS.filter(([part]) => Object.hasOwn(value, part) && !names.includes(part))
    this.out.byte(Tag.error)
    this.out.byte(ERROR_NAMES.indexOf(name))
    this.out.byte(parts.reduce((bits, [, bit]) => bits | bit, 0))
    for (const [part] of parts) this.member(value, part, `.${part}`, depth)
    this.properties(value, names, depth)
  }

  private arrayBuffer(value: ArrayBuffer): void {
    if (!isFixed(value)) {
      throw new Refusal('a resizable or detached ArrayBuffer', 'Give a copy of fixed length: buffer.slice().')
    }
    this.met.add(value)
    this.out.byte(Tag.arrayBuffer)
    this.out.bytes(new Uint8Array(value))
  }

  /** With its buffer where it shows at least half of it, so that such views share it again; else with its bytes alone. */
  private view(value: ArrayBufferView, name: string, depth: number): void {
    const type = VIEW_NAMES.indexOf(name)
    const { buffer, byteOffset, byteLength } = value
    if (isFixed(buffer) && buffer.byteLength <= 2 * byteLength) {
      this.out.byte(Tag.viewOfBuffer)
      this.out.byte(type)
      this.out.varint(byteOffset)
      this.out.varint(byteLength)
      this.reference(buffer, depth)
    } else if (isShared(buffer)) {
      throw new Refusal('a view of shared memory', 'Give a copy.')
    } else {
      this.out.byte(Tag.viewOfBytes)
      this.out.byte(type)
      this.out.bytes(bytesOf(value))
    }
    this.met.add(value)
  }
}

function isDense({ length }: readonly unknown[], names: readonly string[]): boolean {
  return names.length === length && (length === 0 || names[length - 1] === String(length - 1))
}

function isIndex(name: string): boolean {
  const index = Number(name)
  return index >= 0 && index < 2 ** 32 - 1 && Number.isInteger(index) && String(index) === name
}

function refuseSymbols(value: object): void {
  const symbols = Object.getOwnPropertySymbols(value)
  if (
    symbols.length > 0 &&
    symbols.some((symbol) => Object.prototype.propertyIsEnumerable.call(value, symbol))
  ) {
    throw new Refusal('an object with a symbol as a property name, which would be lost', ADVICE)
  }
}
