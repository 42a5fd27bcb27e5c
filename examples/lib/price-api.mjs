// An API of daily prices as real ones are: pages with cursors, a rate limit with 429 and Retry-After, no prices on weekends.
import { createServer } from 'node:http'

const DAY = 86_400_000
const PAGE = 20
/** So many requests are answered, then none until the client has waited: the same on a slow machine. */
const [BUDGET, WAIT] = [10, 1]

/** Starts the server on the loopback interface. `counts` has what it was asked. */
export async function startPriceApi() {
  const counts = { requests: 0, refused: 0 }
  let left = BUDGET
  let refilledAt
  const server = createServer((request, response) => {
    counts.requests += 1
    if (left === 0 && refilledAt !== undefined && Date.now() >= refilledAt) left = BUDGET
    if (left === 0) {
      counts.refused += 1
      refilledAt ??= Date.now() + WAIT * 1000
      response.writeHead(429, { 'Retry-After': String(WAIT) }).end('{"error":"too many requests"}')
      return
    }
    left -= 1
    refilledAt = undefined
    const url = new URL(request.url, 'http://localhost')
    const [, symbol] = /^\/v1\/prices\/([A-Z]+)$/.exec(url.pathname) ?? []
    if (symbol === undefined) return response.writeHead(404).end('{"error":"no such symbol"}')
    response.writeHead(200, { 'Content-Type': 'application/json' })
    response.end(JSON.stringify(page(symbol, url.searchParams)))
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const stop = () => new Promise((resolve) => server.close(resolve))
  return { url: `http://127.0.0.1:${server.address().port}`, counts, stop }
}

function page(symbol, params) {
  const rows = pricesOf(symbol, params.get('from'), params.get('to'))
  const start = Number(params.get('cursor'))
  const next = start + PAGE < rows.length ? String(start + PAGE) : null
  // The newest first, as such services do.
  return { prices: rows.toReversed().slice(start, start + PAGE), next }
}

/** What the source knows of a range: the same at each call. */
export function pricesOf(symbol, from, to) {
  const rows = []
  for (let day = Date.parse(from); day <= Date.parse(to); day += DAY) {
    const date = new Date(day)
    if (date.getUTCDay() % 6 === 0) continue
    const wave = Math.sin(day / DAY / 9 + symbol.charCodeAt(0)) + Math.sin(day / DAY / 2.3)
    rows.push({
      symbol,
      date: date.toISOString().slice(0, 10),
      close: Math.round((150 + 12 * wave) * 100) / 100,
    })
  }
  return rows
}

/** All rows of a range: page by page, waiting where the server says so. */
export async function fetchPrices(base, symbol, from, to, signal) {
  const rows = []
  for (let cursor = ''; cursor !== null; ) {
    const query = new URLSearchParams({ from, to, cursor })
    const response = await fetch(`${base}/v1/prices/${symbol}?${query}`, { signal })
    if (response.status === 429) {
      const wait = Number(response.headers.get('Retry-After')) * 1000
      await new Promise((resolve) => setTimeout(resolve, wait))
    } else if (response.ok) {
      const { prices, next } = await response.json()
      rows.push(...prices)
      cursor = next
    } else throw new Error(`the price service answered ${response.status}`)
  }
  return rows
}
