import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { date, defineTable, double, duckdb, pullThrough, text } from 'tierce'
import { describe, expect, it } from 'vitest'
import { codeOf } from './helpers/errors.js'
import { surviveKills } from './helpers/pull-kill.js'
import { tempDir } from './helpers/temp.js'
import { pullThroughSuite } from './suites/pull-through.js'

pullThroughSuite(
  'DuckDB',
  async () => {
    const path = join(tempDir(), 'stocks.duckdb')
    return { open: () => duckdb(path), run: (sql) => duckdb(path).write([{ sql }]) }
  },
  10,
)

describe('the engine on DuckDB', () => {
  const table = defineTable('prices', {
    symbol: text().primaryKey(),
    date: date().primaryKey(),
    close: double(),
  })
  const ask = { symbol: 'AAPL', date: { start: '2024-01-01', end: '2024-01-02' } }

  it('a_kill_during_a_fetch_or_its_commit_leaves_the_old_state_or_the_new_one', async () => {
    const path = join(tempDir(), 'numbered.duckdb')
    await surviveKills('duckdb', path, () => duckdb(path))
  })

  it('wrong_paths_are_refused', async () => {
    for (const path of ['', ':memory:', 'a\0b', 7 as never]) {
      expect(await codeOf(() => duckdb(path))).toBe('E_INVALID_OPTION')
    }
    await using cache = pullThrough({
      engine: duckdb(join(tempDir(), 'no', 'folder.db')),
      table,
      range: 'date',
      fetch: () => [],
    })
    expect(await codeOf(cache.get(ask))).toBe('E_UNAVAILABLE')
  })

  it('semicolons_in_texts_names_and_comments_end_no_statement', async () => {
    await using cache = pullThrough({
      engine: duckdb(join(tempDir(), 'a.db')),
      table,
      range: 'date',
      fetch: () => [],
    })
    const found = await cache.query(
      `SELECT 'a;b''' AS "c;d", $$e;f$$ AS g -- ;\n /* ; DROP TABLE prices */ ;`,
    )
    expect(found.rows()).toEqual([{ 'c;d': "a;b'", g: 'e;f' }])
    expect(await codeOf(cache.query("SELECT ''; DROP TABLE prices --'"))).toBe('E_QUERY')
  })

  it('worker_threads_on_one_file_lose_no_row', async () => {
    const path = join(tempDir(), 'shared.db')
    await using cache = pullThrough({ engine: duckdb(path), table, range: 'date', fetch: () => [] })
    await cache.get(ask)
    const script = `
      const { workerData } = require('node:worker_threads')
      const { date, defineTable, double, duckdb, pullThrough, text } = require(workerData.tierce)
      const table = defineTable('prices', { symbol: text().primaryKey(), date: date().primaryKey(), close: double() })
      const fetch = ({ symbol, date: { start } }) => [{ symbol, date: start, close: 1 }]
      const cache = pullThrough({ engine: duckdb(workerData.path), table, range: 'date', fetch })
      const days = Array.from({ length: 15 }, (_, i) => '2024-02-' + String(i + 1).padStart(2, '0'))
      ;(async () => {
        for (const day of days) await cache.get({ symbol: workerData.symbol, date: { start: day, end: day } })
        await cache.close()
      })()`
    const tierce = join(import.meta.dirname, '..', 'dist', 'index.js')
    const symbols = ['A', 'B', 'C', 'D']
    const ends = symbols.map((symbol) => {
      const worker = new Worker(script, { eval: true, workerData: { path, symbol, tierce } })
      return new Promise<void>((resolve, reject) => {
        worker.on('error', reject)
        worker.on('exit', () => resolve())
      })
    })
    await Promise.all(ends)
    const found = await cache.query(
      'SELECT symbol, count(*) AS n FROM prices GROUP BY symbol ORDER BY symbol',
    )
    expect(found.rows()).toEqual(symbols.map((symbol) => ({ symbol, n: 15 })))
  })
})
