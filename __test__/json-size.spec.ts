import { describe, expect, it } from 'vitest'
import { openCache, tempDir } from './helpers/temp.js'

const list = <T>(length: number, make: (index: number) => T) => Array.from({ length }, (_, i) => make(i))

/** JSON-able values of about 10 KB, as programs have them. */
const VALUES: [string, (seed: number) => unknown][] = [
  [
    'rows of users',
    (n) =>
      Array.from({ length: 70 + n }, (_, id) => ({
        id,
        name: `user ${id * 7}`,
        email: `user${id}@example.org`,
        isActive: id % 3 === 0,
        score: ((id * 7919) % 1000) / 10,
      })),
  ],
  [
    'nested settings',
    (n) => ({
      version: n,
      sections: Array.from({ length: 90 }, (_, i) => ({
        title: `Section ${i}`,
        limits: { low: i, high: i * n + 100, note: null },
        tags: ['a', 'b', `tag ${i % 5}`],
        path: `/srv/data/${i}/${n}`,
      })),
    }),
  ],
  ['numbers', (n) => Array.from({ length: 1100 }, (_, i) => Math.round(Math.sin(i * n) * 1e6))],
  [
    'long texts',
    (n) => ({
      text: Array.from({ length: 250 }, (_, i) => `The ${i * n}th line says something of no weight`)
        .join('\n')
        .slice(0, 10_000),
    }),
  ],
  [
    'text in many scripts',
    (n) =>
      Array.from({ length: 120 }, (_, i) => ({
        id: i + n,
        text: `Zoë läuft über 東京 🦊 — ${'абвгд'.slice(i % 5)}${i}`,
      })),
  ],
  ['many of few members', (n) => list(220, (i) => ({ createdAtTimestamp: i, coordinates: i * n }))],
  ['one long name', (n) => list(510, (i) => ({ description: i % (n + 9) }))],
  [
    'names longer than what they name',
    (n) =>
      list(80, (i) => ({
        coordinates: i * n,
        identifier: { first: i, second: `k${i % 3}` },
        createdAtTimestamp: i * 1000,
        isActive: i % 2 === 0,
        description: null,
      })),
  ],
  [
    'flags',
    (n) => list(130, (i) => ({ isActive: i % n === 0, isHidden: i % 7 === 0, hasTheRightOfWriting: true })),
  ],
  ['pairs', (n) => list(600, (i) => [`n${i % (n + 5)}`, i * n])],
  [
    'noise',
    (n) =>
      Array.from(
        { length: 500 },
        (_, i) => (((i + n) * 2654435761) % 2 ** 32).toString(36) + (((i + n) * 40503) % 65521).toString(36),
      ),
  ],
]

describe('the size of a JSON-able value of 10 KB', () => {
  it.each(VALUES)('%s: at most that of its text by zstd-1, and 64 bytes', async (_, make) => {
    const cache = openCache({ dir: tempDir(), memory: false })
    for (let seed = 1; seed < 20; seed++) {
      const value = make(seed)
      await cache.set('v', value)
      const entry = await cache.entry('v')
      await cache.set('text', JSON.stringify(value), { codec: 'zstd', level: 1 })
      const coded = (await cache.entry('text'))!.storedSize
      expect(entry?.value).toEqual(value)
      expect(entry?.size).toBeGreaterThan(5000)
      expect(entry?.storedSize, `seed ${seed}`).toBeLessThanOrEqual(coded + 64)
    }
  })
})
