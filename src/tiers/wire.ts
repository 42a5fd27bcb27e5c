/**
 * The layout of what crosses to the addon in buffers, little-endian. `crates/tierce-node/src/wire.rs` is the other end
 * and has the table.
 */

/** Bytes of an entry's facts. */
export const META = 96
/** Bytes of an outcome before its number. */
const OUTCOME = 24
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
const FLAG_EXISTED = 1
const FLAG_CACHEABLE = 2
/** A number follows the outcome. */
const FLAG_DOUBLE = 4
const FLAG_BIG = 8

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

/** When an entry goes, in milliseconds since the Unix epoch. */
export interface Times {
  /** `Infinity` never expires. */
  expiresAt: number
  /** `Infinity` where it is fresh as long as it lives: see `Facts`. */
  freshUntil: number
}

/** From when reads do not find it, but loads may: the time of its end that programs are told. */
export function staleAt({ expiresAt, freshUntil }: Times): number {
  return Math.min(freshUntil, expiresAt)
}

/** The same, and what its value cost. */
export interface SetTimes extends Times {
  cost: number
}

/** Whether a set depends on a live entry of its key. */
export type When = keyof typeof FLAG_WHEN

/** What a set may have beside value and times. */
export interface SetMore {
  extras?: Uint8Array | undefined
  when?: When
}

/** Of an entry: another one for each change. */
export interface Version {
  low: number
  high: number
}

/** A codec, and its level where one was given. */
export interface Coding {
  codec: string
  level?: number | undefined
}

/** What is known of an entry beside its value. Sizes in bytes, times in milliseconds since the Unix epoch. */
export interface Facts {
  size: number
  storedSize: number
  createdAt: number
  /** `Infinity` never expires. */
  expiresAt: number
  accessedAt: number
  hits: number
  idLow: number
  idHigh: number
  kind: number
  codec: number
  /** Whether it has tags, a description or metadata. */
  hasExtras: boolean
  slot: number
  epoch: number
  /** From then on it is stale: expired for all but a load. `Infinity` where it is fresh as long as it lives. */
  freshUntil: number
  /** Milliseconds that making the value took; 0 where that is not known. */
  cost: number
  version: Version
}

export function readFacts(view: DataView, at: number): Facts {
  return {
    size: view.getFloat64(at, true),
    storedSize: view.getFloat64(at + 8, true),
    createdAt: view.getFloat64(at + 16, true),
    expiresAt: view.getFloat64(at + 24, true),
    accessedAt: view.getFloat64(at + 32, true),
    hits: view.getFloat64(at + 40, true),
    idLow: view.getUint32(at + 48, true),
    idHigh: view.getUint32(at + 52, true),
    kind: view.getUint32(at + 56, true),
    codec: view.getUint16(at + 60, true),
    hasExtras: view.getUint16(at + 62, true) !== 0,
    slot: view.getUint32(at + 64, true),
    epoch: view.getUint32(at + 68, true),
    freshUntil: view.getFloat64(at + 72, true),
    cost: view.getUint32(at + 80, true),
    version: { low: view.getUint32(at + 88, true), high: view.getUint32(at + 92, true) },
  }
}

/** Of the facts at the front of a buffer: what a plain read looks at. */
export function kindOf(view: DataView): number {
  return view.getUint32(56, true)
}

/** The same: `Facts.freshUntil`. */
export function freshUntil(view: DataView): number {
  return view.getFloat64(72, true)
}

/** What became of one write. */
export interface Outcome {
  /** Whether the key had a live entry before. A set that is not conditional does not look. */
  existed: boolean
  /** The sum of an increment. */
  number: number | bigint | undefined
  /** False where another write came close to this one, so that its value may be stale already. */
  cacheable: boolean
  idLow: number
  idHigh: number
  slot: number
  epoch: number
  /** For tags: how many live entries were removed; for a clear, how many entries at all. */
  invalidated: number
}

