/** The items of a key's text, which `keys.ts` describes, and the content of files that some of them stand for. */
import { ContentKey, contentItem, digestSync, digests, isGathering, knownDigest } from './content.js'
import { makeError, TierceError } from './errors.js'
import { builtinName, bytesOf, isPlain, isShared, viewName } from './intrinsics.js'
import { MAX_DEPTH } from './keys-decode.js'
import { sortedNames, stringItem } from './keys-names.js'
import { describe, hiddenMembers, property, Refusal } from './refusal.js'

// An object met twice is written twice, so a few dozen levels of `{ a: x, b: x }` would never end.
const MAX_CONTAINERS = 1_000_000
const ADVICE =
  'Give a string, or plain data (objects, arrays, strings, numbers, dates, Maps, Sets, binary data).'

/** The text that `make` gives, after the content that it lacks was read on the thread pool: only then a promise. */
export function soonOf(make: () => string): string | Promise<string> {
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
  const digest = found?.get(part) ?? part.digest ?? (later && isGathering() ? undefined : knownDigest(part))
  if (digest !== undefined) return contentItem(part, digest)
  if (!later) return contentItem(part, digestSync(part))
  unread ??= new Set()
  unread.add(part)
  return ''
}

let containers = 0

/**
 * U+0000 and the item of a value, which errors call `root`.
 * @throws InvalidKeyError `E_INVALID_KEY`, naming the path inside the value
 */
export function itemText(root: string, value: unknown): string {
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
    refuseSymbols(value)
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

function refuseSymbols(value: object): void {
  const symbols = Object.getOwnPropertySymbols(value)
  if (symbols.length === 0) return
  const isShown = (symbol: symbol) => Object.prototype.propertyIsEnumerable.call(value, symbol)
  if (symbols.some(isShown)) throw new Refusal('an object with a symbol as a property name', ADVICE)
  const hidden = hiddenMembers(value, symbols)
  if (hidden !== undefined) throw new Refusal(hidden, ADVICE)
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
