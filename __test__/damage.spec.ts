import { cpSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Cache, type CacheOptions, TierceError } from 'tierce'
import { beforeAll, describe, expect, it } from 'vitest'
import { runScript } from './helpers/child.js'
import { expectSame } from './helpers/same.js'
import { dropLog, openCache, tempDir } from './helpers/temp.js'

/** Damages looked at, of each sort: more is `TIERCE_DAMAGES`. */
const SAMPLE = Number(process.env.TIERCE_DAMAGES ?? 120)
const KINDS = [7, 'text', { json: [1, null] }, new Map([[1, new Date(5)]]), 2n ** 70n, Buffer.alloc(3000, 5)]

/** Compressed and not, in rows and in files. */
const ENTRIES = new Map<string, unknown>([
  ...KINDS.map((value, index): [string, unknown] => [`kind-${index}`, value]),
  ...Array.from({ length: 30 }, (_, index): [string, unknown] => [`row-${index}`, noise(index, 200)]),
  ...Array.from({ length: 4 }, (_, index): [string, unknown] => [
    `file-${index}`,
    noise(index, 40_000 + index),
  ]),
])

function noise(seed: number, size: number): Buffer {
  let state = seed + 1
  return Buffer.from(
    Array.from({ length: size }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      return state >>> 24
    }),
  )
}

let original: string
let files: string[]
/** How the directory under test is kept. */
let kept: CacheOptions = {}

/** A directory with all entries, closed. */
async function prepare(): Promise<string> {
  const dir = tempDir()
  const cache = new Cache({ dir, memory: false, ...kept })
  await cache.setMany(ENTRIES)
  await cache.close()
  dropLog(dir)
  return dir
}

function copy(): string {
  const dir = tempDir()
  cpSync(original, dir, { recursive: true })
  return dir
}

function valueFiles(dir: string): string[] {
  return readdirSync(join(dir, 'values'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join('values', entry.parentPath.split('values')[1] ?? '', entry.name))
}

/** Bytes of the original, kept for all tests of one sort of directory. */
async function prepareOriginal(options: CacheOptions): Promise<() => void> {
  kept = options
  const made = await prepare()
  original = `${made}-original`
  cpSync(made, original, { recursive: true })
  files = valueFiles(original)
  expect(files).toHaveLength(4)
  return () => rmSync(original, { recursive: true, force: true })
}

interface Found {
  misses: string[]
  faults: string[]
  refused: boolean
}

/** Reads everything: what is there is right. Then writes: what is written is there. */
async function examine(dir: string, what: string): Promise<Found> {
  const found: Found = { misses: [], faults: [], refused: false }
  let cache: Cache
  try {
    cache = openCache({ dir, memory: false, ...kept })
  } catch (error) {
    expect(error, what).toBeInstanceOf(TierceError)
    return { ...found, refused: true }
  }
  cache.on('error', ({ code }) => found.faults.push(code))
  const read = async <T>(run: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await run()
    } catch (error) {
      if (!(error instanceof TierceError)) throw new Error(`${what}: ${error}`, { cause: error })
      expect(error.code, what).not.toBe('E_INTERNAL')
      found.faults.push(error.code)
      return undefined
    }
  }
  for (const [key, value] of ENTRIES) {
    const back = await read(() => cache.get(key))
    if (back === undefined) found.misses.push(key)
    else expectSame(back, value)
  }
  await read(async () => {
    for await (const key of cache.keys()) expect(typeof key, what).toBe('string')
  })
  await read(() => cache.getMany(ENTRIES.keys()))
  for (const key of [...found.misses, 'kind-0', 'file-0']) {
    await cache.set(key, `new ${key}`)
    expect(await cache.get(key), what).toBe(`new ${key}`)
  }
  await cache.close()
  return found
}

function flip(path: string, at: number, mask: number): void {
  const bytes = readFileSync(path)
  bytes[at] = (bytes[at] ?? 0) ^ mask
  writeFileSync(path, bytes)
}

/** Offsets over a file: its start in full, the rest in even steps that meet no page at the same place twice. */
function offsets(size: number, count: number): number[] {
  const head = Array.from({ length: Math.min(100, Math.floor(count / 2)) }, (_, at) => at)
  const step = size / (count - head.length)
  const rest = Array.from({ length: count - head.length }, (_, index) =>
    Math.floor(index * step + ((index * 37) % step)),
  )
  return [...head, ...rest].filter((at) => at < size)
}

