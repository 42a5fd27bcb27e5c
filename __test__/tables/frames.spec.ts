import { createRequire } from 'node:module'
import { join } from 'node:path'
import * as arrow from 'apache-arrow'
import { describe, expect, it, vi } from 'vitest'
import { codeOf, failure } from '../helpers/errors.js'
import { openCache, tempDir } from '../helpers/temp.js'
import { openTables, type PolarsFrame, polars, rowsOf } from './helpers.js'

const columnar = createRequire(import.meta.url)('@tierce/columnar') as typeof import('@tierce/columnar')
const ROWS = 200_000

/** Sorted by `n`, so that statistics can rule groups of rows out. */
function prices(rows = ROWS): arrow.Table {
  return new arrow.Table({
    n: arrow.vectorFromArray(Int32Array.from({ length: rows }, (_, row) => row)),
    price: arrow.vectorFromArray(Float64Array.from({ length: rows }, (_, row) => Math.sin(row) * 100)),
    symbol: arrow.vectorFromArray(Array.from({ length: rows }, (_, row) => ['AAPL', 'MSFT', null][row % 3])),
    day: arrow.vectorFromArray(
      Array.from({ length: rows }, (_, row) => new Date(86_400_000 * (row >> 10))),
      new arrow.DateDay(),
    ),
    big: arrow.vectorFromArray(BigInt64Array.from({ length: rows }, (_, row) => BigInt(row) * 2n ** 33n)),
  })
}

describe('frames as values', () => {
  it('a table of Arrow comes back as it was, types too', async () => {
    const dir = tempDir()
    const cache = openCache({ dir, memory: false })
    const table = prices(5000)
    await cache.set('prices', table)
    const back = (await cache.get<arrow.Table>('prices'))!
    expect(back).toBeInstanceOf(arrow.Table)
    expect(String(back.schema)).toBe(String(table.schema))
    expect(back.toArray().map(String)).toEqual(table.toArray().map(String))
    expect((await cache.entry('prices'))?.kind).toBe('frame')
    const nested = new arrow.Table({
      list: arrow.vectorFromArray(
        [[1, 2], null, []],
        new arrow.List(new arrow.Field('item', new arrow.Int32(), true)),
      ),
      struct: arrow.vectorFromArray(
        [{ a: 'x' }, { a: null }, null],
        new arrow.Struct([new arrow.Field('a', new arrow.Utf8(), true)]),
      ),
      zone: arrow.vectorFromArray(
        [new Date(5), null, new Date(7)],
        new arrow.TimestampMillisecond('Europe/Berlin'),
      ),
      text: arrow.vectorFromArray(['a', 'b', 'a']),
    })
    await cache.set('nested', nested)
    const out = (await cache.get<arrow.Table>('nested'))!
    expect(String(out.schema)).toBe(String(nested.schema))
    expect(out.toArray().map(String)).toEqual(nested.toArray().map(String))
    await cache.set('empty', table.slice(0, 0))
    expect((await cache.get<arrow.Table>('empty'))?.numCols).toBe(5)
  })

  it('a frame of Polars comes back as one', async () => {
    const cache = openCache({ dir: tempDir(), memory: false })
    const rows = [
      { a: 1, s: 'x' },
      { a: 2.5, s: null },
    ]
    await cache.set('frame', polars.DataFrame({ a: [1, 2.5], s: ['x', null] }))
    expect((await cache.get<PolarsFrame>('frame'))?.toRecords()).toEqual(rows)
    expect(
      await cache
        .scan('frame')
        .filter({ a: { gt: 2 } })
        .rows(),
    ).toEqual([rows[1]])
  })

  it('a large one is encoded and decoded off the event loop, a small one at once', async () => {
    const cache = openCache({ dir: tempDir(), memory: false })
    const sync = [vi.spyOn(columnar, 'frameToParquetSync'), vi.spyOn(columnar, 'frameToIpcSync')]
    const pool = [vi.spyOn(columnar, 'frameToParquet'), vi.spyOn(columnar, 'frameToIpc')]
    const table = prices()
    await cache.set('large', table)
    expect((await cache.get<arrow.Table>('large'))?.get(ROWS - 1)?.toString()).toBe(
      table.get(ROWS - 1)?.toString(),
    )
    expect([...sync, ...pool].map(({ mock }) => mock.calls.length)).toEqual([0, 0, 1, 1])
    await cache.set('small', prices(10))
    expect((await cache.get<arrow.Table>('small'))?.numRows).toBe(10)
    expect([...sync, ...pool].map(({ mock }) => mock.calls.length)).toEqual([1, 1, 1, 1])
    vi.restoreAllMocks()
  })

  it('what is set, deleted or cleared while a large one is encoded came later, and stays', async () => {
    const cache = openCache({ dir: tempDir() })
    const table = prices()
    for (const [change, left] of [
      [() => cache.set('k', 'newer'), 'newer'],
      [() => cache.delete('k'), undefined],
      [() => cache.clear(), undefined],
      [() => cache.clearSync(), undefined],
      [() => cache.invalidateTags('other'), table.numRows],
      [() => cache.invalidateTags(['other', 'frames']), undefined],
      [() => cache.invalidateTagsSync('frames'), undefined],
    ] as const) {
      const first = cache.set('k', table, { tags: ['frames'] })
      await Promise.all([change(), first])
      const found = await cache.get<arrow.Table | string>('k')
      expect(typeof found === 'object' ? found.numRows : found).toBe(left)
    }
    const [first, second] = [cache.set('k', table), cache.set('k', prices(ROWS - 1))]
    await Promise.all([first, second])
    expect((await cache.get<arrow.Table>('k'))?.numRows).toBe(ROWS - 1)
    const closing = failure(cache.set('k', table))
    await cache.close()
    expect((await closing).code).toBe('E_CLOSED')
  })

  it('a file that is loaded in the place of all takes that of what is still being encoded, unless it cannot be loaded', async () => {
    const [cache, dir] = [openCache({ dir: tempDir() }), tempDir()]
    await cache.set('k', 'saved')
    await cache.save(join(dir, 'saved'))
    const loads: [string, boolean, unknown][] = [
      ['saved', false, 'saved'],
      ['none', false, ROWS],
      ['saved', true, ROWS],
    ]
    for (const [file, merge, left] of loads) {
      await cache.clear()
      const set = cache.set(merge ? 'other' : 'k', prices())
      const loading = cache.load(join(dir, file), { merge }).catch(({ code }) => code)
      const later = cache.set('later', prices(ROWS - 1))
      await Promise.all([set, loading, later])
      const found = await cache.get<arrow.Table | string>(merge ? 'other' : 'k')
      expect(typeof found === 'object' ? found.numRows : found, `${file} ${merge}`).toBe(left)
      expect((await cache.get<arrow.Table>('later'))?.numRows).toBe(ROWS - 1)
    }
  })

  it('a live frame in memory is the live one, and can be scanned too', async () => {
    const cache = openCache()
    const table = prices(100)
    await cache.set('prices', table)
    expect(await cache.get('prices')).toBe(table)
    expect(
      await cache
        .scan('prices')
        .select('n')
        .filter({ n: { lt: 2 } })
        .rows(),
    ).toEqual([{ n: 0 }, { n: 1 }])
  })
})

