/** A cache on a directory without a database: the choice, what is refused, memory beside other processes, and searches. */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Cache, type CacheOptions, double, HashedKey, integer, text, timestamp } from 'tierce'
import { kysely } from 'tierce/kysely'
import { describe, expect, it } from 'vitest'
import { codeOf, failure } from './helpers/errors.js'
import { openCache, tempDir } from './helpers/temp.js'

const json = (more: CacheOptions = {}) => openCache({ dir: tempDir(), metadata: 'json', ...more })

function entryFiles(dir: string): string[] {
  const names = readdirSync(join(dir, 'entries'), { recursive: true }) as string[]
  return names.filter((name) => name.endsWith('.entry')).map((name) => join(dir, 'entries', name))
}

describe('the choice', () => {
  it('is_the_directorys_and_later_caches_obey', async () => {
    const dir = tempDir()
    const first = openCache({ dir, metadata: 'json' })
    await first.set('a', 1)
    expect(readdirSync(dir).sort()).toEqual(['entries', 'temp', 'tierce.metadata'])
    for (const metadata of [undefined, 'auto', 'json'] as const) {
      expect(await openCache({ dir, metadata }).get('a')).toBe(1)
    }
    const error = await failure(() => new Cache({ dir, metadata: 'sqlite' }))
    expect(error.code).toBe('E_INVALID_OPTION')
    expect(error.message).toMatch(/is a directory with metadata 'json': give 'json' or 'auto'/)
  })

  it('is_a_database_where_nothing_is_said_and_where_locks_work', async () => {
    for (const metadata of [undefined, 'sqlite', 'auto'] as const) {
      const dir = tempDir()
      await openCache({ dir, metadata }).set('a', 1)
      expect(readdirSync(dir)).toContain('tierce.db')
      expect(await codeOf(() => new Cache({ dir, metadata: 'json' }))).toBe('E_INVALID_OPTION')
    }
  })

  it.each([
    [{ metadata: 'xml' }, /did you mean|metadata/],
    [{ metadata: 'json', policy: 'lfu' }, /lru, fifo/],
    [{ metadata: 'json', policy: 's3-fifo' }, /takes a database/],
    [{ metadata: 'json', meta: { t: { n: integer().unique() } } }, /unique column/],
    [{ metadata: 'json', defaults: { singleFlight: 'machine' } }, /no locks/],
  ] as [object, RegExp][])('%j is E_INVALID_OPTION', async (options, says) => {
    const error = await failure(() => new Cache({ dir: tempDir(), ...(options as CacheOptions) }))
    expect(error.code).toBe('E_INVALID_OPTION')
    expect(error.message).toMatch(says)
  })
})

it('what_takes_a_database_is_E_UNAVAILABLE_and_says_what_to_use', async () => {
  const cache = json()
  const calls: [() => unknown, RegExp][] = [
    [() => cache.increment('n'), /get and set/],
    [() => cache.incrementSync('n'), /get and set/],
    [() => cache.transaction(() => 1), /setMany/],
    [() => cache.transactionSync(() => 1), /setMany/],
    [() => cache.query('SELECT 1'), /find/],
    [() => kysely(cache).selectFrom('entries').selectAll().execute(), /find/],
  ]
  for (const [call, says] of calls) {
    const error = await failure(async () => call())
    expect(error.code, String(call)).toBe('E_UNAVAILABLE')
    expect(error.message).toMatch(says)
  }
  expect(await cache.size()).toBe(0)
})

describe('encryption', () => {
  const SECRETS = [
    'a-key-that-is-secret',
    'a-value-that-is-secret',
    'a-tag-that-is-secret',
    'a-name-that-is-secret',
  ]
  const [KEY, VALUE, TAG, NAME] = SECRETS as [string, string, string, string]
  const dir = () => join(tempDir(), 'cache')
  const open = (at: string, byte = 1, more: CacheOptions = {}) =>
    openCache({
      dir: at,
      metadata: 'json',
      encryption: { key: Buffer.alloc(32, byte) },
      meta: { people: { name: text() } },
      ...more,
    }) as unknown as Cache<{ people: { name: ReturnType<typeof text> } }>

  it('keeps_keys_values_tags_and_metadata_of_entries_that_are_files', async () => {
    const at = dir()
    const cache = open(at)
    await cache.set(KEY, { VALUE }, { tags: [TAG], description: NAME, meta: { people: { name: NAME } } })
    await cache.set(`${KEY}:large`, VALUE.repeat(100_000))
    await cache.close()
    const again = open(at)
    expect(await again.get(KEY)).toEqual({ VALUE })
    expect(await again.get(`${KEY}:large`)).toBe(VALUE.repeat(100_000))
    expect(await again.find('people', { where: { name: NAME } })).toHaveLength(1)
    const keys: unknown[] = []
    for await (const key of again.keys({ prefix: 'a-key' })) keys.push(key)
    expect(keys.toSorted()).toEqual([KEY, `${KEY}:large`])
    for (const name of readdirSync(at, { recursive: true, encoding: 'utf8' })) {
      const path = join(at, name)
      const shown = statSync(path).isFile() ? readFileSync(path, 'latin1') : ''
      for (const secret of SECRETS) expect(`${name}${shown}`.includes(secret.slice(0, 12))).toBe(false)
    }
    expect(await again.invalidateTags([TAG])).toBe(1)
    expect(await again.get(KEY)).toBeUndefined()
  })

  it('a_wrong_key_or_none_is_E_ENCRYPTION_and_what_was_changed_is_a_miss_and_an_event', async () => {
    const at = dir()
    const cache = open(at)
    await cache.set(KEY, VALUE)
    expect(await codeOf(() => open(at, 2))).toBe('E_ENCRYPTION')
    expect(await codeOf(() => new Cache({ dir: at }))).toBe('E_ENCRYPTION')
    const [path] = entryFiles(at)
    const bytes = readFileSync(path!)
    bytes[bytes.length - 1]! ^= 1
    writeFileSync(path!, bytes)
    const errors: unknown[] = []
    cache.on('error', ({ code }) => errors.push(code))
    expect(await cache.get(KEY)).toBeUndefined()
    expect(errors).toEqual(['E_CORRUPT'])
  })

  it('goes_with_storeKeys_false_and_with_memory', async () => {
    const cache = open(dir(), 1, { storeKeys: false, memory: true })
    await cache.set(KEY, VALUE)
    expect(await cache.get(KEY)).toBe(VALUE)
    for await (const { key } of cache.entries()) expect(key).toBeInstanceOf(HashedKey)
    expect(await codeOf(async () => cache.keys({ prefix: 'a' })[Symbol.asyncIterator]().next())).toBe(
      'E_INVALID_OPTION',
    )
  })
})

