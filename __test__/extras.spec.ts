import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Cache } from 'tierce'
import { describe, expect, it } from 'vitest'
import { decodeExtras, encodeExtras } from '../src/tiers/extras.js'
import { codeOf } from './helpers/errors.js'
import { tempDir } from './helpers/temp.js'

function dir(): string {
  const path = tempDir()
  mkdirSync(path, { recursive: true })
  return join(path, 'cache')
}

const LARGE = Buffer.alloc(200_000, 'large')

describe.each([
  ['memory and disk', () => ({ dir: dir() })],
  ['disk', () => ({ dir: dir(), memory: false })],
  ['memory', () => ({})],
] as const)('tags and description, %s', (_, options) => {
  it('come back with the entry', async () => {
    await using cache = new Cache(options())
    const given = { tags: ['users', 'ünïcode 🎉', 'users'], description: 'who they are' }
    await cache.set('small', 1, given)
    await cache.set('large', LARGE, given)
    cache.setSync('sync', 2, given)
    await cache.setMany([['many', 3]], given)
    for (const key of ['small', 'large', 'sync', 'many']) {
      const entry = await cache.entry(key)
      expect(entry).toMatchObject({ tags: ['users', 'ünïcode 🎉'], description: 'who they are' })
    }
    await cache.set('small', 4)
    expect(await cache.entry('small')).toMatchObject({ value: 4, tags: [], description: undefined })
  })

  it('count one read each', async () => {
    await using cache = new Cache(options())
    await cache.set('a', 1, { tags: ['t'] })
    expect((await cache.entry('a'))?.hits).toBe(0)
    expect((await cache.entry('a'))?.hits).toBe(1)
  })

  it('are refused when they are not what they should be', async () => {
    await using cache = new Cache(options())
    const refused: object[] = [
      { tags: 'users' },
      { tags: [''] },
      { tags: [1] },
      { tags: ['x'.repeat(1025)] },
      { tags: ['\ud800'] },
      { tags: Array.from({ length: 1001 }, (_, i) => `t${i}`) },
      { description: 7 },
      { description: '\udfff' },
    ]
    for (const options of refused) {
      expect(await codeOf(() => cache.set('a', 1, options))).toBe('E_INVALID_OPTION')
      expect(await codeOf(() => cache.setSync('a', 1, options))).toBe('E_INVALID_OPTION')
    }
    expect(await cache.has('a')).toBe(false)
  })
})

describe('on disk', () => {
  it('tags outlive the process that set them', async () => {
    const path = dir()
    const first = new Cache({ dir: path })
    await first.set('a', 1, { tags: ['x'], description: '' })
    await first.close()
    await using second = new Cache({ dir: path })
    expect(await second.entry('a')).toMatchObject({ value: 1, tags: ['x'], description: '' })
  })

  it('a body is read as it was written', () => {
    const bodies = [
      { tags: [], description: undefined, meta: undefined },
      { tags: ['a', 'é'], description: 'x'.repeat(70_000), meta: undefined },
      {
        tags: [],
        description: '',
        meta: { runs: { n: 1, x: 0.5, big: -(2 ** 53 - 1), t: 'ü', none: null } },
      },
    ]
    for (const body of bodies) {
      const { meta } = body
      const known = meta && {
        runs: Object.fromEntries(Object.entries(meta.runs).filter(([, cell]) => cell !== null)),
      }
      expect(decodeExtras(encodeExtras(body))).toEqual({ ...body, meta: known })
    }
  })
})
