/** What becomes of calls and fetches that fail, end or are refused. */
import { getEventListeners } from 'node:events'
import type { FetchContext } from 'tierce'
import { describe, expect, it, vi } from 'vitest'
import { codeOf, failure } from '../../helpers/errors.js'
import { PATIENTLY } from '../../helpers/wait.js'
import { type Asked, plainQuery, type Stage, source } from './stage.js'

export function failures(stage: Stage): void {
  describe('failures', () => {
    it('a_failed_fetch_passes_its_error_on_keeps_what_others_brought_and_records_nothing_for_itself', async () => {
      const down = new RangeError('the source is down')
      let broken = true
      const asked: string[] = []
      const rows = source()
      const { get } = stage.stock(rows, {
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
      const { cache, get } = stage.stock([], { fetch: (async () => (bad ? answer : [good])) as never })
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
      const { get } = stage.stock([], { fetch: (() => paged()) as never })
      expect((await get('2024-01-01', '2024-01-10')).map(({ date }) => date)).toEqual([
        '2024-01-01',
        '2024-01-02',
        '2024-01-03',
      ])
    })

    it('wrong_requests_are_refused_before_anything_is_fetched', async () => {
      const { cache, fetched } = stage.stock()
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

    it('options_of_a_call_that_are_none_are_refused_before_anything_is_fetched', async () => {
      const { cache, fetched } = stage.stock()
      const ask = { symbol: 'AAPL', date: { start: '2024-01-01', end: '2024-01-02' } }
      for (const options of [null, 5, 'x', { sginal: 1 }, { signal: null }, { signal: {} }] as never[]) {
        expect(await codeOf(cache.get(ask, options)), JSON.stringify(options)).toBe('E_INVALID_OPTION')
        expect(await codeOf(cache.query('SELECT 1', [], options))).toBe('E_INVALID_OPTION')
      }
      expect(fetched).toEqual([])
    })

    it('a_chunk_that_would_make_fetches_without_end_is_refused', async () => {
      const { cache, fetched } = stage.stock(source(), { chunk: '1d' })
      const ask = { symbol: 'AAPL', date: { start: '0001-01-01', end: '9999-12-31' } }
      expect(await failure(cache.get(ask))).toMatchObject({
        code: 'E_INVALID_OPTION',
        context: { name: 'chunk' },
      })
      expect(fetched).toEqual([])
    })

    it('an_aborted_call_ends_at_once_and_ends_the_fetch_that_nobody_else_waits_for', async () => {
      const fetches: { signal: AbortSignal; finish: () => void }[] = []
      const { cache } = stage.stock(source(), {
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
      const heeded = ({ signal }: AbortController) => getEventListeners(signal, 'abort').length
      await vi.waitFor(() => expect([heeded(one), heeded(two)]).toEqual([1, 1]), PATIENTLY) // both wait for it
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

    it('a_source_that_heeds_no_signal_is_asked_for_no_page_after_the_call_is_aborted', async () => {
      const stop = new AbortController()
      let [pages, end] = [0, () => {}]
      const ended = new Promise<void>((resolve) => {
        end = resolve
      })
      const { cache } = stage.stock(source(), {
        fetch: async function* () {
          try {
            for (; pages < 10_000; pages++) {
              if (pages === 3) stop.abort(new Error('enough'))
              await new Promise((resolve) => setImmediate(resolve))
              yield { symbol: 'AAPL', date: '2024-01-01', close: 1 }
            }
          } finally {
            end()
          }
        } as never,
      })
      const ask = { symbol: 'AAPL', date: { start: '2024-01-01', end: '2024-01-02' } }
      await expect(cache.get(ask, { signal: stop.signal })).rejects.toThrow('enough')
      await ended
      expect(pages).toBeLessThan(10_000)
    })

    it('a_closed_cache_ends_its_fetches_and_refuses_calls', async () => {
      const begun = vi.fn(() => new Promise(() => {})) // heeds no signal
      const { cache, get } = stage.stock(source(), { fetch: begun as never })
      const waiting = codeOf(get('2024-01-01', '2024-01-02'))
      await vi.waitFor(() => expect(begun).toHaveBeenCalled(), PATIENTLY)
      const late = codeOf(get('2024-01-05', '2024-01-06'))
      await cache.close()
      expect([await waiting, await late]).toEqual(['E_CLOSED', 'E_CLOSED'])
      expect(begun).toHaveBeenCalledOnce()
      expect(await codeOf(get('2024-01-01', '2024-01-02'))).toBe('E_CLOSED')
    })
  })
}
