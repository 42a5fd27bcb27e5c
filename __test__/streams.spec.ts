import { once } from 'node:events'
import { createReadStream, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import type { Cache, CacheOptions } from 'tierce'
import { describe, expect, it } from 'vitest'
import { runScript } from './helpers/child.js'
import { codeOf } from './helpers/errors.js'
import { openFiles } from './helpers/open-files.js'
import { openCache, tempDir } from './helpers/temp.js'

/** Streamed in and out by the test of memory; the script takes any number: 1000 is what the README promises. */
const MEGABYTES = Number(process.env.TIERCE_STREAM_MB ?? 200)

const BYTES = Buffer.from(Array.from({ length: 700_001 }, (_, index) => (index * 31 + (index >> 8)) & 255))

function* sliced(size: number): Generator<Buffer> {
  for (let at = 0; at < BYTES.length; at += size) yield BYTES.subarray(at, at + size)
}

async function read(cache: Cache, key: string): Promise<Buffer | undefined> {
  const stream = await cache.getStream(key)
  return stream === undefined ? undefined : buffer(stream)
}

function valueFiles(dir: string): string[] {
  return readdirSync(join(dir, 'values'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}

describe.each([
  { name: 'memory', options: (): CacheOptions => ({}) },
  { name: 'disk', options: (): CacheOptions => ({ dir: tempDir(), memory: false }) },
  { name: 'memory and disk', options: (): CacheOptions => ({ dir: tempDir() }) },
])('streams of $name', ({ options }) => {
  it.each<[string, () => Parameters<Cache['setStream']>[1]]>([
    ['an iterable', () => sliced(1000)],
    ['an array', () => [BYTES]],
    ['a Node stream', () => Readable.from(sliced(70_000))],
    ['a web stream', () => Readable.toWeb(Readable.from(sliced(300_000))) as ReadableStream<Uint8Array>],
  ])('%s goes in and comes out', async (_, source) => {
    const cache = openCache(options())
    await cache.setStream('k', source())
    expect((await read(cache, 'k'))?.equals(BYTES)).toBe(true)
    expect(((await cache.get('k')) as Buffer).equals(BYTES)).toBe(true)
  })

  it('a_file_is_piped_in_and_out', async () => {
    const cache = openCache(options())
    const dir = tempDir()
    writeFileSync(join(dir, 'in'), BYTES)
    await cache.setStream('k', createReadStream(join(dir, 'in')))
    const { createWriteStream } = await import('node:fs')
    await pipeline((await cache.getStream('k'))!, createWriteStream(join(dir, 'out')))
    expect(readFileSync(join(dir, 'out')).equals(BYTES)).toBe(true)
  })

  it('text_empty_streams_and_values_that_were_set_are_streams_too', async () => {
    const cache = openCache(options())
    await cache.setStream('text', ['ä', 'b'])
    expect(String(await read(cache, 'text'))).toBe('äb')
    await cache.setStream('empty', [])
    expect(await read(cache, 'empty')).toHaveLength(0)
    await cache.set('bytes', new Uint8Array([1, 2]))
    expect(await read(cache, 'bytes')).toEqual(Buffer.from([1, 2]))
    await cache.set('string', 'é')
    expect(String(await read(cache, 'string'))).toBe('é')
    expect(await read(cache, 'nothing')).toBeUndefined()
    await cache.set('object', { a: 1 })
    expect(await codeOf(cache.getStream('object'))).toBe('E_UNSERIALIZABLE')
  })

  it('a_stream_that_ended_or_was_destroyed_holds_nothing_open', async () => {
    const given = options()
    const cache = openCache(given)
    await cache.setStream('large', sliced(100_000))
    await cache.setStream('small', ['ab'])
    await cache.set('object', { a: 1 })
    await read(cache, 'large')
    await read(cache, 'small')
    expect(await codeOf(cache.getStream('object'))).toBe('E_UNSERIALIZABLE')
    const [unread, begun] = [await cache.getStream('large'), await cache.getStream('large')]
    expect((await begun![Symbol.asyncIterator]().next()).done).toBe(false)
    for (const stream of [unread!, begun!]) {
      stream.destroy()
      if (!stream.closed) await once(stream, 'close')
    }
    await cache.close()
    if (process.platform === 'linux' && given.dir !== undefined) expect(openFiles(given.dir)).toEqual([])
  })

  it('a_source_that_fails_leaves_the_old_value', async () => {
    const cache = openCache(options())
    await cache.set('k', 'old')
    async function* failing() {
      yield* sliced(100_000)
      throw new RangeError('the source')
    }
    await expect(cache.setStream('k', failing())).rejects.toThrow(RangeError)
    expect(await cache.get('k')).toBe('old')
    expect(await codeOf(cache.setStream('k', [1 as never]))).toBe('E_UNSERIALIZABLE')
    expect(await cache.get('k')).toBe('old')
  })

  it('options_of_an_entry_are_those_of_set', async () => {
    const cache = openCache(options())
    await cache.setStream('k', sliced(50_000), { ttl: '1h', tags: ['t'], description: 'd' })
    const entry = await cache.entry('k')
    expect(entry).toMatchObject({ tags: ['t'], description: 'd' })
    expect(entry?.expiresAt).toBeLessThan(Date.now() + 3_600_001)
    expect(await codeOf(cache.setStream('k', sliced(10), { ttl: 0 }))).toBe('E_INVALID_TTL')
  })

  it.each([undefined, null, 7, 'text', Buffer.from('x'), {}])('refuses %o as a source', async (source) => {
    const cache = openCache(options())
    expect(await codeOf(cache.setStream('k', source as never))).toBe('E_INVALID_OPTION')
  })
})

describe('streams', () => {
  it('what_does_not_fit_is_E_VALUE_TOO_LARGE_and_leaves_nothing', async () => {
    const dir = tempDir()
    const cache = openCache({ dir, maxSize: '1MiB', codec: 'none' })
    await cache.set('k', 'old')
    const endless = function* () {
      for (;;) yield BYTES
    }
    expect(await codeOf(cache.setStream('k', endless()))).toBe('E_VALUE_TOO_LARGE')
    expect(await cache.get('k')).toBe('old')
    expect(valueFiles(dir)).toEqual([])
    const memory = openCache({ memory: { maxSize: '1MiB' } })
    expect(await codeOf(memory.setStream('k', endless()))).toBe('E_VALUE_TOO_LARGE')
  })

  it('a_damaged_piece_fails_the_stream_and_removes_the_entry', async () => {
    const dir = tempDir()
    const cache = openCache({ dir, codec: 'none' })
    const faults: string[] = []
    cache.on('error', ({ code }) => faults.push(code))
    await cache.setStream('k', sliced(100_000))
    const file = valueFiles(dir)[0]!
    const bytes = readFileSync(file)
    bytes[600_000]! ^= 1
    writeFileSync(file, bytes)
    expect(await codeOf(read(cache, 'k'))).toBe('E_CORRUPT')
    expect(await cache.has('k')).toBe(false)
  })

  it('the_source_is_held_back_while_a_piece_is_written', async () => {
    const cache = openCache({ dir: tempDir() })
    let [ahead, most] = [0, 0]
    async function* counted() {
      for (let at = 0; at < 20; at++) {
        most = Math.max(most, ++ahead)
        yield Buffer.alloc(300_000, at)
        ahead--
      }
    }
    await cache.setStream('k', counted())
    expect(most).toBe(1)
  })

  it(`${MEGABYTES}_MB_in_and_out_take_less_than_64_MB_of_memory`, async () => {
    const script = fileURLToPath(new URL('./processes/streamer.mjs', import.meta.url))
    const [line] = (await runScript(script, [tempDir(), MEGABYTES]).done).slice(-1)
    expect(Number(line?.split(' ')[1])).toBeLessThan(64)
  })
})
