import { types } from 'node:util'
import { builtinName, bytesOf, isFixed, isShared } from '../intrinsics.js'
import { describe, property, Refusal } from '../refusal.js'
import { unserializable } from './handler.js'
import { Met } from './met.js'
import { ERROR_NAMES, ERROR_PARTS, MAX_DEPTH, Tag, VIEW_NAMES } from './structured-format.js'
import { ADVICE, elementsOf, isIndex, isPolluted, membersOf, refuseSymbols } from './structured-members.js'
import { Output } from './structured-output.js'
import { Shapes } from './structured-shapes.js'

let spare: Writer | undefined

/** A structured form, and whether JSON would give the same value back. */
export interface Structured {
  data: Uint8Array
  isJson: boolean
}

/**
 * The structured form of a value; undefined where JSON would give the value back as well and this form is longer than
 * `longestJson` bytes, which it finds out when it has written as many.
 * @throws UnserializableError `E_UNSERIALIZABLE`, naming the path inside the value
 */
export function writeStructured(value: unknown, longestJson: number): Structured | undefined {
  // Taken, not shared: a getter inside the value may encode another one meanwhile.
  const writer = spare ?? new Writer()
  spare = undefined
  try {
    return writer.whole(value, longestJson)
  } catch (error) {
    if (error === TOO_LONG) return undefined
    throw unserializable(Refusal.from(error))
  } finally {
    writer.reset()
    spare = writer
  }
}

/**
 * The structured form of a value.
 * @throws UnserializableError `E_UNSERIALIZABLE`, naming the path inside the value
 */
export function encodeStructured(value: unknown): Uint8Array {
  return (writeStructured(value, Infinity) as Structured).data
}

/** Thrown through the containers of a value that is given up: its path is of no interest. */
const TOO_LONG = new Error('too long')

/** The step to where something was thrown. */
function at(error: unknown, owner: object, segment: string): unknown {
  return error === TOO_LONG ? error : Refusal.at(error, owner, segment)
}

type Members = Record<string, unknown>

class Writer {
  private readonly out = new Output()
  /** An object is numbered before its parts, so that these may refer to it; a view after its buffer. */
  private readonly met = new Met()
  private readonly shapes = new Shapes()
  /** Which shapes have a number in this value. */
  private stamp = 1
  private count = 0
  private isJson = true
  private isPolluted = false
  private longestJson = 0

  whole(value: unknown, longestJson: number): Structured | undefined {
    this.longestJson = longestJson
    this.isPolluted = isPolluted()
    this.out.begin()
    this.value(value, 0)
    const { isJson } = this
    if (isJson && this.out.length > longestJson) return undefined
    return { data: this.out.take(), isJson }
  }

  reset(): void {
    this.out.drop()
    this.met.reset()
    this.stamp += 1
    this.count = 0
    this.isJson = true
  }

  private value(value: unknown, depth: number): void {
    switch (typeof value) {
      case 'string':
        return this.out.string(value)
      case 'number':
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

  private reference(value: object, depth: number): void {
    const number = this.met.find(value)
    if (number < 0) {
      if (depth === MAX_DEPTH) {
        throw new Refusal(`nested deeper than ${MAX_DEPTH}`, 'Give flatter data.', { deep: true })
      }
      if (this.isJson && this.out.length > this.longestJson) throw TOO_LONG
      this.object(value, depth + 1)
    } else {
      this.isJson = false
      this.out.byte(Tag.reference)
      this.out.varint(number)
    }
  }

  private object(value: object, depth: number): void {
    const proto = Object.getPrototypeOf(value) as object | null
    if (proto === Object.prototype) {
      this.met.add(value)
      return this.plain(value as Members, 0, depth)
    }
    if (proto === Array.prototype && Array.isArray(value)) {
      this.met.add(value)
      return this.array(value, depth)
    }
    this.other(value, proto, depth)
  }

  private other(value: object, proto: object | null, depth: number): void {
    if (proto === null) {
      this.isJson = false
      this.met.add(value)
      return this.plain(value as Members, 2, depth)
    }
    const name = builtinName(value, proto)
    if (name === undefined) throw new Refusal(describe(value), ADVICE)
    this.isJson &&= name === 'Object' || name === 'Array'
    if (name === 'ArrayBuffer') return this.arrayBuffer(value as ArrayBuffer)
    if (ArrayBuffer.isView(value)) return this.view(value, name, depth)
    this.met.add(value)
    if (name === 'Array' && Array.isArray(value)) return this.array(value, depth)
    if (name === 'Object') return this.plain(value as Members, 0, depth)
    if (name.endsWith('Error')) return this.error(value as Error, name, depth)
    this.builtin(value, name, depth)
  }

  /** `nullProto` is 2 for an object without a prototype, else 0: the distance of its tags. */
  private plain(value: Members, nullProto: 0 | 2, depth: number): void {
    let count = 0
    let here = ''
    try {
      refuseSymbols(value)
      const { length } = this.shape(value, nullProto)
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
          this.value(value[name], depth)
        }
      }
      if (count !== length) throw new Refusal('an object that changes while it is read', 'Give plain data.')
    } catch (error) {
      throw at(error, value, count === 0 ? '' : property(here))
    }
  }

  /** Writes the names of an object, or the number of an earlier object's names. */
  private shape(value: Members, nullProto: 0 | 2): readonly string[] {
    const { last } = this.shapes
    let shape = last.next
    if (shape === undefined || this.isPolluted || !shape.isOf(value)) {
      shape = this.shapes.find(Object.keys(value))
      last.next = shape
    }
    this.shapes.last = shape
    if (shape.stamp === this.stamp) {
      this.out.byte(Tag.knownObject + nullProto)
      this.out.varint(shape.number)
    } else {
      shape.stamp = this.stamp
      shape.number = this.count++
      this.out.byte(Tag.object + nullProto)
      this.out.names(shape)
    }
    return shape.names
  }

  private array(value: readonly unknown[], depth: number): void {
    refuseSymbols(value)
    const members = membersOf(value)
    if (members === undefined) {
      this.isJson = false
      return this.sparseArray(value, Object.keys(value), depth)
    }
    const elements = elementsOf(members)
    if (elements !== undefined) {
      if (!this.out.numbers(members as readonly number[], elements)) this.isJson = false
      return
    }
    const { length } = members
    this.out.byte(Tag.array)
    this.out.varint(length)
    let index = 0
    try {
      for (; index < length; index++) this.value(members[index], depth)
    } catch (error) {
      throw at(error, value, `[${index}]`)
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
      throw at(error, owner, segment)
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
      throw at(error, value, step)
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
      throw at(error, value, ` member #${index}`)
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