describe('scans', () => {
  it('give the columns and rows that were asked for, as a query gives them', async () => {
    const cache = openCache({ dir: tempDir() })
    const table = prices()
    await cache.set('prices', table)
    const tables = openTables()
    await tables.update('prices', table)
    const scan = cache.scan('prices')
    const cases: [Parameters<typeof scan.filter>[0], string][] = [
      [{ n: 4711 }, 'n = 4711'],
      [{ n: { gte: 100_000, lt: 100_050 } }, 'n >= 100000 AND n < 100050'],
      [{ n: { gt: 150_000.5 } }, 'n > 150000.5'],
      [{ price: { gt: 99.9999 } }, 'price > 99.9999'],
      [{ symbol: 'AAPL', n: { lte: 99 } }, "symbol = 'AAPL' AND n <= 99"],
      [{ symbol: null, n: { lte: 99 } }, 'symbol IS NULL AND n <= 99'],
      [{ symbol: { isNull: false, ne: 'AAPL' }, n: { lte: 99 } }, "symbol <> 'AAPL' AND n <= 99"],
      [{ symbol: { in: ['MSFT', 'NONE'] }, n: { lte: 99 } }, "symbol = 'MSFT' AND n <= 99"],
      [{ n: { in: [1, 199_999, -5] } }, 'n IN (1, 199999)'],
      [{ day: '1970-01-03', n: { gte: 2100 } }, "day = DATE '1970-01-03' AND n >= 2100"],
      [
        { day: { gte: new Date(86_400_000 * 190) }, price: { lt: -99 } },
        "day >= DATE '1970-07-10' AND price < -99",
      ],
      [{ big: 2n ** 33n * 77n }, 'n = 77'],
      [{ n: { lt: 0 } }, 'false'],
    ]
    for (const [filter, sql] of cases) {
      const expected = await rowsOf(tables, `SELECT price, n FROM prices WHERE ${sql} ORDER BY n`)
      const found = await scan.select('price', 'n').filter(filter).rows()
      expect(found, JSON.stringify(sql)).toEqual(expected)
    }
    const columns = await scan
      .select('big', 'n')
      .filter({ n: { lt: 3 } })
      .columns()
    expect(columns).toStrictEqual({
      big: BigInt64Array.of(0n, 2n ** 33n, 2n ** 34n),
      n: Int32Array.of(0, 1, 2),
    })
    expect(Object.keys(columns!)).toEqual(['big', 'n'])
    expect(
      await scan
        .select('n')
        .filter({ n: { gt: 5 } })
        .filter({ n: { lt: 9 } })
        .limit(2)
        .rows(),
    ).toEqual([{ n: 6 }, { n: 7 }])
    expect(((await scan.select('n').limit(3).arrow()) as arrow.Table).numRows).toBe(3)
    expect(((await scan.select('n').limit(1).polars()) as PolarsFrame).toRecords()).toEqual([{ n: 0 }])
    expect((await scan.columns())?.n).toHaveLength(ROWS)
  })

  it('a miss is undefined; what is no frame, no column or no condition is refused', async () => {
    const cache = openCache({ dir: tempDir() })
    await cache.set('plain', { a: 1 })
    await cache.set('prices', prices(10))
    expect(await cache.scan('none').rows()).toBeUndefined()
    expect(await codeOf(cache.scan('plain').rows())).toBe('E_INVALID_OPTION')
    const unknown = await failure(cache.scan('prices').select('nope').rows())
    expect(unknown.code).toBe('E_QUERY')
    expect(unknown.message).toContain('symbol')
    expect(await codeOf(cache.scan('prices').filter({ n: 'text' }).rows())).toBe('E_QUERY')
    expect(await codeOf(() => cache.scan('prices').filter({ n: { like: 'x' } as never }))).toBe(
      'E_INVALID_OPTION',
    )
    expect(await codeOf(() => cache.scan('prices').filter({ n: { in: [] } }))).toBe('E_INVALID_OPTION')
    expect(await codeOf(() => cache.scan('prices').select())).toBe('E_INVALID_OPTION')
  })
})
