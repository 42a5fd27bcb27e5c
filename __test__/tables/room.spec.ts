import { describe, expect, it } from 'vitest'
import { codeOf } from '../helpers/errors.js'
import { tempDir } from '../helpers/temp.js'
import { openTables, rowsOf } from './helpers.js'

const ROWS = [
  { id: 1, name: 'one' },
  { id: 2, name: null },
]

describe('size', () => {
  const big = (seed: number) => ({
    x: Float64Array.from({ length: 200_000 }, (_, at) => Math.sin(at * seed)),
  })

  it.each([
    ['lru', ['b', 'c', 'd']],
    ['fifo', ['b', 'c', 'd']],
    ['mru', ['a', 'b', 'd']],
    ['lifo', ['a', 'b', 'd']],
    ['lfu', ['a', 'c', 'd']],
    ['sieve', ['a', 'c', 'd']],
    ['s3-fifo', ['a', 'c', 'd']],
  ] as const)('%s makes room', async (policy, left) => {
    let now = 1000
    const tables = openTables({ dir: tempDir(), maxSize: '6MB', policy, now: () => now++ })
    for (const [at, name] of ['a', 'b', 'c'].entries()) await tables.update(name, big(at + 1))
    // Recency and frequency disagree: `a` is read often, but before the others were written again.
    for (const name of policy === 'lru' ? ['a', 'b', 'c'] : ['a', 'a', 'c'])
      await rowsOf(tables, `SELECT count(*) FROM ${name}`)
    await tables.update('d', big(4))
    expect((await tables.listTables()).sort()).toEqual(left)
    expect((await tables.info()).size).toBeLessThanOrEqual(6_000_000)
  })

  it('a table that does not fit at all is refused, and nothing is evicted', async () => {
    const tables = openTables({ dir: tempDir(), maxSize: '3MB' })
    await tables.update('a', ROWS)
    await tables.update('b', ROWS)
    const huge = { x: Float64Array.from({ length: 1_000_000 }, (_, at) => Math.sin(at)) }
    expect(await codeOf(tables.update('b', huge))).toBe('E_VALUE_TOO_LARGE')
    expect(await rowsOf(tables, 'FROM a')).toEqual(ROWS)
    expect(await rowsOf(tables, 'FROM b')).toEqual(ROWS)
  })

  const numbers = (rows: number, from = 0) => ({
    id: Int32Array.from({ length: rows }, (_, at) => from + at),
    x: Float64Array.from({ length: rows }, (_, at) => Math.sin(from + at)),
  })

  it.each(['append', 'upsert'] as const)(
    'an %s that does not fit is refused, and the old table stays',
    async (verb) => {
      const tables = openTables({ dir: tempDir(), maxSize: '4MB' })
      const options = verb === 'upsert' ? { key: ['id'] } : {}
      await tables.update('other', ROWS)
      await tables[verb]('t', numbers(100_000), options)
      expect(await codeOf(tables[verb]('t', numbers(500_000, 100_000), options))).toBe('E_VALUE_TOO_LARGE')
      expect(await codeOf(tables[verb]('new', numbers(700_000), options))).toBe('E_VALUE_TOO_LARGE')
      expect(await rowsOf(tables, 'SELECT count(*) n, sum(id)::BIGINT s FROM t')).toEqual([
        { n: 100_000n, s: 4_999_950_000n },
      ])
      expect((await tables.listTables()).sort()).toEqual(['other', 't'])
      expect((await tables.info()).size).toBeLessThanOrEqual(4_000_000)
      // What fits goes on, also the same rows once more, which take no more room.
      expect(await tables[verb]('t', numbers(50_000, verb === 'upsert' ? 0 : 100_000), options)).toBe(50_000)
    },
  )

  it('rows that do not fit into memory are refused, and the old table stays', async () => {
    const tables = openTables({ memoryLimit: '40MB' })
    await tables.update('t', ROWS)
    const texts = () => ({ text: Array.from({ length: 200_000 }, (_, at) => `${at} `.repeat(60)) })
    await using db = await tables.connect()
    await db.query("SET max_temp_directory_size = '0B'").run()
    for (const verb of ['append', 'update'] as const)
      expect(await codeOf(tables[verb]('t', texts()))).toBe('E_VALUE_TOO_LARGE')
    expect(await rowsOf(tables, 'FROM t')).toEqual(ROWS)
    expect(await tables.update('t', [{ a: 1 }])).toBe(1)
  })

  it('a bound of size needs a folder, and what is counted is there after info', async () => {
    expect(await codeOf(() => openTables({ maxSize: '1MB' }))).toBe('E_INVALID_OPTION')
    const tables = openTables({ dir: tempDir() })
    await tables.update('t', ROWS)
    expect((await tables.info()).tables[0]?.bytes).toBe(262_144)
  })
})
