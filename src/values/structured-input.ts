import { damagedValue, unreadable, utf8Text } from './handler.js'
import { arrayOf, BOOLEANS, FLOATS, INTEGERS } from './structured-arrays.js'
import {
  CHARSETS,
  Charset,
  Elements,
  EXPONENT_MAX,
  HEAD_VERSION,
  OLD_VERSION,
  Part,
  REFERRED,
  REFERRED_VERSION,
  SHORT_STRING,
  SHORT_STRING_MAX,
  Tag,
  VERSION,
} from './structured-format.js'
import { powerOf } from './structured-numbers.js'

/** Names met lately, by a hash of their bytes: most values of a cache have the same few names. */
const NAME_SLOTS = 512
const names: string[] = new Array<string>(NAME_SLOTS).fill('')

/** Bytes of an element, by the number of its view. */
const WIDTHS: Readonly<Record<number, number>> = {
  [Elements.int8]: 1,
  [Elements.int16]: 2,
  [Elements.int32]: 4,
  [Elements.float64]: 8,
}

/** Bounds-checked reading of one value's bytes. */
export class Input {
  /** Whether the value refers to objects by their number. */
  protected readonly isReferred: boolean = true
  /** What short strings are parts of, one behind the other. */
  private readonly text: string
  private textAt = 0
  /** Where the value ends, and the text begins. */
  private readonly end: number
  private view: DataView | undefined

  constructor(
    private readonly data: Buffer,
    private at: number,
    end: number,
  ) {
    this.end = end
    const version = this.byte()
    let size = 0
    let charset = 0
    if (version >= HEAD_VERSION && version <= VERSION) {
      charset = this.byte()
      if (version >= REFERRED_VERSION) {
        this.isReferred = (charset & REFERRED) > 0
        charset &= ~REFERRED
      }
      size = this.byte()
      size += this.byte() << 8
      if (charset >= CHARSETS.length || size > this.left) throw damagedValue('it ends too soon')
    } else if (version !== OLD_VERSION) {
      throw unreadable(`it has version ${version} of the structured format`)
    }
    this.end = end - size
    this.text = size === 0 ? '' : this.decoded(charset, this.end, end)
  }

  /** Bytes that are not read yet. */
  protected get left(): number {
    return this.end - this.at
  }

  /** Whether all is read. */
  protected get isAtEnd(): boolean {
    return this.at === this.end && this.textAt === this.text.length
  }

  private decoded(charset: number, start: number, end: number): string {
    if (charset === Charset.utf8) return utf8Text(this.data, start, end)
    if (charset === Charset.utf16 && (end - start) % 2 !== 0) throw damagedValue('half a UTF-16 code unit')
    return this.data.toString(CHARSETS[charset], start, end)
  }

  /** The next `length` units of the text. */
  protected part(length: number): string {
    const start = this.textAt
    this.textAt = start + length
    if (this.textAt > this.text.length) throw damagedValue('its text ends too soon')
    return this.text.substring(start, this.textAt)
  }

  protected byte(): number {
    if (this.at >= this.end) throw damagedValue('it ends too soon')
    return this.data[this.at++] as number
  }

  /** A whole number up to 2^53 - 1. */
  protected varint(): number {
    let byte = this.byte()
    let value = byte & 127
    for (let scale = 128; byte > 127; scale *= 128) {
      if (scale > 2 ** 49) throw damagedValue('a number that is too long')
      byte = this.byte()
      value += (byte & 127) * scale
    }
    if (value > Number.MAX_SAFE_INTEGER) throw damagedValue('a number that is too large')
    return value
  }

  /** A count of things that take at least `size` bytes each, so that memory is only taken for what is there. */
  protected count(size: number): number {
    const count = this.varint()
    if (count * size > this.end - this.at) throw damagedValue('it ends too soon')
    return count
  }

  protected float(): number {
    const { data, at } = this
    if (at + 8 > this.end) throw damagedValue('it ends too soon')
    this.view ??= new DataView(data.buffer, data.byteOffset, data.length)
    this.at = at + 8
    return this.view.getFloat64(at, true)
  }

