/** What the contents of a folder, and names that a user gives, can do: nothing that was not asked for. */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Cache, integer } from 'tierce'
import { describe, expect, it } from 'vitest'
import { failure } from './helpers/errors.js'
import { openCache, tempDir } from './helpers/temp.js'

const HOSTILE = [
  'x"; DROP TABLE entries; --',
  "x'; DELETE FROM entries; --",
  'a-b',
  '1st',
  'select',
  'main.entries',
  '../../escape',
  'é 𝄞',
]

async function filled(cache: Cache): Promise<Cache> {
  for (let at = 0; at < 20; at++) await cache.set(`k${at}`, 'v'.repeat(at * 4000), { tags: ['t'] })
  return cache
}

describe.each([
  { sort: 'plain', kept: {} },
  { sort: 'encrypted', kept: { encryption: { key: Buffer.alloc(32, 5) } } },
])('a $sort directory', ({ kept }) => {
  it('names_that_are_sql_paths_or_odd_are_keys_and_tags_like_any_other', async () => {
    const dir = join(tempDir(), 'cache')
    const cache = openCache({ dir, memory: false, ...kept })
    await cache.set('stays', 1)
    for (const name of HOSTILE) {
      await cache.set(name, name, { tags: [name], description: name })
      expect(await cache.get(name)).toBe(name)
      expect(await cache.query('SELECT key FROM tags WHERE tag = ?', [name])).toEqual([{ key: name }])
      const part = cache.namespace(name)
      await part.set('k', name)
      expect(await part.get('k')).toBe(name)
      expect(await part.clear()).toBe(1)
    }
    const found: unknown[] = []
    for await (const key of cache.keys({ match: '*' })) found.push(key)
    expect(found.sort()).toEqual([...HOSTILE, 'stays'].sort())
    for (const name of HOSTILE) expect(await cache.invalidateTags(name)).toBe(1)
    expect(await cache.get('stays')).toBe(1)
    expect(readdirSync(join(dir, '..'))).toEqual(['cache'])
  })

  it('a_query_cannot_write_nor_see_how_things_are_kept', async () => {
    const cache = await filled(openCache({ dir: tempDir(), ...kept }))
    for (const sql of [
      'DELETE FROM entries',
      'SELECT 1; DELETE FROM entries',
      'SELECT * FROM main.extras',
      'SELECT frame FROM main.entries',
      "ATTACH 'x' AS y",
      'PRAGMA query_only = OFF',
      "SELECT load_extension('x')",
    ]) {
      expect((await failure(cache.query(sql))).code, sql).toMatch(/^E_(READ_ONLY|INVALID_OPTION)$/)
    }
    expect(await cache.size()).toBe(20)
  })

  it('emptying_checking_and_closing_leave_the_files_of_others_alone_and_remove_all_of_ours', async () => {
    const dir = tempDir()
    const cache = await filled(openCache({ dir, memory: false, ...kept }))
    const mine = [
      'notes.txt',
      join('values', 'notes.txt'),
      join('values', '00', 'notes.txt'),
      'tierce.db.backup',
    ]
    mkdirSync(join(dir, 'values', '00'), { recursive: true })
    for (const name of mine) writeFileSync(join(dir, name), 'of the user')
    await cache.check({ fix: true })
    await cache.clear()
    await cache.cleanup()
    expect(await cache.size()).toBe(0)
    await cache.close()
    await openCache({ dir, ...kept }).close()
    for (const name of mine) expect(readFileSync(join(dir, name), 'utf8')).toBe('of the user')
    const left = readdirSync(join(dir, 'values'), { recursive: true, withFileTypes: true })
    expect(left.filter((entry) => entry.isFile()).map(({ name }) => name)).toEqual(['notes.txt', 'notes.txt'])
  })

  it('a_backup_never_goes_over_files_that_are_there', async () => {
    const cache = await filled(openCache({ dir: tempDir(), ...kept }))
    const to = tempDir()
    writeFileSync(join(to, 'notes.txt'), 'of the user')
    expect((await failure(cache.backup(to))).code).toBe('E_INVALID_OPTION')
    expect(readdirSync(to)).toEqual(['notes.txt'])
  })

  it.skipIf(process.platform === 'win32')('everything_is_for_its_owner_alone', async () => {
    const dir = join(tempDir(), 'cache')
    const cache = await filled(openCache({ dir, ...kept }))
    const [saved, backup] = [join(dir, '..', 'saved'), join(dir, '..', 'backup')]
    await cache.save(saved)
    await cache.backup(backup)
    const all = [dir, backup].flatMap((root) =>
      readdirSync(root, { recursive: true, withFileTypes: true }).map((e) => join(e.parentPath, e.name)),
    )
    for (const path of [dir, backup, saved, ...all]) {
      const about = statSync(path)
      expect((about.mode & 0o777).toString(8), path).toBe(about.isDirectory() ? '700' : '600')
    }
  })
})

it('a_table_whose_name_is_sql_is_a_table_of_that_name_or_refused', async () => {
  for (const name of HOSTILE) {
    const dir = tempDir()
    const meta = { [name]: { [name]: integer() } }
    try {
      const cache = openCache({ dir, meta })
      await cache.set('k', 1, { meta: { [name]: { [name]: 5 } } } as never)
      expect(await cache.find(name as never, { where: { [name]: 5 } } as never)).toHaveLength(1)
    } catch (error) {
      expect((error as { code: string }).code, name).toBe('E_INVALID_OPTION')
    }
    const cache = openCache({ dir })
    await cache.set('other', 2)
    expect(await cache.get('other')).toBe(2)
  }
})
