/** `docs/migrating.md`: what it says to call does what it says, or is at least accepted. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Cache, file, MemoryCache } from 'tierce'
import { describe, expect, it } from 'vitest'
import { openCache, tempDir } from './helpers/temp.js'

const document = readFileSync(new URL('../docs/migrating.md', import.meta.url), 'utf8')

/** Each piece of code in the second column, by where it stands. */
const calls = document.split('\n').flatMap((line, index) => {
  const [, , here = ''] = line.startsWith('| ') ? line.split(/(?<!\|) \| |^\| /) : []
  const spans = [...here.matchAll(/`([^`]*\([^`]*|memory\.\w+)`/g)].map(([, code]) => code as string)
  return spans.map((code) => [`${index + 1}: ${code}`, code] as const)
})

const AsyncFunction = Object.getPrototypeOf(async () => {}).constructor as new (
  ...text: string[]
) => (...values: unknown[]) => Promise<unknown>

it('has_calls_for_each_cache', () => {
  expect(calls.length).toBeGreaterThan(60)
  expect(document.match(/^## /gm)).toHaveLength(7)
})

describe('every call in it is one', () => {
  it.each(calls)('%s', async (_where, code) => {
    const dir = tempDir()
    const path = join(dir, 'file')
    const memory = new MemoryCache<string, number>({ dir, filename: 'saved' }).set('key', 1)
    memory.saveSync()
    memory.saveSync(path)
    const cache = openCache({ dir })
    await cache.set('key', 1)
    writeFileSync(join(dir, 'source'), 'x')
    const scope = { Cache, MemoryCache, file, memory, cache, dir, key: 'key', value: 1, load: () => 1 }
    const given = { ...scope, path: code.includes('file(path)') ? join(dir, 'source') : path }
    const statement = /^(for|new Cache\(\{ dir)/.test(code)
    const body = statement ? code.replace(/^new .*$/, 'await ($&).close()') : `return (${code})`
    const result = await new AsyncFunction(...Object.keys(given), body)(...Object.values(given))
    if (!/^(for|new|await cache\.(set|clear|close|get\(\{)|memory\.clear|memory\.resetMetrics)/.test(code))
      expect(result).toBeDefined()
  })
})
