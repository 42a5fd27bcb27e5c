import { linkSync, mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type * as arrow from 'apache-arrow'
import { describe, expect, it } from 'vitest'
import { runScript } from '../helpers/child.js'
import { codeOf, failure } from '../helpers/errors.js'
import { tempDir } from '../helpers/temp.js'
import { openTables, rowsOf } from './helpers.js'

const SCRIPT = fileURLToPath(new URL('child.mjs', import.meta.url))

describe('odd tables', () => {
  it('ten thousand columns go in and come out', async () => {
    const tables = openTables()
    const wide = Object.fromEntries(
      Array.from({ length: 10_000 }, (_, at) => [`c${at}`, at % 2 === 0 ? [at, at + 1] : [`${at}`, null]]),
    )
    expect(await tables.update('wide', wide)).toBe(2)
    await using db = await tables.connect()
    const columns = await db.query('FROM wide').columns()
    expect(Object.keys(columns)).toHaveLength(10_000)
    expect([columns.c0, columns.c9998, columns.c9999]).toEqual([
      Float64Array.of(0, 1),
      Float64Array.of(9998, 9999),
      ['9999', null],
    ])
    expect(await tables.append('wide', [{ c0: 7 }])).toBe(1)
  })

  it('tables without rows and columns of nulls keep their names, and take rows later', async () => {
    const tables = openTables({ dir: tempDir() })
    expect(await tables.update('empty', { a: new Float64Array(0), b: [] })).toBe(0)
    expect(await tables.update('nulls', { a: [null, null], b: [undefined, 'x'] })).toBe(2)
    await using db = await tables.connect()
    expect(await db.query('FROM empty').columns()).toStrictEqual({
      a: new Float64Array(0),
      b: new Int32Array(0),
    })
    expect(await db.query('FROM nulls').columns()).toStrictEqual({ a: [null, null], b: [null, 'x'] })
    expect(((await db.query('FROM empty').arrow()) as arrow.Table).numCols).toBe(2)
    expect(await tables.append('empty', [{ a: 1.5 }])).toBe(1)
    expect(await codeOf(tables.update('none', {}))).toBe('E_INVALID_OPTION')
    expect(await codeOf(tables.update('none', []))).toBe('E_INVALID_OPTION')
  })

  it('limits of numbers, decimals and times come back as they were', async () => {
    const tables = openTables()
    const numbers = [Number.NaN, Infinity, -Infinity, -0, Number.MAX_VALUE, Number.MIN_VALUE]
    await tables.update('n', { x: numbers, y: Float64Array.from(numbers) })
    await using db = await tables.connect()
    const columns = await db.query('FROM n').columns()
    expect(columns.x).toStrictEqual(Float64Array.from(numbers))
    expect(columns.y).toStrictEqual(Float64Array.from(numbers))
    const big = '9'.repeat(38)
    const sql = `SELECT '${big}'::DECIMAL(38,0) a, '-0.${big}'::DECIMAL(38,38) b, '${big.slice(0, 20)}.${big.slice(0, 18)}'::DECIMAL(38,18) c`
    expect(await db.query(sql)).toEqual([
      { a: BigInt(big), b: `-0.${big}`, c: `${big.slice(0, 20)}.${big.slice(0, 18)}` },
    ])
    const [earliest, latest] = [new Date(-62_135_596_800_000), new Date(253_402_300_799_999)]
    await tables.update('t', [{ at: earliest }, { at: latest }, { at: new Date(8.64e15) }, { at: null }])
    expect(await rowsOf(tables, 'FROM t')).toEqual([
      { at: earliest },
      { at: latest },
      { at: new Date(8.64e15) },
      { at: null },
    ])
    const limits =
      "SELECT TIMESTAMP '290309-12-22 (BC) 00:00:00' AS low, TIMESTAMP 'infinity' AS high, TIMESTAMPTZ '-infinity' AS least"
    const found = (await db.query(limits).columns()) as Record<string, BigInt64Array>
    expect(found.high![0]).toBe(2n ** 63n - 1n)
    expect(found.least![0]).toBe(-(2n ** 63n - 1n))
    expect(found.low![0]).toBeLessThan(-9_000_000_000_000_000_000n)
  })

  it('an instant is the same one on both sides of a change of the clocks', async () => {
    const tables = openTables()
    const hours = Array.from({ length: 6 }, (_, hour) => new Date(Date.UTC(2024, 9, 26, 22 + hour)))
    await tables.update('t', { at: hours })
    await using db = await tables.connect()
    await db.query("SET TimeZone = 'Europe/Berlin'").run()
    const rows = await db.query<{ at: Date; local: string }>(
      'SELECT "at", strftime("at", \'%H:%M\') AS local FROM t ORDER BY 1',
    )
    expect(rows.map(({ at }) => at)).toEqual(hours)
    expect(rows.map(({ local }) => local)).toEqual(['00:00', '01:00', '02:00', '02:00', '03:00', '04:00'])
  })

  it('lists of objects of lists go in and out by each way', async () => {
    const tables = openTables()
    const rows = [
      { x: [{ a: [1, null], b: { c: 'ü"\n' } }, null], m: new Map([['k', [{ d: true }]]]) },
      { x: [], m: new Map() },
      { x: null, m: null },
    ]
    await tables.update('t', rows)
    await using db = await tables.connect()
    expect(await db.query('FROM t')).toEqual(rows)
    await tables.update('u', (await db.query('FROM t').arrow()) as object)
    expect(await db.query('FROM u')).toEqual(rows)
    await tables.update('v', await db.query('FROM t').ipc())
    expect(await db.query('FROM v')).toEqual(rows)
    expect(await db.query('SELECT * FROM t WHERE x = ?', [rows[0]!.x])).toEqual([rows[0]])
  })

  it('nonsense is an error of the statement, and the connection goes on', async () => {
    const tables = openTables()
    await using db = await tables.connect()
    for (const sql of [
      '',
      ';',
      ';;;',
      '-- nothing',
      'SELEKT',
      'SELECT',
      "SELECT 'open",
      'SELECT \u{1f4a9} FROM x',
      '('.repeat(5000),
      `SELECT ${'1+'.repeat(3000)}`,
    ])
      expect(await codeOf(db.query(sql).rows()), sql.slice(0, 20)).toMatch(/^E_(QUERY|KEY_NOT_FOUND)$/)
    for (const sql of [undefined, 7, null, {}])
      expect(await codeOf(() => db.query(sql as never))).toBe('E_INVALID_OPTION')
    expect(await codeOf(db.query('SELECT 1\0; DROP TABLE t').rows())).toMatch(/^E_/)
    expect(await db.query('SELECT 1 a')).toEqual([{ a: 1 }])
  })
})

describe('tables that go while they are read', () => {
  it('a query under way ends well when the time to live passes, and the next one is told', async () => {
    let now = 0
    const tables = openTables({ dir: tempDir(), now: () => now, ttl: '1m' })
    await tables.update('t', { x: Int32Array.from({ length: 300_000 }, (_, at) => at) })
    await using db = await tables.connect()
    let rows = 0
    for await (const batch of db.query('FROM t').batches(10_000)) {
      rows += batch.x!.length
      if (rows > 20_000 && now === 0) {
        now = 120_000
        expect(await tables.cleanup()).toBe(1)
      }
    }
    expect(rows).toBe(300_000)
    expect(await codeOf(db.query('FROM t').rows())).toMatch(/^E_KEY_(EXPIRED|NOT_FOUND)$/)
  })

  it('a reader of a table that is evicted reads all of it', async () => {
    const tables = openTables({ dir: tempDir(), maxSize: '4MB', policy: 'fifo' })
    const big = (seed: number) => ({
      x: Float64Array.from({ length: 250_000 }, (_, at) => Math.sin(at * seed)),
    })
    await tables.update('a', big(1))
    await using db = await tables.connect()
    let rows = 0
    for await (const batch of db.query('FROM a').batches(10_000)) {
      if (rows === 0) {
        await tables.update('b', big(2))
        await tables.update('c', big(3))
      }
      rows += batch.x!.length
    }
    expect(rows).toBe(250_000)
    expect(await tables.listTables()).not.toContain('a')
  })
})

describe('one file by several names', () => {
  it.each([
    ['a link to its folder', (own: string, other: string) => symlinkSync(own, other)],
    ['a link to it', (own: string, other: string) => link(own, other, symlinkSync)],
    ['a second name', (own: string, other: string) => link(own, other, linkSync)],
  ])('%s: one engine', async (_, make) => {
    const dir = tempDir()
    const [own, other] = [join(dir, 'own'), join(dir, 'other')]
    const first = openTables({ dir: own })
    await first.update('t', [{ a: 1 }])
    make(own, other)
    const second = openTables({ dir: other })
    await second.append('t', [{ a: 2 }])
    expect(await rowsOf(first, 'FROM t')).toEqual([{ a: 1 }, { a: 2 }])
    expect((await failure(openTables({ dir: other, readOnly: true }).listTables())).code).toBe(
      'E_LOCK_TIMEOUT',
    )
  })

  it('after a kill the log of the file is found by a link to it, too', async () => {
    const dir = tempDir()
    const [own, other] = [join(dir, 'own'), join(dir, 'other')]
    mkdirSync(own)
    const child = runScript(SCRIPT, ['write', own, 10])
    await child.said('logged 3')
    const ended = new Promise((resolve) => child.process.once('close', resolve))
    child.process.kill('SIGKILL')
    await ended
    link(own, other, symlinkSync)
    const logged = child.lines.filter((line) => line.startsWith('logged')).length
    const [{ n }] = (await rowsOf(openTables({ dir: other }), 'SELECT count(*)::INTEGER n FROM log')) as [
      { n: number },
    ]
    expect(n).toBeGreaterThanOrEqual(logged)
  })
})

function link(own: string, other: string, make: (target: string, path: string) => void): void {
  mkdirSync(other)
  make(join(own, 'tables.duckdb'), join(other, 'tables.duckdb'))
}
