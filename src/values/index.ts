/**
 * How values become bytes and come back. To add a kind: one file, one row here, a number never used before.
 */

import { types } from 'node:util'
import { isUnreadable } from '../refusal.js'
import { bytes } from './bytes.js'
import { decodeBy, encodeBy, handlerFor, unwrap, wrap } from './custom.js'
import { decodeFrameSoon, encodeFrame, frame, isLargeFrame } from './frames.js'
import { damagedValue, type Encoded, Kind, unreadable, type ValueHandler } from './handler.js'
import { json } from './json.js'
import { labelledSeries, ndArray, typedArray } from './numbers.js'
import { string } from './string.js'
import { structured } from './structured.js'

export { defineHandler, type Handler } from './custom.js'
export { type Encoded, refusePromise, type ValueHandler } from './handler.js'

/** Asked in this order; the last one takes every value or throws. */
const HANDLERS: readonly ValueHandler[] = [
  bytes,
  string,
  typedArray,
  ndArray,
  labelledSeries,
  frame,
  json,
  structured,
]

const BY_KIND: readonly (ValueHandler | undefined)[] = HANDLERS.reduce<(ValueHandler | undefined)[]>(
  (table, handler) => {
    for (const kind of handler.kinds) table[kind] = handler
    return table
  },
  [],
)

/**
 * The stored form of a value. Its bytes may share memory with the value: write them before giving control back.
 * @throws UnserializableError `E_UNSERIALIZABLE`, naming the path inside the value
 */
export function encode(value: unknown): Encoded {
  const handler = handlerFor(value)
  return handler === undefined ? encodeBuiltin(value) : wrap(handler, encodeBuiltin(encodeBy(handler, value)))
}

/** The stored form of a value that takes long to encode, made on the thread pool; undefined for others. Errors as `encode`. */
export function encodeSoon(value: unknown): Promise<Encoded> | undefined {
  const soon = !types.isProxy(value) && isLargeFrame(value) && handlerFor(value) === undefined
  return soon ? encodeFrame(value) : undefined
}

/** As `decode` of a whole buffer, on the thread pool; undefined for what takes no time. */
export const decodeSoon = decodeFrameSoon

function encodeBuiltin(value: unknown): Encoded {
  if (isCommon(value)) return json.encode(value) ?? (structured.encode(value) as Encoded)
  if (isUnreadable(value)) return structured.encode(value) as Encoded // which says so
  for (const handler of HANDLERS) {
    const encoded = handler.encode(value)
    if (encoded !== undefined) return encoded
  }
  return structured.encode(value) as Encoded
}

// Plain data is by far the most frequent, and to ask the other handlers would cost as much as to write it.
function isCommon(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || types.isProxy(value)) return false
  const proto: unknown = Object.getPrototypeOf(value)
  return proto === Object.prototype || proto === Array.prototype
}

/**
 * The value in `buffer[start, end)`. Where `owned` is true it may be a view of the buffer, else it is a copy.
 * @throws CorruptError `E_CORRUPT` where the bytes are damaged
 * @throws UnavailableError `E_UNAVAILABLE` where the kind is unknown to this release, or holds a type that this run time
 * lacks: a miss, but the entry is sound and stays
 */
export function decode(kind: number, buffer: Buffer, start: number, end: number, owned: boolean): unknown {
  if (kind !== Kind.custom) return decodeBuiltin(kind, buffer, start, end, owned)
  const stored = unwrap(buffer, start, end)
  if (stored.kind === Kind.custom) throw damagedValue('a kind within its own')
  return decodeBy(stored.handler, decodeBuiltin(stored.kind, buffer, start, stored.end, owned))
}

function decodeBuiltin(kind: number, buffer: Buffer, start: number, end: number, owned: boolean): unknown {
  const handler = BY_KIND[kind]
  if (handler === undefined) throw unreadable(`its kind, ${kind}, is unknown to this release`)
  return handler.decode(kind, buffer, start, end, owned)
}

/** The names of the built-in kinds. */
export const KIND_NAMES: readonly string[] = HANDLERS.map((handler) => handler.name)

/**
 * What users see as the kind of an entry: one of the built-in ones, or the name of the handler that takes the value; `unknown`
 * for a number of another release.
 */
export function kindName(kind: number, value?: unknown): string {
  if (kind === Kind.custom) return handlerFor(value)?.name ?? 'custom'
  return BY_KIND[kind]?.name ?? 'unknown'
}

/** The same of a value that was just encoded. */
export function kindOf(encoded: Encoded): string {
  return encoded.name ?? kindName(encoded.kind)
}
