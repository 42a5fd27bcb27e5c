/** How a saved `MemoryCache` becomes bytes: built-in and custom serializers, by name. */
import { makeError } from '../errors.js'
import { callback } from '../options.js'
import { describe, isUnreadable } from '../refusal.js'
import { structured } from '../values/structured.js'

/**
 * Turns what a cache holds into bytes and back. `data` is plain: objects, arrays, strings, numbers, bigints, `null`, and the
 * values of the cache as they are. `deserialize` gives something equal to what `serialize` was given.
 */
export interface Serializer {
  /** The end of the file's name, such as `'msgpack'`: letters, digits, `-` and `_`. */
  extension: string
  /** Gives bytes, or a text, which is written as UTF-8. */
  serialize(data: unknown): string | Uint8Array
  /** Gets the bytes that `serialize` gave; a text as UTF-8. */
  deserialize(bytes: Buffer): unknown
}

const serializers = new Map<string, Serializer>([
  [
    'structured',
    {
      extension: 'tierce',
      serialize: (data) => structured.encode(data)!.data,
      deserialize: (bytes) => {
        const copy = Buffer.from(bytes)
        return structured.decode(structured.kinds[0]!, copy, 0, copy.length, true)
      },
    },
  ],
  [
    'json',
    {
      extension: 'json',
      serialize: (data) => jsonOf(data),
      deserialize: (bytes) => JSON.parse(bytes.toString('utf8')) as unknown,
    },
  ],
])

/**
 * Defines a serializer that `new MemoryCache({ serializer: name })` uses for `save` and `load`.
 * @throws InvalidOptionError `E_INVALID_OPTION` for a name that is taken, or an incomplete serializer
 */
export function defineSerializer(name: string, serializer: Serializer): void {
  if (typeof name !== 'string' || name === '') throw refuse(`the name is ${describe(name)}; give a text`)
  if (serializers.has(name)) throw refuse(`there is a serializer '${name}' already; give another name`)
  if (typeof serializer !== 'object' || serializer === null || isUnreadable(serializer))
    throw refuse(`'${name}' is ${describe(serializer)}; give an object`)
  callback(serializer.serialize, `serialize of serializer '${name}'`)
  callback(serializer.deserialize, `deserialize of serializer '${name}'`)
  const { extension } = serializer
  if (typeof extension !== 'string' || !/^[A-Za-z0-9_-]{1,32}$/.test(extension)) {
    throw refuse(
      `the extension of '${name}' is ${describe(extension)}; give letters, digits, - and _, such as 'msgpack'`,
    )
  }
  serializers.set(name, serializer)
}

export function serializerNames(): string[] {
  return [...serializers.keys()]
}

/** @returns undefined where no serializer has the name */
export function serializerNamed(name: string): Serializer | undefined {
  return serializers.get(name)
}

/**
 * JSON that comes back as it went in: what JSON would change without a word is refused.
 * @throws UnserializableError `E_UNSERIALIZABLE`
 */
function jsonOf(data: unknown): string {
  return JSON.stringify(data, function (this: Record<string, unknown>, name, value: unknown) {
    const raw = this[name]
    if (!isJson(raw)) {
      throw makeError(
        'E_UNSERIALIZABLE',
        `JSON cannot hold ${describe(raw)} (at ${JSON.stringify(name)}) as it is. Use the serializer 'structured', or one of your own.`,
        { path: name },
      )
    }
    return value
  })
}

function isJson(value: unknown): boolean {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true
  if (typeof value === 'number') return Number.isFinite(value) && !Object.is(value, -0)
  if (typeof value !== 'object') return false
  const proto: unknown = Object.getPrototypeOf(value)
  return Array.isArray(value) || proto === Object.prototype || proto === null
}

function refuse(message: string): Error {
  return makeError('E_INVALID_OPTION', `Invalid serializer: ${message}.`, { name: 'serializer' })
}
