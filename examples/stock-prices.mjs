// A cache of stock prices over a service with pages and a rate limit: each request fetches the days that no earlier one brought,
// and a second program finds them all. Prints what was fetched and what came from the cache, and draws it.
//
//   node examples/stock-prices.mjs [picture.svg]
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { date, defineTable, double, pullThrough, sqlite, text } from 'tierce'
import { coverageSvg } from './lib/coverage-svg.mjs'
import { fetchPrices, pricesOf, startPriceApi } from './lib/price-api.mjs'
import { printTable } from './lib/terminal.mjs'

const home = mkdtempSync(join(tmpdir(), 'tierce-stocks-'))
const api = await startPriceApi()
let fetched = []

/** The cache as a program opens it; all it knows is in the file. */
function openPrices() {
  return pullThrough({
    engine: sqlite(join(home, 'stocks.db')),
    table: defineTable('stock_prices', {
      symbol: text().primaryKey(),
      date: date().primaryKey(),
      close: double(),
    }),
    range: 'date',
    chunk: '60d',
    async fetch({ symbol, date: { start, end } }, { signal }) {
      fetched.push({ kind: 'fetched', start, end })
      return fetchPrices(api.url, symbol, start, end, signal)
    },
  })
}

const REQUESTS = [
  ['first', 'AAPL', '2024-01-01', '2024-01-10'],
  ['later days', 'AAPL', '2024-01-21', '2024-01-31'],
  ['the hole between', 'AAPL', '2024-01-05', '2024-01-25'],
  ['half a year', 'AAPL', '2024-01-01', '2024-06-30'],
  ['all of it again', 'AAPL', '2024-01-01', '2024-06-30'],
  ['a weekend', 'AAPL', '2024-07-06', '2024-07-07'],
  ['the weekend again', 'AAPL', '2024-07-06', '2024-07-07'],
  ['in a new program', 'AAPL', '2024-02-01', '2024-07-15'],
]

const [table, lanes] = [[], []]
let prices = openPrices()
for (const [label, symbol, start, end] of REQUESTS) {
  if (label === 'in a new program') {
    await prices.close()
    prices = openPrices()
  }
  fetched = []
  const before = { ...api.counts }
  const result = await prices.get({ symbol, date: { start, end } })
  assert.deepEqual(result.rows(), pricesOf(symbol, start, end), 'the answer is that of the source')
  const brought = fetched.reduce((sum, span) => sum + pricesOf(symbol, span.start, span.end).length, 0)
  const spans = fetched.map((span) => `${span.start.slice(5)}..${span.end.slice(5)}`)
  table.push([
    label,
    `${start}..${end}`,
    spans.join(' ') || '-',
    brought,
    result.length - brought,
    api.counts.requests - before.requests,
    api.counts.refused - before.refused,
  ])
  const note = `${brought} fetched, ${result.length - brought} cached`
  lanes.push({ label, note, spans: [{ kind: 'cached', start, end }, ...fetched] })
}
printTable(['request', 'asked', 'fetched', 'rows fetched', 'from the cache', 'HTTP', 'of them 429'], table)

const fetchedBy = Object.fromEntries(table.map(([label, , spans]) => [label, spans]))
assert.equal(fetchedBy['the hole between'], '01-11..01-20')
for (const label of ['all of it again', 'the weekend again']) assert.equal(fetchedBy[label], '-', label)
assert.equal(fetchedBy['in a new program'], '07-01..07-05 07-08..07-15')
assert.ok(api.counts.refused > 0, 'the rate limit was met')

const byMonth = await prices.query(
  `SELECT substr(date, 1, 7) AS month, count(*) AS days, round(avg(close), 2) AS mean FROM stock_prices WHERE symbol = ? GROUP BY 1 ORDER BY 1`,
  ['AAPL'],
)
printTable(byMonth.names, byMonth.rows().map(Object.values))

const coverage = await prices.coverage({ symbol: 'AAPL' })
assert.deepEqual(coverage, [{ start: '2024-01-01', end: '2024-07-15' }])
lanes.push({ label: 'covered', spans: coverage.map((span) => ({ kind: 'covered', ...span })) })
const svg = coverageSvg({
  title: 'AAPL: what each request fetched',
  subtitle:
    'Days that were asked for, a lane a request, in their order; each orange bar is one fetch, of 60 days at most',
  from: '2024-01-01',
  to: '2024-07-31',
  lanes,
})
const picture = process.argv[2]
if (picture !== undefined) writeFileSync(picture, svg)
process.stdout.write(
  `\n${picture === undefined ? 'Give a path to have the picture written' : `Picture: ${picture}`} (${svg.length} bytes of SVG)\n`,
)

await prices.close()
await api.stop()
rmSync(home, { recursive: true, force: true })
