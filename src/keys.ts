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
 *     #<64 hex>            the digest of a text over 1024 bytes, only as a whole key
 */
import { ContentKey, contentItem, digestSync, digests, knownDigest } from './content.js'
import { makeError, TierceError } from './errors.js'
import { builtinName, bytesOf, isPlain, isShared, viewName } from './intrinsics.js'
import { decodeKeyItem, MAX_DEPTH } from './keys-decode.js'
import { sortedNames, stringItem } from './keys-names.js'
import { describe, property, Refusal } from './refusal.js'

/**
 * A key: a string, or plain data. The order of properties does not matter, `undefined` properties do not count, `NaN` equals
 * `NaN` and `-0` is not `0`. Plain data is null, booleans, numbers, bigints, strings, dates, regular expressions, URLs, binary
 * data, what `file` and `directory` give, and arrays, plain objects, Maps and Sets of those. Only their content counts: not the position of a RegExp, nor
 * properties that were set on an array, a Map or the like.
 */
export type Key = string | number | bigint | boolean | null | object

// An object met twice is written twice, so a few dozen levels of `{ a: x, b: x }` would never end.
const MAX_CONTAINERS = 1_000_000
const ADVICE =
  'Give a string, or plain data (objects, arrays, strings, numbers, dates, Maps, Sets, binary data).'

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
    readonly name: string,
    readonly version: string,
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
    readonly namespace: string,
    readonly key: Key | CallKey,
  ) {}
}

/** What the text of each key of a namespace starts with. */
export function namespacePrefix(name: string): string {
  return `\0N${stringItem(name)}`
}

/**
 * The canonical text of a key. Content of files that is not known yet is read on this thread.
 * @throws InvalidKeyError `E_INVALID_KEY`, naming the path inside the key
 */
export function keyText(key: Key): string {
  if (typeof key === 'string' && key.charCodeAt(0) !== 0 && key.isWellFormed()) return key
  if (typeof key === 'object' && key !== null) {
    if (HashedKey.is(key)) return `\0#${key.hash}`
    if (CallKey.is(key)) return callText(key.name, key.version, key.args)
    if (NamespacedKey.is(key)) return namespacePrefix(key.namespace) + keyText(key.key)
  }
  return guarded('key', key)
}

/**
 * As `keyText`, but content that is not known yet is read on the thread pool: only then is this a promise. The key must not be
 * changed meanwhile.
 * @throws InvalidKeyError `E_INVALID_KEY`, naming the path inside the key; the promise rejects with it, naming the file
 */
export function keyTextSoon(key: Key): string | Promise<string> {
  return typeof key === 'string' ? keyText(key) : soonOf(() => keyText(key))
}

function soonOf(make: () => string): string | Promise<string> {
  // A getter in the key may ask for another key.
  const outerLater = later
  const outerUnread = unread
  later = true
  unread = undefined
  try {
    const text = make()
    return unread === undefined ? text : withContent(make, unread)
  } finally {
    later = outerLater
    unread = outerUnread
  }
}

async function withContent(make: () => string, parts: ReadonlySet<ContentKey>): Promise<string> {
  const read = await digests([...parts])
  found = read
  try {
    return make()
  } finally {
    found = undefined
  }
}

// Set while a key's text is made: whether unknown content is read later, which parts that are, and what reading them gave.
let later = false
let unread: Set<ContentKey> | undefined
let found: ReadonlyMap<ContentKey, string> | undefined

