import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { date, defineTable, double, pullThrough, sqlite, text } from 'tierce'
import { describe, expect, it } from 'vitest'
import { codeOf, failure } from './helpers/errors.js'
import { tempDir } from './helpers/temp.js'
import { pullThroughSuite } from './suites/pull-through.js'

pullThroughSuite('SQLite', async () => {
  const path = join(tempDir(), 'stocks.db')
  return {
    open: () => sqlite(path),
    run: (sql) => sqlite(path).write([{ sql }]),
  }
})

describe('the engine on SQLite', () => {
  const table = defineTable('prices', {
    symbol: text().primaryKey(),
    date: date().primaryKey(),
    close: double(),
  })
  const ask = { symbol: 'AAPL', date: { start: '2024-01-01', end: '2024-01-02' } }
  const codeAt = async (path: string) => {
    await using cache = pullThrough({ engine: sqlite(path), table, range: 'date', fetch: () => [] })
    return codeOf(cache.get(ask))
  }

  it('a_path_that_cannot_be_a_database_is_a_typed_error', async () => {
    const dir = tempDir()
    writeFileSync(join(dir, 'text.db'), 'this is no database, whatever its name says. '.repeat(20))
    mkdirSync(join(dir, 'folder.db'))
    expect(await codeAt(join(dir, 'text.db'))).toBe('E_FORMAT')
    expect(await codeAt(join(dir, 'folder.db'))).toBe('E_UNAVAILABLE')
    expect(await codeAt(join(dir, 'missing', 'a.db'))).toBe('E_UNAVAILABLE')
    for (const path of ['', ':memory:', 'a\0b', 7 as never])
      expect(await codeOf(() => sqlite(path))).toBe('E_INVALID_OPTION')
    expect(await codeOf(() => sqlite('a.db', { lock: 1 } as never))).toBe('E_INVALID_OPTION')
  })

  it('a_call_after_one_that_could_not_open_the_file_tries_again', async () => {
    const folder = join(tempDir(), 'later')
    await using cache = pullThrough({
      engine: sqlite(join(folder, 'a.db')),
      table,
      range: 'date',
      fetch: () => [],
    })
    expect(await codeOf(cache.get(ask))).toBe('E_UNAVAILABLE')
    mkdirSync(folder)
    expect((await cache.get(ask)).length).toBe(0)
  })

  it('two_tables_share_an_engine_until_the_last_one_closes', async () => {
    const engine = sqlite(join(tempDir(), 'a.db'))
    const make = (name: string) =>
      pullThrough({ engine, table: defineTable(name, table.columns), range: 'date', fetch: () => [] })
    const [first, second] = [make('first'), make('second')]
    await first.get(ask)
    await first.close()
    await first.close()
    expect((await second.get(ask)).length).toBe(0)
    const found = await second.query<{ name: string }>('SELECT name FROM tierce_tables ORDER BY name')
    expect(found.rows().map(({ name }) => name)).toEqual(['first', 'second'])
    await second.close()
    expect(await failure(second.query('SELECT 1'))).toMatchObject({ code: 'E_CLOSED' })
  })

  it('values_that_no_table_types_come_as_SQLite_has_them', async () => {
    await using cache = pullThrough({
      engine: sqlite(join(tempDir(), 'a.db')),
      table,
      range: 'date',
      fetch: () => [],
    })
    const found = await cache.query(
      "SELECT ? AS a, ? AS b, ? AS c, ? AS d, ? AS e, ? AS __proto__ UNION ALL SELECT x'00ff', 1.5, NULL, 2, 3, 4",
      [9007199254740993n, 'é', null, true, new Date(5), 1],
    )
    const rows = found.rows()
    expect(rows[0]).toMatchObject({ a: 9007199254740993n, b: 'é', c: null, d: 1, e: 5 })
    expect(Object.keys(rows[0]!)).toContain('__proto__')
    expect(rows[1]).toMatchObject({ a: Buffer.from([0, 255]), b: 1.5, c: null, d: 2, e: 3 })
    expect(found.columns().d).toEqual(Float64Array.from([1, 2]))
  })

  it('a_query_can_be_aborted', async () => {
    await using cache = pullThrough({
      engine: sqlite(join(tempDir(), 'a.db')),
      table,
      range: 'date',
      fetch: () => [],
    })
    const endless = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n'
    const controller = new AbortController()
    const running = cache.query(endless, [], { signal: controller.signal })
    setTimeout(() => controller.abort(new Error('enough')), 20)
    await expect(running).rejects.toThrow('enough')
    expect((await cache.query('SELECT 1 AS one')).rows()).toEqual([{ one: 1 }])
  })
})
