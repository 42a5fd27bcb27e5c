/** Values as streams: one piece is in memory at a time. */
import type { Readable } from 'node:stream'
import { makeError } from '../errors.js'
import type { NativeReader } from '../native.js'
import { describe, isUnreadable } from '../refusal.js'
import { Batch } from '../tiers/batch.js'
import { type DiskTier, packSet } from '../tiers/disk.js'
import type { Storing } from '../tiers/entries.js'
import type { TierStack } from '../tiers/stack.js'
import { Kind } from '../values/handler.js'

/** Bytes, or text that is stored as UTF-8. */
export type StreamPiece = Uint8Array | string
/** A Node stream, a web stream, or anything that gives pieces one by one. */
export type StreamSource = AsyncIterable<StreamPiece> | Iterable<StreamPiece> | ReadableStream<StreamPiece>

/** Small pieces of a source are handed on together, up to so many bytes. */
const TOGETHER = 256 * 1024
/** Kinds whose stored form is the value's bytes. */
const BYTES: readonly number[] = [Kind.plain, Kind.buffer, Kind.uint8Array, Kind.arrayBuffer, Kind.utf8]

/** @throws InvalidOptionError `E_INVALID_OPTION` */
export function checkSource(source: unknown): StreamSource {
  const given = (isUnreadable(source) ? undefined : source) as
    | Partial<AsyncIterable<unknown> & Iterable<unknown>>
    | null
    | undefined
  const iterable = given?.[Symbol.asyncIterator] ?? (typeof source === 'object' && given?.[Symbol.iterator])
  if (typeof iterable === 'function' && !(source instanceof Uint8Array)) return source as StreamSource
  throw makeError(
    'E_INVALID_OPTION',
    `Invalid stream: got ${describe(source)}. Give a Readable, a ReadableStream, or an (async) iterable of bytes; set() stores a value that is in memory.`,
    { name: 'stream' },
  )
}

/** The pieces as bytes, small ones together. Each is the caller's only until it asks for the next: no garbage is made. */
async function* gathered(source: StreamSource): AsyncGenerator<Uint8Array> {
  const together = Buffer.allocUnsafeSlow(TOGETHER)
  let filled = 0
  for await (const piece of source as AsyncIterable<unknown>) {
    if (typeof piece !== 'string' && !(piece instanceof Uint8Array)) {
      throw makeError(
        'E_UNSERIALIZABLE',
        `A piece of the stream is ${describe(piece)}; accepted are bytes and text.`,
        { path: 'stream' },
      )
    }
    const bytes = typeof piece === 'string' ? Buffer.from(piece) : piece
    if (filled + bytes.length > TOGETHER) {
      if (filled > 0) yield together.subarray(0, filled)
      filled = 0
    }
    if (bytes.length > TOGETHER) yield bytes
    else {
      together.set(bytes, filled)
      filled += bytes.length
    }
  }
  if (filled > 0) yield together.subarray(0, filled)
}

export async function setStream(
  tiers: TierStack,
  text: string,
  source: StreamSource,
  storing: Storing,
): Promise<void> {
  if (tiers.disk === undefined) return setInMemory(tiers, text, source, storing)
  const batch = new Batch(Buffer.allocUnsafe(0))
  const coding = storing.coding
  packSet(batch, { ...storing, text, encoded: { kind: Kind.buffer, data: '', coding } })
  await tiers.disk.settled() // what was set before comes before
  const writer = tiers.disk.native((disk, now) => disk.writeStream(batch.bytes(), now))
  try {
    for await (const bytes of gathered(source)) await tiers.disk.wait(() => writer.write(bytes))
    tiers.forget(text)
    await tiers.disk.manage(() => writer.finish())
  } catch (error) {
    await writer.abort()
    throw error
  } finally {
    tiers.forget(text)
  }
}

async function setInMemory(
  tiers: TierStack,
  text: string,
  source: StreamSource,
  storing: Storing,
): Promise<void> {
  const most = tiers.memory?.heaviest ?? 0
  const parts: Uint8Array[] = []
  let size = 0
  for await (const bytes of gathered(source)) {
    parts.push(Buffer.from(bytes))
    size += bytes.length
    if (size <= most) continue
    throw makeError(
      'E_VALUE_TOO_LARGE',
      `The stream has more than the ${most} bytes that the memory tier holds: give it a larger maxSize, or give the cache a dir.`,
      { limit: most },
    )
  }
  await tiers.write([{ ...storing, text, value: Buffer.concat(parts) }])
}

export async function getStream(tiers: TierStack, text: string): Promise<Readable | undefined> {
  if (tiers.disk === undefined) {
    const value = await tiers.read(text)
    return value === undefined ? undefined : readable(pieces(bytesOf(value)))
  }
  const { disk } = tiers
  const reader = await disk.manage((native, now) => native.readStream(Buffer.from(text), now))
  if (reader === null) return undefined
  if (!BYTES.includes(reader.kind)) {
    await reader.close()
    throw noBytes()
  }
  return readable({ [Symbol.asyncIterator]: () => piecesOf(disk, reader) })
}

/** No generator: one that was not asked for its first piece would not hear of its end, and the reader holds the directory. */
function piecesOf(disk: DiskTier, reader: NativeReader): AsyncIterator<Buffer, void> {
  return {
    async next() {
      const piece = await disk.wait(() => reader.next())
      return piece === null ? { done: true, value: undefined } : { done: false, value: piece }
    },
    async return() {
      await reader.close()
      return { done: true, value: undefined }
    },
  }
}

/** The module is loaded when it is first needed. */
function readable(source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Readable {
  return process.getBuiltinModule('node:stream').Readable.from(source, { objectMode: false })
}

function* pieces(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += TOGETHER) yield bytes.subarray(at, at + TOGETHER)
}

function bytesOf(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value
  if (value instanceof ArrayBuffer) return new Uint8Array(value)
  if (typeof value === 'string') return Buffer.from(value)
  throw noBytes()
}

function noBytes(): Error {
  return makeError(
    'E_UNSERIALIZABLE',
    'The value is neither bytes nor text, so it cannot be read as a stream: use get().',
  )
}
