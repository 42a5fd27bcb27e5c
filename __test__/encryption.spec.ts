import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { inspect, isDeepStrictEqual } from 'node:util'
import { Worker } from 'node:worker_threads'
import { Cache, type CacheOptions, HashedKey, integer, ndarray } from 'tierce'
import { describe, expect, it } from 'vitest'
import { codeOf, failure } from './helpers/errors.js'
import { openCache, tempDir } from './helpers/temp.js'

const KEY = Buffer.from(Array.from({ length: 32 }, (_, at) => (at * 37 + 11) % 256))
const OTHER = Buffer.alloc(32, 9)
const encryption = { key: KEY }

const SECRET = 'a-text-that-is-secret'
const KINDS: [string, unknown][] = [
  ['text', SECRET.repeat(3)],
  ['json', { [SECRET]: [1, null, SECRET] }],
  ['structured', new Map([[SECRET, new Set([new Date(5)])]])],
  ['bytes', Buffer.from(SECRET.repeat(4000))],
  ['array', Float64Array.from({ length: 9000 }, (_, at) => at / 3)],
  ['shaped', ndarray(new Int32Array(6), [2, 3])],
  ['null', null],
]

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

/** Files of a folder with their bytes. */
function filesOf(dir: string): Map<string, Buffer> {
  const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  return new Map(
    files.map((entry) => {
      const path = join(entry.parentPath, entry.name)
      return [path, readFileSync(path)]
    }),
  )
}

async function filled(options: CacheOptions): Promise<Cache> {
  const cache = openCache({ codec: 'none', ...options })
  for (const [name, value] of KINDS) {
    await cache.set(`${SECRET}:${name}`, value, { tags: [SECRET], description: SECRET })
  }
  await cache.setStream(`${SECRET}:stream`, Readable.from([Buffer.from(SECRET.repeat(30_000))]))
  return cache
}

async function expectFilled(cache: Cache): Promise<void> {
  for (const [name, value] of KINDS) {
    expect(isDeepStrictEqual(await cache.get(`${SECRET}:${name}`), value), name).toBe(true)
  }
  const pieces: Buffer[] = []
  for await (const piece of (await cache.getStream(`${SECRET}:stream`))!) pieces.push(piece as Buffer)
  expect(Buffer.concat(pieces).toString()).toBe(SECRET.repeat(30_000))
}

