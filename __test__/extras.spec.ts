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

/** The disk has let go of it, so that no tag leads to it there. */
it.each([false, true])(
  'invalidateTags reaches what memory alone still had of evicted entries, read: %s',
  async (isRead) => {
    const options = { dir: dir(), max: 50 }
    const names = Array.from({ length: 50 }, (_, index) => `tagged ${index}`)
    let cache = new Cache(options)
    await cache.setMany(
      names.map((name) => [name, 1] as const),
      { tags: ['t'] },
    )
    if (isRead) {
      await cache.close()
      cache = new Cache(options)
      for (const name of names) expect(await cache.get(name)).toBe(1)
    }
    await using here = cache
    await using there = new Cache(options)
    await here.setMany(Array.from({ length: 60 }, (_, index) => [`other ${index}`, 2] as const))
    await there.invalidateTags('t')
    expect(here.getManySync(names)).toEqual(names.map(() => undefined))
    expect(here.getManySync(['other 59'])).toEqual([2])
  },
)
