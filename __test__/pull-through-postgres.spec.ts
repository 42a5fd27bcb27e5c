import { createRequire } from 'node:module'
import { date, defineTable, double, type PostgresClient, postgres, pullThrough, text } from 'tierce'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { startPostgres, whyNoPostgres } from '../scripts/lib/postgres.mjs'
import { codeOf } from './helpers/errors.js'
import { surviveKills } from './helpers/pull-kill.js'
import { PATIENTLY } from './helpers/wait.js'
import { pullThroughSuite } from './suites/pull-through.js'

const why = whyNoPostgres()
if (why !== undefined)
  process.stderr.write(`\nSKIPPED: the tests of pull-through on PostgreSQL, as ${why}\n\n`)

interface Pool {
  query(sql: string): Promise<{ rows: Record<string, unknown>[] }>
  connect(): Promise<PostgresClient>
  end(): Promise<void>
  on(event: 'error', listener: () => void): unknown
}
const { Pool } = createRequire(import.meta.url)('pg') as { Pool: new (options: object) => Pool }

let server: Awaited<ReturnType<typeof startPostgres>>
let admin: Pool
beforeAll(async () => {
  if (why !== undefined) return
  server = await startPostgres()
  admin = new Pool({ connectionString: server.url })
  admin.on('error', () => {}) // the server is stopped beside idle connections
})
afterAll(async () => {
  await admin?.end()
  await server?.stop()
})

let count = 0
/** The URL of a new, empty database. */
async function newDatabase(): Promise<string> {
  const name = `test_${++count}`
  await admin.query(`CREATE DATABASE ${name}`)
  return server.url.replace('/postgres?', `/${name}?`)
}

describe.skipIf(why !== undefined)('with a server', () => {
  pullThroughSuite(
    'PostgreSQL',
    async () => {
      const url = await newDatabase()
      return { open: () => postgres(url), run: (sql) => postgres(url).write([{ sql }]) }
    },
    10,
  )

  const table = defineTable('prices', {
    symbol: text().primaryKey(),
    date: date().primaryKey(),
    close: double(),
  })
  const ask = { symbol: 'AAPL', date: { start: '2024-01-01', end: '2024-01-02' } }

  it('a_kill_during_a_fetch_or_its_commit_leaves_the_old_state_or_the_new_one', async () => {
    const url = await newDatabase()
    await surviveKills('postgres', url, () => postgres(url))
  })

  it('a_pool_of_the_users_stays_open', async () => {
    const pool = new Pool({ connectionString: await newDatabase() })
    const cache = pullThrough({ engine: postgres(pool), table, range: 'date', fetch: () => [] })
    await cache.get(ask)
    await cache.close()
    expect((await pool.query('SELECT definition FROM tierce_tables')).rows).toHaveLength(1)
    await pool.end()
  })

  it('a_connection_that_the_server_ends_fails_its_call_and_no_other', async () => {
    const url = await newDatabase()
    await using cache = pullThrough({ engine: postgres(url), table, range: 'date', fetch: () => [] })
    await cache.get(ask)
    const end = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${new URL(url).pathname.slice(1)}' AND pid <> pg_backend_pid()`
    const sleeping = codeOf(cache.query('SELECT pg_sleep(600)'))
    const asked = `SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()`
    await vi.waitFor(async () => expect((await admin.query(asked)).rows).toHaveLength(1), PATIENTLY)
    await admin.query(end)
    expect(await sleeping).toBe('E_UNAVAILABLE')
    expect((await cache.get(ask)).length).toBe(0)
  })

  it('values_that_no_table_types_keep_their_meaning', async () => {
    await using cache = pullThrough({
      engine: postgres(await newDatabase()),
      table,
      range: 'date',
      fetch: () => [],
    })
    const found = await cache.query(
      `SELECT 9007199254740993::bigint AS a, 7::bigint AS b, '2024-01-31'::date AS c, '\\x00ff'::bytea AS d, 1.10::numeric AS e,
       TIMESTAMPTZ '2024-01-31 10:00:00.5+01' AS f, '{"x": [1]}'::jsonb AS g, '-Infinity'::float8 AS h, true AS i, $1::timestamptz AS j`,
      [new Date(5)],
    )
    expect(found.rows()).toEqual([
      {
        a: 9007199254740993n,
        b: 7,
        c: '2024-01-31',
        d: Buffer.from([0, 255]),
        e: '1.10',
        f: new Date('2024-01-31T09:00:00.500Z'),
        g: { x: [1] },
        h: Number.NEGATIVE_INFINITY,
        i: true,
        j: new Date(5),
      },
    ])
  })

  it('tables_have_types_that_other_programs_can_use', async () => {
    const url = await newDatabase()
    await using cache = pullThrough({ engine: postgres(url), table, range: 'date', fetch: () => [] })
    await cache.get(ask)
    const found = await cache.query(
      "SELECT column_name AS name, data_type AS type FROM information_schema.columns WHERE table_name = 'prices' ORDER BY ordinal_position",
    )
    expect(found.rows()).toEqual([
      { name: 'symbol', type: 'text' },
      { name: 'date', type: 'date' },
      { name: 'close', type: 'double precision' },
    ])
  })
})

it('a_server_that_is_not_there_is_E_UNAVAILABLE_and_a_wrong_target_is_refused', async () => {
  const table = defineTable('prices', { date: date().primaryKey() })
  await using cache = pullThrough({
    engine: postgres('postgresql://nobody:secret@127.0.0.1:1/none'),
    table,
    range: 'date',
    fetch: () => [],
  })
  const error = await cache.get({ date: { start: '2024-01-01', end: '2024-01-02' } }).catch((error) => error)
  expect(error).toMatchObject({ code: 'E_UNAVAILABLE' })
  expect(error.message).not.toContain('secret')
  for (const target of ['', 'localhost', 7, null, {}])
    expect(await codeOf(() => postgres(target as never))).toBe('E_INVALID_OPTION')
})