describe.each([
  { sort: 'plain', options: {} },
  { sort: 'encrypted', options: { encryption: { key: new Uint8Array(32).fill(7) } } },
])('a damaged $sort cache gives right values or misses, never wrong ones', ({ sort, options }) => {
  beforeAll(() => prepareOriginal(options))

  it('undamaged_nothing_is_missing', async () => {
    expect(await examine(copy(), 'nothing')).toEqual({ misses: [], faults: [], refused: false })
  })

  it('flipped_bytes_of_the_database', async () => {
    const size = statSync(join(original, 'tierce.db')).size
    let lost = 0
    let told = 0
    for (const [index, at] of offsets(size, SAMPLE).entries()) {
      const dir = copy()
      flip(join(dir, 'tierce.db'), at, 1 << (index % 8))
      const found = await examine(dir, `byte ${at}`)
      expect(found.refused, `byte ${at}`).toBe(false)
      if (found.misses.length > 0) lost++
      if (found.faults.length > 0) told++
      rmSync(dir, { recursive: true })
    }
    expect(lost).toBeGreaterThan(0) // else the damage met nothing
    expect(told).toBeGreaterThan(0)
  })

  it.each(['log', 'journal'])('flipped_bytes_of_the_%s', async (which) => {
    const dir = tempDir()
    // A process that ends without closing leaves all in the log, or in the journal as far as that was not moved yet.
    const entry = new URL('../dist/index.mjs', import.meta.url).href
    const script = join(dir, 'write.mjs')
    writeFileSync(
      script,
      `import { Cache } from ${JSON.stringify(entry)}
       const cache = new Cache({
         dir: process.argv[2],
         memory: false,
         journal: ${which === 'journal'},
         ${sort === 'plain' ? '' : 'encryption: { key: new Uint8Array(32).fill(7) }'}
       })
       for (let index = 0; index < 40; index++) cache.setSync('k' + index, 'v'.repeat(50) + index)
       process.exit()`,
    )
    const cacheDir = join(dir, 'cache')
    await runScript(script, [cacheDir]).done
    const name = which === 'log' ? 'tierce.db-wal' : 'tierce.journal'
    const length = Math.min(
      statSync(join(cacheDir, name)).size,
      which === 'log' ? Number.POSITIVE_INFINITY : 12_000,
    )
    let lost = 0
    for (const at of offsets(length, Math.ceil(SAMPLE / 3))) {
      const damaged = tempDir()
      cpSync(cacheDir, damaged, { recursive: true })
      flip(join(damaged, name), at, 0x10)
      rmSync(join(damaged, 'tierce.db-shm'), { force: true })
      const cache = openCache({ dir: damaged, memory: false, ...kept })
      cache.on('error', () => {})
      for (let index = 0; index < 40; index++) {
        const value = await cache.get(`k${index}`)
        if (value === undefined) lost++
        else expect(value, `byte ${at}`).toBe('v'.repeat(50) + index)
      }
      await cache.set('k0', 'new')
      expect(await cache.get('k0')).toBe('new')
      await cache.close()
      rmSync(damaged, { recursive: true })
    }
    if (which === 'log') expect(lost).toBeGreaterThan(0) // the journal may have been moved before the process ended
  })

  it('truncated_databases', async () => {
    const size = statSync(join(original, 'tierce.db')).size
    for (const length of [0, 1, 99, 100, 4095, 4096, 8192, size >> 1, size - 4096, size - 1]) {
      const dir = copy()
      truncateSync(join(dir, 'tierce.db'), length)
      const found = await examine(dir, `${length} of ${size} bytes`)
      expect(found.refused, `${length} bytes`).toBe(false)
      rmSync(dir, { recursive: true })
    }
  })

  it.each(['a garbage database', 'a JSON file'])('%s in the place of the database', async (what) => {
    const dir = copy()
    const bytes = what.startsWith('a JSON') ? Buffer.from('{"entries": [1, 2') : noise(3, 50_000)
    writeFileSync(join(dir, 'tierce.db'), bytes)
    const found = await examine(dir, what)
    expect(found).toMatchObject({ refused: false, misses: [...ENTRIES.keys()] })
    const again = openCache({ dir, ...kept })
    expect(await again.get('kind-0')).toBe('new kind-0')
    expect(await again.size()).toBe(ENTRIES.size)
  })

  it('flipped_and_cut_value_files_are_misses_that_are_told_and_removed', async () => {
    const length = statSync(join(original, files[0] as string)).size
    const damages: ((path: string) => void)[] = [
      ...offsets(length, Math.ceil(SAMPLE / 3)).map((at) => (path: string) => flip(path, at, 0x40)),
      ...[0, 1, 63, 64, 65, 20_000].map((size) => (path: string) => truncateSync(path, size)),
      (path) => writeFileSync(path, Buffer.alloc(length)),
      (path) => rmSync(path),
    ]
    let padding = 0
    for (const [index, damage] of damages.entries()) {
      const dir = copy()
      const file = files[index % files.length] as string
      damage(join(dir, file))
      const found = await examine(dir, `damage ${index} of ${file}`)
      expect(found.refused).toBe(false)
      // Bytes 40 to 63 are padding that nobody reads.
      if (found.misses.length === 0) padding++
      else expect(found).toMatchObject({ misses: [expect.stringMatching(/^file-/)], faults: ['E_CORRUPT'] })
      rmSync(dir, { recursive: true })
    }
    expect(padding).toBeLessThanOrEqual(24)
  })

  it('swapped_value_files_are_misses', async () => {
    const dir = copy()
    const [first = '', second = ''] = files.map((file) => join(dir, file))
    const bytes = readFileSync(first)
    cpSync(second, first)
    writeFileSync(second, bytes)
    const found = await examine(dir, 'swapped')
    expect(found.misses).toHaveLength(2)
    expect(found.faults).toEqual(['E_CORRUPT', 'E_CORRUPT'])
  })

  it('a_deleted_value_file_is_a_miss_that_is_told_once_and_counted_no_more', async () => {
    const dir = copy()
    rmSync(join(dir, files[0] as string))
    const cache = openCache({ dir, memory: false, ...kept })
    const faults: string[] = []
    cache.on('error', ({ code, message }) => faults.push(`${code} ${message}`))
    const keys = Array.from({ length: 4 }, (_, index) => `file-${index}`)
    const gone = keys.filter((_, index) => cache.getSync(`file-${index}`) === undefined)
    expect(gone).toHaveLength(1)
    expect(faults).toEqual([expect.stringMatching(/^E_CORRUPT .*missing/)])
    expect(await cache.has(gone[0] as string)).toBe(false)
    expect(await cache.size()).toBe(ENTRIES.size - 1)
    expect(await cache.get(gone[0] as string)).toBeUndefined()
    expect(faults).toHaveLength(1)
  })

  // Where keys are encrypted, no name is there to be changed.
  it.runIf(sort === 'plain')(
    'a_row_with_the_digest_of_one_key_and_the_name_of_another_answers_for_neither',
    async () => {
      const dir = copy()
      const path = join(dir, 'tierce.db')
      const bytes = readFileSync(path)
      // Same length, so that the row stays whole.
      let found = 0
      for (let at = bytes.indexOf('row-17'); at >= 0; at = bytes.indexOf('row-17', at + 1)) {
        bytes.write('row-99', at, 'latin1')
        found++
      }
      expect(found).toBeGreaterThan(0)
      writeFileSync(path, bytes)
      const cache = openCache({ dir, memory: false })
      cache.on('error', () => {})
      expect(await cache.getMany(['row-17', 'row-99'])).toEqual([undefined, undefined])
      expect([cache.getSync('row-17'), cache.getSync('row-99')]).toEqual([undefined, undefined])
      for await (const key of cache.keys()) expect(key).not.toMatch(/row-(17|99)/)
      await cache.setMany([
        ['row-17', 17],
        ['row-99', 99],
      ])
      expect(await cache.getMany(['row-17', 'row-99'])).toEqual([17, 99])
    },
  )

  it('a_database_that_is_damaged_while_it_is_open_gives_misses_and_typed_errors', async () => {
    const dir = copy()
    const cache = openCache({ dir, memory: false, ...kept })
    cache.on('error', () => {})
    await cache.get('row-1')
    const path = join(dir, 'tierce.db')
    const bytes = readFileSync(path)
    for (let at = 4096; at < bytes.length; at += 97) bytes[at] = (bytes[at] ?? 0) ^ 0xff
    writeFileSync(path, bytes, { flag: 'r+' })
    for (const [key, value] of ENTRIES) {
      const back = await cache.get(key).catch((error) => {
        expect(error).toBeInstanceOf(TierceError)
        return undefined
      })
      if (back !== undefined) expectSame(back, value)
    }
    await cache.set('row-1', 'new')
    expect(await cache.get('row-1')).toBe('new')
  })

  it.each([1, 100_000])('a counter file of %i bytes is filled up again', async (length) => {
    const dir = copy()
    truncateSync(join(dir, 'tierce.epochs'), length)
    const found = await examine(dir, 'counters')
    expect(found).toEqual({ misses: [], faults: [], refused: false })
  })
})
