// What looks after a cache of 10,000 entries, against the bare SQL of a hand-written table: each in the process that filled it.
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { Cache } from '../../dist/index.mjs'
import { asking, measureInTurn, timed } from '../lib/measure.mjs'

const COUNT = 10_000
const ROUNDS = 20
const PAGES = 20
const START = 1_800_000_000_000
const value = Buffer.alloc(100, 7)

function tierce(folder, keys) {
  let now = START
  const cache = new Cache({ dir: join(folder, 'cache'), memory: false, clock: () => now })
  const list = async (limit) => {
    let count = 0
    for await (const _ of cache.entries(limit === undefined ? {} : { limit })) count += 1
    return count
  }
  return {
    fill: () =>
      cache.setMany(
        keys.map((key) => [key, value]),
        { ttl: 1000 },
      ),
    stats: async () => (await cache.stats()).entries,
    all: () => list(),
    page: () => list(100),
    cleanup: () => {
      now += 5000
      return cache.cleanup()
    },
    close: () => cache.close(),
  }
}

function betterSqlite(folder, keys) {
  let now = START
  const db = new Database(join(folder, 'data.sqlite'))
  db.pragma('journal_mode = WAL')
  db.pragma('synchronous = NORMAL')
  db.exec(
    'CREATE TABLE entries (key TEXT PRIMARY KEY, created INTEGER, expires INTEGER, size INTEGER, value BLOB) WITHOUT ROWID',
  )
  const columns = 'SELECT key, created, expires, size FROM entries'
  const insert = db.prepare('INSERT INTO entries VALUES (?, ?, ?, ?, ?)')
  const all = db.prepare(columns)
  const page = db.prepare(`${columns} WHERE key > ? ORDER BY key LIMIT 100`)
  const sums = db.prepare('SELECT count(*) AS count, sum(size) FROM entries')
  const remove = db.prepare('DELETE FROM entries WHERE expires <= ?')
  return {
    fill: db.transaction(() => {
      for (const key of keys) insert.run(key, now, now + 1000, value.length, value)
    }),
    stats: () => sums.get().count,
    all: () => all.all().length,
    page: () => page.all('').length,
    cleanup: () => {
      now += 5000
      return remove.run(now).changes
    },
    close: () => db.close(),
  }
}

const contenders = { tierce, 'better-sqlite3': betterSqlite }

/** Fills, asks, and removes all that has expired, again and again; what is answered is checked. */
async function run({ contender, scale, folder }) {
  const keys = Array.from(
    { length: Math.ceil(COUNT * scale) },
    (_, at) => `key:${Math.imul(at, 2654435761) >>> 0}:${at}`,
  )
  const store = contenders[contender](folder, keys)
  const asked = {
    stats: [1, keys.length],
    all: [1, keys.length],
    page: [PAGES, Math.min(100, keys.length)],
    cleanup: [1, keys.length],
  }
  const pieces = {}
  for (const [verb, [count, expected]] of Object.entries(asked)) {
    pieces[verb] = asking(count, store[verb], (answer) => answer === expected)
  }
  const found = await measureInTurn(pieces, { rounds: ROUNDS, by: timed, before: store.fill })
  await store.close()
  return found
}

export const workloads = [
  {
    id: 'management',
    group: 'management',
    contenders: Object.keys(contenders),
    run,
    rows: {
      stats: 'stats of 10,000 entries',
      all: 'all entries',
      page: 'the first 100 entries',
      cleanup: 'cleanup of 10,000 expired entries',
    },
  },
]
