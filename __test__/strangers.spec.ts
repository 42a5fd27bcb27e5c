/** What others may have put into a directory or into a name: it is data, and what is the user's stays. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { integer, text } from 'tierce'
import { describe, expect, it } from 'vitest'
import { codeOf } from './helpers/errors.js'
import { openCache, tempDir } from './helpers/temp.js'

const NAMES = [
  'with-dash',
  '1st',
  '7',
  'select',
  'ü 🦊',
  'every "type"; DROP TABLE entries --',
  "'; DROP TABLE entries; --",
  '[x] `y`',
]

describe('names', () => {
  it.each(NAMES)('of_tables_and_columns_of_metadata_are_data: %s', async (name) => {
    const dir = tempDir()
    const meta = { [name]: { [name]: text().index().unique(), 'n-1': integer() } }
    const cache = openCache({ dir, meta })
    await cache.set('a', 1, { meta: { [name]: { [name]: 'x', 'n-1': 5 } } })
    await cache.set('b', 2)
    const rows = await cache.find(name as never, { where: { [name]: 'x' } as never, values: true })
    expect(rows).toMatchObject([{ key: 'a', value: 1 }])
    await cache.close()
    const again = openCache({ dir, meta })
    expect(await again.getMany(['a', 'b'])).toEqual([1, 2])
    expect((await again.entry('a'))?.meta).toEqual({ [name]: { [name]: 'x', 'n-1': 5 } })
  })

  it('that_no_table_may_have_are_refused', async () => {
    for (const name of ['', 'entries', 'sqlite_x', 'Tierce_x', 'a\0b', 'x'.repeat(64)]) {
      const open = () => openCache({ dir: tempDir(), meta: { [name]: { n: integer() } } })
      expect(await codeOf(async () => open().set('a', 1)), JSON.stringify(name)).toBe('E_INVALID_OPTION')
    }
  })
})

describe('what is stored', () => {
  it('is_read_where_no_code_can_be_made_of_text', () => {
    const script = `
      const { Cache, ndarray, series, defineHandler } = require(${JSON.stringify(join(import.meta.dirname, '../build/index.js'))})
      let ran = false
      globalThis.pwned = () => { ran = true }
      class Own { constructor(x) { this.x = x } }
      defineHandler({ name: 'own', test: (v) => v instanceof Own, encode: (v) => v.x, decode: (x) => new Own(x) })
      const code = 'pwned(); globalThis.pwned()'
      const values = [
        { [code]: code, constructor: code, then: code, toJSON: code, __proto__: null },
        JSON.parse(JSON.stringify({ a: { prototype: { x: code } } }).replace('prototype', '__proto__')),
        new Map([[code, new Set([code])]]), Object.assign(new Error(code), { stack: code }), /pwned()/g, new URL('javascript:pwned()'),
        new Date(1), 5n, [1, , 2], new Float64Array(1000), ndarray(new Int8Array(4), [2, 2]), series(new Int8Array(2), { name: code, index: [code, code] }),
        new Own({ code }), Buffer.from(code), code, 'ж'.repeat(50),
        Array.from({ length: 900 }, (_, i) => ({ [code]: i, i })),
      ]
      async function main() {
        const dir = ${JSON.stringify(tempDir())}
        const first = new Cache({ dir })
        for (const [at, value] of values.entries()) await first.set(['key', at, code], value)
        await first.close()
        const cache = new Cache({ dir, memory: false })
        const { isDeepStrictEqual } = require('node:util')
        const same = []
        for (const [at, value] of values.entries()) same.push(isDeepStrictEqual(await cache.get(['key', at, code]), value))
        for await (const key of cache.keys()) if (key[2] !== code) same.push(false)
        let isForbidden = false
        try { new Function('return 1')() } catch { isForbidden = true }
        process.stdout.write(JSON.stringify({ wrong: same.filter((yes) => !yes).length, ran, isForbidden }))
        await cache.close()
      }
      main()`
    const args = ['--disallow-code-generation-from-strings', '-e', script]
    const stdout = execFileSync(process.execPath, args, { encoding: 'utf8', timeout: 300_000 })
    expect(JSON.parse(stdout)).toEqual({ wrong: 0, ran: false, isForbidden: true })
  })
})

describe("the user's own files", () => {
  it('in_the_folder_of_a_cache_outlive_all_that_it_does', async () => {
    const dir = tempDir()
    const own = [
      'notes.txt',
      'values/notes.txt',
      'values/00/mine',
      'tierce.db.bak',
      'sub/deep/file',
      '.hidden',
    ]
    for (const path of own) {
      mkdirSync(join(dir, path, '..'), { recursive: true })
      writeFileSync(join(dir, path), `mine: ${path}`)
    }
    const cache = openCache({ dir, maxSize: '1MiB', codec: 'none' })
    for (let i = 0; i < 40; i++) await cache.set(i, Buffer.alloc(60_000, i), { ttl: i % 2 ? 1 : undefined })
    await cache.cleanup()
    await cache.check({ fix: true })
    await cache.clear()
    await cache.close()
    const again = openCache({ dir, cleanupOnOpen: true })
    await again.clear()
    await again.close()
    for (const path of own) {
      expect(existsSync(join(dir, path)), path).toBe(true)
      expect(readFileSync(join(dir, path), 'utf8')).toBe(`mine: ${path}`)
    }
  })
})
