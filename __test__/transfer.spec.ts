import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inspect, isDeepStrictEqual } from 'node:util'
import { Cache, type CacheOptions } from 'tierce'
import { describe, expect, it } from 'vitest'
import { runScript } from './helpers/child.js'
import { fakeClock } from './helpers/clock.js'
import { codeOf, failure } from './helpers/errors.js'
import { openCache, tempDir } from './helpers/temp.js'

/** In a file of its own on disk. */
const noise = randomBytes(40_000)

const ENTRIES: [string | object, unknown][] = [
  ['text', 'ä'.repeat(20)],
  ['null', null],
  [{ b: [1, 2n], a: new Date(5) }, new Map([['x', new Set([1])]])],
  ['array', new Float64Array(2000).fill(1.5)],
  ['large', noise],
]

const PLACES: { name: string; options(): CacheOptions }[] = [
  { name: 'memory', options: () => ({}) },
  { name: 'memory that gives copies', options: () => ({ values: 'copy' }) },
  { name: 'disk', options: () => ({ dir: tempDir(), memory: false }) },
  { name: 'memory and disk', options: () => ({ dir: tempDir() }) },
]

async function filled(options: CacheOptions): Promise<Cache> {
  const cache = openCache(options)
  await cache.setMany(ENTRIES as never)
  return cache
}

async function expectEntries(cache: Cache): Promise<void> {
  for (const [key, value] of ENTRIES) {
    // Not `toEqual`, which takes long for bytes.
    expect(isDeepStrictEqual(await cache.get(key as never), value), inspect(key)).toBe(true)
  }
}

describe.each(PLACES)('save of $name', ({ options: source }) => {
  it.each(PLACES)('and load into $name give the same entries', async ({ options: target }) => {
    const file = join(tempDir(), 'saved.tierce')
    const saved = await (await filled(source())).save(file)
    expect(saved).toEqual({ entries: ENTRIES.length, bytes: statSync(file).size })
    const cache = openCache(target())
    await cache.set('mine', 1)
    expect(await cache.load(file)).toEqual({ entries: ENTRIES.length, expired: 0, refused: 0 })
    await expectEntries(cache)
    expect(await cache.get('mine')).toBeUndefined()
    expect(await cache.size()).toBe(ENTRIES.length)
  })

  it('keeps what is left of a time to live, which goes on in the file', async () => {
    const clock = fakeClock()
    const file = join(tempDir(), 'saved')
    const cache = openCache({ ...source(), clock })
    await cache.set('short', 1, { ttl: 100 })
    await cache.set('long', 2, { ttl: 1000 })
    clock.advance(50)
    await cache.save(file)
    clock.advance(50)
    const loaded = openCache({ ...source(), clock })
    expect(await loaded.load(file)).toMatchObject({ entries: 1, expired: 1 })
    expect((await loaded.entry('long'))?.expiresAt).toBe((await cache.entry('long'))?.expiresAt)
    clock.advance(899)
    expect(await loaded.get('long')).toBe(2)
    clock.advance(1)
    expect(await loaded.get('long')).toBeUndefined()
  })

  it('keeps tags and descriptions', async () => {
    const file = join(tempDir(), 'saved')
    const cache = openCache(source())
    await cache.set('k', 1, { tags: ['a', 'b'], description: 'about k' })
    await cache.save(file)
    for (const { options } of PLACES) {
      const loaded = openCache(options())
      await loaded.load(file)
      expect(await loaded.entry('k')).toMatchObject({ value: 1, tags: ['a', 'b'], description: 'about k' })
    }
  })

  it('a bad file changes nothing', async () => {
    const dir = tempDir()
    const file = join(dir, 'saved')
    const cache = await filled(source())
    await cache.save(file)
    const whole = readFileSync(file)
    expect(await codeOf(cache.load(join(dir, 'nothing')))).toBe('E_UNAVAILABLE')
    writeFileSync(file, '{"some": "json"}')
    expect(await codeOf(cache.load(file))).toBe('E_FORMAT')
    writeFileSync(file, whole.subarray(0, -1))
    expect(await codeOf(cache.load(file))).toBe('E_CORRUPT')
    whole[whole.length - 40]! ^= 1
    writeFileSync(file, whole)
    expect(await codeOf(cache.load(file))).toBe('E_CORRUPT')
    await expectEntries(cache)
  })

  it('merge keeps what is not in the file, and the file counts for what is', async () => {
    const file = join(tempDir(), 'saved')
    const cache = await filled(source())
    await cache.save(file)
    await cache.set('mine', 1)
    await cache.set('text', 'changed')
    await cache.load(file, { merge: true })
    await expectEntries(cache)
    expect(await cache.get('mine')).toBe(1)
  })
})

