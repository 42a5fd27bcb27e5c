/** Keys and values, to and from the memory that threads share. The other end is crates/tierce-node/src/shared.rs. */
import { fromNative } from '../errors.js'
import { type NativeShared, native } from '../native.js'
import { decode, type Encoded } from '../values/index.js'
import type { Lease, ParsedSharedOptions } from './options.js'

/** Bytes of the buffer that a thread shares with the addon. A longer value crosses in a buffer of its own. */
const SCRATCH = 64 * 1024
/** Where a value starts that was read, behind its kind. */
const VALUE_AT = 8
/** UTF-8 takes at most this many bytes for a UTF-16 code unit. */
const UTF8_MAX = 3
/** Values from here on are never copied into the scratch buffer. */
const LARGE = 16 * 1024

/** What an insert asks of what there is: see the addon. */
export const WHEN = { always: 0, absent: 1, present: 2 } as const
export type When = (typeof WHEN)[keyof typeof WHEN]

/** An encoded entry, ready to be stored. */
export interface SharedEntry {
  text: string
  encoded: Encoded
}

/** The figures of the addon, by name. */
export interface SharedFigures {
  size: number
  bytes: number
  hits: number
  misses: number
  sets: number
  expired: number
  evicted: number
}

function call<T>(run: () => T): T {
  try {
    return run()
  } catch (error) {
    throw fromNative(error)
  }
}

export class SharedChannel {
  readonly #native: NativeShared
  #scratch = Buffer.allocUnsafeSlow(SCRATCH)

  /** @throws InvalidOptionError `E_INVALID_OPTION` where the name is in use with other options */
  constructor({ name, maxSize, policy, lease }: ParsedSharedOptions) {
    const { NativeShared } = native()
    this.#native = call(() => new NativeShared(name, maxSize, policy, lease, this.#scratch))
  }

  /** The value of a key; `undefined` where there is none. */
  read(text: string, isPeek: boolean): unknown {
    const key = this.#write(text)
    let length: number
    try {
      length = this.#native.find(key, isPeek)
    } catch (error) {
      throw fromNative(error)
    }
    if (length === -1) return undefined
    const scratch = this.#scratch
    const kind = scratch.readUInt32LE(0)
    if (length >= 0) return decode(kind, scratch, VALUE_AT, VALUE_AT + length, false)
    const large = call(() => this.#native.take())
    return decode(kind, large, 0, large.length, true)
  }

  /**
   * Stores an entry; whether what there was allowed it.
   * @throws ValueTooLargeError `E_VALUE_TOO_LARGE`
   */
  store({ text, encoded }: SharedEntry, lease: Lease, when: When): boolean {
    const key = this.#write(text)
    const { kind, data } = encoded
    const room = this.#scratch.length - key
    try {
      if (data.length >= LARGE || data.length * UTF8_MAX > room) {
        const bytes = typeof data === 'string' ? Buffer.from(data) : data
        return this.#native.putLarge(key, bytes, kind, lease, when)
      }
      const length = typeof data === 'string' ? this.#scratch.write(data, key) : this.#copy(data, key)
      return this.#native.put(key, length, kind, lease, when)
    } catch (error) {
      throw fromNative(error)
    }
  }

  /** @throws ValueTooLargeError `E_VALUE_TOO_LARGE` for an entry that cannot be held */
  checkSize({ text, encoded: { data } }: SharedEntry): void {
    const length = typeof data === 'string' ? Buffer.byteLength(data) : data.length
    call(() => this.#native.checkSize(Buffer.byteLength(text), length))
  }

  remove(text: string): boolean {
    const key = this.#write(text)
    return call(() => this.#native.remove(key))
  }

  /** A use that reads nothing; whether there is such an entry. */
  touch(text: string): boolean {
    const key = this.#write(text)
    return call(() => this.#native.touch(key))
  }

  /** Entries that are live. Looks at all. */
  liveSize(): number {
    return call(() => this.#native.liveSize())
  }

  /** Milliseconds; `Infinity` for ever, -1 where there is no such entry. */
  ttl(text: string): number {
    const key = this.#write(text)
    return call(() => this.#native.ttl(key))
  }

  expire(text: string, ttl: number): boolean {
    const key = this.#write(text)
    return call(() => this.#native.expire(key, ttl))
  }

  /** The live keys, a part of the cache at a time. */
  *texts(): Generator<string, undefined> {
    for (let part = 0; ; part++) {
      const packed = call(() => this.#native.keys(part))
      if (packed === null) return undefined
      for (let at = 0; at < packed.length; ) {
        const length = packed.readUInt32LE(at)
        yield packed.toString('utf8', at + 4, at + 4 + length)
        at += 4 + length
      }
    }
  }

  clear(): void {
    call(() => this.#native.clear())
  }

  cleanup(): number {
    return call(() => this.#native.cleanup())
  }

  figures(): SharedFigures {
    const [size, bytes, hits, misses, sets, expired, evicted] = call(() => this.#native.figures()) as [
      number,
      number,
      number,
      number,
      number,
      number,
      number,
    ]
    return { size, bytes, hits, misses, sets, expired, evicted }
  }

  resetFigures(): void {
    call(() => this.#native.resetFigures())
  }

  check(): string {
    return call(() => this.#native.check())
  }

  close(): void {
    call(() => this.#native.close())
  }

  /** Puts a key into the scratch buffer; gives its bytes. */
  #write(text: string): number {
    if (text.length * UTF8_MAX > this.#scratch.length) this.#lengthen(text.length * UTF8_MAX)
    return this.#scratch.write(text)
  }

  #copy(data: Uint8Array, at: number): number {
    this.#scratch.set(data, at)
    return data.length
  }

  #lengthen(bytes: number): void {
    const scratch = Buffer.allocUnsafeSlow(bytes)
    call(() => this.#native.useScratch(scratch))
    this.#scratch = scratch
  }
}
