import {
  CHARSETS,
  Charset,
  Elements,
  HEAD,
  Part,
  SHORT_STRING,
  SHORT_STRING_MAX,
  Tag,
  VERSION,
} from './structured-format.js'
import type { Shape } from './structured-shapes.js'

const SLAB = 64 * 1024
/** Longer strings are written by themselves, and all others where there is more text than this: its parts keep all of it in memory. */
const TEXT_STRING_MAX = 1024
const TEXT_MAX = 8192
const LATIN1 = /^[\0-\xff]*$/
/** To look for Latin-1 in a string that is longer would cost more than it saves. */
const LATIN1_MAX = 16 * 1024

/** How a string is written, and its bytes. Latin-1 is read several times as fast as UTF-8, which cannot hold half a pair. */
function measured(string: string): [Charset, number] {
  const size = Buffer.byteLength(string)
  const { length } = string
  if (size === length || (length <= LATIN1_MAX && LATIN1.test(string))) return [Charset.latin1, length]
  return string.isWellFormed() ? [Charset.utf8, size] : [Charset.utf16, 2 * length]
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

  /** Bytes of the value so far. */
  get length(): number {
    return this.at - this.start + this.text.length
  }

  /** Begins a value. */
  begin(): void {
    if (this.at + HEAD > this.data.length) this.grow(HEAD)
    this.at += HEAD
  }

  /** Ends a value: its bytes, which nothing writes to again. */
  take(): Uint8Array {
    this.writeText()
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
    let rest = value
    for (; rest > 0x7fffffff; rest = Math.floor(rest / 128)) this.byte((rest % 128) | 0x80)
    for (; rest > 127; rest >>>= 7) this.byte((rest & 127) | 0x80)
    this.byte(rest)
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

  /** Numbers that fit the elements. False where JSON lacks one of them. */
  numbers(values: readonly number[], elements: Elements): boolean {
    const { length } = values
    this.byte(Tag.numbers)
    this.byte(elements)
    this.varint(length)
    if (this.at + 8 * length > this.data.length) this.grow(8 * length)
    const { data, view } = this
    let { at } = this
    let isJson = true
    if (elements === Elements.float64) {
      for (let i = 0; i < length; i++, at += 8) {
        const value = values[i] as number
        view.setFloat64(at, value, true)
        isJson &&= value - value === 0 && (value !== 0 || 1 / value > 0)
      }
    } else if (elements === Elements.int32) {
      for (let i = 0; i < length; i++, at += 4) view.setInt32(at, values[i] as number, true)
    } else if (elements === Elements.int16) {
      for (let i = 0; i < length; i++, at += 2) view.setInt16(at, values[i] as number, true)
    } else {
      for (let i = 0; i < length; i++) data[at++] = values[i] as number
    }
    this.at = at
    return isJson
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
    const { length } = string
    if (length > SHORT_STRING_MAX) return this.long(string)
    if (this.at + length >= this.data.length) this.grow(length + 1)
    const { data } = this
    let at = this.at
    data[at++] = SHORT_STRING | length
    for (let i = 0; i < length; i++) {
      const unit = string.charCodeAt(i)
      if (unit > 127) return this.long(string)
      data[at++] = unit
    }
    this.at = at
  }

  private long(string: string): void {
    const [charset, size] = measured(string)
    this.byte(Tag.latin1 + charset)
    this.varint(size)
    this.write(string, charset, size)
  }

  private write(string: string, charset: Charset, size: number): void {
    if (this.at + size > this.data.length) this.grow(size)
    this.at += this.data.write(string, this.at, size, CHARSETS[charset])
  }

  /** Ends the value with its text, and says in its head what that is. */
  private writeText(): void {
    const { text } = this
    const room = 3 * text.length
    if (this.at + room > this.data.length) this.grow(room)
    // As if it were ASCII, which the bytes that it takes tell.
    let charset: Charset = Charset.latin1
    let size = text === '' ? 0 : this.data.write(text, this.at, 'utf8')
    if (size === text.length) {
      this.at += size
    } else {
      ;[charset, size] = measured(text)
      this.write(text, charset, size)
    }
    const { data, start } = this
    data[start] = VERSION
    data[start + 1] = charset
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
