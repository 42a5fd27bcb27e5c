/** Keys made of the content of files and folders. */
import { mkdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ContentKey, directory, file, type Key, wrap, wrapSync } from 'tierce'
import { describe, expect, it } from 'vitest'
import { keyFromText, keyText, keyTextSoon } from '../build/keys.js'
import { codeOf, failure } from './helpers/errors.js'
import { openCache, tempDir } from './helpers/temp.js'

function write(name: string, content: string | Buffer = 'content', folder = tempDir()): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

/** Long enough ago for the file to be remembered. */
function settle(path: string): string {
  utimesSync(path, new Date(0), new Date(0))
  return path
}

describe.each([
  { name: 'memory', options: () => ({}) },
  { name: 'disk', options: () => ({ dir: tempDir(), memory: false }) },
  { name: 'memory and disk', options: () => ({ dir: tempDir() }) },
])('content keys in $name', ({ options }) => {
  it('the_same_content_under_another_name_is_the_same_key_in_every_verb', async () => {
    const cache = openCache(options())
    const [one, two] = [{ data: file(write('a.csv')) }, { data: file(write('b.csv')) }]
    await cache.set(one, 'made from it')
    expect(await cache.get(two)).toBe('made from it')
    expect(cache.getSync(two)).toBe('made from it')
    expect(await cache.getMany([two, 'x', one])).toEqual(['made from it', undefined, 'made from it'])
    expect(await cache.has(two)).toBe(true)
    expect((await cache.entry(two))?.value).toBe('made from it')
    expect(await cache.getOrSet(two, () => 'again')).toBe('made from it')
    expect(cache.getOrSetSync(two, () => 'again')).toBe('made from it')
    expect(await cache.refresh(two, () => 'new')).toBe('new')
    expect(await cache.get(one)).toBe('new')
    expect(await cache.delete(two)).toBe(true)
    expect(await cache.get(one)).toBeUndefined()
    await cache.setMany([
      [one, 1],
      ['x', 2],
    ])
    expect(await cache.deleteMany([two, 'x'])).toBe(2)
    cache.setSync(one, 3)
    expect(cache.deleteSync(two)).toBe(true)
  })

  it('other_content_under_the_same_name_is_another_key', async () => {
    const cache = openCache(options())
    const path = write('a', 'one')
    const key = file(path)
    await cache.set(key, 1)
    writeFileSync(path, 'two') // the same size, at once: the times may not have moved
    expect(await cache.get(key)).toBeUndefined()
    await cache.set(key, 2)
    writeFileSync(path, 'one')
    expect(await cache.get(key)).toBe(1)
    settle(path)
    expect(await cache.get(key)).toBe(1)
    const other = write('b', 'two')
    renameSync(other, path)
    expect(await cache.get(key)).toBe(2)
    expect(cache.getSync(key)).toBe(2)
  })

  it('folders_are_found_by_what_is_in_them', async () => {
    const cache = openCache(options())
    const make = () => {
      const folder = tempDir()
      mkdirSync(join(folder, 'sub'))
      write('a', '1', folder)
      write('b', '2', join(folder, 'sub'))
      symlinkSync('..', join(folder, 'sub', 'loop'))
      return folder
    }
    const [one, two] = [make(), make()]
    await cache.set([directory(one), 5], 'made')
    expect(await cache.get([directory(two), 5])).toBe('made')
    write('c', '3', join(two, 'sub'))
    expect(await cache.get([directory(two), 5])).toBeUndefined()
    rmSync(join(two, 'sub', 'c'))
    expect(cache.getSync([directory(two), 5])).toBe('made')
  })

  it('keys_give_the_part_back_as_a_ContentKey_that_finds_its_entry', async () => {
    const cache = openCache(options())
    const path = write('a')
    await cache.set({ data: [file(path, { hash: 'blake3' })], n: 1 }, 'made')
    const keys: { data: [ContentKey] }[] = []
    for await (const key of cache.keys()) keys.push(key as never)
    expect(keys).toHaveLength(1)
    const part = keys[0]?.data[0]
    expect(part).toBeInstanceOf(ContentKey)
    expect(part).toMatchObject({ kind: 'file', hash: 'blake3', path: undefined })
    expect(part?.digest).toMatch(/^[0-9a-f]{64}$/)
    rmSync(path)
    expect(await cache.get(keys[0] as Key)).toBe('made')
  })

  it('a_missing_file_is_E_INVALID_KEY_with_its_path_and_nothing_is_loaded', async () => {
    const cache = openCache(options())
    const path = join(tempDir(), 'missing')
    const load = () => {
      throw new Error('loaded')
    }
    const key = { a: [new Map([['b', file(path)]])] }
    for (const run of [
      () => cache.get(key),
      () => cache.set(key, 1),
      () => cache.getMany(['a', key]),
      () => cache.setMany([[key, 1]]),
      () => cache.has(key),
      () => cache.entry(directory(path)),
      () => cache.delete(key),
      () => cache.getOrSet(key, load),
      () => cache.refresh(key, load),
      () => cache.getSync(key),
      () => cache.setSync(key, 1),
      () => cache.getOrSetSync(directory(path), load),
      () => cache.deleteSync(key),
    ]) {
      const error = await failure(run)
      expect(error.code, String(run)).toBe('E_INVALID_KEY')
      expect(error.context, String(run)).toEqual({ path })
    }
  })

  it('verbs_of_many_keys_find_each_by_its_content_also_where_only_some_is_known', async () => {
    const cache = openCache(options())
    const paths = Array.from({ length: 120 }, (_, i) => settle(write(`${i}.csv`, `content ${i}`)))
    const keys = paths.map((path, i) => (i % 3 === 0 ? file(path) : { part: [file(path), i], folder: 7 }))
    await cache.setMany(keys.map((key, i) => [key, i] as const))
    const changed = write('new.csv', 'content 5')
    const again = paths.map((path, i) => {
      if (i % 2 === 0) writeFileSync(path, `content ${i}`) // has to be read again
      return i % 3 === 0 ? file(path) : { part: [file(path), i], folder: 7 }
    })
    const asked = [...again, 'plain', { part: [file(changed), 5], folder: 7 }]
    expect(await cache.getMany(asked)).toEqual([...paths.keys(), undefined, 5])
    // One that is missing is named, and the others go on by themselves.
    const missing = join(tempDir(), 'missing.csv')
    const error = await failure(() => cache.getMany([...again, file(missing)]))
    expect([error.code, error.message.includes(missing)]).toEqual(['E_INVALID_KEY', true])
    expect(await cache.getMany(asked)).toEqual([...paths.keys(), undefined, 5])
  })

  it('wrapped_functions_take_content_as_an_argument', async () => {
    const cache = openCache(options())
    let calls = 0
    const parse = wrap(cache, (_data: ContentKey, _depth: number) => ++calls, { name: 'parse' })
    expect(await parse(file(write('a')), 2)).toBe(1)
    expect(await parse(file(write('b')), 2)).toBe(1)
    expect(await parse(file(write('b', 'other')), 2)).toBe(2)
    expect(await parse.invalidate(file(write('c')), 2)).toBe(true)
    const parseSync = wrapSync(cache, (_data: ContentKey) => ++calls, { name: 'parseSync' })
    expect(parseSync(file(write('a')))).toBe(3)
    expect(parseSync(file(write('b')))).toBe(3)
  })

  it('a_cache_closed_while_content_is_read_is_E_CLOSED', async () => {
    const cache = openCache(options())
    const late = [cache.set(file(write('a')), 1), cache.get(directory(tempDir()))]
    const codes = late.map((call) => codeOf(call))
    await cache.close()
    expect(await Promise.all(codes)).toEqual(['E_CLOSED', 'E_CLOSED'])
  })
})

