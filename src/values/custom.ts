/** Kinds of values that users add. */
import { makeError, TierceError } from '../errors.js'
import { callback, checkOptions } from '../options.js'
import { describe, isPromise } from '../refusal.js'
import { damagedValue, type Encoded, Kind, unreadable } from './handler.js'

/** A way of storing values that the library does not know: instances of a class, for example. */
export interface Handler<T = unknown> {
  /** Stored with each value: only a handler of this name reads it back. 1 to 64 characters: letters, digits, `.`, `_`, `-`, `/`. */
  name: string
  /** Whether a value is of this kind. Asked for each value that is stored, before the built-in kinds are. */
  test(value: unknown): boolean
  /** Anything storable: plain data, bytes, a typed array. */
  encode(value: T): unknown
  /** The value, from what `encode` gave. */
  decode(stored: unknown): T
}

const defined = new Map<string, Handler>()
/** Behind what `encode` gave: its kind, the name, the name's length (`u16`), and the length of all but the elements (`u32`). */
const END = 6
const NAME = /^[A-Za-z0-9._\-/]{1,64}$/

/**
 * Adds a kind of value, for all caches of this process (each worker thread is one of its own). A program in which no handler
 * of the name is defined gets a miss for such an entry, and the entry stays.
 * @throws InvalidOptionError `E_INVALID_OPTION`: the name is taken, or something is missing
 */
export function defineHandler<T>(handler: Handler<T>): void {
  checkOptions(handler ?? null, ['name', 'test', 'encode', 'decode'], 'a handler')
  const { name, test, encode, decode } = handler
  if (typeof name !== 'string' || !NAME.test(name)) {
    throw invalid(
      'name',
      `Invalid name of a handler: ${describe(name)}. Give 1 to 64 letters, digits, '.', '_', '-' or '/'.`,
    )
  }
  const copy = {
    name,
    test: callback<Handler['test']>(test, 'test'),
    encode: callback<Handler['encode']>(encode as never, 'encode'),
    decode: callback<Handler['decode']>(decode, 'decode'),
  }
  if (defined.has(name))
    throw invalid(name, `A handler named '${name}' is defined already: give this one another name.`)
  defined.set(name, copy)
}

/**
 * The handler that takes a value, if there is one.
 * @throws InvalidOptionError `E_INVALID_OPTION` where a test cannot say at once
 * @throws UnserializableError `E_UNSERIALIZABLE` with what a test threw as the cause
 */
export function handlerFor(value: unknown): Handler | undefined {
  if (defined.size === 0) return undefined
  for (const handler of defined.values()) if (run(handler, 'test', value)) return handler
  return undefined
}

function run(handler: Handler, verb: 'test' | 'encode' | 'decode', given: unknown): unknown {
  let result: unknown
  try {
    result = handler[verb](given)
  } catch (error) {
    throw error instanceof TierceError && verb === 'encode' ? error : failed(handler, verb, 'threw', error)
  }
  if (isPromise(result)) throw failed(handler, verb, 'gave a promise: it has to give its result at once')
  return result
}

function failed({ name }: Handler, verb: string, what: string, cause?: unknown): Error {
  const message = `the ${verb} of handler '${name}' ${what}.`
  if (verb === 'decode')
    return makeError('E_UNAVAILABLE', `A stored value cannot be read here: ${message}`, undefined, cause)
  const code = verb === 'test' && cause === undefined ? 'E_INVALID_OPTION' : 'E_UNSERIALIZABLE'
  return makeError(code, `Cannot store this value: ${message}`, { path: 'value' }, cause)
}

/** The stored form, given that of what the handler made of the value. */
export function wrap(handler: Handler, inner: Encoded): Encoded {
  const data = typeof inner.data === 'string' ? Buffer.from(inner.data) : inner.data
  const name = Buffer.from(handler.name)
  const whole = Buffer.allocUnsafeSlow(data.length + 1 + name.length + END)
  whole.set(data)
  whole[data.length] = inner.kind
  whole.set(name, data.length + 1)
  const end = data.length + 1 + name.length
  whole.writeUInt16LE(name.length, end)
  const tail = inner.tail
    ? Buffer.from(data.buffer, data.byteOffset, data.length).readUInt32LE(data.length - 4) + 4
    : 0
  whole.writeUInt32LE(tail + end - data.length + 2, end + 2)
  const element = inner.element === undefined ? {} : { element: inner.element, tail: true }
  return { kind: Kind.custom, data: whole, name: handler.name, ...element }
}

/** What `wrap` has put together, taken apart. */
export function unwrap(
  buffer: Buffer,
  start: number,
  end: number,
): { handler: Handler; kind: number; end: number } {
  const stop = end - END
  const at = stop < start ? -1 : stop - buffer.readUInt16LE(stop)
  if (at <= start - 1 || at - 1 < start) throw damagedValue('it ends too soon')
  const name = buffer.toString('latin1', at, stop)
  const handler = defined.get(name)
  if (handler === undefined) {
    throw unreadable(
      `it is of the kind ${JSON.stringify(name.slice(0, 64))}, and no handler of that name is defined`,
    )
  }
  return { handler, kind: buffer[at - 1]!, end: at - 1 }
}

/** Runs a handler's `encode`. @throws UnserializableError `E_UNSERIALIZABLE` with what it threw as the cause, or for a promise */
export function encodeBy(handler: Handler, value: unknown): unknown {
  return run(handler, 'encode', value)
}

/** Runs a handler's `decode`. @throws UnavailableError `E_UNAVAILABLE` with what it threw as the cause, or for a promise or undefined */
export function decodeBy(handler: Handler, stored: unknown): unknown {
  const value = run(handler, 'decode', stored)
  if (value === undefined) throw failed(handler, 'decode', 'gave undefined, which stands for a miss')
  return value
}

function invalid(name: unknown, message: string): Error {
  return makeError('E_INVALID_OPTION', message, { name })
}