describe('save and load', () => {
  it('Cache.from opens a cache with the entries of a file, or fails and keeps nothing open', async () => {
    const dir = tempDir()
    const file = join(dir, 'saved')
    await (await filled({})).save(file)
    const memory = await Cache.from(file)
    await expectEntries(memory)
    const disk = await Cache.from(file, { dir: join(dir, 'cache') })
    await expectEntries(disk)
    await Promise.all([memory.close(), disk.close()])
    expect(await codeOf(Cache.from(join(dir, 'nothing')))).toBe('E_UNAVAILABLE')
  })

  it.each([
    ['lru', ['a', 'c']],
    ['fifo', ['b', 'c']],
    ['sieve', ['a', 'c']],
  ])(
    '%s: of a file of a memory tier a smaller one keeps what the whole would have kept',
    async (policy, kept) => {
      const whole = openCache({ memory: { policy } })
      for (const key of ['a', 'b', 'c']) whole.setSync(key, key)
      whole.getSync('a')
      const file = join(tempDir(), 'file')
      await whole.save(file)
      const small = openCache({ memory: { max: 2, policy } })
      await small.load(file)
      expect(['a', 'b', 'c'].filter((key) => small.hasSync(key))).toEqual(kept)
    },
  )

  it('names the key of a value that has no stored form, and leaves an old file', async () => {
    const file = join(tempDir(), 'saved')
    const cache = await filled({})
    await cache.save(file)
    const before = readFileSync(file)
    await cache.set({ id: 7 }, () => 1)
    const error = await failure(cache.save(file))
    expect(error.code).toBe('E_UNSERIALIZABLE')
    expect(error.message).toContain("'{s2:idi7;}'")
    expect(readFileSync(file)).toEqual(before)
  })

  it('leaves nothing beside the file, and the file is for its owner alone', async () => {
    const dir = tempDir()
    await (await filled({})).save(join(dir, 'saved'))
    expect(readdirSync(dir)).toEqual(['saved'])
    expect(statSync(join(dir, 'saved')).mode & 0o777).toBe(process.platform === 'win32' ? 0o666 : 0o600)
    expect(await codeOf((await filled({})).save(join(dir, 'no', 'folder')))).toBe('E_UNAVAILABLE')
    expect(readdirSync(dir)).toEqual(['saved'])
  })

  it.each([undefined, '', 7, 'a\0b'])('refuses %j as a file', async (file) => {
    const cache = openCache()
    expect(await codeOf(cache.save(file as string))).toBe('E_INVALID_OPTION')
    expect(await codeOf(cache.load(file as string))).toBe('E_INVALID_OPTION')
  })

  it('what another cache object has in memory is outdated by a load', async () => {
    const dir = tempDir()
    const [a, b] = [openCache({ dir }), openCache({ dir })]
    await a.set('k', 'old')
    const file = join(tempDir(), 'saved')
    await a.save(file)
    await a.set('k', 'new')
    expect(await b.get('k')).toBe('new')
    await a.load(file, { merge: true })
    expect(await b.get('k')).toBe('old')
    expect(await a.get('k')).toBe('old')
  })
})

