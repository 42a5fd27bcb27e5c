import { constants, isUtf8 } from 'node:buffer'
import { makeError, type TierceError } from '../errors.js'
import { describe, isPromise, Refusal } from '../refusal.js'

/** A value in its stored form: `kind` says how to read `data`; a string is to be written as UTF-8 (it is well-formed). */
export interface Encoded {
  kind: number
  data: string | Uint8Array
  /** Where the data is an array of numbers: which (`Element` in crates/tierce/src/codec/numbers.rs). */
  element?: number
  /** The last four bytes of the data say how many before them are no elements either. */
  tail?: boolean
  /** The name of a handler of the user's. */
  name?: string
}

/** One way of storing values. The first handler in the list whose `encode` gives a result stores the value. */
export interface ValueHandler {
  /** What users see as the kind of an entry. */
  readonly name: string
  /** The kind numbers it reads. They are written to disk: a number is never given a second meaning. */
  readonly kinds: readonly number[]
  /** The stored form, or undefined where the value is not of this kind. `data` may share memory with the value. */
  encode(value: unknown): Encoded | undefined
  /** Reads `buffer[start, end)`. Where `owned` is false the buffer is used again afterwards, so the result must be a copy. */
  decode(kind: number, buffer: Buffer, start: number, end: number, owned: boolean): unknown
}

/** The numbers written to disk. */
export const Kind = {
  /** Plain bytes, as the Rust API stores them. */
  plain: 0,
  buffer: 1,
  uint8Array: 2,
  arrayBuffer: 3,
  utf8: 4,
  utf16: 5,
  json: 6,
  structured: 7,
  /** What JSON would give back as well, in the structured format. */
  records: 8,
  /** Made by a handler of the user's; its name is in the payload. */
  custom: 15,
  /** And the number of the element's type: `ARRAY_TYPES` in numbers.ts. */
  typedArray: 16,
  ndArray: 32,
  series: 48,
  /** Parquet. */
  arrow: 64,
  polars: 65,
} as const

/** `E_CORRUPT`: the bytes of a value are damaged. */
export function damagedValue(why: string, cause?: unknown): TierceError {
  return makeError('E_CORRUPT', `A stored value is damaged: ${why}.`, undefined, cause)
}

/** `E_UNSERIALIZABLE`, with the path inside the value. */
export function unserializable(refusal: Refusal): TierceError {
  const { path, message } = refusal.explain('value')
  return makeError('E_UNSERIALIZABLE', `Cannot store this value: ${message}`, { path }, refusal.options.cause)
}

export const AWAIT = 'Give what it resolves to: await it first.'

/**
 * Refuses a promise, nearly always a forgotten `await`, also where values are kept as they are: `await get(key)` would wait for it.
 * @throws UnserializableError `E_UNSERIALIZABLE`
 */
export function refusePromise(value: unknown): void {
  if (isPromise(value)) throw unserializable(new Refusal(describe(value), AWAIT))
}

/** `E_UNAVAILABLE`: the value may be sound, but this run time or release cannot read it. */
export function unreadable(what: unknown): TierceError {
  const text = typeof what === 'string' ? what : describe(what)
  return makeError('E_UNAVAILABLE', `A stored value cannot be read here: ${text}.`)
}

/** Whether the text can be read back from its UTF-8: no string is made of more bytes than one may have units. */
export function fitsUtf8(text: string, most = constants.MAX_STRING_LENGTH): boolean {
  return text.length * 3 <= most || Buffer.byteLength(text) <= most
}

/**
 * Text of UTF-8 bytes.
 * @throws CorruptError where they are not UTF-8
 */
export function utf8Text(buffer: Buffer, start: number, end: number): string {
  const text = buffer.toString('utf8', start, end)
  // Damage decodes to U+FFFD. Looking for it is free where the text is Latin-1, so only texts that have it pay for a proof.
  if (text.includes('\uFFFD') && !isUtf8(buffer.subarray(start, end))) throw damagedValue('it is not UTF-8')
  return text
}
