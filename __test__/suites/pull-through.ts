/**
 * The behaviour of a pull-through cache, for every engine. An engine passes it by giving, at each call of `open`, an engine on
 * the same database, which is empty at the start of each test.
 */
import fc from 'fast-check'
import {
  boolean,
  date,
  defineTable,
  double,
  type FetchContext,
  integer,
  json,
  type PullEngine,
  pullThrough,
  text,
  timestamp,
} from 'tierce'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { codeOf, failure } from '../helpers/errors.js'
import { PATIENTLY } from '../helpers/wait.js'

export interface EngineUnderTest {
  open(): PullEngine
  /** Runs a statement that writes, past the cache. */
  run(sql: string): Promise<unknown>
}

interface Price {
  symbol: string
  date: string
  close: number | null
}

const prices = defineTable('stock_prices', {
  symbol: text().primaryKey(),
  date: date().primaryKey(),
  close: double(),
})

const DAY = 86_400_000
const dayNumber = (day: string) => Date.parse(day) / DAY
const dayOf = (number: number) => new Date(number * DAY).toISOString().slice(0, 10)
const days = (start: string, end: string) =>
  Array.from({ length: dayNumber(end) - dayNumber(start) + 1 }, (_, i) => dayOf(dayNumber(start) + i))
const isWeekend = (day: string) => [0, 6].includes(new Date(day).getUTCDay())

/** A source with prices of some symbols on working days, in no good order. */
function source(symbols = ['AAPL', 'MSFT'], from = '2023-12-01', to = '2024-06-30'): Price[] {
  const rows = symbols.flatMap((symbol, i) =>
    days(from, to)
      .filter((day) => !isWeekend(day))
      .map((day) => ({ symbol, date: day, close: dayNumber(day) % 7 === 0 ? null : dayNumber(day) / 4 + i })),
  )
  return rows.reverse()
}

const byKey = (a: Price, b: Price) => (a.symbol + a.date < b.symbol + b.date ? -1 : 1)

function plainQuery(rows: Price[], symbol: string, start: string, end: string): Price[] {
  return rows.filter((row) => row.symbol === symbol && row.date >= start && row.date <= end).sort(byKey)
}

interface Asked {
  symbol: string
  date: { start: string; end: string }
}