describe('backup', () => {
  it('is a cache directory of its own', async () => {
    const cache = await filled({ dir: tempDir() })
    const dir = join(tempDir(), 'backup')
    const { entries, bytes } = await cache.backup(dir)
    expect(entries).toBe(ENTRIES.length)
    expect(bytes).toBeGreaterThan(4096)
    await cache.clear()
    const copy = openCache({ dir })
    await expectEntries(copy)
    expect(await copy.check()).toMatchObject({ ok: true, found: 0 })
  })

  it('refuses a directory that is not empty, and a cache without one', async () => {
    const cache = await filled({ dir: tempDir() })
    const dir = tempDir()
    writeFileSync(join(dir, 'mine'), 'mine')
    expect(await codeOf(cache.backup(dir))).toBe('E_INVALID_OPTION')
    expect(readdirSync(dir)).toEqual(['mine'])
    expect(await codeOf(openCache().backup(join(dir, 'backup')))).toBe('E_UNAVAILABLE')
  })

  it('one that is not finished is refused by name', async () => {
    const dir = tempDir()
    writeFileSync(join(dir, 'tierce.unfinished'), '')
    const error = await failure(() => new Cache({ dir }))
    expect(error.code).toBe('E_FORMAT')
    expect(error.message).toContain('backup')
    expect(existsSync(join(dir, 'tierce.db'))).toBe(false)
  })

  it('kill_dash_9_during_backup_or_save_leaves_the_cache_whole', async () => {
    const script = fileURLToPath(new URL('./processes/saver.mjs', import.meta.url))
    const folder = tempDir()
    const dir = join(folder, 'cache')
    await (await filled({ dir })).save(join(folder, 'saved'))
    for (let round = 0; round < 6; round++) {
      const child = runScript(script, [folder, round])
      await child.said('ready')
      await new Promise((resolve) => setTimeout(resolve, 5 + round * 9))
      child.process.kill('SIGKILL')
      await once(child.process, 'close')
      const cache = openCache({ dir, memory: false })
      expect(await cache.check()).toMatchObject({ found: 0, entries: ENTRIES.length })
      await expectEntries(cache)
      const loaded = await Cache.from(join(folder, 'saved'))
      await expectEntries(loaded)
      await Promise.all([cache.close(), loaded.close()])
    }
  })
})

it('a_cache_in_memory_finds_what_a_file_has_the_digest_of_by_its_key', async () => {
  const [one, other, own] = ['x', 'y', 'z'].map((letter) => letter.repeat(2000)) as [string, string, string]
  const file = join(tempDir(), 'saved')
  const source = openCache()
  await source.setMany([[one, 1], [other, 2], ['short', 3]]) // biome-ignore format: short
  await source.namespace('n').set(own, 4)
  await source.save(file)
  for (const merge of [false, true]) {
    const cache = openCache()
    await cache.set(one, 'before')
    await cache.load(file, { merge })
    expect(await cache.size()).toBe(4)
    expect(await cache.getMany([one, other, 'short', own])).toEqual([1, 2, 3, undefined])
    expect(cache.getSync(other)).toBe(2)
    const space = cache.namespace('n')
    expect([await space.get(own), await space.size()]).toEqual([4, 1])
    for await (const key of cache.keys()) expect(await cache.has(key as never)).toBe(true)
    await cache.set(other, 'after')
    expect([await cache.get(other), await cache.size()]).toEqual(['after', 4])
    expect(await cache.add(one, 'no')).toBe(false)
    expect([await cache.delete(one), await cache.has(one), await cache.size()]).toEqual([true, false, 3])
    expect([await space.clear(), await space.has(own)]).toEqual([1, false])
    await cache.save(file)
    const again = openCache()
    await again.load(file)
    expect([await again.get(other), await again.get('short'), await again.size()]).toEqual(['after', 3, 2])
    await source.save(file)
  }
})