describe('memory', () => {
  it('is_off_unless_it_is_asked_for', async () => {
    const off = json()
    await off.set('a', 1)
    expect((await off.stats()).memory.entries).toBe(0)
    const on = json({ memory: true })
    await on.set('a', 1)
    expect((await on.stats()).memory.entries).toBe(1)
  })

  it('never_gives_what_somebody_else_has_replaced_or_damaged', async () => {
    const dir = tempDir()
    const options = { dir, metadata: 'json', memory: true } as const
    const [a, b] = [openCache(options), openCache(options)]
    const value = { n: 1 }
    await a.set('k', value)
    expect(a.getSync('k')).toBe(value) // out of memory
    expect(await a.get('k')).toBe(value)
    await b.set('k', { n: 2 })
    expect(a.getSync('k')).toEqual({ n: 2 })
    await b.expire('k', '1h')
    expect(await a.ttl('k')).toBeLessThanOrEqual(3_600_000)
    const [path] = entryFiles(dir)
    const bytes = readFileSync(path!)
    bytes[20]! ^= 1
    writeFileSync(path!, bytes)
    expect(a.getSync('k')).toBeUndefined()
    await b.set('k', 3)
    expect(await a.get('k')).toBe(3)
    await b.delete('k')
    expect(a.getSync('k')).toBeUndefined()
  })
})

describe('find looks at every entry', () => {
  const meta = { runs: { name: text().notNull(), score: double(), n: integer(), at: timestamp() } }
  const open = (more: CacheOptions) =>
    openCache({ dir: tempDir(), meta, ...more }) as unknown as Cache<typeof meta>
  const rows = [
    { name: 'Alpha', score: 0.5, n: 1, at: new Date(1000) },
    { name: 'beta', score: 0.9, n: 2, at: new Date(2000) },
    { name: 'Été', score: null, n: 3, at: null },
    { name: '100% \u{1f600}', score: -1, n: null, at: new Date(0) },
    { name: 'alphabet', score: Number.POSITIVE_INFINITY, n: 5, at: new Date(5000) },
    { name: '\uffff', score: 3, n: -1, at: null },
  ]

  it('and_finds_what_a_database_finds', async () => {
    const caches = [open({}), open({ metadata: 'json' })]
    for (const cache of caches) {
      for (const [index, row] of rows.entries()) await cache.set(index, index, { meta: { runs: row } })
      await cache.set('without', 1)
      await cache.set('over', 1, { ttl: 1, meta: { runs: { name: 'over' } } })
    }
    await new Promise((resolve) => setTimeout(resolve, 5))
    const wheres = [
      {},
      { name: 'beta' },
      { score: null },
      { score: { gt: 0.5 } },
      { score: { lte: 0.5 } },
      { score: { ne: 0.5 } },
      { score: { ne: null } },
      { score: { between: [0.5, 1] } },
      { n: { in: [1, 3, 9] } },
      { n: { notIn: [1, 3] } },
      { n: { notIn: [] } },
      { n: { in: [] } },
      { n: { isNull: true } },
      { n: { isNull: false, lt: 3 } },
      { name: { like: 'ALPHA%' } },
      { name: { like: '%a_p%' } },
      { name: { like: '%\u{1f600}' } },
      { name: { like: '___' } },
      { name: { like: '%%%' } },
      { name: { like: 'été' } },
      { name: { gt: 'z' } },
      { name: { gt: '100% \uffee' } }, // below \u{1f600} in UTF-8, above it in UTF-16
      { at: { gte: new Date(1000) } },
      { at: { lt: new Date(2000) }, n: { gte: 1 } },
    ]
    const orders = [{ name: 'asc' }, { score: 'desc', name: 'asc' }, { at: 'asc', name: 'desc' }]
    for (const where of wheres) {
      for (const orderBy of orders) {
        for (const page of [{}, { limit: 2 }, { limit: 2, offset: 1 }, { offset: 2 }]) {
          const options = { where, orderBy, values: true, ...page } as object
          const [database, scanned] = await Promise.all(caches.map((cache) => cache.find('runs', options)))
          expect(scanned, JSON.stringify(options)).toEqual(database)
        }
      }
    }
  })

  it('and_refuses_what_a_database_refuses', async () => {
    const cache = open({ metadata: 'json' })
    expect(await codeOf(cache.find('walks' as 'runs'))).toBe('E_INVALID_OPTION')
    expect(await codeOf(cache.find('runs', { where: { colour: 1 } as object }))).toBe('E_INVALID_OPTION')
    expect(await codeOf(cache.find('runs', { where: { n: 'one' as never } }))).toBe('E_INVALID_OPTION')
    expect(await codeOf(cache.set('a', 1, { meta: { runs: {} as never } }))).toBe('E_CONSTRAINT')
  })
})