describe('encryption', () => {
  it('gives_values_of_every_kind_back_and_shows_nothing_of_them_on_disk', async () => {
    const dir = join(tempDir(), 'cache')
    const cache = await filled({ dir, encryption, memory: false })
    await expectFilled(cache)
    const saved = join(tempDir(), 'saved')
    await cache.save(saved)
    const backup = join(tempDir(), 'backup')
    await cache.backup(backup)
    const files = [...filesOf(dir), ...filesOf(backup), [saved, readFileSync(saved)] as const]
    expect(files.some(([path]) => path.endsWith('-wal'))).toBe(true)
    for (const [path, bytes] of files) {
      for (const shown of [SECRET, SECRET.slice(0, 10), Buffer.from(SECRET).toString('hex'), KEY]) {
        expect(bytes.includes(shown), path).toBe(false)
      }
    }
    await cache.close()
    await expectFilled(openCache({ dir, encryption }))
    await expectFilled(openCache({ dir: backup, encryption }))
  })

  it('lists_by_prefix_and_match_and_invalidates_by_tag', async () => {
    const cache = await filled({ dir: tempDir(), encryption })
    await cache.set('other', 1)
    const names = async (options: object) => (await all(cache.keys(options))).sort()
    expect(await names({ prefix: `${SECRET}:s` })).toEqual(
      ['shaped', 'stream', 'structured'].map((n) => `${SECRET}:${n}`),
    )
    expect(await names({ match: '*:te?t' })).toEqual([`${SECRET}:text`])
    expect(await names({ match: 'oth*', limit: 1 })).toEqual(['other'])
    for await (const { key, tags, description } of cache.entries({ prefix: `${SECRET}:json` })) {
      expect({ key, tags, description }).toEqual({
        key: `${SECRET}:json`,
        tags: [SECRET],
        description: SECRET,
      })
    }
    expect(await cache.query('SELECT key FROM tags WHERE tag = ? ORDER BY key LIMIT 1', [SECRET])).toEqual([
      { key: `${SECRET}:array` },
    ])
    const users = cache.namespace('users')
    await users.set('ada', 1)
    expect(await all(users.keys())).toEqual(['ada'])
    expect(await users.clear()).toBe(1)
    expect(await cache.invalidateTags([SECRET])).toBe(KINDS.length)
    expect(await names({})).toEqual([`${SECRET}:stream`, 'other'].sort())
  })

  it('reads_instead_of_mapping', async () => {
    const cache = await filled({ dir: tempDir(), encryption, memory: false })
    expect(await cache.get(`${SECRET}:array`, { map: true })).toEqual(KINDS[4]![1])
  })

  it.each([
    ['bytes', KEY],
    ['a Uint8Array', new Uint8Array(KEY)],
    ['hexadecimal digits', KEY.toString('hex')],
    ['upper-case digits', KEY.toString('hex').toUpperCase()],
    ['base64', KEY.toString('base64')],
    ['base64url', KEY.toString('base64url')],
  ])('takes_the_key_as_%s', async (_, key) => {
    const dir = tempDir()
    await openCache({ dir, encryption }).set('k', 1)
    expect(await openCache({ dir, encryption: { key } }).get('k')).toBe(1)
    expect(KEY[0]).toBe(11) // what was given is not touched
  })

  it('refuses_what_is_no_key_and_shows_none_of_it', async () => {
    const dir = tempDir()
    const password = 'correct horse battery staple'
    const given: unknown[] = [
      password,
      KEY,
      null,
      { key: password },
      { key: KEY.toString('hex').slice(2) },
      { key: KEY.subarray(1) },
      { key: [...KEY] },
      { key: 5 },
      {},
      { key: KEY, salt: 1 },
    ]
    for (const encryption of given) {
      const error = await failure(() => new Cache({ dir, encryption: encryption as never }))
      expect(error.code).toBe('E_INVALID_OPTION')
      const shown = inspect(error, { depth: 9, showHidden: true })
      for (const part of [password, KEY.toString('hex').slice(2, 20), '11, 48', '0b 30'])
        expect(shown).not.toContain(part)
    }
    expect(readdirSync(dir)).toEqual([])
    expect(await codeOf(() => new Cache({ encryption }))).toBe('E_INVALID_OPTION') // there is no dir
    expect(await codeOf(() => new Cache({ dir, encryption, meta: { t: { n: integer() } } }))).toBe(
      'E_INVALID_OPTION',
    )
  })

  it('tells_a_wrong_a_missing_and_a_needless_key_and_changes_nothing', async () => {
    const [secret, plain] = [tempDir(), tempDir()]
    await (await filled({ dir: secret, encryption })).close()
    await (await filled({ dir: plain })).close()
    const before = [filesOf(secret), filesOf(plain)]
    for (const [dir, options] of [
      [secret, { encryption: { key: OTHER } }],
      [secret, {}],
      [plain, { encryption }],
    ] as const) {
      const error = await failure(() => new Cache({ dir, ...options }))
      expect(error.code).toBe('E_ENCRYPTION')
      expect(error.constructor.name).toBe('EncryptionError')
      expect(error.message).toContain(dir)
      expect(inspect(error)).not.toContain(OTHER.toString('hex').slice(0, 8))
    }
    expect(isDeepStrictEqual([filesOf(secret), filesOf(plain)], before)).toBe(true) // quicker than toEqual
    await expectFilled(openCache({ dir: secret, encryption }))
  })

  it('shows_no_key_when_a_cache_is_inspected', () => {
    const cache = openCache({ dir: tempDir(), encryption: { key: KEY.toString('hex') } })
    const shown = inspect(cache, { depth: 20, showHidden: true, getters: true })
    for (const part of [
      KEY.toString('hex').slice(0, 12),
      KEY.toString('base64').slice(0, 12),
      '0b 30',
      '11, 48',
    ]) {
      expect(shown).not.toContain(part)
    }
    expect(JSON.stringify(cache)).not.toContain(KEY.toString('hex').slice(0, 12))
  })

  it('a_value_that_was_tampered_with_is_a_miss_and_an_event', async () => {
    const dir = tempDir()
    const cache = await filled({ dir, encryption, memory: false })
    const [path] = [...filesOf(join(dir, 'values')).keys()]
    const bytes = readFileSync(path!)
    bytes[bytes.length - 40]! ^= 1
    writeFileSync(path!, bytes)
    const told: string[] = []
    cache.on('error', ({ code }) => told.push(code))
    let misses = 0
    for (const [name] of KINDS) if ((await cache.get(`${SECRET}:${name}`)) === undefined) misses++
    const stream = await cache.getStream(`${SECRET}:stream`)
    try {
      for await (const _ of stream ?? []) {
        // read to its end
      }
    } catch (error) {
      expect((error as { code: string }).code).toBe('E_CORRUPT')
      misses++
    }
    expect(misses).toBe(1)
    await cache.get('none')
    expect(told).toEqual(['E_CORRUPT'])
  })

  it('a_saved_file_goes_to_a_cache_with_another_key_with_none_or_in_memory', async () => {
    const file = join(tempDir(), 'saved')
    await (await filled({ dir: tempDir(), encryption })).save(file)
    for (const options of [{ dir: tempDir(), encryption: { key: OTHER } }, { dir: tempDir() }, {}]) {
      const cache = openCache(options)
      await cache.set('mine', 1)
      expect(await codeOf(cache.load(file))).toBe('E_ENCRYPTION')
      expect(await codeOf(cache.load(file, { encryption: { key: Buffer.alloc(32, 1) } }))).toBe(
        'E_ENCRYPTION',
      )
      expect(await cache.get('mine')).toBe(1)
      expect(await cache.load(file, { encryption })).toMatchObject({ entries: KINDS.length + 1 })
      await expectFilled(cache)
    }
  })

  it('worker_threads_share_the_directory', async () => {
    const dir = tempDir()
    const cache = openCache({ dir, encryption })
    await cache.set('from', 'main')
    const entry = new URL('../dist/index.mjs', import.meta.url).href
    const code = `import { workerData, parentPort } from 'node:worker_threads'
      const { Cache } = await import(${JSON.stringify(entry)})
      const cache = new Cache(workerData)
      await cache.set('worker', await cache.get('from') + ' to worker')
      await cache.close()
      parentPort.postMessage('done')`
    const url = new URL(`data:text/javascript,${encodeURIComponent(code)}`)
    const worker = new Worker(url, { workerData: { dir, encryption } })
    await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
    expect(await cache.get('worker')).toBe('main to worker')
    await worker.terminate()
  })

  it('check_and_cleanup_and_eviction_work_as_without_it', async () => {
    const cache = openCache({ dir: tempDir(), encryption, memory: false, maxSize: '2MB', ttl: '1h' })
    for (let at = 0; at < 100; at++) await cache.set(`k${at}`, randomBytes(50_000))
    const { entries, diskSize } = await cache.stats()
    expect(entries).toBeLessThan(60)
    expect(diskSize).toBeLessThan(2e6 + 8 * 2 ** 20)
    expect(await cache.get('k99')).toHaveLength(50_000)
    expect(await cache.check({ fix: true })).toMatchObject({ ok: true })
  })
})

