/** Writes as they cross to the addon: see `wire.ts`. */
import { type SetTimes, type Times, type Version, viewOf } from './wire.js'

/** Bytes of a write before its key. */
const WRITE = 40

const OP = { set: 1, delete: 2, clear: 3, increment: 4, renew: 5, check: 6, invalidate: 16 } as const
const FLAG_BLOB = 1
const FLAG_TAIL = 2
const FLAG_STALE = 4
const FLAG_EXTRAS = 8
/** By the condition of a set. */
const FLAG_WHEN = { always: 0, absent: 16, present: 32 } as const
/** The codecs that a write may name, in the order of wire.rs. */
const CODECS = ['auto', 'fast', 'none', 'lz4', 'zstd', 'pco']

/** Values from here on travel beside the batch rather than in it. */
const BLOB_MIN = 16 * 1024
/** UTF-8 takes at most this many bytes for a UTF-16 code unit. */
const UTF8_MAX = 3

/** A value on its way to disk: `Encoded` of the values layer, and how to compress it where that is not the cache's codec. */
export interface Packed {
  kind: number
  data: string | Uint8Array
  /** The number of the elements of an array of numbers. */
  element?: number
  /** Whether bytes at the end of the data, as many as its last four say and these, are no elements. */
  tail?: boolean
  coding?: Coding | undefined
}

/** Whether a set depends on a live entry of its key. */
export type When = keyof typeof FLAG_WHEN

/** What a set may have beside value and times. */
export interface SetMore {
  extras?: Uint8Array | undefined
  when?: When
}

/** A codec, and its level where one was given. */
export interface Coding {
  codec: string
  level?: number | undefined
}

/** Writes in their packed form: in the shared outbox while they fit, in memory of their own when they do not. */
export class Batch {
  /** Values that travel beside the batch. */
  readonly blobs: Uint8Array[] = []
  length = 0
  count = 0
  #buffer: Buffer
  #view: DataView
  readonly #outbox: Buffer

  constructor(outbox: Buffer) {
    this.#outbox = outbox
    this.#buffer = outbox
    this.#view = viewOf(outbox)
  }

  /** Whether the batch is in the outbox, where one call on this thread can apply it. */
  get isSmall(): boolean {
    return this.isInOutbox && this.blobs.length === 0
  }

  /** Whether its bytes are in memory that others use, but for its blobs. */
  get isInOutbox(): boolean {
    return this.#buffer === this.#outbox
  }

  /** A copy that may be used while the outbox fills again. */
  bytes(): Buffer {
    const bytes = this.#buffer.subarray(0, this.length)
    return this.#buffer === this.#outbox ? Buffer.from(bytes) : bytes
  }

  /** The value's bytes are copied, or kept where nobody else has them. */
  set(text: string, value: Packed, times: SetTimes, { extras, when = 'always' }: SetMore = {}): void {
    const { data } = value
    const large = data.length >= BLOB_MIN
    const beside = extras === undefined ? 0 : 4 + extras.length
    const room = large ? 0 : typeof data === 'string' ? data.length * UTF8_MAX : data.length
    const start = this.#head(OP.set, text, room + beside)
    let at = start + WRITE + this.#view.getUint32(start + 4, true)
    this.#describe(start, value)
    this.#buffer[start + 2]! |= FLAG_WHEN[when]
    if (extras !== undefined) {
      this.#buffer[start + 2]! |= FLAG_EXTRAS
      this.#view.setUint32(at, extras.length, true)
      this.#buffer.set(extras, at + 4)
      at += beside
    }
    this.#times(start, times)
    this.#view.setUint32(start + 32, times.cost, true)
    if (large) {
      this.#buffer[start + 2]! |= FLAG_BLOB
      this.#view.setUint32(start + 8, this.blobs.length, true)
      this.blobs.push(typeof data === 'string' ? Buffer.from(data) : Buffer.from(data))
      this.length = at
      return
    }
    let written = data.length
    if (typeof data === 'string') written = this.#buffer.write(data, at)
    else this.#buffer.set(data, at)
    this.#view.setUint32(start + 8, written, true)
    this.length = at + written
  }

