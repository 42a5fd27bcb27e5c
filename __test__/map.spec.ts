import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { NdArray, ndarray } from 'tierce'
import { describe, expect, it } from 'vitest'
import { codeOf } from './helpers/errors.js'
import { openCache, tempDir } from './helpers/temp.js'

const LARGE = Float64Array.from({ length: 50_000 }, (_, i) => Math.sin(i) * i)
const MAP = { map: true }

/** The one value file of a cache. */
function valueFile(dir: string): string {
  const [path] = readdirSync(join(dir, 'values'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
  return path!
}

/** Whether the file is mapped into this process. */
function isMapped(path: string): boolean {
  return readFileSync('/proc/self/maps', 'utf8').includes(path)
}

describe('get with map', () => {
  it('gives the array, and writes to it do not reach the file or other readers', async () => {
    const dir = tempDir()
    const cache = openCache({ dir })
    await cache.set('a', LARGE, { codec: 'none' })
    const path = valueFile(dir)
    const before = readFileSync(path)
    const mapped = (await cache.get<Float64Array>('a', MAP))!
    expect(mapped).toEqual(LARGE)
    if (process.platform === 'linux') expect(isMapped(path)).toBe(true)
    mapped.fill(-1)
    expect(mapped[7]).toBe(-1)
    expect(readFileSync(path).equals(before)).toBe(true)
    expect(await cache.get('a')).toEqual(LARGE)
    expect(await cache.get('a', MAP)).toEqual(LARGE)
    expect((await cache.entry('a'))?.value).toEqual(LARGE)
  })

  it('outlives its entry, its cache and the next value of its key', async () => {
    const dir = tempDir()
    const cache = openCache({ dir, codec: 'none' })
    await cache.set('a', ndarray(LARGE, [500, 100]))
    const mapped = await cache.get<NdArray>('a', MAP)
    expect(mapped).toBeInstanceOf(NdArray)
    await cache.set('a', new Float64Array(50_000))
    await cache.delete('a')
    await cache.close()
    expect(mapped?.data).toEqual(LARGE)
  })

  it('reads as usual what is not in a file as it is', async () => {
    const cache = openCache({ dir: tempDir() })
    const values: Record<string, unknown> = {
      coded: LARGE,
      small: new Int8Array([1]),
      text: 'x'.repeat(1e5),
      json: { a: 1 },
      none: null,
    }
    for (const [key, value] of Object.entries(values))
      await cache.set(key, value, { codec: key === 'coded' ? 'fast' : undefined })
    for (const [key, value] of Object.entries(values)) expect(await cache.get(key, MAP)).toEqual(value)
    expect(await cache.get('missing', MAP)).toBe(undefined)
    const inMemory = openCache()
    await inMemory.set('a', LARGE)
    expect(await inMemory.get('a', MAP)).toEqual(LARGE)
    for (const bad of [{ map: 1 }, { mapped: true }, 7]) {
      expect(await codeOf(() => cache.get('coded', bad as object))).toBe('E_INVALID_OPTION')
    }
  })

  it('is verified before it is handed out: what is damaged or cut is a miss', async () => {
    for (const damage of [
      (path: string) => truncateSync(path, 1000),
      (path: string) => {
        const bytes = readFileSync(path)
        bytes[bytes.length - 5]! ^= 1
        writeFileSync(path, bytes)
      },
    ]) {
      const dir = tempDir()
      const faults: string[] = []
      const cache = openCache({ dir, codec: 'none', memory: false }).on('error', ({ code }) =>
        faults.push(code),
      )
      await cache.set('a', LARGE)
      damage(valueFile(dir))
      expect(await cache.get('a', MAP)).toBe(undefined)
      expect(faults).toEqual(['E_CORRUPT'])
      expect(await cache.size()).toBe(0)
    }
  })

  it.skipIf(process.platform !== 'linux')('is unmapped when the array is collected', async () => {
    const dir = tempDir()
    const script = `
      const { Cache } = require(${JSON.stringify(join(import.meta.dirname, '../build/index.js'))})
      const { readFileSync } = require('node:fs')
      const maps = () => readFileSync('/proc/self/maps', 'utf8').split('\\n').filter((line) => line.includes('/values/')).length
      async function main() {
        const cache = new Cache({ dir: ${JSON.stringify(dir)}, codec: 'none', memory: false })
        await cache.set('a', new Float64Array(50_000))
        let held = []
        for (let i = 0; i < 20; i++) held.push(await cache.get('a', { map: true }))
        const most = maps()
        held = undefined
        for (let i = 0; i < 50 && maps() > 0; i++) { globalThis.gc(); await new Promise((done) => setTimeout(done, 10)) }
        process.stdout.write(JSON.stringify({ most, left: maps() }))
        await cache.close()
      }
      main()`
    const stdout = execFileSync(process.execPath, ['--expose-gc', '-e', script], {
      encoding: 'utf8',
      timeout: 300_000,
    })
    expect(JSON.parse(stdout)).toEqual({ most: 20, left: 0 })
  })

  it('is_a_plain_read_where_external_memory_is_forbidden_and_caches_still_see_each_other', () => {
    const script = `
      const { Cache } = require(${JSON.stringify(join(import.meta.dirname, '../build/index.js'))})
      const { existsSync, readFileSync } = require('node:fs')
      const dir = ${JSON.stringify(tempDir())}
      async function main() {
        const [a, b] = [new Cache({ dir, codec: 'none' }), new Cache({ dir, codec: 'none' })]
        const large = Float64Array.from({ length: 50_000 }, (_, i) => i)
        await a.set('large', large)
        const mapped = await b.get('large', { map: true })
        const isMapped = existsSync('/proc/self/maps') && readFileSync('/proc/self/maps', 'utf8').includes('/values/')
        mapped[0] = -1 // the caller's own
        const again = await b.get('large', { map: true })
        await a.set('k', 1)
        const seen = [await b.get('k'), await b.get('k')]
        await a.set('k', 2)
        seen.push(await b.get('k'))
        await a.delete('k')
        seen.push(await b.has('k'))
        await a.set('short', 1, { ttl: 20 })
        await new Promise((done) => setTimeout(done, 60))
        seen.push((await a.get('short')) === undefined)
        await Promise.all([a.close(), b.close()])
        process.stdout.write(JSON.stringify({ isMapped, sound: again.every((n, i) => n === i), length: again.length, seen }))
      }
      main()`
    const stdout = execFileSync(process.execPath, ['-e', script], {
      encoding: 'utf8',
      timeout: 300_000,
      env: { ...process.env, TIERCE_NO_EXTERNAL_MEMORY: '1' },
    })
    expect(JSON.parse(stdout)).toEqual({
      isMapped: false,
      sound: true,
      length: 50_000,
      seen: [1, 1, 2, false, true],
    })
  })
})
