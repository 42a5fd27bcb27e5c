/**
 * How values become bytes and come back. To add a kind: one file, one row here, a number never used before.
 */
import { bytes } from './bytes.js'
import { type Encoded, unreadable, type ValueHandler } from './handler.js'
import { json } from './json.js'
import { string } from './string.js'
import { structured } from './structured.js'

export type { Encoded, ValueHandler } from './handler.js'

/** Asked in this order; the last one takes every value or throws. */
const HANDLERS: readonly ValueHandler[] = [bytes, string, json, structured]

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
  for (const handler of HANDLERS) {
    const encoded = handler.encode(value)
    if (encoded !== undefined) return encoded
  }
  return structured.encode(value) as Encoded
}

/**
 * The value in `buffer[start, end)`. Where `owned` is true it may be a view of the buffer, else it is a copy.
 * @throws CorruptError `E_CORRUPT` where the bytes are damaged
 * @throws UnavailableError `E_UNAVAILABLE` where the kind is unknown to this release, or holds a type that this run time
 * lacks: a miss, but the entry is sound and stays
 */
export function decode(kind: number, buffer: Buffer, start: number, end: number, owned: boolean): unknown {
  const handler = BY_KIND[kind]
  if (handler === undefined) throw unreadable(`its kind, ${kind}, is unknown to this release`)
  return handler.decode(kind, buffer, start, end, owned)
}

/** What users see as the kind of an entry: bytes, string, json, structured; `unknown` for a number of another release. */
export function kindName(kind: number): string {
  return BY_KIND[kind]?.name ?? 'unknown'
}
