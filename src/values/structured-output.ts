import {
  CHARSETS,
  Charset,
  Elements,
  HEAD,
  Part,
  REFERRED,
  SHORT_STRING,
  SHORT_STRING_MAX,
  Tag,
  VERSION,
} from './structured-format.js'
import { type Layout, type Numbers, scale } from './structured-numbers.js'
import type { Shape } from './structured-shapes.js'

const SLAB = 64 * 1024
const VARINT_MAX = 8
/** Longer strings are written by themselves, and all others where there is more text than this: its parts keep all of it in memory. */
const TEXT_STRING_MAX = 1024
const TEXT_MAX = 8192
/** A string that is longer is not tried in one form after the other. */
const TRIED_MAX = 16 * 1024
/** Strings that are not tried as ASCII after one that was not: the engine is slow to say so. */
const DOUBTS = 8
/** A string of no more units is written one by one before a call of the engine is made for it. */
const FEW_UNITS = 12
/** Where UTF-8 takes this many bytes a unit, UTF-16 is not much larger, if at all, and read several times as fast. */
const UTF16_FROM = 1.6

function sizeIn(charset: Charset, string: string): number {
  if (charset === Charset.utf8) return Buffer.byteLength(string)
  return charset === Charset.latin1 ? string.length : 2 * string.length
}

/**
 * The growing bytes of one value. Values are laid one behind the other in a slab, so that a small one needs neither memory
 * nor a copy of its own. Every writer below makes room before it writes.
 */
export class Output {
  private data = Buffer.allocUnsafeSlow(SLAB)
  private view = new DataView(this.data.buffer)
  private start = 0
  private at = 0
  private text = ''
  /** Strings left for which it is not asked whether they are ASCII. */
  private doubts = 0

  /** Bytes of the value so far. */
  get length(): number {
    return this.at - this.start + this.text.length
  }

  /** Begins a value. */
  begin(): void {
    if (this.at + HEAD > this.data.length) this.grow(HEAD)
    this.at += HEAD
  }

  /** Ends a value, which refers to objects or not: its bytes, which nothing writes to again. */
  take(isReferred: boolean): Uint8Array {
    this.writeText(isReferred)
    this.text = ''
    const value = new Uint8Array(this.data.buffer as ArrayBuffer, this.start, this.at - this.start)
    this.start = this.at
    if (this.data.length > SLAB) this.renew(SLAB)
    return value
  }

  /** Gives up a value that was begun. */
  drop(): void {
    this.at = this.start
    this.text = ''
  }

  byte(byte: number): void {
    if (this.at === this.data.length) this.grow(1)
    this.data[this.at++] = byte
  }

  /** A whole number from 0 to 2^53 - 1: seven bits a byte, the lowest first. */
  varint(value: number): void {
    if (this.at + VARINT_MAX > this.data.length) this.grow(VARINT_MAX)
    const { data } = this
    let { at } = this
    let rest = value
    for (; rest > 0x7fffffff; rest = Math.floor(rest / 128)) data[at++] = (rest % 128) | 0x80
    for (; rest > 127; rest >>>= 7) data[at++] = (rest & 127) | 0x80
    data[at++] = rest
    this.at = at
  }

  /** False where JSON has no such number: -0, NaN, and the infinities. */
  number(value: number): boolean {
    const int = value | 0
    if (int !== value || (int === 0 && 1 / value < 0)) {
      this.byte(Tag.double)
      this.float(value)
      return value - value === 0 && value !== 0
    }
    if (int >= 0 && int < SHORT_STRING) {
      this.byte(int)
    } else {
      this.byte(Tag.int)
      this.varint(((int << 1) ^ (int >> 31)) >>> 0)
    }
    return true
  }

  /** An array of numbers, or one of rows of `width` of them. False where JSON lacks one of them. */
  numbers({ all, count }: Numbers, { elements, exponent }: Layout, width: number): boolean {
    this.byte(Tag.numbers)
    if (width > 0) {
      this.byte(Elements.rows)
      this.varint(width)
    }
    if (exponent > 0) {
      this.byte(Elements.decimal)
      this.byte(exponent)
    }
    this.byte(elements)
    this.varint(count)
    if (this.at + 8 * count > this.data.length) this.grow(8 * count)
    if (elements === Elements.float64) return this.floats(all, count)
    if (exponent > 0) scale(all, count, exponent)
    const { view } = this
    let { at } = this
    if (elements === Elements.int32) {
      for (let i = 0; i < count; i++, at += 4) view.setInt32(at, all[i] as number, true)
    } else if (elements === Elements.int16) {
      for (let i = 0; i < count; i++, at += 2) view.setInt16(at, all[i] as number, true)
    } else {
      for (let i = 0; i < count; i++, at++) view.setInt8(at, all[i] as number)
    }
    this.at = at
    return true
  }

  private floats(all: Float64Array, count: number): boolean {
    const { view } = this
    let { at } = this
    let isJson = true
    for (let i = 0; i < count; i++, at += 8) {
      const value = all[i] as number
      view.setFloat64(at, value, true)
      isJson &&= value - value === 0 && (value !== 0 || 1 / value > 0)
    }
    this.at = at
    return isJson
  }

  booleans(values: readonly boolean[]): void {
    const { length } = values
    this.byte(Tag.numbers)
    this.byte(Elements.booleans)
    this.varint(length)
    if (this.at + length > this.data.length) this.grow(length)
    for (let i = 0; i < length; i++) this.data[this.at++] = values[i] === true ? 1 : 0
  }

