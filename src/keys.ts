/**
 * Structured keys as canonical text: two keys have the same text if and only if they are the same key, in every process and
 * every release. The text is well-formed Unicode; its UTF-8 bytes are what is stored and hashed.
 *
 * A string key is its own text. Any other key, and a string that starts with U+0000 or is not well-formed, is U+0000 and one
 * item. No item is a prefix of another, so items need no separators:
 *
 *     u n t f              undefined, null, true, false
 *     i<decimal>;          a safe integer other than -0
 *     d<16 hex>            any other number, as the big-endian bits of its double; every NaN is 7ff8000000000000
 *     I<decimal>;          a bigint
 *     s<length>:<text>     a string, length in UTF-16 code units
 *     w<length>:<hex>      a string that is not well-formed, four hex digits a code unit
 *     D<number> R<source><flags> L<href>      Date, RegExp, URL
 *     b<class>:<length>:<bytes>               ArrayBuffer and its views, one character a byte
 *     [<items>]            an array; a hole is undefined
 *     {<name><item>...}    plain data sorted by name (UTF-16 order); a property that is undefined is absent
 *     M<key><value>...;  S<item>...;          Map and Set, sorted
 *     c<name><version>[<arguments>]           a call of a wrapped function, only as a whole key
 *     N<name><text>                           a key in a namespace, only as a whole key: behind the name is the key's own text
 *     F<hash><hex>         the content of a file, T<hash><hex> of a folder: x and 32 digits of XXH3-128, b and 64 of BLAKE3
 *     #<64 hex>            the digest of a text over 1024 bytes, only as a whole key, or behind the name of a namespace
 */
import { makeError } from './errors.js'
import { decodeKeyItem } from './keys-decode.js'
import { itemText, soonOf } from './keys-items.js'
import { stringItem } from './keys-names.js'
import { describe } from './refusal.js'

/**
 * A key: a string, or plain data. The order of properties does not matter, `undefined` properties do not count, `NaN` equals
 * `NaN` and `-0` is not `0`. Plain data is null, booleans, numbers, bigints, strings, dates, regular expressions, URLs, binary
 * data, what `file` and `directory` give, and arrays, plain objects, Maps and Sets of those. Only their content counts: not the position of a RegExp, nor
 * properties that were set on an array, a Map or the like.
 */
export type Key = string | number | bigint | boolean | null | object

/** A key over 1024 bytes as it comes back from disk: only its digest is kept. It can be given to `get`, `has`, `delete`. */
export class HashedKey {
  /** BLAKE3-256 of the key's text, 64 lowercase hex digits. */
  readonly hash: string
  readonly #brand = true

  // By brand and not `instanceof`, which would run the traps of a proxy.
  /** @internal */
  static is(value: object): value is HashedKey {
    return #brand in value
  }

  /** @throws InvalidKeyError `E_INVALID_KEY` */
  constructor(hash: string) {
    if (!/^[0-9a-f]{64}$/.test(hash)) {
      throw makeError('E_INVALID_KEY', `A HashedKey holds 64 lowercase hex digits, got ${describe(hash)}.`)
    }
    this.hash = hash
  }
}

/** The key of a call of a wrapped function as it comes back from disk. It can be given to `get`, `has`, `delete`. */
export class CallKey {
  readonly #brand = true

  /** @internal */
  static is(value: object): value is CallKey {
    return #brand in value
  }

  constructor(
    /** Of the function. */
    readonly name: string,
    /** Of the function; `''` where it has none. */
    readonly version: string,
    /** What it was called with, or what its `key` made of that. */
    readonly args: readonly unknown[],
  ) {}
}

/** A key in a namespace, as the whole cache lists it. It can be given to `get`, `has`, `delete`. */
export class NamespacedKey {
  readonly #brand = true

  /** @internal */
  static is(value: object): value is NamespacedKey {
    return #brand in value
  }

  constructor(
    /** Its name. */
    readonly namespace: string,
    /** The key inside it. */
    readonly key: Key | CallKey,
  ) {}
}

/** What the text of each key of a namespace starts with. */
export function namespacePrefix(name: string): string {
  return `\0N${stringItem(name)}`
}

