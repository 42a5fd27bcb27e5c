import { ARRAY_TYPES, arrayType, NdArray, type NumberArray, Series } from '../arrays.js'
import { bytesOf, isFixed, VIEW_CLASSES } from '../intrinsics.js'
import { damagedValue, type Encoded, Kind, unreadable, type ValueHandler } from './handler.js'
import { structuredPart } from './structured.js'

/** Types by number; also the kinds from a base on. */
const TYPES = ARRAY_TYPES.map((_, type) => type)
const kindsFrom = (base: number): number[] => TYPES.map((type) => base + type)
/** `Element::U8`, which is also how the bytes of a `Uint8Array` are coded. */
const UINT8_ELEMENT = 1
const elementOf = (type: number): number => (ARRAY_TYPES[type] === 'Uint8Array' ? UINT8_ELEMENT : type)
/** Behind the elements: a structured value, and its length. */
const LENGTH = 4

/** Typed arrays alone; those inside other values, and views of memory that may change or go away, are left to `structured`. */
export const typedArray: ValueHandler = {
  name: 'typed-array',
  kinds: kindsFrom(Kind.typedArray),

  encode(value: unknown): Encoded | undefined {
    const type = arrayType(value)
    if (type < 0 || !isFixed((value as NumberArray).buffer)) return undefined
    return { kind: Kind.typedArray + type, data: bytesOf(value as NumberArray), element: elementOf(type) }
  },

  decode(kind: number, buffer: Buffer, start: number, end: number, owned: boolean): unknown {
    return arrayOf(kind - Kind.typedArray, buffer, start, end, owned)
  },
}

export const ndArray: ValueHandler = {
  name: 'ndarray',
  kinds: kindsFrom(Kind.ndArray),

  encode(value: unknown): Encoded | undefined {
    if (typeof value !== 'object' || value === null || !NdArray.is(value)) return undefined
    return withFacts(Kind.ndArray, value.data, value.shape)
  },

  decode(kind: number, buffer: Buffer, start: number, end: number, owned: boolean): unknown {
    const { facts, at } = factsOf(buffer, start, end)
    const data = arrayOf(kind - Kind.ndArray, buffer, start, at, owned)
    if (!Array.isArray(facts)) throw damagedValue('an ndarray without its shape')
    return made(() => new NdArray(data, facts as number[]))
  },
}

export const labelledSeries: ValueHandler = {
  name: 'series',
  kinds: kindsFrom(Kind.series),

  encode(value: unknown): Encoded | undefined {
    if (typeof value !== 'object' || value === null || !Series.is(value)) return undefined
    return withFacts(Kind.series, value.data, [value.name, value.index])
  },

  decode(kind: number, buffer: Buffer, start: number, end: number, owned: boolean): unknown {
    const { facts, at } = factsOf(buffer, start, end)
    const data = arrayOf(kind - Kind.series, buffer, start, at, owned)
    if (!Array.isArray(facts)) throw damagedValue('a series without its facts')
    return made(() => new Series(data, facts[0] as string, facts[1] as NumberArray))
  },
}

/** The elements first, where the codec finds them, then what else there is. */
function withFacts(base: number, data: NumberArray, facts: unknown): Encoded | undefined {
  const type = arrayType(data)
  if (type < 0 || !isFixed(data.buffer)) return undefined
  const bytes = bytesOf(data)
  const tail = structuredPart().encodeStructured(facts)
  const whole = Buffer.allocUnsafeSlow(bytes.length + tail.length + LENGTH)
  whole.set(bytes)
  whole.set(tail, bytes.length)
  whole.writeUInt32LE(tail.length, bytes.length + tail.length)
  return { kind: base + type, data: whole, element: elementOf(type), tail: true }
}

function factsOf(buffer: Buffer, start: number, end: number): { facts: unknown; at: number } {
  const stop = end - LENGTH
  const at = stop < start ? -1 : stop - buffer.readUInt32LE(stop)
  if (at < start) throw damagedValue('it ends too soon')
  return { facts: structuredPart().decodeStructured(buffer, at, stop), at }
}

function made<T>(make: () => T): T {
  try {
    return make()
  } catch (error) {
    throw damagedValue('its shape or index does not fit', error)
  }
}

function arrayOf(type: number, buffer: Buffer, start: number, end: number, owned: boolean): NumberArray {
  const name = ARRAY_TYPES[type]!
  const view = VIEW_CLASSES.get(name) as
    | ((new (
        memory: ArrayBuffer,
        offset?: number,
        length?: number,
      ) => NumberArray) & { BYTES_PER_ELEMENT: number })
    | undefined
  if (view === undefined) throw unreadable(`it is a ${name}, which this run time lacks`)
  const [offset, width] = [buffer.byteOffset + start, view.BYTES_PER_ELEMENT]
  if ((end - start) % width !== 0) throw damagedValue('half an element')
  if (owned && offset % width === 0)
    return new view(buffer.buffer as ArrayBuffer, offset, (end - start) / width)
  const memory = new ArrayBuffer(end - start)
  new Uint8Array(memory).set(buffer.subarray(start, end))
  return new view(memory)
}