  float(value: number): void {
    if (this.at + 8 > this.data.length) this.grow(8)
    this.view.setFloat64(this.at, value, true)
    this.at += 8
  }

  bigint(value: bigint): void {
    this.byte(value < 0n ? Tag.negativeBigint : Tag.bigint)
    const magnitude = value < 0n ? -value : value
    if (magnitude === BigInt.asUintN(64, magnitude)) {
      this.byte(8)
      if (this.at + 8 > this.data.length) this.grow(8)
      this.view.setBigUint64(this.at, magnitude, true)
      this.at += 8
    } else {
      const hex = magnitude.toString(16)
      this.bytes(Buffer.from(hex.padStart(hex.length + (hex.length & 1), '0'), 'hex').reverse())
    }
  }

  bytes(bytes: Uint8Array): void {
    this.varint(bytes.length)
    if (this.at + bytes.length > this.data.length) this.grow(bytes.length)
    this.data.set(bytes, this.at)
    this.at += bytes.length
  }

  /** Short strings go to the text, which is written in one call of the engine: one for each costs more than all else. */
  string(string: string): void {
    const { length } = string
    if (length > TEXT_STRING_MAX || this.text.length > TEXT_MAX) return this.inline(string)
    if (length <= Part.max) {
      this.byte(Part.of + length)
    } else {
      this.byte(Tag.part)
      this.varint(length)
    }
    this.text += string
  }

  /** How many names, and each. */
  names({ names, tags, text }: Shape): void {
    this.varint(names.length)
    if (text === '' || this.text.length > TEXT_MAX) {
      for (let i = 0; i < names.length; i++) this.string(names[i] as string)
    } else {
      if (this.at + tags.length > this.data.length) this.grow(tags.length)
      for (let i = 0; i < tags.length; i++) this.data[this.at++] = tags[i] as number
      this.text += text
    }
  }

  private inline(string: string): void {
    // Not a position: what is tried in vain may have moved the value to another slab.
    const before = this.at - this.start
    const { length } = string
    if (length <= SHORT_STRING_MAX) {
      this.byte(SHORT_STRING | length)
      if (this.units(string)) return
      this.at = this.start + before
    }
    this.lengthOf(Charset.latin1, length)
    if (this.ascii(string)) return
    this.at = this.start + before
    const charset = this.charsetOf(string)
    const size = sizeIn(charset, string)
    this.lengthOf(charset, size)
    this.write(string, charset, size)
  }

  private lengthOf(charset: Charset, size: number): void {
    this.byte(Tag.latin1 + charset)
    this.varint(size)
  }

  /** Writes a short string, unit by unit, if it is ASCII. */
  private units(string: string): boolean {
    const { length } = string
    if (this.at + length > this.data.length) this.grow(length)
    const { data, at } = this
    for (let i = 0; i < length; i++) {
      const unit = string.charCodeAt(i)
      if (unit > 127) return false
      data[at + i] = unit
    }
    this.at = at + length
    return true
  }

  /** Writes a string if it is ASCII, which is not tried where it is long, or one before it was not. */
  private ascii(string: string): boolean {
    const { length } = string
    if (length > TRIED_MAX || this.doubts > 0) {
      this.doubts = Math.max(0, this.doubts - 1)
      return false
    }
    if (this.at + 3 * length > this.data.length) this.grow(3 * length)
    if (this.data.write(string, this.at, 'utf8') !== length) {
      this.doubts = DOUBTS
      return false
    }
    this.at += length
    return true
  }

  /** How a string is best written. Latin-1 is read several times as fast as UTF-8, which cannot hold half a pair. */
  private charsetOf(string: string): Charset {
    const { length } = string
    if (length <= TRIED_MAX && this.isLatin1(string)) return Charset.latin1
    const size = Buffer.byteLength(string)
    if (size === length) return Charset.latin1
    return size < UTF16_FROM * length && string.isWellFormed() ? Charset.utf8 : Charset.utf16
  }

  // It is if it is the same when it is written and read back: quicker than to look at each unit.
  private isLatin1(string: string): boolean {
    const { length } = string
    if (this.at + length > this.data.length) this.grow(length)
    this.data.write(string, this.at, length, 'latin1')
    return this.data.toString('latin1', this.at, this.at + length) === string
  }

  private write(string: string, charset: Charset, size: number): void {
    if (this.at + size > this.data.length) this.grow(size)
    this.at += this.data.write(string, this.at, size, CHARSETS[charset])
  }

  /** Ends the value with its text, and says in its head what that is. */
  private writeText(isReferred: boolean): void {
    const { text } = this
    let charset: Charset = Charset.latin1
    let size = text.length
    if (!(size <= FEW_UNITS ? this.units(text) : this.ascii(text))) {
      charset = this.charsetOf(text)
      size = sizeIn(charset, text)
      this.write(text, charset, size)
    }
    const { data, start } = this
    data[start] = VERSION
    data[start + 1] = isReferred ? charset | REFERRED : charset
    data[start + 2] = size & 255
    data[start + 3] = size >> 8
  }

  private grow(needed: number): void {
    const written = this.data.subarray(this.start, this.at)
    this.renew(Math.max(SLAB, written.length * 2 + needed))
    this.data.set(written)
    this.at = written.length
  }

  private renew(size: number): void {
    this.data = Buffer.allocUnsafeSlow(size)
    this.view = new DataView(this.data.buffer)
    this.start = 0
    this.at = 0
  }
}