/** The outcomes of the next `count` writes, from `at`; and where they end. */
export function readOutcomes(
  view: DataView,
  at: number,
  count: number,
): { outcomes: Outcome[]; end: number } {
  const outcomes: Outcome[] = []
  let end = at
  for (let index = 0; index < count; index++) {
    const flags = view.getUint32(end + 16, true)
    outcomes.push(readOutcome(view, end, flags))
    end += OUTCOME + (flags & FLAG_DOUBLE ? 8 : flags & FLAG_BIG ? 16 : 0)
  }
  return { outcomes, end }
}

function readOutcome(view: DataView, at: number, flags: number): Outcome {
  return {
    existed: (flags & FLAG_EXISTED) !== 0,
    cacheable: (flags & FLAG_CACHEABLE) !== 0,
    number: readNumber(view, at + OUTCOME, flags),
    invalidated: view.getUint32(at + 20, true),
    idLow: view.getUint32(at, true),
    idHigh: view.getUint32(at + 4, true),
    slot: view.getUint32(at + 8, true),
    epoch: view.getUint32(at + 12, true),
  }
}

function readNumber(view: DataView, at: number, flags: number): number | bigint | undefined {
  if (flags & FLAG_DOUBLE) return view.getFloat64(at, true)
  if (flags & FLAG_BIG) return (view.getBigInt64(at + 8, true) << 64n) | view.getBigUint64(at, true)
  return undefined
}

export function viewOf(buffer: Buffer): DataView {
  return new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength)
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
    return this.#buffer === this.#outbox && this.blobs.length === 0
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
  let size = 0
  for (const text of texts) size += 4 + text.length * UTF8_MAX
  const buffer = Buffer.allocUnsafe(size)
  let at = 0
  for (const text of texts) {
    const length = buffer.write(text, at + 4)
    buffer.writeUInt32LE(length, at)
    at += 4 + length
  }
  return buffer.subarray(0, at)
}

/** One entry of a listing: its facts are read from its page when they are asked for. */
export class Listed {
  readonly text: string
  readonly #page: Buffer
  readonly #view: DataView
  readonly #at: number

  constructor(text: string, page: Buffer, view: DataView, at: number) {
    this.text = text
    this.#page = page
    this.#view = view
    this.#at = at
  }

  get facts(): Facts {
    return readFacts(this.#view, this.#at)
  }

  get size(): number {
    return this.#view.getFloat64(this.#at, true)
  }

  get storedSize(): number {
    return this.#view.getFloat64(this.#at + 8, true)
  }

  get createdAt(): number {
    return this.#view.getFloat64(this.#at + 16, true)
  }

  /** `Infinity` never expires. */
  get expiresAt(): number {
    return this.#view.getFloat64(this.#at + 24, true)
  }

  /** `Infinity` where it is fresh as long as it lives. */
  get freshUntil(): number {
    return this.#view.getFloat64(this.#at + 72, true)
  }

  get accessedAt(): number {
    return this.#view.getFloat64(this.#at + 32, true)
  }

  get hits(): number {
    return this.#view.getFloat64(this.#at + 40, true)
  }

  get kind(): number {
    return this.#view.getUint32(this.#at + 56, true)
  }

  get codec(): number {
    return this.#view.getUint16(this.#at + 60, true)
  }

  /** Packed. */
  get extras(): Buffer | undefined {
    const start = this.#at + META + 8 + this.#view.getUint32(this.#at + META, true)
    const length = this.#view.getUint32(this.#at + META + 4, true)
    return length === 0 ? undefined : this.#page.subarray(start, start + length)
  }
}

/** A page of a listing, and where the next one starts. */
export interface Page {
  entries: Listed[]
  next: Buffer | undefined
}

export function readPage(page: Buffer): Page {
  const view = viewOf(page)
  const entries: Listed[] = []
  for (let at = 12; at < page.length; ) {
    const key = at + META + 8
    const end = key + view.getUint32(at + META, true)
    entries.push(new Listed(page.toString('utf8', key, end), page, view, at))
    at = end + view.getUint32(at + META + 4, true)
  }
  return { entries, next: view.getUint32(8, true) === 0 ? undefined : page.subarray(0, 8) }
}
