// Fetches random ranges again and again, each fetch with a number of its own in all its rows, until it is killed.
import * as tierce from '../../dist/index.mjs'
import { numbered } from './pulled.mjs'

const [, , kind, target, seed] = process.argv
const { duckdb, postgres, pullThrough, sqlite } = tierce
const engine = { duckdb, postgres, sqlite }[kind](target)
let state = Number(seed) * 7919 + 1
const random = (below) => {
  state = (state * 48_271) % 2_147_483_647
  return state % below
}

const cache = pullThrough({
  engine,
  table: numbered(tierce),
  range: 'at',
  // What was fetched counts for a millisecond: nearly all is fetched again.
  ttl: 1,
  chunk: 1500,
  *fetch({ name, at: { start, end } }) {
    const fetch = random(1e9)
    for (let at = start; at <= end; at++) yield { name, at, fetch }
  },
})
for (let i = 0; ; i++) {
  const start = random(4000)
  const ask = { name: `n${random(2)}`, at: { start, end: start + 1 + random(3000) } }
  await cache.get(ask)
  if (i === 0) console.log('ready')
}