describe('storeKeys: false', () => {
  it.each([
    ['plain', {}],
    ['encrypted', { encryption }],
  ])('finds_entries_and_has_no_text_of_a_key_in_the_directory (%s)', async (_, kept) => {
    const dir = tempDir()
    const cache = await filled({ dir, storeKeys: false, codec: 'none', ...kept })
    await expectFilled(cache)
    const keys = await all(cache.keys())
    expect(keys).toHaveLength(KINDS.length + 1)
    for (const key of keys) {
      expect(key).toBeInstanceOf(HashedKey)
      expect(await cache.has(key)).toBe(true)
    }
    const found = await all(cache.entries({ values: true }))
    expect(found.map(({ value }) => value)).toContainEqual({ [SECRET]: [1, null, SECRET] })
    for (const options of [{ prefix: 'a' }, { match: '*' }, { prefix: 'a', match: 'ab*' }]) {
      const error = await failure(all(cache.keys(options)))
      expect(error).toMatchObject({ code: 'E_INVALID_OPTION', message: expect.stringContaining('storeKeys') })
    }
    await cache.set(['a', { structured: 'key' }], 1)
    expect(await cache.get(['a', { structured: 'key' }])).toBe(1)
    expect(await cache.increment('count')).toBe(1)
    const users = cache.namespace('users')
    await users.set('ada', 1)
    expect(await users.get('ada')).toBe(1)
    expect(await users.clear()).toBe(1)
    expect(await cache.invalidateTags([SECRET])).toBe(KINDS.length)
    expect(await cache.delete(`${SECRET}:stream`)).toBe(true)
    await cache.close()
    for (const [path, bytes] of filesOf(dir)) expect(bytes.includes(`${SECRET}:`), path).toBe(false)
    expect(await codeOf(() => new Cache({ dir, ...kept }))).toBe('E_INVALID_OPTION')
    expect(await openCache({ dir, storeKeys: false, ...kept }).get('count')).toBe(1)
  })

  it('is_told_by_another_process_of_a_write_as_any_other', async () => {
    const dir = tempDir()
    const [one, other] = [openCache({ dir, storeKeys: false }), openCache({ dir, storeKeys: false })]
    await one.set('k', 1)
    expect(await other.get('k')).toBe(1)
    await one.set('k', 2)
    expect(await other.get('k')).toBe(2)
    expect(other.getSync('k')).toBe(2)
  })

  it('a_directory_with_the_texts_of_keys_keeps_to_them', async () => {
    const dir = tempDir()
    await openCache({ dir }).set('k', 1)
    const error = await failure(() => new Cache({ dir, storeKeys: false }))
    expect(error).toMatchObject({ code: 'E_INVALID_OPTION', message: expect.stringContaining('storeKeys') })
    expect(statSync(dir).isDirectory()).toBe(true)
  })
})

