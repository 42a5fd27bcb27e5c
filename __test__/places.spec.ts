/** Places where a cache cannot be: an error of its own for each, with the path and what to do. */
import { spawnSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { Cache, FormatError, type TierceError, UnavailableError } from 'tierce'
import { describe, expect, it } from 'vitest'
import { failure } from './helpers/errors.js'
import { canMount, onMount } from './helpers/mounted.js'
import { dropLog, openCache, tempDir } from './helpers/temp.js'

/** An SQLite database with one table, `recipes`, in gzip. */
const RECIPES = [
  'H4sIAAAAAAACAwsO9MksSVVIyy/KTSxRMGZgYmBkZHBQUGBgADIhGAYYgZgFjU8IMDHoJTPyghQzrmEAolFAAQhiZBOXlmasLUlM',
  'ykktSk3OLEgthlJMzkGujiGuCiGOTj6uClBBBY3MFIXMvJLU9NQihYKizNzEokqF7NRKHYW8xNxUhZLUihJNSNx8ZwCiUTByADsj',
  'M4NocX5pAQA60Dp9AAQAAA==',
]

interface Outcome {
  value?: unknown
  code?: string
  name?: string
  message?: string
  context?: { path?: string }
}

describe('opening', () => {
  it('a_missing_parent_is_E_UNAVAILABLE', async () => {
    const dir = join(tempDir(), 'no', 'cache')
    const error = await failure(() => new Cache({ dir }))
    expect(error).toBeInstanceOf(UnavailableError)
    expect(error.context).toEqual({ path: dir })
    expect(error.message).toContain(dir)
    expect(error.message).toContain('create the parent directory')
  })

  it('a_file_in_the_place_of_the_directory_or_of_its_parent_is_E_UNAVAILABLE', async () => {
    const file = join(tempDir(), 'file')
    writeFileSync(file, 'mine')
    for (const dir of [file, join(file, 'cache')]) {
      const error = await failure(() => new Cache({ dir }))
      expect(error).toBeInstanceOf(UnavailableError)
      expect(error.context).toEqual({ path: dir })
      expect(error.message).toContain('another directory')
    }
    expect(readFileSync(file, 'utf8')).toBe('mine')
  })

  it.each(['tierce.db', 'tierce.epochs', 'tierce.lock', 'values', 'owners'])(
    'something else in the place of %s is a typed error or works, and is left alone',
    async (name) => {
      const dir = tempDir()
      const isFolder = name.includes('.')
      const path = join(dir, name)
      if (isFolder) mkdirSync(path)
      else writeFileSync(path, 'mine')
      const error = await failure(async () => {
        const cache = openCache({ dir, codec: 'none' })
        await cache.set('large', Buffer.alloc(100_000))
      })
      expect(error.code).toBe('E_UNAVAILABLE')
      expect(error.context?.path).toContain(dir)
      rmSync(path, { recursive: true })
      const cache = openCache({ dir, codec: 'none' })
      await cache.set('large', Buffer.alloc(100_000))
      expect(await cache.get('large')).toBeDefined()
    },
  )

  it('a_newer_format_is_E_FORMAT_and_nothing_is_changed', async () => {
    const dir = tempDir()
    const cache = new Cache({ dir })
    await cache.set('a', 1)
    await cache.close()
    dropLog(dir)
    const database = join(dir, 'tierce.db')
    const stamp = Buffer.alloc(4)
    const original = readFileSync(database).subarray(60, 64)
    const put = (bytes: Buffer) => {
      const file = openSync(database, 'r+')
      writeSync(file, bytes, 0, 4, 60)
      closeSync(file)
    }
    const newer = original.readUInt16BE(2) + 1
    stamp.writeUInt16BE(~newer & 0xffff)
    stamp.writeUInt16BE(newer, 2)
    put(stamp)
    const before = readFileSync(database)
    const error = await failure(() => new Cache({ dir }))
    expect(error).toBeInstanceOf(FormatError)
    expect(error.context).toEqual({ path: database })
    expect(error.message).toMatch(/format 2.*update tierce/)
    expect(readFileSync(database).equals(before)).toBe(true)
    put(original)
    expect(await openCache({ dir }).get('a')).toBe(1)
  })

  it('a_database_of_another_program_is_E_FORMAT_and_is_left_alone', async () => {
    const dir = tempDir()
    const database = join(dir, 'tierce.db')
    const foreign = gunzipSync(Buffer.from(RECIPES.join(''), 'base64'))
    writeFileSync(database, foreign)
    const error = await failure(() => new Cache({ dir }))
    expect(error).toBeInstanceOf(FormatError)
    expect(error.context).toEqual({ path: database })
    expect(error.message).toContain('a directory of its own')
    expect(readFileSync(database).equals(foreign)).toBe(true)
  })

  it.each(['', 'a\0b', 5, null])('a directory of %j is E_INVALID_OPTION', async (dir) => {
    const error: TierceError = await failure(() => new Cache({ dir: dir as string }))
    expect(error.code).toBe('E_INVALID_OPTION')
  })
})

describe.skipIf(!canMount())('on a file system of its own (skipped where mounting is not allowed)', () => {
  it('a_full_disk_is_E_STORAGE_FULL_and_loses_nothing_and_breaks_no_load', async () => {
    interface Full {
      files: Outcome & { stored: number }
      rows: Outcome & { stored: number }
      lost: string[]
      told: string[]
      [step: string]: unknown
    }
    const found = await onMount<Full>('full', 4 << 20)
    for (const fill of [found.files, found.rows]) {
      expect(fill).toMatchObject({ code: 'E_STORAGE_FULL', name: 'StorageFullError' })
      expect(fill.context?.path).toContain('cache')
      expect(fill.message).toContain(fill.context?.path)
      expect(fill.message).toContain('free some space')
    }
    expect(found.files.stored).toBeGreaterThan(10)
    expect(found.lost).toEqual([])
    expect(found).toMatchObject({ loaded: { value: 100_000 }, big: { value: 300_000 } })
    expect(new Set(found.told)).toEqual(new Set(['E_STORAGE_FULL']))
    expect(found).toMatchObject({ roomy: {}, again: { value: true }, closed: {} })
  })

  it('clear_makes_room_on_a_full_disk', async () => {
    const found = await onMount<Record<string, Outcome>>('clearOnFull', 4 << 20)
    expect(found).toEqual({ cleared: {}, again: {} })
  })

  it('each_of_many_sets_at_once_on_a_full_disk_is_told_what_to_do_and_nothing_is_left_unhandled', async () => {
    interface Crowd {
      stored: number
      refused: Outcome[]
      wrong: unknown[]
      told: string[]
      again: Outcome
      closed: Outcome
    }
    const { unhandled, ...found } = await onMount<Record<string, Crowd> & { unhandled: string[] }>(
      'crowdOnFull',
      4 << 20,
    )
    expect(unhandled).toEqual([])
    for (const crowd of Object.values(found as Record<string, Crowd>)) {
      expect(crowd.stored).toBeGreaterThan(100)
      expect(crowd).toMatchObject({ wrong: [], again: {}, closed: {} })
      for (const refused of crowd.refused) {
        expect(refused).toMatchObject({ code: 'E_STORAGE_FULL', name: 'StorageFullError' })
        expect(refused.message).toContain('free some space')
        expect(refused.message).toContain(refused.context?.path)
      }
    }
    expect(found.process?.refused.length).toBeGreaterThan(0)
    expect(found.relaxed?.told).toEqual(['E_STORAGE_FULL'])
  })

  it('a_disk_that_is_full_at_open_is_E_STORAGE_FULL_and_opens_when_there_is_room', async () => {
    const found = await onMount<Record<string, Outcome>>('fullAtOpen', 2 << 20)
    expect(found.opened).toMatchObject({
      code: 'E_STORAGE_FULL',
      context: { path: expect.stringContaining('cache') },
    })
    expect(found.opened?.message).toContain('free some space')
    expect(found.later).toEqual({ value: 1 })
  })

  it('a_read_only_directory_is_E_READ_ONLY', async () => {
    const found = await onMount<Record<string, Outcome>>('readOnly', 4 << 20)
    for (const opened of [found.existing, found.missing]) {
      expect(opened).toMatchObject({ code: 'E_READ_ONLY', name: 'ReadOnlyError' })
      expect(opened?.context?.path).toMatch(/cache|other/)
      expect(opened?.message).toContain('make it writable')
    }
    expect(found).toMatchObject({ inside: false, later: { value: 1 } })
  })

  it('a_directory_that_is_removed_under_an_open_cache_is_a_typed_error_and_a_new_one_works', async () => {
    const found = await onMount<Record<string, Outcome>>('removed', 4 << 20)
    expect(found.set?.code).toBe('E_UNAVAILABLE')
    expect(found.get?.code ?? 'E_UNAVAILABLE').toMatch(/^E_/)
    expect(found.loaded).toEqual({ value: 'loaded' })
    expect(found.later).toEqual({ value: 2 })
  })
})

it.skipIf(process.platform === 'win32')(
  'a_process_that_may_open_no_more_files_is_told_so_and_goes_on_when_it_may',
  () => {
    const entry = fileURLToPath(new URL('../dist/index.js', import.meta.url))
    const program = `
    const { closeSync, openSync } = require('node:fs')
    const { Cache } = require(${JSON.stringify(entry)})
    const cache = new Cache()
    cache.setSync('a', 1)
    const held = []
    try { for (;;) held.push(openSync('/dev/null')) } catch {}
    const save = () => cache.save(${JSON.stringify(join(tempDir(), 'saved'))})
    save().catch((error) => {
      for (const file of held) closeSync(file)
      return save().then(({ entries }) => console.log(error.code, error.name, entries))
    })`
    const run = spawnSync('sh', ['-c', 'ulimit -n 100; exec "$0" -e "$1"', process.execPath, program], {
      encoding: 'utf8',
      timeout: 300_000,
    })
    expect([run.stdout, run.stderr]).toEqual(['E_UNAVAILABLE UnavailableError 1\n', ''])
  },
)