/** Whether a key is its own text, if it is well-formed: what memory has is. Of texts only those of other keys begin so. */
export function isText(key: Key): key is string {
  return typeof key === 'string' && key.charCodeAt(0) !== 0
}

/**
 * The canonical text of a key. Content of files that is not known yet is read on this thread.
 * @throws InvalidKeyError `E_INVALID_KEY`, naming the path inside the key
 */
export function keyText(key: Key): string {
  if (isText(key) && key.isWellFormed()) return key
  if (typeof key === 'object' && key !== null) {
    if (HashedKey.is(key)) return `\0#${key.hash}`
    if (CallKey.is(key)) return callText(key.name, key.version, key.args)
    if (NamespacedKey.is(key)) return namespacePrefix(key.namespace) + keyText(key.key)
  }
  return itemText('key', key)
}

/**
 * As `keyText`, but content that is not known yet is read on the thread pool: only then is this a promise. The key must not be
 * changed meanwhile.
 * @throws InvalidKeyError `E_INVALID_KEY`, naming the path inside the key; the promise rejects with it, naming the file
 */
export function keyTextSoon(key: Key): string | Promise<string> {
  return typeof key === 'string' ? keyText(key) : soonOf(() => keyText(key))
}

/**
 * The canonical text of a call. Trailing undefined arguments are dropped, so `f(1)` and `f(1, undefined)` are one key.
 * @throws InvalidKeyError `E_INVALID_KEY`, naming the path inside the arguments
 */
export function callText(name: string, version: string, args: readonly unknown[]): string {
  return callPrefix(name, version) + argsText(args)
}

/** What the text of each call of a function starts with. */
export function callPrefix(name: string, version: string): string {
  return `\0c${stringItem(name)}${stringItem(version)}`
}

function argsText(args: readonly unknown[]): string {
  if (args.length === 1 && typeof args[0] === 'string') return `[${stringItem(args[0])}]`
  let count = args.length
  while (count > 0 && args[count - 1] === undefined) count--
  const given = count === args.length ? args : args.slice(0, count)
  return itemText('args', given).slice(1)
}

/** As `callText`, where the start is known; only a promise where content of files has to be read. */
export function callTextSoon(prefix: string, args: readonly unknown[]): string | Promise<string> {
  const text = soonOf(() => argsText(args))
  return typeof text === 'string' ? prefix + text : text.then((made) => prefix + made)
}

/** As `callTextSoon`; content that is not known yet is read on this thread. */
export function callTextSync(prefix: string, args: readonly unknown[]): string {
  return prefix + argsText(args)
}

/**
 * The key that a text stands for.
 * @throws InvalidKeyError `E_INVALID_KEY` where it is no text
 * @throws CorruptError `E_CORRUPT` where `keyText` cannot have made it
 * @throws UnavailableError `E_UNAVAILABLE` where this run time lacks a class, such as `Float16Array`
 */
export function keyFromText(text: string): Key | CallKey {
  if (typeof text !== 'string') {
    throw makeError(
      'E_INVALID_KEY',
      `Invalid text of a key: got ${describe(text)}. Give one that a query gave.`,
    )
  }
  if (text.charCodeAt(0) !== 0 && text.isWellFormed()) return text
  if (/^\0#[0-9a-f]{64}$/.test(text)) return new HashedKey(text.slice(2))
  if (text[1] === 'N') return namespacedFromText(text)
  const whole = decodeKeyItem(text)
  const key: Key | CallKey = whole.call === undefined ? (whole.item as Key) : new CallKey(...whole.call)
  // Encoding is one to one, so this one comparison finds every text that is not canonical.
  if (isCanonical(key, text)) return key
  throw makeError('E_CORRUPT', 'A stored key is damaged: its text is not canonical.')
}

function namespacedFromText(text: string): NamespacedKey {
  const [head = '', length = ''] = /^\0Ns(\d+):/.exec(text) ?? []
  const end = head.length + Number(length)
  const key = new NamespacedKey(text.slice(head.length, end), keyFromText(text.slice(end)))
  if (head !== '' && isCanonical(key, text)) return key
  throw makeError('E_CORRUPT', 'A stored key is damaged: its text is not canonical.')
}

function isCanonical(key: Key | CallKey, text: string): boolean {
  try {
    return keyText(key) === text
  } catch {
    return false
  }
}
