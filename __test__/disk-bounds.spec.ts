/** Bounds of the disk tier, and who goes first. */
import { Cache, type CacheOptions, type DiskPolicy, InvalidOptionError } from 'tierce'
import { describe, expect, it } from 'vitest'
import { failure } from './helpers/errors.js'
import { openCache, tempDir } from './helpers/temp.js'

const POLICIES: DiskPolicy[] = ['lru', 'lfu', 'fifo', 'lifo', 'mru', 'sieve', 's3-fifo']

/** The keys of a to e that are left when f comes in and five are allowed; a was read twice, then b once. */
const LEFT: Record<DiskPolicy, string> = {
  lru: 'abdef',
  lfu: 'abdef',
  fifo: 'bcdef',
  lifo: 'abcdf',
  mru: 'acdef',
  sieve: 'abdef',
  's3-fifo': 'abdef',
}

describe('policy and max on disk', () => {
  it.each(POLICIES)('%s decides who goes first, also by reads that memory answered', async (policy) => {
    for (const memory of [false, true]) {
      const dir = tempDir()
      const cache = openCache({ dir, policy, max: 5, memory })
      for (const key of 'abcde') await cache.set(key, key)
      for (const key of 'aab') expect(await cache.get(key)).toBe(key)
      await cache.close()
      const again = openCache({ dir, policy, max: 5, memory: false })
      await again.set('f', 'f')
      let left = ''
      for (const key of 'abcdef') if (await again.has(key)) left += key
      expect(left).toBe(LEFT[policy])
    }
  })

  it('a_number_of_entries_holds_after_every_call', async () => {
    const cache = openCache({ dir: tempDir(), max: 20, memory: false })
    await Promise.all(Array.from({ length: 90 }, (_, n) => cache.set(n, 'v')))
    expect((await cache.stats()).entries).toBe(20)
    await cache.setMany(Array.from({ length: 90 }, (_, n) => [`many ${n}`, 'v'] as const))
    expect((await cache.stats()).entries).toBe(20)
    cache.setSync('sync', 'v')
    expect((await cache.stats()).entries).toBe(20)
    expect(await cache.get('sync')).toBe('v')
  })

  it.each([
    [
      { policy: 'w-tinylfu' },
      /'w-tinylfu', which is for memory; on disk give one of 'lru', 'lfu', 'fifo', 'lifo', 'mru', 'sieve', 's3-fifo'/,
    ],
    [{ policy: 'auto' }, /which is for memory/],
    [{ policy: 'lrv' }, /did you mean 'lru'/],
    [{ max: 0 }, /Invalid max: got 0/],
    [{ max: 1.5 }, /Invalid max/],
    [{ maxSize: '1KB' }, /maximum size of 1000 bytes is too small; accepted are 1048576/],
  ] as [object, RegExp][])('%j is E_INVALID_OPTION', async (options, says) => {
    const error = await failure(() => new Cache({ dir: tempDir(), ...(options as CacheOptions) }))
    expect(error).toBeInstanceOf(InvalidOptionError)
    expect(error.message).toMatch(says)
  })

  it('max_without_a_directory_is_E_INVALID_OPTION_and_says_where_it_belongs', async () => {
    const error = await failure(() => new Cache({ max: 5 }))
    expect(error.code).toBe('E_INVALID_OPTION')
    expect(error.message).toContain('memory: { max }')
  })
})
