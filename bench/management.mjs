#!/usr/bin/env node
// What looks after a cache of 10,000 entries, against the bare SQL on a table of better-sqlite3, in turn in one process:
// stats, a listing of everything, a page of 100, and the removal of 10,000 expired entries. Prints medians and their ratios.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { Cache } from '../dist/index.mjs'

const COUNT = 10_000
const ROUNDS = Number(process.argv[2] ?? 15)
const folder = mkdtempSync(join(tmpdir(), 'tierce-management-'))
const median = (times) => times.toSorted((a, b) => a - b)[times.length >> 1]
const value = Buffer.alloc(100, 7)
const keys = Array.from({ length: COUNT }, (_, at) => `key:${Math.imul(at, 2654435761) >>> 0}:${at}`)

let now = 1_800_000_000_000
const cache = new Cache({ dir: join(folder, 'cache'), memory: false, clock: () => now })
const db = new Database(join(folder, 'data.sqlite'))
db.pragma('journal_mode = WAL')
db.pragma('synchronous = NORMAL')
db.exec(
  'CREATE TABLE entries (key TEXT PRIMARY KEY, created INTEGER, expires INTEGER, size INTEGER, value BLOB) WITHOUT ROWID',
)
const insert = db.prepare('INSERT INTO entries VALUES (?, ?, ?, ?, ?)')
const all = db.prepare('SELECT key, created, expires, size FROM entries')
const some = db.prepare(
  'SELECT key, created, expires, size FROM entries WHERE key > ? ORDER BY key LIMIT 100',
)
const sums = db.prepare('SELECT count(*), sum(size) FROM entries')
const remove = db.prepare('DELETE FROM entries WHERE expires <= ?')
const fill = db.transaction(() => {
  for (const key of keys) insert.run(key, now, now + 1000, value.length, value)
})

async function time(times, run) {
  const start = process.hrtime.bigint()
  await run()
  times.push(Number(process.hrtime.bigint() - start) / 1e6)
}

async function listed(limit) {
  let count = 0
  for await (const _ of cache.entries(limit === COUNT ? {} : { limit })) count++
  if (count !== limit) throw new Error(`${count} of ${limit} entries were listed`)
}

const rows = {
  stats: { ours: () => cache.stats(), theirs: () => sums.get() },
  'all entries': { ours: () => listed(COUNT), theirs: () => all.all() },
  'the first 100': { ours: () => listed(100), theirs: () => some.all('') },
  'cleanup of all': { ours: () => cache.cleanup(), theirs: () => remove.run(now), expires: true },
}
const found = Object.fromEntries(Object.keys(rows).map((name) => [name, { ours: [], theirs: [] }]))
try {
  for (let round = 0; round < ROUNDS; round++) {
    await cache.setMany(
      keys.map((key) => [key, value]),
      { ttl: 1000 },
    )
    fill()
    for (const [name, { ours, theirs, expires }] of Object.entries(rows)) {
      if (expires) now += 5000
      await time(found[name].ours, ours)
      await time(found[name].theirs, theirs)
    }
    if ((await cache.stats()).entries !== 0) throw new Error('something was not cleaned up')
  }
  console.log('|  | tierce | better-sqlite3 | their time by ours |\n| --- | ---: | ---: | ---: |')
  for (const [name, { ours, theirs }] of Object.entries(found)) {
    const [a, b] = [median(ours), median(theirs)]
    console.log(`| ${name} | ${a.toFixed(2)} ms | ${b.toFixed(2)} ms | ${(b / a).toFixed(2)} |`)
  }
} finally {
  await cache.close()
  db.close()
  rmSync(folder, { recursive: true, force: true })
}
