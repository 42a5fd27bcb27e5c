import { describe, expect, it } from 'vitest'
import { codeOf, failure } from '../helpers/errors.js'
import { tempDir } from '../helpers/temp.js'
import { openTables, rowsOf } from './helpers.js'

const ROW = [{ a: 1 }]

describe('names that differ in the case of ASCII letters', () => {
  it('are one table, which lives as long as it was told last', async () => {
    let now = 0
    const tables = openTables({ dir: tempDir(), now: () => now })
    await tables.update('Prices', ROW, { ttl: '1s' })
    await tables.update('pRICES', [{ a: 2 }])
    now = 5000
    expect(await tables.cleanup()).toBe(0)
    expect(await rowsOf(tables, 'FROM prices')).toEqual([{ a: 2 }])
    const { tables: found } = await tables.info()
    expect(found).toMatchObject([{ createdAt: 0, expiresAt: Infinity, hits: 1 }])
    expect(await tables.check('PRICES', { schema: 'STORE' })).toBe(true)
    await tables.upsert('PRICES', [{ a: 3 }], { key: ['a'], schema: 'Store' })
    expect(await tables.clear({ schema: 'STORE', table: 'prices' })).toBe(1)
    expect(await tables.listTables()).toEqual([])
  })

  it('expire together', async () => {
    let now = 0
    const tables = openTables({ now: () => now })
    await tables.update('Prices', ROW, { ttl: '1s' })
    now = 1000
    for (const name of ['"Prices"', 'prices', 'STORE.PRICES', 'memory.store.pRiCeS'])
      expect(await codeOf(rowsOf(tables, `FROM ${name}`)), name).toBe('E_KEY_EXPIRED')
    expect(await tables.check('prices')).toBe(false)
  })

  it('are two where the letters are others, as to DuckDB', async () => {
    const tables = openTables()
    await tables.update('Ä', ROW)
    await tables.update('ä', [{ a: 2 }])
    expect(await tables.clear({ table: 'Ä' })).toBe(1)
    expect(await tables.listTables()).toEqual(['ä'])
  })
})

describe('names without a schema', () => {
  it('find a table of the schema main behind the cache’s own, and its time to live', async () => {
    let now = 0
    const tables = openTables({ now: () => now })
    await tables.update('m', ROW, { schema: 'main', ttl: '1s' })
    expect(await rowsOf(tables, 'FROM m')).toEqual(ROW)
    now = 1000
    expect(await codeOf(rowsOf(tables, 'FROM m'))).toBe('E_KEY_EXPIRED')
    await rowsOf(tables, 'CREATE TABLE store.m AS SELECT 2 AS a')
    expect(await rowsOf(tables, 'FROM m')).toEqual([{ a: 2 }])
  })

  it('are found in a query that is a source, as on a connection', async () => {
    let now = 0
    const tables = openTables({ schema: 'my "own', now: () => now })
    await tables.update('prices', ROW, { ttl: '1s' })
    await using db = await tables.connect()
    const sum = db.query('SELECT sum(a) AS s FROM prices')
    expect(await tables.update('sums', sum)).toBe(1)
    expect(await rowsOf(tables, 'FROM sums')).toEqual([{ s: 1 }])
    now = 1000
    expect(await codeOf(tables.update('sums', sum))).toBe('E_KEY_EXPIRED')
    expect(await rowsOf(tables, 'FROM sums')).toEqual([{ s: 1 }])
  })
})

it('a statement that is no source leaves no transaction open', async () => {
  const tables = openTables()
  await using db = await tables.connect()
  expect(await codeOf(tables.update('t', db.query('BEGIN')))).toMatch(/^E_/)
  expect(await tables.update('t', ROW)).toBe(1)
  expect(await rowsOf(tables, 'FROM t')).toEqual(ROW)
})

it('names of tables that are being written are refused: they would be gone with the next process', async () => {
  const tables = openTables()
  const error = await failure(tables.update('__Tierce_new_x', ROW))
  expect([error.code, error.message]).toEqual([
    'E_INVALID_OPTION',
    expect.stringContaining('choose another name'),
  ])
})

it('a table that has expired is told as such where nothing can be written', async () => {
  const dir = tempDir()
  let now = 0
  const tables = openTables({ dir, now: () => now })
  await tables.update('t', ROW, { ttl: '1s' })
  await tables.backup()
  await tables.close()
  now = 1000
  for (const options of [{ readOnly: true }, { snapshot: true }])
    expect(await codeOf(rowsOf(openTables({ dir, now: () => now, ...options }), 'FROM t'))).toBe(
      'E_KEY_EXPIRED',
    )
})
