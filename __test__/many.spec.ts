import { inspect } from 'node:util'
import { Cache, MemoryCache, SharedMemoryCache } from 'tierce'
import { describe, expect, it } from 'vitest'
import { openCache, tempDir } from './helpers/temp.js'

/** Of each kind of cache, given anything. */
interface Many {
  setMany(entries: unknown): unknown
  getMany(keys: unknown): unknown
  deleteMany(keys: unknown): unknown
  has(key: string): unknown
}

const holders: Record<string, () => Many> = {
  Cache: () => openCache({ dir: tempDir() }) as Many,
  Namespace: () => openCache().namespace('part') as Many,
  MemoryCache: () => new MemoryCache<string, unknown>({ max: 10 }) as Many,
  SharedMemoryCache: () => new SharedMemoryCache<string, unknown>({ name: 'many', maxSize: '1MB' }) as Many,
}

const refused = { code: 'E_INVALID_OPTION' }

for (const [name, make] of Object.entries(holders)) {
  describe(`many at once, ${name}`, () => {
    it('takes pairs, a Map, and an object whose names are the keys', async () => {
      const cache = make()
      await cache.setMany([['a', 1]])
      await cache.setMany(new Map([['b', 2]]))
      await cache.setMany({ c: 3, __proto__: null })
      expect(await cache.getMany(new Set(['a', 'b', 'c', 'd']))).toEqual([1, 2, 3, undefined])
      expect(await cache.deleteMany(['a', 'd', 'b'].values())).toBe(2)
    })

    it.each([undefined, null, 5, 'abc', new Date(0), [1], [null], ['ab']])(
      'refuses %o for entries, and stores none',
      async (given) => {
        const cache = make()
        await expect((async () => cache.setMany(given))()).rejects.toMatchObject(refused)
        const before = Array.isArray(given) ? [['x', 1], ...given] : given
        await expect((async () => cache.setMany(before))()).rejects.toMatchObject(refused)
        expect(await cache.has('x')).toBe(false)
      },
    )

    it.each([undefined, null, 5, 'abc', { a: 1 }])('refuses %o for keys', async (given) => {
      const cache = make()
      await expect((async () => cache.getMany(given))()).rejects.toMatchObject(refused)
      await expect((async () => cache.deleteMany(given))()).rejects.toMatchObject(refused)
    })
  })
}

it('refuses them in a transaction too', async () => {
  await using cache = new Cache({ dir: tempDir() })
  await cache.transaction(async (tx) => {
    await expect(tx.getMany(5 as never)).rejects.toMatchObject(refused)
    await expect(tx.setMany('ab' as never)).rejects.toMatchObject(refused)
    await expect(tx.deleteMany({} as never)).rejects.toMatchObject(refused)
    await tx.setMany({ a: 1 })
  })
  expect(await cache.get('a')).toBe(1)
})

describe('what people are shown of a cache', () => {
  it('names its place and its counts, also when it is closed', async () => {
    const dir = tempDir()
    const cache = openCache({ dir })
    await cache.set('a', 1)
    await cache.get('a')
    expect(inspect(cache)).toContain(`dir: '${dir}'`)
    expect(inspect(cache)).toMatch(/^Cache \{.*hits: 1,.*isClosed: false/s)
    await cache.close()
    expect(inspect(cache)).toMatch(/isClosed: true/)
  })

  it('names the policy and the bounds of a MemoryCache, by the name of its class', () => {
    class Users extends MemoryCache<string, number> {}
    const users = new Users({ max: 3, policy: 'lru' }).set('a', 1)
    expect(inspect(users)).toMatch(/^Users \{ policy: 'lru', max: 3, .*size: 1/s)
    users.close()
    expect(inspect([users])).toMatch(/isClosed: true/)
  })
})
