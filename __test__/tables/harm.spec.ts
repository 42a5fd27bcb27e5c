import { existsSync, mkdirSync, readdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { TableCache } from 'tierce'
import { describe, expect, it } from 'vitest'
import { runScript } from '../helpers/child.js'
import { codeOf, failure } from '../helpers/errors.js'
import { tempDir } from '../helpers/temp.js'
import { openTables, rowsOf } from './helpers.js'

const SCRIPT = fileURLToPath(new URL('child.mjs', import.meta.url))
const ROW = [{ a: 1 }]

it('queries and looks do not wait for a write that takes long', async () => {
  const tables = openTables({ dir: tempDir() })
  await tables.update('t', ROW)
  await using db = await tables.connect()
  await using other = await tables.connect()
  const endless = other.query('SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b')
  const stop = new AbortController()
  let write: Promise<unknown> | undefined
  const begun = new Promise<void>((resolve) => {
    write = tables.update('slow', endless, { signal: stop.signal, onProgress: () => resolve() })
  })
  const ended = write!.catch((error) => error)
  await begun
  expect(await db.query('FROM t')).toEqual(ROW)
  expect(await tables.check('t')).toBe(true)
  expect(await tables.listTables()).toEqual(['t'])
  expect(await codeOf(db.query('FROM slow').rows())).toBe('E_KEY_NOT_FOUND')
  stop.abort(new Error('enough'))
  expect(await ended).toMatchObject({ message: 'enough' })
})

describe('what a killed process leaves', () => {
  it('spilled rows go when the database is opened for writing, and foreign files stay', async () => {
    const dir = tempDir()
    const spill = join(dir, 'tables.duckdb.tmp')
    const leave = () => {
      mkdirSync(spill, { recursive: true })
      writeFileSync(join(spill, 'duckdb_temp_storage_DEFAULT-0.tmp'), 'rows')
    }
    leave()
    const tables = openTables({ dir })
    await tables.update('t', ROW)
    expect(existsSync(spill)).toBe(false)
    await tables.close()
    leave()
    writeFileSync(join(spill, 'mine.txt'), 'x')
    for (const log of ['.wal.checkpoint', '.wal.recovery'])
      writeFileSync(join(dir, `tables.duckdb${log}`), '')
    await new TableCache({ dir }).erase()
    expect([readdirSync(dir), readdirSync(spill)]).toEqual([['tables.duckdb.tmp'], ['mine.txt']])
  })

  it('rows that a reader of the backup spilled are in the way of no backup, and go with it', async () => {
    const dir = tempDir()
    const spill = join(dir, 'backup', 'tierce-tables.backup.duckdb.tmp')
    mkdirSync(spill, { recursive: true })
    writeFileSync(join(spill, 'duckdb_temp_storage_DEFAULT-0.tmp'), 'rows')
    const tables = openTables({ dir })
    await tables.update('t', ROW)
    expect(await tables.backup()).toBeGreaterThan(0)
    expect(await tables.eraseBackup()).toBe(true)
    expect(existsSync(join(dir, 'backup'))).toBe(false)
  })
})

describe('erase', () => {
  it('leaves a database that another process has open', async () => {
    const dir = tempDir()
    const holder = runScript(SCRIPT, ['hold', dir, '{}'])
    await holder.said('open')
    const error = await failure(new TableCache({ dir }).erase())
    expect([error.code, error.context?.pid]).toEqual(['E_LOCK_TIMEOUT', String(holder.process.pid)])
    expect(existsSync(join(dir, 'tables.duckdb'))).toBe(true)
    holder.process.kill('SIGKILL')
    await holder.done.catch(() => {})
  })

  it.each([
    ['middle', 12_288 + 262_144],
    ['head', 4096],
  ])('removes a database that is cut in its %s, which is told by its code', async (_, left) => {
    const dir = tempDir()
    const tables = openTables({ dir })
    for (const name of ['a', 'b'])
      await tables.update(name, { x: Float64Array.from({ length: 50_000 }, Math.sin) })
    await tables.close()
    truncateSync(join(dir, 'tables.duckdb'), left)
    const harmed = openTables({ dir })
    expect(await codeOf(rowsOf(harmed, 'SELECT sum(x) FROM b'))).toBe('E_CORRUPT')
    await harmed.update('c', ROW).catch(() => {})
    await harmed.erase()
    expect(readdirSync(dir)).toEqual([])
    expect(await openTables({ dir }).update('t', ROW)).toBe(1)
  })
})

describe('results', () => {
  it('eight that write one Parquet file at once each write it as a whole', async () => {
    const file = join(tempDir(), 'rows.parquet')
    const tables = openTables()
    const counts = Array.from({ length: 8 }, (_, at) => (at + 1) * 1000)
    const written = counts.map(async (count) => {
      await using db = await tables.connect()
      return await db.query(`FROM range(${count}) r(i)`).parquet(file)
    })
    expect(await Promise.all(written)).toEqual(counts)
    const [{ n }] = (await rowsOf(tables, `SELECT count(*)::INTEGER n FROM '${file}'`)) as [{ n: number }]
    expect(counts).toContain(n)
    expect(readdirSync(join(file, '..'))).toEqual(['rows.parquet'])
  })

  it('refuse what is no path and no number of rows', async () => {
    const dir = tempDir()
    await using db = await openTables().connect()
    const query = db.query('FROM range(3)')
    for (const path of [undefined, 5, '', 'a\0b', new URL('file:///x'), {}])
      expect(await codeOf(query.parquet(path as never)), String(path)).toBe('E_INVALID_OPTION')
    expect(await codeOf(query.parquet(dir))).toBe('E_UNAVAILABLE')
    expect(await codeOf(query.parquet(join(dir, 'no', 'file')))).toBe('E_UNAVAILABLE')
    expect(readdirSync(dir)).toEqual([])
    for (const rows of [0, -1, Number.NaN, 1.5, Infinity, 1e30, '5', null, {}])
      expect(await codeOf(query.batches(rows as never).next()), String(rows)).toBe('E_INVALID_OPTION')
    let count = 0
    for await (const batch of query.batches(Number.MAX_SAFE_INTEGER)) count += Object.values(batch)[0]!.length
    expect(count).toBe(3)
  })

  it('days that no Date has come as DuckDB writes them', async () => {
    await using db = await openTables().connect()
    const days = ['0001-01-01', '0001-12-31 (BC)', '0044-03-15 (BC)', '9999-12-31', '10000-01-01']
    days.push('12345-02-28', '5877642-06-25 (BC)', '5881580-07-10', 'infinity', '-infinity')
    const rows = await db.query(`SELECT unnest(${JSON.stringify(days).replaceAll('"', "'")}::DATE[]) AS day`)
    expect(rows.map(({ day }) => day)).toEqual(days)
  })
})

it('calls with what is no option are refused before they remove or run anything', async () => {
  const tables = openTables()
  await tables.update('t', ROW)
  await using db = await tables.connect()
  const wrong = [null, 5, 't', ['t'], { tabel: 't' }, { table: 't', scheme: 's' }] as never[]
  for (const options of wrong) {
    expect(await codeOf(() => tables.clear(options)), JSON.stringify(options)).toBe('E_INVALID_OPTION')
    expect(await codeOf(() => tables.check('t', options))).toBe('E_INVALID_OPTION')
    expect(await codeOf(() => db.query('SELECT 1', [], options).rows())).toBe('E_INVALID_OPTION')
  }
  for (const odd of [null, 5, 'x', {}] as never[]) {
    for (const options of [{ signal: odd }, { onProgress: odd }]) {
      expect(await codeOf(tables.update('t', [{ a: 2 }], options))).toBe('E_INVALID_OPTION')
      expect(await codeOf(() => db.query('SELECT 1', [], options).rows())).toBe('E_INVALID_OPTION')
    }
    expect(await codeOf(tables.upsert('t', ROW, { key: odd }))).toBe('E_INVALID_OPTION')
    expect(await codeOf(db.transaction(odd))).toBe('E_INVALID_OPTION')
    expect(await codeOf(tables.update('t', { file: SCRIPT, format: odd }))).toBe('E_INVALID_OPTION')
  }
  for (const parameters of [null, 5, 'x', new Date(0), new Map()] as never[])
    expect(await codeOf(() => db.query('SELECT 1', parameters).rows())).toBe('E_INVALID_OPTION')
  expect(await db.query('FROM t')).toEqual(ROW)
})
