import { builtinName } from '../intrinsics.js'
import { damagedValue, type Encoded, Kind, utf8Text, type ValueHandler } from './handler.js'
import { Met } from './met.js'

/**
 * Plain data that JSON gives back exactly, in type and content. Everything that JSON would change without a word (undefined,
 * -0, NaN, holes, dates, toJSON, an object met twice) makes `encode` pass, and the structured handler takes the value. A getter
 * is read twice, by the check and by JSON.stringify: it has to give the same both times.
 */
export const json: ValueHandler = {
  name: 'json',
  kinds: [Kind.json],

  encode(value: unknown): Encoded | undefined {
    const outer = met
    met = new Met()
    try {
      if (patched() || !isExact(value, 0)) return undefined
      return { kind: Kind.json, data: JSON.stringify(value) }
    } catch {
      // A getter or a proxy threw: the structured handler reads the value again and says where.
      return undefined
    } finally {
      met = outer
    }
  },

  decode(_kind: number, buffer: Buffer, start: number, end: number): unknown {
    const text = utf8Text(buffer, start, end)
    try {
      return JSON.parse(text)
    } catch (error) {
      throw damagedValue('it is not JSON', error)
    }
  },
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
    const member = (value as Record<string, unknown>)[name]
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
