import { damagedValue, utf8Text } from './handler.js'
import { Tag } from './structured-format.js'

const scratch = new DataView(new ArrayBuffer(8))
const scratchBytes = new Uint8Array(scratch.buffer)

/** Names met lately, by a hash of their bytes: most values of a cache have the same few names. */
const NAME_SLOTS = 512
const names: string[] = new Array<string>(NAME_SLOTS).fill('')

/** Bounds-checked reading of one value's bytes. */
export class Input {
  constructor(
    private readonly data: Buffer,
    protected at: number,
    protected readonly end: number,
  ) {}

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
    if (this.at + 8 > this.end) throw damagedValue('it ends too soon')
    for (let i = 0; i < 8; i++) scratchBytes[i] = this.data[this.at++] as number
    return scratch.getFloat64(0, true)
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

  protected ascii(length: number): string {
    const start = this.at
    if (start + length > this.end) throw damagedValue('it ends too soon')
    this.at = start + length
    return this.data.toString('latin1', start, this.at)
  }

  /** Like `ascii`, for property names. */
  protected name(length: number): string {
    const { data, at } = this
    if (at + length > this.end) throw damagedValue('it ends too soon')
    let hash = length
    for (let i = at; i < at + length; i++) hash = (Math.imul(hash, 31) + (data[i] as number)) | 0
    const slot = hash & (NAME_SLOTS - 1)
    const known = names[slot] as string
    if (this.isNext(known, length)) {
      this.at += length
      return known
    }
    const name = this.ascii(length)
    names[slot] = name
    return name
  }

  private isNext(text: string, length: number): boolean {
    if (text.length !== length) return false
    for (let i = 0; i < length; i++) if (text.charCodeAt(i) !== this.data[this.at + i]) return false
    return true
  }

  /** A string by its tag, or undefined where the tag is none of a long string. */
  protected longString(tag: number): string | undefined {
    if (tag !== Tag.latin1 && tag !== Tag.utf8 && tag !== Tag.utf16) return undefined
    const length = this.count(1)
    const start = this.at
    this.at += length
    if (tag === Tag.utf8) return utf8Text(this.data, start, this.at)
    if (tag === Tag.utf16 && length % 2 !== 0) throw damagedValue('half a UTF-16 code unit')
    return this.data.toString(tag === Tag.latin1 ? 'latin1' : 'utf16le', start, this.at)
  }
}
