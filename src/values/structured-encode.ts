import { types } from 'node:util'
import { builtinName, bytesOf, isFixed, isShared } from '../intrinsics.js'
import { describe, isPromise, Refusal } from '../refusal.js'
import { AWAIT, unserializable } from './handler.js'
import { ERROR_NAMES, ERROR_PARTS, Tag, VIEW_NAMES } from './structured-format.js'
import { ListWriter } from './structured-lists.js'
import { ADVICE, refuseSymbols } from './structured-members.js'
import { at, type Members, type Structured, TOO_LONG } from './structured-plain.js'

let spare: Writer | undefined

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

/** Adds the classes of the language. */
class Writer extends ListWriter {
  protected other(value: object, proto: object | null, depth: number): void {
    if (proto === null) {
      this.isJson = false
      this.met.add(value)
      return this.plain(value as Members, 2, depth)
    }
    const name = builtinName(value, proto)
    if (name === undefined) throw new Refusal(describe(value), isPromise(value) ? AWAIT : ADVICE)
    this.isJson &&= name === 'Object' || name === 'Array'
    if (name === 'ArrayBuffer') return this.arrayBuffer(value as ArrayBuffer)
    if (ArrayBuffer.isView(value)) return this.view(value, name, depth)
    this.met.add(value)
    if (name === 'Array' && Array.isArray(value)) return this.array(value, depth)
    if (name === 'Object') return this.plain(value as Members, 0, depth)
    if (name.endsWith('Error')) return this.error(value as Error, name, depth)
    this.builtin(value, name, depth)
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