describe('the text of a content key', () => {
  it('is_given_at_once_where_the_digest_is_known_and_is_the_same_either_way', async () => {
    const path = settle(write('a', 'abc'))
    const first = keyTextSoon([file(path)])
    expect(await first).toBe('\0[Fx06b05ab6733a618578af5f94892f3950]')
    expect(keyText([file(path)])).toBe(await first)
    const later = keyTextSoon([directory(tempDir())])
    expect(typeof later).toBe('object')
    await later // while the folder is there
    expect(typeof keyTextSoon({ a: [1, 'b'] })).toBe('string')
    expect(keyFromText(await first)).toEqual([
      expect.objectContaining({ kind: 'file', hash: 'xxh3', digest: '06b05ab6733a618578af5f94892f3950' }),
    ])
  })

  it('sorts_by_content_inside_sets_and_maps', async () => {
    const folder = tempDir()
    const paths = Array.from({ length: 20 }, (_, index) => write(`f${index}`, `${index}`, folder))
    const there = new Set(paths.map((path) => file(path)))
    const back = new Set(paths.toReversed().map((path) => file(path)))
    expect(await keyTextSoon(there)).toBe(await keyTextSoon(back))
    expect(await keyTextSoon(there)).toBe(keyText(back))
  })

  it('tells_kinds_and_hashes_apart', async () => {
    const empty = write('a', '')
    const texts = [file(empty), file(empty, { hash: 'blake3' }), directory(tempDir()), '', []].map((key) =>
      keyText(key),
    )
    expect(new Set(texts).size).toBe(5)
  })

  it('paths_are_strings_or_file_URLs_and_are_resolved_at_once', () => {
    const path = write('a')
    expect(file(pathToFileURL(path)).path).toBe(path)
    expect(file('x').path).toBe(join(process.cwd(), 'x'))
    for (const bad of ['', 'a\0b', 5, null, undefined, new URL('https://example.com/a'), Buffer.from('x')]) {
      expect(() => file(bad as string)).toThrow(expect.objectContaining({ code: 'E_INVALID_KEY' }))
    }
    for (const options of [{ hash: 'md5' }, { hsah: 'xxh3' }, 5]) {
      expect(() => directory(path, options as object)).toThrow(
        expect.objectContaining({ code: 'E_INVALID_OPTION' }),
      )
    }
  })

  it('damaged_texts_are_E_CORRUPT', () => {
    for (const text of [
      '\0Fx',
      `\0Fx${'0'.repeat(31)}`,
      `\0Fq${'0'.repeat(64)}`,
      `\0Fx${'G'.repeat(32)}`,
      `\0Tb${'0'.repeat(65)}`,
    ]) {
      expect(() => keyFromText(text), text).toThrow(expect.objectContaining({ code: 'E_CORRUPT' }))
    }
  })
})
