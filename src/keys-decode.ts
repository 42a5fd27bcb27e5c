/**
 * Reads the items of `keys.ts` back. It need not judge whether a text is canonical (the caller compares), only end, stay in
 * bounds and throw nothing but typed errors, whatever the text.
 */
import { type ContentHash, ContentKey, DIGITS } from './content.js'
import { makeError, TierceError } from './errors.js'
import { VIEW_CLASSES } from './intrinsics.js'

/** How deep a key may nest. */
export const MAX_DEPTH = 500

/** What follows the leading U+0000 of a text: an item, or the parts of a call. */
export type DecodedKey =
  | { item: unknown; call?: undefined }
  | { item?: undefined; call: [name: string, version: string, args: unknown[]] }

/**
 * @throws CorruptError `E_CORRUPT`
 * @throws UnavailableError `E_UNAVAILABLE` where this run time lacks a class or a feature of regular expressions
 */
export function decodeKeyItem(text: string): DecodedKey {
  const reader = new Reader(text)
  try {
    const decoded: DecodedKey = text[1] === 'c' ? { call: reader.call() } : { item: reader.item(0) }
    if (reader.at !== text.length) throw damaged('more than one item')
    return decoded
  } catch (error) {
    // What a constructor refuses (a length that does not fit, a bigint or a URL that does not parse) is damage too.
    throw error instanceof TierceError ? error : damaged('an item does not parse', error)
  }
}

function damaged(why: string, cause?: unknown): TierceError {
  return makeError('E_CORRUPT', `A stored key is damaged: ${why}.`, undefined, cause)
}

class Reader {
  at = 1

  constructor(private readonly text: string) {}

  call(): [string, string, unknown[]] {
    this.at++
    const name = this.string()
    const version = this.string()
    if (this.text[this.at++] !== '[') throw damaged('a call without arguments')
    return [name, version, this.until(']', 0)]
  }

  item(depth: number): unknown {
    if (depth > MAX_DEPTH) throw damaged('nested too deep')
    switch (this.text[this.at++]) {
      case 'u':
        return undefined
      case 'n':
        return null
      case 't':
        return true
      case 'f':
        return false
      case 'i':
        return Number(this.upTo(';'))
      case 'd':
        return this.double()
      case 'I':
        return BigInt(this.upTo(';'))
      case 's':
      case 'w':
        this.at--
        return this.string()
      default:
        this.at--
        return this.object(depth + 1)
    }
  }

  private object(depth: number): unknown {
    switch (this.text[this.at++]) {
      case '[':
        return this.until(']', depth)
      case '{':
        return this.plain(depth)
      case 'M':
        return this.map(depth)
      case 'S':
        return new Set(this.until(';', depth))
      case 'D':
        return this.date(depth)
      case 'R':
        return this.regExp()
      case 'L':
        return new URL(this.string())
      case 'b':
        return this.bytes()
      case 'F':
        return this.content('file')
      case 'T':
        return this.content('directory')
      default:
        throw damaged('unknown item')
    }
  }

  private until(end: string, depth: number): unknown[] {
    const items: unknown[] = []
    while (this.text[this.at] !== end) items.push(this.item(depth))
    this.at++
    return items
  }

  private plain(depth: number): object {
    const object = {}
    while (this.text[this.at] !== '}') {
      const name = this.string()
      const value = this.item(depth)
      // Defined and not assigned, for the sake of `__proto__`.
      Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true })
    }
    this.at++
    return object
  }

  private map(depth: number): Map<unknown, unknown> {
    const map = new Map<unknown, unknown>()
    while (this.text[this.at] !== ';') {
      const key = this.item(depth)
      map.set(key, this.item(depth))
    }
    this.at++
    return map
  }

  private date(depth: number): Date {
    const time = this.item(depth)
    if (typeof time !== 'number') throw damaged('a number was expected')
    return new Date(time)
  }

  private regExp(): RegExp {
    const source = this.string()
    const flags = this.string()
    try {
      return new RegExp(source, flags)
    } catch (error) {
      throw makeError(
        'E_UNAVAILABLE',
        'A stored key has a regular expression that this run time refuses.',
        undefined,
        error,
      )
    }
  }

  private bytes(): unknown {
    const name = this.upTo(':')
    const bytes = Buffer.from(this.take(this.count(':')), 'latin1')
    const memory = new ArrayBuffer(bytes.length)
    new Uint8Array(memory).set(bytes)
    if (name === 'ArrayBuffer') return memory
    const type = VIEW_CLASSES.get(name)
    if (type !== undefined) return new type(memory)
    if (name === 'Float16Array')
      throw makeError('E_UNAVAILABLE', 'A stored key has a Float16Array, which this run time lacks.')
    throw damaged('unknown class of binary data')
  }

  private content(kind: 'file' | 'directory'): ContentKey {
    const hash: ContentHash = this.take(1) === 'x' ? 'xxh3' : 'blake3'
    const digest = this.take(DIGITS[hash])
    if (!/^[0-9a-f]+$/.test(digest)) throw damaged('a digest that is none')
    return new ContentKey(kind, hash, undefined, digest)
  }

  private string(): string {
    const kind = this.text[this.at++]
    if (kind !== 's' && kind !== 'w') throw damaged('a string was expected')
    const count = this.count(':')
    return kind === 's' ? this.take(count) : this.units(count)
  }

  private double(): number {
    const bytes = Buffer.from(this.take(16), 'hex')
    return bytes.readDoubleBE(0)
  }

  private units(count: number): string {
    const hex = this.take(count * 4)
    let text = ''
    for (let i = 0; i < hex.length; i += 4)
      text += String.fromCharCode(Number.parseInt(hex.slice(i, i + 4), 16))
    return text
  }

  private count(end: string): number {
    return Number(this.upTo(end))
  }

  private upTo(end: string): string {
    const stop = this.text.indexOf(end, this.at)
    if (stop < 0) throw damaged('it ends too soon')
    const part = this.text.slice(this.at, stop)
    this.at = stop + 1
    return part
  }

  private take(count: number): string {
    if (!(Number.isInteger(count) && count >= 0 && count <= this.text.length - this.at))
      throw damaged('it ends too soon')
    this.at += count
    return this.text.slice(this.at - count, this.at)
  }
}