function contentText(part: ContentKey): string {
  const digest = found?.get(part) ?? knownDigest(part)
  if (digest !== undefined) return contentItem(part, digest)
  if (!later) return contentItem(part, digestSync(part))
  unread ??= new Set()
  unread.add(part)
  return ''
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
  return guarded('args', given).slice(1)
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

let containers = 0

function guarded(root: string, value: unknown): string {
  containers = 0
  try {
    if (value === undefined) throw new Refusal('undefined', ADVICE)
    return `\0${item(value, 0)}`
  } catch (error) {
    const refusal = Refusal.from(error)
    if (refusal.options.cause instanceof TierceError) throw refusal.options.cause // of a file that the key names
    const { path, message } = refusal.explain(root)
    throw makeError('E_INVALID_KEY', `Invalid key: ${message}`, { path }, refusal.options.cause)
  }
}

function item(value: unknown, depth: number): string {
  switch (typeof value) {
    case 'string':
      return stringItem(value)
    case 'number':
      return numberItem(value)
    case 'boolean':
      return value ? 't' : 'f'
    case 'undefined':
      return 'u'
    case 'bigint':
      return `I${value};`
    case 'object':
      return value === null ? 'n' : objectItem(value, depth + 1)
    default:
      throw new Refusal(describe(value), ADVICE)
  }
}

const bits = new DataView(new ArrayBuffer(8))
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

function numberItem(value: number): string {
  if (Number.isSafeInteger(value) && (value !== 0 || 1 / value > 0)) return `i${value};`
  if (Number.isNaN(value)) return 'd7ff8000000000000'
  bits.setFloat64(0, value)
  return `d${hex32(bits.getInt32(0))}${hex32(bits.getInt32(4))}`
}

// By table: toString(16) takes a slow path for words over 31 bits.
function hex32(word: number): string {
  return `${HEX[word >>> 24]}${HEX[(word >>> 16) & 255]}${HEX[(word >>> 8) & 255]}${HEX[word & 255]}`
}

function objectItem(value: object, depth: number): string {
  if (depth > MAX_DEPTH) {
    throw new Refusal(`nested deeper than ${MAX_DEPTH}`, 'Give flatter data, or a string.', { deep: true })
  }
  if (++containers > MAX_CONTAINERS) {
    throw new Refusal(`beyond ${MAX_CONTAINERS} objects in one key`, 'Give a digest of the data as a string.')
  }
  const proto = Object.getPrototypeOf(value) as object | null
  if (proto === Object.prototype) return plainItem(value as Record<string, unknown>, depth)
  if (Array.isArray(value) && builtinName(value, proto) === 'Array') return arrayItem(value, depth)
  if (isPlain(value, proto)) return plainItem(value as Record<string, unknown>, depth)
  return builtinItem(value, builtinName(value, proto), depth)
}

function plainItem(value: Record<string, unknown>, depth: number): string {
  const names = sortedNames(Object.keys(value))
  let name: string | undefined
  let text = '{'
  try {
    if (hasEnumerableSymbol(value)) throw new Refusal('an object with a symbol as a property name', ADVICE)
    for (let i = 0; i < names.sorted.length; i++) {
      name = names.sorted[i] as string
      const member = value[name]
      if (member !== undefined) text += (names.items[i] as string) + item(member, depth)
    }
  } catch (error) {
    throw Refusal.at(error, value, name === undefined ? '' : property(name))
  }
  return `${text}}`
}

function hasEnumerableSymbol(value: object): boolean {
  const symbols = Object.getOwnPropertySymbols(value)
  return (
    symbols.length > 0 && symbols.some((symbol) => Object.prototype.propertyIsEnumerable.call(value, symbol))
  )
}

function arrayItem(value: readonly unknown[], depth: number): string {
  let index = 0
  let text = '['
  try {
    for (; index < value.length; index++) text += item(value[index], depth)
  } catch (error) {
    throw Refusal.at(error, value, `[${index}]`)
  }
  return `${text}]`
}

function builtinItem(value: object, name: string | undefined, depth: number): string {
  switch (name) {
    case 'Date':
      return `D${numberItem(Date.prototype.getTime.call(value))}`
    case 'RegExp':
      return `R${stringItem((value as RegExp).source)}${stringItem((value as RegExp).flags)}`
    case 'URL':
      return `L${stringItem((value as URL).href)}`
    case 'Map':
      return mapItem(value as Map<unknown, unknown>, depth)
    case 'Set':
      return setItem(value as Set<unknown>, depth)
    default:
      if (name !== undefined && (name === 'ArrayBuffer' || ArrayBuffer.isView(value))) {
        return bytesItem(value as ArrayBuffer | ArrayBufferView)
      }
      if (ContentKey.is(value)) return contentText(value)
      throw new Refusal(describe(value), ADVICE)
  }
}

function bytesItem(value: ArrayBuffer | ArrayBufferView): string {
  const isView = ArrayBuffer.isView(value)
  if (isView && isShared(value.buffer)) {
    throw new Refusal('a view of shared memory, which may change', 'Give a copy.')
  }
  const bytes = bytesOf(value)
  return `b${isView ? viewName(value) : 'ArrayBuffer'}:${bytes.length}:${bytes.toString('latin1')}`
}

// A key is sorted together with its value: as no key is a prefix of another, that is the order of the keys, and it settles
// the order of keys that are different objects with the same text.
function mapItem(value: Map<unknown, unknown>, depth: number): string {
  const pairs: string[] = []
  let step = ''
  try {
    for (const [key, member] of Map.prototype.entries.call(value)) {
      step = ` key #${pairs.length}`
      const name = item(key, depth)
      step = typeof key === 'string' ? `.get(${describe(key)})` : ` value #${pairs.length}`
      pairs.push(name + item(member, depth))
    }
  } catch (error) {
    throw Refusal.at(error, value, step)
  }
  return `M${pairs.sort().join('')};`
}

function setItem(value: Set<unknown>, depth: number): string {
  const items: string[] = []
  try {
    for (const member of Set.prototype.values.call(value)) items.push(item(member, depth))
  } catch (error) {
    throw Refusal.at(error, value, ` member #${items.length}`)
  }
  return `S${items.sort().join('')};`
}
