import { appendFileSync, mkdirSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { fakeClock } from './helpers/clock.js'
import { codeOf } from './helpers/errors.js'
import { openCache, tempDir } from './helpers/temp.js'
import { PATIENTLY } from './helpers/wait.js'

const LARGE = Buffer.alloc(200_000, 7)

function valueFiles(dir: string): string[] {
  return readdirSync(join(dir, 'values'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}

async function filled() {
  const dir = tempDir()
  const cache = openCache({ dir, memory: false, codec: 'none' })
  await cache.setMany([
    ['small', 1],
    [{ id: 1 }, LARGE],
    ['other', LARGE],
  ])
  return { cache, dir }
}

describe('check', () => {
  it('reads_everything_of_a_sound_cache_and_finds_nothing', async () => {
    const { cache } = await filled()
    const report = await cache.check()
    const { storedSize } = await cache.stats()
    expect(report).toEqual({
      ok: true,
      entries: 3,
      expired: 0,
      unreachable: 0,
      files: 2,
      bytes: storedSize,
      found: 0,
      fixed: 0,
      problems: [],
    })
  })

  it.each([
    ['missing-file', (path: string) => rmSync(path)],
    ['damaged-file', (path: string) => truncateSync(path, 100)],
    ['damaged-file', (path: string) => appendFileSync(path, 'x')],
    ['damaged-file', (path: string) => writeFileSync(path, Buffer.alloc(200_064, 1))],
  ])('names_the_key_of_an_entry_with_a_%s_and_removes_it', async (kind, attack) => {
    const { cache, dir } = await filled()
    attack(valueFiles(dir)[0]!)
    const found = await cache.check()
    expect(found).toMatchObject({ ok: false, found: 1, fixed: 0, problems: [{ kind, fixed: false }] })
    const { key } = found.problems[0]!
    expect([{ id: 1 }, 'other']).toContainEqual(key)
    expect(await cache.check({ fix: true })).toMatchObject({ ok: true, found: 1, fixed: 1 })
    expect(await cache.has(key as string)).toBe(false)
    expect(await cache.get(key as string)).toBeUndefined()
    expect(await cache.size()).toBe(2)
    expect(await cache.check()).toMatchObject({ ok: true, found: 0, entries: 2 })
  })

  it('has_is_true_only_where_get_gives_a_value_also_when_the_file_is_gone', async () => {
    const { cache, dir } = await filled()
    for (const path of valueFiles(dir)) rmSync(path)
    cache.on('error', () => {})
    expect(await cache.has('other')).toBe(false)
    expect(await cache.get('other')).toBeUndefined()
    expect(await cache.has('small')).toBe(true)
  })

  it('leaves_files_that_it_did_not_make_alone', async () => {
    const { cache, dir } = await filled()
    mkdirSync(join(dir, 'values', '00'), { recursive: true })
    writeFileSync(join(dir, 'values', '00', 'mine.txt'), 'mine')
    expect(await cache.check({ fix: true })).toMatchObject({
      ok: true,
      found: 1,
      fixed: 0,
      problems: [{ kind: 'foreign-file' }],
    })
    expect(readdirSync(join(dir, 'values', '00'))).toContain('mine.txt')
  })

  it('counts_what_is_in_memory_only', async () => {
    const cache = openCache()
    await cache.set('a', 1)
    expect(await cache.check({ fix: true })).toMatchObject({ ok: true, entries: 1, found: 0 })
  })

  it('refuses_unknown_options_and_a_closed_cache', async () => {
    const { cache } = await filled()
    expect(await codeOf(cache.check({ fixx: true } as never))).toBe('E_INVALID_OPTION')
    expect(await codeOf(cache.check({ fix: 1 } as never))).toBe('E_INVALID_OPTION')
    await cache.close()
    expect(await codeOf(cache.check())).toBe('E_CLOSED')
  })
})

describe('cleanupOnOpen', () => {
  it('removes_what_has_expired_and_nothing_else', async () => {
    const dir = tempDir()
    const clock = fakeClock()
    const first = openCache({ dir, clock })
    await first.set('short', 1, { ttl: 10 })
    await first.set('long', 2)
    await first.close()
    clock.advance(11)
    const kept = openCache({ dir, clock })
    expect(await kept.size()).toBe(2)
    await kept.close()
    const cleaned = openCache({ dir, clock, cleanupOnOpen: true })
    await expect.poll(() => cleaned.size(), PATIENTLY).toBe(1)
    expect(await cleaned.get('long')).toBe(2)
  })

  it('is_about_a_directory_and_is_a_boolean', async () => {
    expect(await codeOf(() => openCache({ cleanupOnOpen: true }))).toBe('E_INVALID_OPTION')
    expect(await codeOf(() => openCache({ dir: tempDir(), cleanupOnOpen: 1 as never }))).toBe(
      'E_INVALID_OPTION',
    )
  })

  it('a_cache_that_is_closed_at_once_reports_nothing', async () => {
    const cache = openCache({ dir: tempDir(), cleanupOnOpen: true })
    const faults: unknown[] = []
    cache.on('error', (fault) => faults.push(fault))
    await cache.close()
    expect(faults).toEqual([])
  })
})
