/** What the parts of the suite work on: a table of prices over a source that knows what was fetched of it. */
import { date, defineTable, double, type PullEngine, pullThrough, text } from 'tierce'

export interface EngineUnderTest {
  open(): PullEngine
  /** Runs a statement that writes, past the cache. */
  run(sql: string): Promise<unknown>
}

export interface Price {
  symbol: string
  date: string
  close: number | null
}

export const prices = defineTable('stock_prices', {
  symbol: text().primaryKey(),
  date: date().primaryKey(),
  close: double(),
})

export const DAY = 86_400_000
export const dayNumber = (day: string) => Date.parse(day) / DAY
export const dayOf = (number: number) => new Date(number * DAY).toISOString().slice(0, 10)
export const days = (start: string, end: string) =>
  Array.from({ length: dayNumber(end) - dayNumber(start) + 1 }, (_, i) => dayOf(dayNumber(start) + i))
export const isWeekend = (day: string) => [0, 6].includes(new Date(day).getUTCDay())

/** A source with prices of some symbols on working days, in no good order. */
export function source(symbols = ['AAPL', 'MSFT'], from = '2023-12-01', to = '2024-06-30'): Price[] {
  const rows = symbols.flatMap((symbol, i) =>
    days(from, to)
      .filter((day) => !isWeekend(day))
      .map((day) => ({ symbol, date: day, close: dayNumber(day) % 7 === 0 ? null : dayNumber(day) / 4 + i })),
  )
  return rows.reverse()
}

export const byKey = (a: Price, b: Price) => (a.symbol + a.date < b.symbol + b.date ? -1 : 1)

export function plainQuery(rows: Price[], symbol: string, start: string, end: string): Price[] {
  return rows.filter((row) => row.symbol === symbol && row.date >= start && row.date <= end).sort(byKey)
}

export interface Asked {
  symbol: string
  date: { start: string; end: string }
}

/** An engine, and what was opened on it. */
export class Stage {
  readonly #opened: { close(): Promise<void> }[] = []
  #engine: EngineUnderTest | undefined

  constructor(readonly setUp: () => Promise<EngineUnderTest>) {}

  async begin(): Promise<void> {
    this.#engine = await this.setUp()
  }

  async end(): Promise<void> {
    for (const one of this.#opened.splice(0)) await one.close()
  }

  open(): PullEngine {
    return this.#engine!.open()
  }

  run(sql: string): Promise<unknown> {
    return this.#engine!.run(sql)
  }

  /** Closed after the test. */
  close<T extends { close(): Promise<void> }>(one: T): T {
    this.#opened.push(one)
    return one
  }

  /** The table of prices over a source, and what was fetched of it. */
  stock(rows: Price[] = source(), options: Partial<Parameters<typeof pullThrough>[0]> = {}) {
    const fetched: Asked[] = []
    const cache = this.close(
      pullThrough({
        engine: this.open(),
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
}