  #describe(start: number, { kind, element, tail, coding }: Packed): void {
    this.#buffer[start + 1] = kind
    if (element !== undefined) this.#buffer[start + 3] = element + 1
    if (tail === true) this.#buffer[start + 2]! |= FLAG_TAIL
    if (coding === undefined) return
    this.#buffer[start + 12] = CODECS.indexOf(coding.codec) + 1
    if (coding.level !== undefined) this.#buffer[start + 13] = coding.level + 1
  }

  /** New times for an entry; for a stale one too where `stale` is set. */
  renew(text: string, times: Times, stale: boolean): void {
    const start = this.#bare(OP.renew, text)
    this.#times(start, times)
    if (stale) this.#buffer[start + 2] = FLAG_STALE
  }

  #times(start: number, { expiresAt, freshUntil }: Times): void {
    this.#view.setFloat64(start + 16, expiresAt, true)
    this.#view.setFloat64(start + 24, freshUntil, true)
  }

  delete(text: string): void {
    this.#bare(OP.delete, text)
  }

  clear(): void {
    this.#bare(OP.clear, '')
  }

  invalidate(tags: readonly string[]): void {
    const packed = packKeys(tags)
    this.#bare(OP.invalidate, '', packed.length)
    this.#buffer.set(packed, this.length - packed.length)
  }

  /** Adds to the number of a key; `expiresAt` is for an entry that is made. A bigint has 128 bits. */
  increment(text: string, by: number | bigint, expiresAt: number): void {
    const start = this.#bare(OP.increment, text, typeof by === 'number' ? 8 : 16)
    this.#times(start, { expiresAt, freshUntil: Number.POSITIVE_INFINITY })
    if (typeof by === 'number') this.#view.setFloat64(this.length - 8, by, true)
    else {
      this.#view.setBigUint64(this.length - 16, BigInt.asUintN(64, by), true)
      this.#view.setBigInt64(this.length - 8, BigInt.asIntN(64, by >> 64n), true)
    }
  }

  /** Fails the batch where a key is not at this version; `undefined` where it had no live entry. */
  check(text: string, version: Version | undefined): void {
    this.#bare(OP.check, text, version === undefined ? 0 : 8)
    if (version === undefined) return
    this.#view.setUint32(this.length - 8, version.low, true)
    this.#view.setUint32(this.length - 4, version.high, true)
  }

  /** Makes room for sets that are to come, so that it does not grow again and again: what it grew from would wait for a collection. */
  expect(sets: readonly { text: string; data: string | Uint8Array }[]): void {
    let room = this.length
    let longest = 0
    for (const { text, data } of sets) {
      const length = data.length >= BLOB_MIN ? 0 : data.length
      room +=
        WRITE +
        Buffer.byteLength(text) +
        (typeof data === 'string' && length > 0 ? Buffer.byteLength(data) : length)
      longest = Math.max(longest, text.length + length)
    }
    this.#reserve(room + UTF8_MAX * longest)
  }

  /** Writes a head, a key, and leaves room for `value` bytes behind them; gives where the head starts. */
  #bare(op: number, text: string, value = 0): number {
    const start = this.#head(op, text, value)
    this.#view.setUint32(start + 8, value, true)
    this.length = start + WRITE + this.#view.getUint32(start + 4, true) + value
    return start
  }

  /** Writes the head and the key, with `room` bytes free behind them; gives where the head starts. */
  #head(op: number, text: string, room: number): number {
    const start = this.length
    this.#reserve(start + WRITE + text.length * UTF8_MAX + room)
    this.#buffer.fill(0, start, start + WRITE)
    this.#buffer[start] = op
    this.#view.setUint32(start + 4, this.#buffer.write(text, start + WRITE), true)
    this.count++
    return start
  }

  #reserve(size: number): void {
    if (size <= this.#buffer.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(size, 2 * this.#buffer.length))
    this.#buffer.copy(grown, 0, 0, this.length)
    this.#buffer = grown
    this.#view = viewOf(grown)
  }
}

/** Keys, each behind its length. */
export function packKeys(texts: readonly string[]): Buffer {
  const buffer = Buffer.allocUnsafe(roomForKeys(texts))
  return buffer.subarray(0, putKeys(texts, buffer))
}

/** Bytes that `putKeys` may take. */
export function roomForKeys(texts: readonly string[]): number {
  let room = 0
  for (const text of texts) room += 4 + text.length * UTF8_MAX
  return room
}

/** The same at the front of a buffer with room for it; gives how long it is. */
export function putKeys(texts: readonly string[], buffer: Buffer): number {
  let at = 0
  for (const text of texts) {
    const length = buffer.write(text, at + 4)
    buffer.writeUInt32LE(length, at)
    at += 4 + length
  }
  return at
}
