import { builtinName } from '../intrinsics.js'
import { damagedValue, type Encoded, fitsUtf8, Kind, utf8Text, type ValueHandler } from './handler.js'
import { memberOf } from './member.js'
import { Met } from './met.js'
import { structuredPart } from './structured.js'

/**
 * Bytes up to which plain data is written in the structured format, which is read and written faster than the text. What is longer
 * is compressed, and then the text is smaller; so it is where the names make the text more than twice as long as this.
 */
const LONGEST_RECORDS = 2304

/**
 * Plain data that JSON gives back exactly, in type and content. Everything that JSON would change without a word (undefined,
 * -0, NaN, holes, dates, toJSON, an object met twice) is left to the structured format.
 */
export const json: ValueHandler = {
  name: 'json',
  kinds: [Kind.json, Kind.records],

  encode(value: unknown): Encoded | undefined {
    if (typeof value === 'object' && value !== null) {
      const short = structuredPart().writeStructured(value, LONGEST_RECORDS)
      if (short !== undefined) {
        return { kind: short.isJson ? Kind.records : Kind.structured, data: short.data }
      }
    }
    const text = jsonText(value)
    return text !== undefined && fitsUtf8(text) ? { kind: Kind.json, data: text } : undefined
  },

  decode(kind: number, buffer: Buffer, start: number, end: number): unknown {
    if (kind === Kind.records) return structuredPart().decodeStructured(buffer, start, end)
    const text = utf8Text(buffer, start, end)
    try {
      return JSON.parse(text)
    } catch (error) {
      throw damagedValue('it is not JSON', error)
    }
  },
}

/** The JSON text of a value that it gives back exactly. A getter is read twice: it has to give the same both times. */
export function jsonText(value: unknown): string | undefined {
  const outer = met
  met = new Met()
  try {
    return patched() || !isExact(value, 0) ? undefined : JSON.stringify(value)
  } catch {
    // A getter or a proxy threw: the structured format reads the value again and says where.
    return undefined
  } finally {
    met = outer
  }
}

// JSON.stringify recurses on the machine's stack; far below what it can take.
const MAX_DEPTH = 500

// Every object on the way: one that is met twice would come back as two.
let met: Met

function patched(): boolean {
  return 'toJSON' in Object.prototype || 'toJSON' in Array.prototype
}

function isExact(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true
    case 'number':
      return Number.isFinite(value) && (value !== 0 || 1 / value > 0)
    case 'object':
      if (value === null) return true
      if (depth === MAX_DEPTH || met.find(value) >= 0) return false
      met.add(value)
      return isExactObject(value, depth + 1)
    default:
      return false
  }
}

function isExactObject(value: object, depth: number): boolean {
  const proto = Object.getPrototypeOf(value) as object | null
  if (proto !== Object.prototype) {
    if (Array.isArray(value)) return isExactArray(value, proto, depth)
    if (builtinName(value, proto) !== 'Object' || 'toJSON' in (proto as object)) return false
  }
  // Inherited names come up too; at worst they send the value to the structured handler.
  for (const name in value) {
    const member = memberOf(value, name)
    if (typeof member !== 'string' && !isExact(member, depth)) return false
  }
  return Object.getOwnPropertySymbols(value).length === 0
}

function isExactArray(value: readonly unknown[], proto: object | null, depth: number): boolean {
  if (proto !== Array.prototype && (builtinName(value, proto) !== 'Array' || 'toJSON' in (proto as object)))
    return false
  for (let i = 0; i < value.length; i++) {
    const item = value[i]
    if (typeof item !== 'string' && !isExact(item, depth)) return false
  }
  // Nothing undefined, so no hole: as many members as items means that there are no others. (Counting names is far slower.)
  return Object.values(value).length === value.length && Object.getOwnPropertySymbols(value).length === 0
}