describe('integrity', () => {
  /** Changes the last byte of the one value file. */
  function damage(dir: string): void {
    const [path] = [...filesOf(join(dir, 'values')).keys()]
    const bytes = readFileSync(path!)
    bytes[bytes.length - 1]! ^= 1
    writeFileSync(path!, bytes)
  }

  it.each([
    { options: {}, comesOut: false },
    { options: { integrity: true }, comesOut: false },
    { options: { integrity: false }, comesOut: true },
    { options: { integrity: false, encryption }, comesOut: false },
  ])('a_damaged_value_comes_out_only_where_it_is_off ($options)', async ({ options, comesOut }) => {
    const dir = tempDir()
    const cache = openCache({ dir, memory: false, codec: 'none', ...options })
    const told: string[] = []
    cache.on('error', ({ code }) => told.push(code))
    await cache.set('k', Buffer.alloc(50_000, 'a'))
    damage(dir)
    const value = await cache.get<Buffer>('k')
    expect(value?.at(-1)).toBe(comesOut ? 'a'.charCodeAt(0) ^ 1 : undefined)
    expect(told).toEqual(comesOut ? [] : ['E_CORRUPT'])
  })

  it('check_looks_at_checksums_whatever_it_says', async () => {
    const dir = tempDir()
    const cache = openCache({ dir, memory: false, codec: 'none', integrity: false })
    await cache.set('k', Buffer.alloc(50_000, 'a'))
    damage(dir)
    expect(await cache.check({ fix: true })).toMatchObject({ found: 1, fixed: 1 })
    expect(await cache.get('k')).toBeUndefined()
  })
})
