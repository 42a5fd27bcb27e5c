/** What is fetched, and when. */
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { dayNumber, dayOf, days, plainQuery, type Stage, source } from './stage.js'

export function fetching(stage: Stage, runs: number): void {
  describe('what is fetched', () => {
    it('after_1_to_10_and_21_to_31_January_5_to_25_January_fetches_the_ten_days_between', async () => {
      const every = days('2024-01-01', '2024-01-31').map((day, i) => ({
        symbol: 'AAPL',
        date: day,
        close: i,
      }))
      const { spans, get } = stage.stock(every)
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
      const { spans, get } = stage.stock()
      await get('2024-01-10', '2024-01-20')
      await get('2024-01-10', '2024-01-25')
      await get('2024-01-05', '2024-01-25')
      expect(spans()).toEqual(['2024-01-10..2024-01-20', '2024-01-21..2024-01-25', '2024-01-05..2024-01-09'])
    })

    it('a_weekend_and_an_empty_range_are_fetched_once', async () => {
      const { spans, get } = stage.stock()
      for (let i = 0; i < 3; i++) {
        expect(await get('2024-01-06', '2024-01-07')).toEqual([])
        expect(await get('2030-01-01', '2030-12-31')).toEqual([])
        expect(await get('2024-01-01', '2024-01-02', 'NONE')).toEqual([])
      }
      expect(spans()).toHaveLength(3)
    })

    it('rows_that_come_in_any_order_in_several_fetches_are_answered_by_the_primary_key', async () => {
      const { get } = stage.stock(source(), { chunk: '3d', concurrency: 3 })
      await get('2024-01-20', '2024-01-25')
      const days = (await get('2024-01-02', '2024-01-31')).map((row) => row.date)
      expect(days).toEqual([...days].sort())
      expect(new Set(days).size).toBe(days.length)
      expect(days.length).toBeGreaterThan(15)
    })

    it('one_day_is_a_range', async () => {
      const { spans, get } = stage.stock()
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
      const { cache, fetched } = stage.stock(rows)
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
      const { cache, get } = stage.stock()
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
      const { cache, spans, get } = stage.stock()
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
      const joining = stage.stock(source(), { maxGaps: 2 })
      for (const day of ['2024-01-02', '2024-01-05', '2024-01-20']) await joining.get(day, day)
      joining.spans()
      await joining.get('2024-01-01', '2024-01-31')
      expect(joining.spans()).toEqual(['2024-01-01..2024-01-19', '2024-01-21..2024-01-31'])
      const cutting = stage.stock(source(), { chunk: '10d' })
      await cutting.get('2024-03-01', '2024-03-25')
      expect(cutting.spans().sort()).toEqual([
        '2024-03-01..2024-03-10',
        '2024-03-11..2024-03-20',
        '2024-03-21..2024-03-25',
      ])
      const padding = stage.stock(source(), { padding: '7d' })
      expect(await padding.get('2024-04-01', '2024-04-01')).toHaveLength(1)
      expect(padding.spans()).toEqual(['2024-03-26..2024-04-08'])
      await padding.get('2024-04-02', '2024-04-09')
      expect(padding.spans()).toEqual(['2024-04-09..2024-04-16'])
    })

    it('eight_callers_of_one_range_fetch_once_and_overlapping_ones_share', async () => {
      const { fetched, get, rows } = stage.stock()
      const same = await Promise.all(Array.from({ length: 8 }, () => get('2024-01-01', '2024-01-31')))
      expect(fetched).toHaveLength(1)
      for (const answer of same) expect(answer).toEqual(plainQuery(rows, 'AAPL', '2024-01-01', '2024-01-31'))
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
      const { fetched, get, rows } = stage.stock(source(), { chunk: '9d', concurrency: 3 })
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
      const { get } = stage.stock(source(), {
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
      const { cache, spans, get } = stage.stock(source(), { ttl: '1h' })
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
      const { spans, get } = stage.stock(source(), { volatile: { last: '1d', ttl: '5m' } })
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
      const { get, rows } = stage.stock(source(), { ttl: '1h' })
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
}