export function pullThroughSuite(name: string, setUp: () => Promise<EngineUnderTest>, runs = 40): void {
  describe(`pull-through on ${name}`, () => {
    let engine: EngineUnderTest
    const opened: { close(): Promise<void> }[] = []
    beforeEach(async () => {
      engine = await setUp()
    })
    afterEach(async () => {
      vi.useRealTimers()
      for (const one of opened.splice(0)) await one.close()
    })

    function close<T extends { close(): Promise<void> }>(one: T): T {
      opened.push(one)
      return one
    }

    /** The table of prices over a source, and what was fetched of it. */
    function stock(rows: Price[] = source(), options: Partial<Parameters<typeof pullThrough>[0]> = {}) {
      const fetched: Asked[] = []
      const cache = close(
        pullThrough({
          engine: engine.open(),
          table: prices,
          range: 'date',
          async fetch(ask) {
            fetched.push(ask)
            return rows.filter(
              (row) => row.symbol === ask.symbol && row.date >= ask.date.start && row.date <= ask.date.end,
            )
          },
          ...(options as object),
        }),
      )
      const spans = () => fetched.splice(0).map(({ date }) => `${date.start}..${date.end}`)
      const get = async (start: string, end: string, symbol = 'AAPL') =>
        (await cache.get({ symbol, date: { start, end } })).rows()
      return { cache, fetched, spans, get, rows }
    }

    describe('what is fetched', () => {
      it('after_1_to_10_and_21_to_31_January_5_to_25_January_fetches_the_ten_days_between', async () => {
        const every = days('2024-01-01', '2024-01-31').map((day, i) => ({
          symbol: 'AAPL',
          date: day,
          close: i,
        }))
        const { spans, get } = stock(every)
        await get('2024-01-01', '2024-01-10')
        await get('2024-01-21', '2024-01-31')
        spans()
        const answer = await get('2024-01-05', '2024-01-25')
        expect(spans()).toEqual(['2024-01-11..2024-01-20'])
        expect(answer).toEqual(plainQuery(every, 'AAPL', '2024-01-05', '2024-01-25'))
        expect(answer).toHaveLength(21)
        await get('2024-01-01', '2024-01-31')
        expect(spans()).toEqual([])
      })

      it('an_extension_fetches_no_day_twice', async () => {
        const { spans, get } = stock()
        await get('2024-01-10', '2024-01-20')
        await get('2024-01-10', '2024-01-25')
        await get('2024-01-05', '2024-01-25')
        expect(spans()).toEqual([
          '2024-01-10..2024-01-20',
          '2024-01-21..2024-01-25',
          '2024-01-05..2024-01-09',
        ])
      })

      it('a_weekend_and_an_empty_range_are_fetched_once', async () => {
        const { spans, get } = stock()
        for (let i = 0; i < 3; i++) {
          expect(await get('2024-01-06', '2024-01-07')).toEqual([])
          expect(await get('2030-01-01', '2030-12-31')).toEqual([])
          expect(await get('2024-01-01', '2024-01-02', 'NONE')).toEqual([])
        }
        expect(spans()).toHaveLength(3)
      })

      it('rows_that_come_in_any_order_in_several_fetches_are_answered_by_the_primary_key', async () => {
        const { get } = stock(source(), { chunk: '3d', concurrency: 3 })
        await get('2024-01-20', '2024-01-25')
        const days = (await get('2024-01-02', '2024-01-31')).map((row) => row.date)
        expect(days).toEqual([...days].sort())
        expect(new Set(days).size).toBe(days.length)
        expect(days.length).toBeGreaterThan(15)
      })

      it('one_day_is_a_range', async () => {
        const { spans, get } = stock()
        expect(await get('2024-01-10', '2024-01-10')).toHaveLength(1)
        expect(spans()).toEqual(['2024-01-10..2024-01-10'])
      })

      it('for_random_requests_it_is_exactly_what_was_asked_and_not_covered_and_the_answer_is_that_of_the_source', async () => {
        const rows = source(['AAPL', 'MSFT'], '2024-01-01', '2024-03-31')
        const first = dayNumber('2023-12-25')
        const request = fc.record({
          symbol: fc.constantFrom('AAPL', 'MSFT'),
          from: fc.integer({ min: 0, max: 100 }),
          length: fc.integer({ min: 0, max: 40 }),
        })
        const { cache, fetched } = stock(rows)
        await fc.assert(
          fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 8 }), async (requests) => {
            await cache.invalidate()
            const covered = new Set<string>()
            for (const { symbol, from, length } of requests) {
              const [start, end] = [dayOf(first + from), dayOf(first + from + length)]
              const missing = days(start, end).filter((day) => !covered.has(symbol + day))
              const answer = (await cache.get({ symbol, date: { start, end } })).rows()
              expect(answer).toEqual(plainQuery(rows, symbol, start, end))
              const asked = fetched.splice(0)
              expect(asked.flatMap(({ date }) => days(date.start, date.end)).sort()).toEqual(missing)
              expect(asked.every((ask) => ask.symbol === symbol)).toBe(true)
              // As few fetches as there are gaps.
              const gaps = missing.filter((day) => !missing.includes(dayOf(dayNumber(day) - 1)))
              expect(asked).toHaveLength(gaps.length)
              for (const day of missing) covered.add(symbol + day)
            }
          }),
          { numRuns: runs },
        )
      })

      it('adjacent_ranges_are_covered_as_one', async () => {
        const { cache, get } = stock()
        await get('2024-01-01', '2024-01-10')
        await get('2024-01-11', '2024-01-20')
        await get('2024-02-01', '2024-02-01')
        expect(await cache.coverage({ symbol: 'AAPL' })).toEqual([
          { start: '2024-01-01', end: '2024-01-20' },
          { start: '2024-02-01', end: '2024-02-01' },
        ])
        expect(await cache.coverage({ symbol: 'MSFT' })).toEqual([])
      })

      it('many_small_pieces_become_few_and_stay_covered', async () => {
        const { cache, spans, get } = stock()
        for (const day of days('2024-01-01', '2024-03-20')) await get(day, day)
        spans()
        await get('2024-01-01', '2024-03-25')
        await get('2024-01-01', '2024-03-31')
        expect(spans()).toEqual(['2024-03-21..2024-03-25', '2024-03-26..2024-03-31'])
        const count = await cache.query<{ n: number | string }>('SELECT count(*) AS n FROM tierce_coverage')
        expect(Number(count.rows()[0]!.n)).toBeLessThan(10)
        expect(await cache.coverage({ symbol: 'AAPL' })).toEqual([{ start: '2024-01-01', end: '2024-03-31' }])
      })

      it('maxGaps_joins_the_closest_chunk_cuts_and_padding_fetches_more', async () => {
        const joining = stock(source(), { maxGaps: 2 })
        for (const day of ['2024-01-02', '2024-01-05', '2024-01-20']) await joining.get(day, day)
        joining.spans()
        await joining.get('2024-01-01', '2024-01-31')
        expect(joining.spans()).toEqual(['2024-01-01..2024-01-19', '2024-01-21..2024-01-31'])
        const cutting = stock(source(), { chunk: '10d' })
        await cutting.get('2024-03-01', '2024-03-25')
        expect(cutting.spans().sort()).toEqual([
          '2024-03-01..2024-03-10',
          '2024-03-11..2024-03-20',
          '2024-03-21..2024-03-25',
        ])
        const padding = stock(source(), { padding: '7d' })
        expect(await padding.get('2024-04-01', '2024-04-01')).toHaveLength(1)
        expect(padding.spans()).toEqual(['2024-03-26..2024-04-08'])
        await padding.get('2024-04-02', '2024-04-09')
        expect(padding.spans()).toEqual(['2024-04-09..2024-04-16'])
      })

      it('eight_callers_of_one_range_fetch_once_and_overlapping_ones_share', async () => {
        const { fetched, get, rows } = stock()
        const same = await Promise.all(Array.from({ length: 8 }, () => get('2024-01-01', '2024-01-31')))
        expect(fetched).toHaveLength(1)
        for (const answer of same)
          expect(answer).toEqual(plainQuery(rows, 'AAPL', '2024-01-01', '2024-01-31'))
        fetched.length = 0
        const [left, right] = await Promise.all([
          get('2024-02-01', '2024-02-20'),
          get('2024-02-10', '2024-02-29'),
        ])
        expect(fetched.flatMap(({ date }) => days(date.start, date.end)).sort()).toEqual(
          days('2024-02-01', '2024-02-29'),
        )
        expect(left).toEqual(plainQuery(rows, 'AAPL', '2024-02-01', '2024-02-20'))
        expect(right).toEqual(plainQuery(rows, 'AAPL', '2024-02-10', '2024-02-29'))
      })

      it('random_requests_at_once_fetch_no_day_twice', async () => {
        const { fetched, get, rows } = stock(source(), { chunk: '9d', concurrency: 3 })
        const starts = Array.from({ length: 24 }, (_, i) => dayNumber('2024-01-01') + ((i * 37) % 90))
        const ask = async (start: number, i: number) => {
          const [from, to] = [dayOf(start), dayOf(start + ((i * 13) % 40))]
          expect(await get(from, to)).toEqual(plainQuery(rows, 'AAPL', from, to))
        }
        await Promise.all(starts.map(ask))
        const all = fetched.flatMap(({ date }) => days(date.start, date.end))
        expect(new Set(all).size).toBe(all.length)
      })

      it('no_more_fetches_at_once_than_concurrency', async () => {
        let [now, most] = [0, 0]
        const { get } = stock(source(), {
          chunk: '1d',
          concurrency: 3,
          async fetch() {
            most = Math.max(most, ++now)
            await new Promise((resolve) => setTimeout(resolve, 2))
            now--
            return []
          },
        })
        await get('2024-01-01', '2024-01-12')
        expect(most).toBe(3)
      })
    })

    describe('time', () => {
      const at = (time: string) => vi.useFakeTimers({ toFake: ['Date'], now: new Date(time) })

      it('coverage_ends_with_its_ttl', async () => {
        at('2024-02-01T12:00:00Z')
        const { cache, spans, get } = stock(source(), { ttl: '1h' })
        await get('2024-01-01', '2024-01-10')
        vi.setSystemTime(new Date('2024-02-01T12:30:00Z'))
        await get('2024-01-11', '2024-01-20')
        spans()
        vi.setSystemTime(new Date('2024-02-01T12:59:59.999Z'))
        await get('2024-01-01', '2024-01-20')
        expect(spans()).toEqual([])
        vi.setSystemTime(new Date('2024-02-01T13:00:00Z'))
        expect(await cache.coverage({ symbol: 'AAPL' })).toEqual([{ start: '2024-01-11', end: '2024-01-20' }])
        await get('2024-01-01', '2024-01-20')
        expect(spans()).toEqual(['2024-01-01..2024-01-10'])
      })

      it('the_volatile_tail_is_fetched_again_also_when_it_is_none_any_more', async () => {
        at('2024-01-10T12:00:00Z')
        const { spans, get } = stock(source(), { volatile: { last: '1d', ttl: '5m' } })
        await get('2024-01-01', '2024-01-10')
        await get('2024-01-01', '2024-01-10')
        expect(spans()).toEqual(['2024-01-01..2024-01-10'])
        vi.setSystemTime(new Date('2024-01-10T12:05:00Z'))
        await get('2024-01-01', '2024-01-10')
        expect(spans(), 'the 9th ended less than a day before the fetch').toEqual(['2024-01-09..2024-01-10'])
        vi.setSystemTime(new Date('2024-06-01T00:00:00Z'))
        await get('2024-01-01', '2024-01-10')
        expect(spans(), 'it was fetched before the day was over').toEqual(['2024-01-09..2024-01-10'])
        vi.setSystemTime(new Date('2024-06-02T00:00:00Z'))
        await get('2024-01-01', '2024-01-10')
        expect(spans()).toEqual([])
      })

      it('what_is_fetched_again_replaces_rows_that_are_gone', async () => {
        at('2024-02-01T00:00:00Z')
        const { get, rows } = stock(source(), { ttl: '1h' })
        await get('2024-01-01', '2024-01-10')
        rows.splice(
          rows.findIndex(({ symbol, date }) => symbol === 'AAPL' && date === '2024-01-03'),
          1,
        )
        rows.find(({ symbol, date }) => symbol === 'AAPL' && date === '2024-01-04')!.close = -1
        vi.setSystemTime(new Date('2024-02-02T00:00:00Z'))
        const answer = await get('2024-01-01', '2024-01-10')
        expect(answer).toEqual(plainQuery(rows, 'AAPL', '2024-01-01', '2024-01-10'))
        expect(answer.map(({ date }) => date)).not.toContain('2024-01-03')
      })
    })

    describe('failures', () => {
      it('a_failed_fetch_passes_its_error_on_keeps_what_others_brought_and_records_nothing_for_itself', async () => {
        const down = new RangeError('the source is down')
        let broken = true
        const asked: string[] = []
        const rows = source()
        const { get } = stock(rows, {
          chunk: '10d',
          async fetch(ask: unknown) {
            const { symbol, date } = ask as Asked
            asked.push(date.start)
            if (broken && date.start === '2024-01-11') throw down
            return plainQuery(rows, symbol, date.start, date.end) as never
          },
        })
        await expect(get('2024-01-01', '2024-01-30')).rejects.toBe(down)
        expect(asked.splice(0).sort()).toEqual(['2024-01-01', '2024-01-11', '2024-01-21'])
        await expect(get('2024-01-01', '2024-01-30')).rejects.toBe(down)
        expect(asked.splice(0)).toEqual(['2024-01-11'])
        broken = false
        expect(await get('2024-01-01', '2024-01-30')).toEqual(
          plainQuery(rows, 'AAPL', '2024-01-01', '2024-01-30'),
        )
        expect(asked).toEqual(['2024-01-11'])
      })

      const good = { symbol: 'AAPL', date: '2024-01-02', close: 1 }
      it.each<[string, unknown, string | undefined, number | undefined]>([
        ['a row after the range', [good, { ...good, date: '2024-01-11' }], 'date', 1],
        ['a row before the range', [{ ...good, date: '2023-12-31' }], 'date', 0],
        ['a missing key column', [{ date: '2024-01-02', close: 1 }], 'symbol', 0],
        ['another key', [good, { ...good, symbol: 'MSFT' }], 'symbol', 1],
        ['a missing range column', [{ symbol: 'AAPL', close: 1 }], 'date', 0],
        ['text for a number', [good, { ...good, date: '2024-01-03', close: '12.5' }], 'close', 1],
        ['NaN', [{ ...good, close: Number.NaN }], 'close', 0],
        ['a day that there is not', [{ ...good, date: '2024-02-30' }], 'date', 0],
        ['two rows of one key', [good, { ...good, close: 2 }], 'close', 1],
        ['a row that is none', [good, 7], undefined, 1],
        ['null for a row', [null], undefined, 0],
        ['nothing', undefined, undefined, undefined],
        ['one object', { rows: [good] }, undefined, undefined],
      ])('%s is E_INVALID_ROW with row and column, and nothing is stored', async (_, answer, column, row) => {
        let bad = true
        const { cache, get } = stock([], { fetch: (async () => (bad ? answer : [good])) as never })
        const error = await failure(get('2024-01-01', '2024-01-10'))
        expect(error.code).toBe('E_INVALID_ROW')
        expect(error.context).toMatchObject({
          table: 'stock_prices',
          ...(row !== undefined && { row }),
          ...(column !== undefined && { column }),
        })
        if (column !== undefined) expect(error.message).toContain(`"${column}"`)
        expect((await cache.query('SELECT * FROM stock_prices')).length).toBe(0)
        expect(await cache.coverage({ symbol: 'AAPL' })).toEqual([])
        bad = false
        expect(await get('2024-01-01', '2024-01-10')).toEqual([good])
      })

      it('a_page_that_repeats_rows_of_the_one_before_is_no_failure', async () => {
        const pages = [good, { ...good, date: '2024-01-03' }, good, { ...good, date: '2024-01-01' }]
        async function* paged() {
          for (const row of pages) yield row
        }
        const { get } = stock([], { fetch: (() => paged()) as never })
        expect((await get('2024-01-01', '2024-01-10')).map(({ date }) => date)).toEqual([
          '2024-01-01',
          '2024-01-02',
          '2024-01-03',
        ])
      })

      it('wrong_requests_are_refused_before_anything_is_fetched', async () => {
        const { cache, fetched } = stock()
        const range = { start: '2024-01-01', end: '2024-01-02' }
        const wrong: unknown[] = [
          undefined,
          null,
          'AAPL',
          {},
          { symbol: 'AAPL' },
          { date: range },
          { symbol: null, date: range },
          { symbol: 7, date: range },
          { symbol: 'AAPL', date: '2024-01-01' },
          { symbol: 'AAPL', date: { start: '2024-01-01' } },
          { symbol: 'AAPL', date: { ...range, step: 1 } },
          { symbol: 'AAPL', date: { start: '2024-01-02', end: '2024-01-01' } },
          { symbol: 'AAPL', date: { start: '2024-02-30', end: '2024-03-01' } },
          { symbol: 'AAPL', date: { start: Number.NaN, end: '2024-03-01' } },
          { symbol: 'AAPL', date: { start: new Date(Number.NaN), end: '2024-03-01' } },
          { symbol: 'AAPL', date: { start: '24-01-01', end: '2024-03-01' } },
          { symbol: 'AAPL', date: range, close: 1 },
        ]
        for (const ask of wrong) {
          expect(await codeOf(cache.get(ask as never)), JSON.stringify(ask)).toBe('E_INVALID_OPTION')
        }
        expect(fetched).toEqual([])
      })

      it('a_chunk_that_would_make_fetches_without_end_is_refused', async () => {
        const { cache, fetched } = stock(source(), { chunk: '1d' })
        const ask = { symbol: 'AAPL', date: { start: '0001-01-01', end: '9999-12-31' } }
        expect(await failure(cache.get(ask))).toMatchObject({
          code: 'E_INVALID_OPTION',
          context: { name: 'chunk' },
        })
        expect(fetched).toEqual([])
      })

      it('an_aborted_call_ends_at_once_and_ends_the_fetch_that_nobody_else_waits_for', async () => {
        const fetches: { signal: AbortSignal; finish: () => void }[] = []
        const { cache } = stock(source(), {
          fetch: ((_: never, { signal }: FetchContext) =>
            new Promise((resolve, reject) => {
              fetches.push({ signal, finish: () => resolve([]) })
              signal.addEventListener('abort', () => reject(signal.reason))
            })) as never,
        })
        const [one, two] = [new AbortController(), new AbortController()]
        const ask = { symbol: 'AAPL', date: { start: '2024-01-01', end: '2024-01-02' } }
        const calls = [cache.get(ask, { signal: one.signal }), cache.get(ask, { signal: two.signal })]
        const outcomes = Promise.allSettled(calls)
        await vi.waitFor(() => expect(fetches).toHaveLength(1), PATIENTLY)
        for (let i = 0; i < 5; i++) await cache.coverage({ symbol: 'AAPL' }) // both wait for it by now
        one.abort(new Error('first'))
        await expect(calls[0]).rejects.toThrow('first')
        expect(fetches[0]!.signal.aborted).toBe(false)
        two.abort(new Error('second'))
        expect((await outcomes)[1]).toMatchObject({ reason: { message: 'second' } })
        expect(fetches[0]!.signal.aborted).toBe(true)
        const again = cache.get(ask)
        await vi.waitFor(() => expect(fetches).toHaveLength(2), PATIENTLY)
        fetches[1]!.finish()
        expect((await again).length).toBe(0)
        await expect(cache.get(ask, { signal: AbortSignal.abort(new Error('before')) })).rejects.toThrow(
          'before',
        )
      })

      it('a_closed_cache_ends_its_fetches_and_refuses_calls', async () => {
        const begun = vi.fn(() => new Promise(() => {})) // heeds no signal
        const { cache, get } = stock(source(), { fetch: begun as never })
        const waiting = codeOf(get('2024-01-01', '2024-01-02'))
        await vi.waitFor(() => expect(begun).toHaveBeenCalled(), PATIENTLY)
        const late = codeOf(get('2024-01-05', '2024-01-06'))
        await cache.close()
        expect([await waiting, await late]).toEqual(['E_CLOSED', 'E_CLOSED'])
        expect(begun).toHaveBeenCalledOnce()
        expect(await codeOf(get('2024-01-01', '2024-01-02'))).toBe('E_CLOSED')
      })
    })

    describe('what is stored', () => {
      it('survives_the_cache_and_is_shared_by_two', async () => {
        const first = stock()
        const second = stock()
        await first.get('2024-01-01', '2024-01-10')
        expect(await second.get('2024-01-01', '2024-01-10')).toEqual(
          await first.get('2024-01-01', '2024-01-10'),
        )
        expect(second.spans()).toEqual([])
        await Promise.all([first.cache.close(), second.cache.close()])
        const third = stock()
        await third.get('2024-01-01', '2024-01-12')
        expect(third.spans()).toEqual(['2024-01-11..2024-01-12'])
      })

      it('two_caches_that_fetch_at_once_lose_no_row', async () => {
        const caches = [stock(), stock()]
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
        const cache = close(
          pullThrough({ engine: engine.open(), table, range: 'id', fetch: async () => rows.toReversed() }),
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
        const cache = close(
          pullThrough({
            engine: engine.open(),
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
        const cache = close(
          pullThrough({
            engine: engine.open(),
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
        const { cache, spans, get } = stock()
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
        const { cache, get } = stock(source(), {
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
        const { cache, get } = stock()
        await get('2024-01-01', '2024-01-31')
        const mark = engine.open().dialect.param(1, 'text')
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
        const { get } = stock()
        await get('2024-01-01', '2024-01-05')
        const other = defineTable('stock_prices', {
          symbol: text().primaryKey(),
          date: date().primaryKey(),
          close: text(),
        })
        const changed = close(
          pullThrough({ engine: engine.open(), table: other, range: 'date', fetch: () => [] }),
        )
        const ask = { symbol: 'AAPL', date: { start: '2024-01-01', end: '2024-01-02' } }
        expect(await failure(changed.get(ask))).toMatchObject({
          code: 'E_FORMAT',
          message: expect.stringContaining('close'),
        })
        await engine.run('CREATE TABLE mine (a INTEGER)')
        const mine = defineTable('mine', prices.columns)
        const taking = close(
          pullThrough({ engine: engine.open(), table: mine, range: 'date', fetch: () => [] }),
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
        const cache = close(pullThrough({ engine: engine.open(), table, range: 'n', fetch: () => rows }))
        const found = await cache.get({ n: { start: 0, end: 29_999 } })
        expect(found.length).toBe(30_000)
        expect(found.rows()).toEqual(rows)
        expect(found.columns().n[29_999]).toBe(29_999)
      })
    })

    it('options_are_checked', async () => {
      const options = { engine: engine.open(), table: prices, range: 'date', fetch: () => [] } as const
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
  })
}