  /** Numbers that are laid out as `elements`. */
  protected numbers(elements: number): number[] {
    if (elements !== Elements.decimal) {
      const like = elements === Elements.float64 ? FLOATS : INTEGERS
      return this.elements(elements, like)
    }
    const exponent = this.byte()
    if (exponent > EXPONENT_MAX) throw damagedValue('unknown numbers')
    const power = powerOf(exponent)
    const numbers = this.elements(this.byte(), FLOATS)
    for (let i = 0; i < numbers.length; i++) numbers[i] = (numbers[i] as number) / power
    return numbers
  }

  private elements(elements: number, like: readonly number[]): number[] {
    const width = WIDTHS[elements]
    if (width === undefined) throw damagedValue('unknown numbers')
    const count = this.count(width)
    const view = new DataView(this.data.buffer, this.data.byteOffset + this.at, count * width)
    this.at += count * width
    const numbers = arrayOf(like, count)
    if (elements === Elements.float64) {
      for (let i = 0; i < count; i++) numbers[i] = view.getFloat64(8 * i, true)
    } else if (elements === Elements.int32) {
      for (let i = 0; i < count; i++) numbers[i] = view.getInt32(4 * i, true)
    } else if (elements === Elements.int16) {
      for (let i = 0; i < count; i++) numbers[i] = view.getInt16(2 * i, true)
    } else {
      for (let i = 0; i < count; i++) numbers[i] = view.getInt8(i)
    }
    return numbers
  }

  protected booleans(): boolean[] {
    const count = this.count(1)
    const booleans = arrayOf(BOOLEANS, count)
    for (let i = 0; i < count; i++) {
      const byte = this.data[this.at++] as number
      if (byte > 1) throw damagedValue('neither true nor false')
      booleans[i] = byte === 1
    }
    return booleans
  }

  protected magnitude(): bigint {
    const length = this.count(1)
    if (length === 8) {
      this.at += 8
      return this.data.readBigUInt64LE(this.at - 8)
    }
    const bytes = Buffer.from(this.data.subarray(this.at, this.at + length)).reverse()
    this.at += length
    return BigInt(`0x0${bytes.toString('hex')}`)
  }

  /** `length` bytes in memory of their own. */
  protected memory(length: number): ArrayBuffer {
    const memory = new ArrayBuffer(length)
    new Uint8Array(memory).set(this.data.subarray(this.at, this.at + length))
    this.at += length
    return memory
  }

  /** Like `part`, for property names. */
  private namePart(length: number): string {
    const { text, textAt } = this
    let hash = length
    for (let i = textAt; i < textAt + length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0
    const slot = hash & (NAME_SLOTS - 1)
    const known = names[slot] as string
    if (known.length === length && text.startsWith(known, textAt)) {
      this.textAt += length
      return known
    }
    const name = this.part(length)
    names[slot] = name
    return name
  }

  /** A string that is the name of a property. */
  protected name(): string {
    const tag = this.byte()
    const name = tag >= Part.of ? this.namePart(tag - Part.of) : this.string(tag)
    if (name === undefined) throw damagedValue('a name was expected')
    return name
  }

  /** A string by its tag, or undefined where the tag is none of a string. */
  protected string(tag: number): string | undefined {
    if (tag >= Part.of) return this.part(tag - Part.of)
    if (tag === Tag.part) return this.part(this.varint())
    if (tag >= SHORT_STRING && tag <= (SHORT_STRING | SHORT_STRING_MAX))
      return this.inline(Charset.latin1, tag & SHORT_STRING_MAX)
    if (tag < Tag.latin1 || tag > Tag.utf16) return undefined
    return this.inline((tag - Tag.latin1) as Charset, this.count(1))
  }

  private inline(charset: Charset, length: number): string {
    const start = this.at
    if (start + length > this.end) throw damagedValue('it ends too soon')
    this.at = start + length
    return this.decoded(charset, start, this.at)
  }
}
