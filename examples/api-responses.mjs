// Responses of an API with a strategy each: prices go stale soon and are renewed behind, a profile outlives an outage, the
// exchange rate lives as long as its answer says, and what a tenant did is dropped by its tag.
//
//   node examples/api-responses.mjs
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Cache, rateLimiter, wrap } from 'tierce'
import { printTable } from './lib/terminal.mjs'

const home = mkdtempSync(join(tmpdir(), 'tierce-api-'))
const asked = {}
let isDown = false

const server = createServer((request, response) => {
  const [, kind, id] = request.url.split('/')
  asked[kind] = (asked[kind] ?? 0) + 1
  if (isDown) response.writeHead(503).end()
  else response.end(JSON.stringify({ kind, id, number: asked[kind], maxAge: 60 }))
})
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
const base = `http://127.0.0.1:${server.address().port}`

let now = Date.now()
const cache = new Cache({ dir: join(home, 'cache'), clock: () => now, defaults: { timeout: '1m' } })
cache.on('error', () => {}) // what failed behind a stale value

async function api(path) {
  const response = await fetch(base + path)
  if (!response.ok) throw new Error(`${path}: ${response.status}`)
  return response.json()
}

// Seconds matter little, waiting does: a stale price is given at once and renewed behind.
const price = wrap(cache, (id) => api(`/price/${id}`), {
  name: 'price',
  ttl: '10s',
  jitter: 0.1,
  staleWhileRevalidate: '1m',
})
// An old profile is better than none.
const profile = wrap(cache, (id) => api(`/profile/${id}`), { name: 'profile', ttl: '1m', staleIfError: '1d' })
// The answer says how long it holds.
const rate = wrap(cache, (pair) => api(`/rate/${pair}`), { name: 'rate', ttl: ({ maxAge }) => maxAge * 1000 })
// All of a tenant goes at once.
const report = wrap(cache, (tenant, day) => api(`/report/${tenant}-${day}`), {
  name: 'report',
  ttl: '1h',
  tags: (_, tenant) => [`tenant:${tenant}`],
})
/** Waits for what goes on behind: a minute at most. */
async function until(isSo) {
  for (let tries = 0; tries < 6000 && !(await isSo()); tries++) {
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
const rows = []
const step = (what, got, expected) => {
  rows.push([what, JSON.stringify(got), JSON.stringify(got) === JSON.stringify(expected) ? 'ok' : 'FAILED'])
  if (rows.at(-1)[2] !== 'ok') process.exitCode = 1
}

try {
  const prices = await Promise.all(Array.from({ length: 100 }, () => price('a')))
  step(
    '100 callers at once: requests',
    [asked.price, new Set(prices.map(({ number }) => number)).size],
    [1, 1],
  )
  now += 20_000
  step('a stale price comes at once', (await price('a')).number, 1)
  await until(async () => (await price.peek('a'))?.number === 2)
  step('and is renewed behind', (await price('a')).number, 2)

  await profile('ada')
  now += 3_600_000
  isDown = true
  step('an outage: the old profile', (await profile('ada')).number, 1)
  isDown = false
  step('after it: a new one', (await profile('ada')).number, 3)

  await rate('EUR-USD')
  now += 59_000
  step('a rate inside its maxAge', (await rate('EUR-USD')).number, 1)
  now += 1000
  step('and after it', (await rate('EUR-USD')).number, 2)

  for (const day of [1, 2, 3]) await report('acme', day)
  await report('other', 1)
  step('reports dropped by their tag', await cache.invalidateTags('tenant:acme'), 3)
  step("the other tenant's is there", (await report.peek('other', 1)) !== undefined, true)

  const limiter = rateLimiter(cache, { name: 'api', limit: 2, per: '1s' })
  step(
    'two a second',
    [1, 2, 3].map(() => limiter.tryTake('ada').allowed),
    [true, true, false],
  )
  printTable(['step', 'got', ''], rows)
} finally {
  await cache.close()
  server.close()
  server.closeAllConnections()
  rmSync(home, { recursive: true, force: true })
}
