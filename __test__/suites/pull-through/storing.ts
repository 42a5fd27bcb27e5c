/** What is stored, and how it is asked for. */
import { boolean, date, defineTable, double, integer, json, pullThrough, text, timestamp } from 'tierce'
import { describe, expect, it, vi } from 'vitest'
import { codeOf, failure } from '../../helpers/errors.js'
import { PATIENTLY } from '../../helpers/wait.js'
import { dayNumber, dayOf, plainQuery, prices, type Stage, source } from './stage.js'

export function storing(stage: Stage): void {
  describe('what is stored', () => {
    it('survives_the_cache_and_is_shared_by_two', async () => {
      const first = stage.stock()
      const second = stage.stock()
      await first.get('2024-01-01', '2024-01-10')
      expect(await second.get('2024-01-01', '2024-01-10')).toEqual(
        await first.get('2024-01-01', '2024-01-10'),
      )
      expect(second.spans()).toEqual([])
      await Promise.all([first.cache.close(), second.cache.close()])
      const third = stage.stock()
      await third.get('2024-01-01', '2024-01-12')
      expect(third.spans()).toEqual(['2024-01-11..2024-01-12'])
    })

    it('two_caches_that_fetch_at_once_lose_no_row', async () => {
      const caches = [stage.stock(), stage.stock()]
      const ask = (i: number) => {
        const start = dayOf(dayNumber('2024-01-01') + ((i * 11) % 60))
        return caches[i % 2]!.get(start, dayOf(dayNumber(start) + 20), i % 3 === 0 ? 'MSFT' : 'AAPL')
      }
      await Promise.all(Array.from({ length: 30 }, (_, i) => ask(i)))
      for (const symbol of ['AAPL', 'MSFT']) {
        const answer = await caches[0]!.get('2024-01-01', '2024-03-20', symbol)
        expect(answer).toEqual(plainQuery(source(), symbol, '2024-01-01', '2024-03-20'))
      }
    })

    it('every_type_comes_back_as_it_was_and_null_too', async () => {
      const table = defineTable('every "type"; DROP TABLE x --', {
        id: integer().primaryKey(),
        'na-me 1': text().index(),
        ratio: double().unique(),
        ok: boolean(),
        day: date(),
        at: timestamp(),
        data: json(),
        order: text().notNull(),
      })
      const rows = [
        {
          id: -5,
          'na-me 1': 'O\'Brien "é" 日本 🎈, {}\\',
          ratio: 0.1,
          ok: true,
          day: '0001-01-01',
          at: new Date('0001-01-01T00:00:00.001Z'),
          data: { a: [1, 'x"\\', null] },
          order: '',
        },
        { id: 0, 'na-me 1': null, ratio: null, ok: null, day: null, at: null, data: null, order: 'NULL' },
        {
          id: 1,
          'na-me 1': '',
          ratio: Number.NEGATIVE_INFINITY,
          ok: false,
          day: '9999-12-31',
          at: new Date('9999-12-31T23:59:59.999Z'),
          data: 'text',
          order: 'a\nb\tc',
        },
        {
          id: 2,
          'na-me 1': 'same',
          ratio: 5e-324,
          ok: true,
          day: '2024-02-29',
          at: new Date('2024-02-29T12:34:56.789Z'),
          data: [],
          order: 'x',
        },
        {
          id: 3,
          'na-me 1': 'same',
          ratio: 1.7976931348623157e308,
          ok: true,
          day: '1969-12-31',
          at: new Date(-1),
          data: 0.25,
          order: 'x',
        },
        {
          id: Number.MAX_SAFE_INTEGER,
          'na-me 1': 'same',
          ratio: 3,
          ok: true,
          day: '2024-02-29',
          at: new Date(0),
          data: false,
          order: 'x',
        },
      ]
      const cache = stage.close(
        pullThrough({ engine: stage.open(), table, range: 'id', fetch: async () => rows.toReversed() }),
      )
      const ask = { id: { start: Number.MIN_SAFE_INTEGER, end: Number.MAX_SAFE_INTEGER } }
      const found = await cache.get(ask)
      expect(found.rows()).toEqual(rows)
      expect([...found]).toEqual(rows)
      expect(found.length).toBe(6)
      const columns = found.columns()
      expect(columns.id).toEqual(Float64Array.from(rows, ({ id }) => id))
      expect(columns.ratio).toEqual(Float64Array.from(rows, ({ ratio }) => ratio ?? Number.NaN))
      expect(columns.at).toEqual(rows.map(({ at }) => at))
      expect(columns['na-me 1']).toEqual(rows.map((row) => row['na-me 1']))
      const arrow = found.arrow()
      expect(arrow.numRows).toBe(6)
      expect(arrow.schema.fields.map(({ name }) => name)).toEqual(Object.keys(table.columns))
      expect([...arrow.getChild('id')!]).toEqual(rows.map(({ id }) => BigInt(id)))
      expect([...arrow.getChild('ok')!]).toEqual(rows.map(({ ok }) => ok))
      expect([...arrow.getChild('order')!]).toEqual(rows.map(({ order }) => order))
      expect(
        [...arrow.getChild('day')!].map((day) =>
          day === null ? null : new Date(day as number).toISOString().slice(0, 10),
        ),
      ).toEqual(rows.map(({ day }) => day))
    })

    it('several_key_columns_and_instants_have_coverage_of_their_own', async () => {
      const table = defineTable('readings', {
        at: timestamp().primaryKey(),
        station: integer().primaryKey(),
        sensor: text().primaryKey(),
        day: date().primaryKey(),
        value: double(),
      })
      const asked: unknown[] = []
      const cache = stage.close(
        pullThrough({
          engine: stage.open(),
          table,
          range: 'at',
          fetch(ask) {
            asked.push(ask)
            const { station, sensor, day, at } = ask
            return [at.end, at.start].map((at) => ({ station, sensor, day, at, value: 1 }))
          },
        }),
      )
      const at = { start: '2024-01-01T00:00:00Z', end: new Date('2024-01-01T00:00:00.999Z') }
      const key = { station: 1, sensor: '["a"]', day: '2024-01-01' }
      const found = (await cache.get({ ...key, at })).rows()
      expect(found.map((row) => row.at)).toEqual([new Date(at.start), at.end])
      expect(asked.splice(0)).toEqual([{ ...key, at: { start: new Date(at.start), end: at.end } }])
      for (const other of [
        { ...key, station: 2 },
        { ...key, sensor: '["a"],1' },
        { ...key, day: '2024-01-02' },
      ]) {
        await cache.get({ ...other, at })
        expect(asked.splice(0)).toHaveLength(1)
      }
      await cache.get({ ...key, at: { start: at.end, end: new Date('2024-01-01T00:00:01.000Z') } })
      expect(asked).toEqual([
        { ...key, at: { start: new Date('2024-01-01T00:00:01Z'), end: new Date('2024-01-01T00:00:01Z') } },
      ])
    })

    it('ranges_reach_the_first_and_the_last_integer_there_is', async () => {
      const [low, high] = [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]
      const fetched: unknown[] = []
      const cache = stage.close(
        pullThrough({
          engine: stage.open(),
          table: defineTable('numbers', { n: integer().primaryKey() }),
          range: 'n',
          fetch({ n }) {
            fetched.push(n)
            return [{ n: n.start }, { n: n.end }]
          },
        }),
      )
      const whole = { n: { start: low, end: high } }
      for (const start of [high - 1, high])
        expect((await cache.get({ n: { start, end: high } })).length).toBe(high - start + 1)
      for (let time = 0; time < 2; time++)
        expect((await cache.get(whole)).columns().n).toEqual(Float64Array.of(low, high - 2, high - 1, high))
      expect(fetched).toEqual([
        { start: high - 1, end: high },
        { start: low, end: high - 2 },
      ])
      expect(await cache.coverage({})).toEqual([whole.n])
    })

    it('a_key_that_is_not_the_primary_key_finds_rows_that_moved', async () => {
      const table = defineTable('orders', {
        id: integer().primaryKey(),
        user: text().notNull(),
        created: date().notNull(),
        number: text().unique(),
      })
      let rows = [
        { id: 2, user: 'ada', created: '2024-01-05', number: 'n1' },
        { id: 1, user: 'ada', created: '2024-01-06', number: 'n2' },
      ]
      const cache = stage.close(
        pullThrough({
          engine: stage.open(),
          table,
          range: 'created',
          key: ['user'],
          fetch: ({ user, created }) =>
            rows.filter(
              (row) => row.user === user && row.created >= created.start && row.created <= created.end,
            ),
        }),
      )
      const get = async (start: string, end: string) =>
        (await cache.get({ user: 'ada', created: { start, end } })).rows()
      expect((await get('2024-01-01', '2024-01-10')).map(({ id }) => id)).toEqual([1, 2])
      rows = [{ id: 2, user: 'ada', created: '2024-02-01', number: 'n2' }]
      expect(await get('2024-02-01', '2024-02-02')).toEqual(rows)
      expect((await get('2024-01-01', '2024-01-10')).map(({ id }) => id)).toEqual([1])
    })

    it('invalidate_takes_coverage_back_of_a_range_a_key_or_all', async () => {
      const { cache, spans, get } = stage.stock()
      const all = async () => {
        await get('2024-01-01', '2024-01-31')
        await get('2024-01-01', '2024-01-31', 'MSFT')
        return spans()
      }
      await all()
      await cache.invalidate({ symbol: 'AAPL', date: { start: '2024-01-10', end: '2024-01-12' } })
      expect(await all()).toEqual(['2024-01-10..2024-01-12'])
      await cache.invalidate({ symbol: 'MSFT' })
      expect(await all()).toEqual(['2024-01-01..2024-01-31'])
      await cache.invalidate()
      expect(await all()).toHaveLength(2)
    })

    it('a_fetch_that_was_invalidated_on_its_way_is_no_coverage', async () => {
      let finish: (() => void) | undefined
      let calls = 0
      const { cache, get } = stage.stock(source(), {
        fetch: (() => {
          calls++
          return new Promise((resolve) => {
            finish = () => resolve([])
          })
        }) as never,
      })
      const first = get('2024-01-01', '2024-01-10')
      await vi.waitFor(() => expect(calls).toBe(1), PATIENTLY)
      await cache.invalidate({ symbol: 'AAPL' })
      finish!()
      await first
      const second = get('2024-01-01', '2024-01-10')
      await vi.waitFor(() => expect(calls).toBe(2), PATIENTLY)
      finish!()
      await second
    })

    it('query_reads_with_bound_parameters_and_cannot_write', async () => {
      const { cache, get } = stage.stock()
      await get('2024-01-01', '2024-01-31')
      const mark = stage.open().dialect.param(1, 'text')
      const found = await cache.query<{ symbol: string; n: number }>(
        `SELECT symbol, count(*) AS n FROM stock_prices WHERE symbol = ${mark} GROUP BY symbol`,
        ['AAPL'],
      )
      expect(found.rows()).toEqual([{ symbol: 'AAPL', n: 23 }])
      const attack = await cache.query(`SELECT * FROM stock_prices WHERE symbol = ${mark}`, [
        "' OR 1=1; DROP TABLE stock_prices; --",
      ])
      expect(attack.length).toBe(0)
      for (const sql of [
        'DELETE FROM stock_prices',
        'DROP TABLE stock_prices',
        'UPDATE stock_prices SET close = 0',
      ]) {
        expect(await codeOf(cache.query(sql))).toBe('E_READ_ONLY')
      }
      expect(await codeOf(cache.query('SELECT nothing FROM stock_prices'))).toBe('E_QUERY')
      expect(await codeOf(cache.query('SELECT 1; DROP TABLE stock_prices'))).toBe('E_QUERY')
      expect(await codeOf(cache.query('COMMIT; DROP TABLE stock_prices'))).toBe('E_QUERY')
      expect(await codeOf(cache.query(7 as never))).toBe('E_INVALID_OPTION')
      expect(await codeOf(cache.query('SELECT 1', [Symbol('x') as never]))).toBe('E_INVALID_OPTION')
      expect((await cache.query('SELECT count(*) AS n FROM stock_prices')).rows()).toEqual([{ n: 23 }])
    })

    it('a_table_with_another_definition_or_of_somebody_else_is_left_alone', async () => {
      const { get } = stage.stock()
      await get('2024-01-01', '2024-01-05')
      const other = defineTable('stock_prices', {
        symbol: text().primaryKey(),
        date: date().primaryKey(),
        close: text(),
      })
      const changed = stage.close(
        pullThrough({ engine: stage.open(), table: other, range: 'date', fetch: () => [] }),
      )
      const ask = { symbol: 'AAPL', date: { start: '2024-01-01', end: '2024-01-02' } }
      expect(await failure(changed.get(ask))).toMatchObject({
        code: 'E_FORMAT',
        message: expect.stringContaining('close'),
      })
      await stage.run('CREATE TABLE mine (a INTEGER)')
      const mine = defineTable('mine', prices.columns)
      const taking = stage.close(
        pullThrough({ engine: stage.open(), table: mine, range: 'date', fetch: () => [] }),
      )
      expect(await codeOf(taking.get(ask))).toBe('E_FORMAT')
      expect((await get('2024-01-01', '2024-01-05')).length).toBe(5)
    })

    it('tens_of_thousands_of_rows_are_one_fetch_and_one_transaction', async () => {
      const table = defineTable('ticks', { n: integer().primaryKey(), word: text(), value: double() })
      const rows = Array.from({ length: 30_000 }, (_, n) => ({
        n,
        word: n % 7 === 0 ? null : `w${n % 50}`,
        value: n / 8,
      }))
      const cache = stage.close(pullThrough({ engine: stage.open(), table, range: 'n', fetch: () => rows }))
      const found = await cache.get({ n: { start: 0, end: 29_999 } })
      expect(found.length).toBe(30_000)
      expect(found.rows()).toEqual(rows)
      expect(found.columns().n[29_999]).toBe(29_999)
    })
  })

  it('options_are_checked', async () => {
    const options = { engine: stage.open(), table: prices, range: 'date', fetch: () => [] } as const
    const counted = defineTable('counted', { n: integer().primaryKey() })
    const wrong: [object, string][] = [
      [{ engine: {} }, 'E_INVALID_OPTION'],
      [{ table: { name: 'x', columns: {} } }, 'E_INVALID_OPTION'],
      [{ range: 'close' }, 'E_INVALID_OPTION'],
      [{ range: 'symbol' }, 'E_INVALID_OPTION'],
      [{ range: 'toString' }, 'E_INVALID_OPTION'],
      [{ key: ['date'] }, 'E_INVALID_OPTION'],
      [{ key: ['close'] }, 'E_INVALID_OPTION'],
      [{ key: 'symbol' }, 'E_INVALID_OPTION'],
      [{ fetch: undefined }, 'E_INVALID_OPTION'],
      [{ ttl: 0 }, 'E_INVALID_TTL'],
      [{ ttl: 'soon' }, 'E_INVALID_TTL'],
      [{ volatile: '1d' }, 'E_INVALID_OPTION'],
      [{ volatile: { last: '1d' } }, 'E_INVALID_TTL'],
      [{ chunk: '36h' }, 'E_INVALID_OPTION'],
      [{ chunk: Number.NaN }, 'E_INVALID_TTL'],
      [{ padding: -1 }, 'E_INVALID_TTL'],
      [{ maxGaps: 0 }, 'E_INVALID_OPTION'],
      [{ concurrency: 0 }, 'E_INVALID_OPTION'],
      [{ chunks: 1 }, 'E_INVALID_OPTION'],
      [{ table: counted, range: 'n', volatile: { last: '1d', ttl: '1h' } }, 'E_INVALID_OPTION'],
      [{ table: counted, range: 'n', chunk: '1d' }, 'E_INVALID_OPTION'],
    ]
    for (const [change, code] of wrong) {
      expect(
        await codeOf(() => pullThrough({ ...options, ...change } as never)),
        JSON.stringify(change),
      ).toBe(code)
    }
    for (const [name, columns] of [
      ['tierce_x', prices.columns],
      ['', prices.columns],
      ['x', { a: text() }],
      ['x', { a: json().primaryKey() }],
    ] as const) {
      expect(await codeOf(() => defineTable(name, columns))).toBe('E_INVALID_OPTION')
    }
  })
}
