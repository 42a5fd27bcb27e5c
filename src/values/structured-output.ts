import { SHORT_STRING, SHORT_STRING_MAX, Tag } from './structured-format.js'

const SLAB = 64 * 1024

/**
 * The growing bytes of one value. Values are laid one behind the other in a slab, so that a small one needs neither memory
 * nor a copy of its own. Every writer below makes room before it writes.
 */
export class Output {
  private data = Buffer.allocUnsafeSlow(SLAB)
  private doubles = new DataView(this.data.buffer)
  private start = 0
  private at = 0

  /** Ends a value: its bytes, which nothing writes to again. */
  take(): Uint8Array {
    const value = new Uint8Array(this.data.buffer as ArrayBuffer, this.start, this.at - this.start)
    this.start = this.at
    if (this.data.length > SLAB) this.renew(SLAB)
    return value
  }

  /** Gives up a value that was begun. */
  drop(): void {
    this.at = this.start
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

  number(value: number): void {
    const int = value | 0
    if (int !== value || (int === 0 && 1 / value < 0)) {
      this.byte(Tag.double)
      this.float(value)
    } else if (int >= 0 && int < SHORT_STRING) {
      this.byte(int)
    } else {
      this.byte(Tag.int)
      this.varint(((int << 1) ^ (int >> 31)) >>> 0)
    }
  }

  float(value: number): void {
    if (this.at + 8 > this.data.length) this.grow(8)
    this.doubles.setFloat64(this.at, value, true)
    this.at += 8
  }

  bigint(value: bigint): void {
    this.byte(value < 0n ? Tag.negativeBigint : Tag.bigint)
    const magnitude = value < 0n ? -value : value
    if (magnitude === BigInt.asUintN(64, magnitude)) {
      this.byte(8)
      if (this.at + 8 > this.data.length) this.grow(8)
      this.doubles.setBigUint64(this.at, magnitude, true)
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

  string(text: string): void {
    const { length } = text
    if (length > SHORT_STRING_MAX) return this.longString(text)
    if (this.at + length >= this.data.length) this.grow(length + 1)
    const { data } = this
    let at = this.at
    data[at++] = SHORT_STRING | length
    for (let i = 0; i < length; i++) {
      const unit = text.charCodeAt(i)
      if (unit > 127) return this.longString(text)
      data[at++] = unit
    }
    this.at = at
  }

  private longString(text: string): void {
    if (!text.isWellFormed()) {
      this.byte(Tag.utf16)
      return this.bytes(Buffer.from(text, 'utf16le'))
    }
    const length = Buffer.byteLength(text)
    this.byte(length === text.length ? Tag.latin1 : Tag.utf8)
    this.varint(length)
    if (this.at + length > this.data.length) this.grow(length)
    this.at += this.data.write(text, this.at, length, length === text.length ? 'latin1' : 'utf8')
  }

  private grow(needed: number): void {
    const written = this.data.subarray(this.start, this.at)
    this.renew(Math.max(SLAB, written.length * 2 + needed))
    this.data.set(written)
    this.at = written.length
  }

  private renew(size: number): void {
    this.data = Buffer.allocUnsafeSlow(size)
    this.doubles = new DataView(this.data.buffer)
    this.start = 0
    this.at = 0
  }
}
