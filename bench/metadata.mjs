#!/usr/bin/env node
// What a query of custom metadata costs: `find`, Kysely and `query`, against the bare SQL through better-sqlite3 on a table of
// its own that holds just the keys and the columns, and on the same tables as the cache's (a copy). Kysely builds and compiles
// each query anew: its own dialect over better-sqlite3, on that table, says what this costs by itself.
//
//   node bench/metadata.mjs [--entries 100000] [--rounds 15] [--queries 100]
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import Database from 'better-sqlite3'
import { Kysely, SqliteDialect } from 'kysely'
import { Cache, double, integer, text } from '../dist/index.mjs'
import { kysely } from '../dist/kysely.mjs'
import { median } from './lib/measure.mjs'

const { values } = parseArgs({
  options: {
    entries: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '15' },
    queries: { type: 'string', default: '100' },
  },
})
const [entries, rounds, queries] = [values.entries, values.rounds, values.queries].map(Number)

const folder = mkdtempSync(join(tmpdir(), 'tierce-metadata-'))
const [dir, copy] = [join(folder, 'cache'), join(folder, 'copy')]
const MODELS = ['xgboost', 'forest', 'linear', 'transformer']
const meta = {
  experiments: {
    accuracy: double().index(),
    modelType: text().index(),
    name: text().unique(),
    epochs: integer(),
    seed: integer(),
  },
}
const rowOf = (i) => ({
  accuracy: ((i * 7919) % entries) / entries,
  modelType: MODELS[i % 4],
  name: `experiment number ${i}`,
  epochs: i % 100,
  seed: i * 31,
})

const filled = new Cache({ dir, meta })
for (let i = 0; i < entries; i += 1000) {
  const some = Array.from({ length: 1000 }, (_, j) => i + j)
  await Promise.all(
    some.map((k) => filled.set(`experiment:${k}`, { result: k }, { meta: { experiments: rowOf(k) } })),
  )
}
await filled.close()
cpSync(dir, copy, { recursive: true })

const plain = new Database(join(folder, 'plain.db'))
plain.pragma('journal_mode = WAL')
plain.exec(`CREATE TABLE experiments (key TEXT PRIMARY KEY, accuracy REAL, modelType TEXT, name TEXT UNIQUE, epochs INTEGER, seed INTEGER);
  CREATE INDEX by_accuracy ON experiments (accuracy); CREATE INDEX by_model ON experiments (modelType)`)
const insert = plain.prepare('INSERT INTO experiments VALUES (?, ?, ?, ?, ?, ?)')
plain.transaction(() => {
  for (let i = 0; i < entries; i += 1) insert.run(`experiment:${i}`, ...Object.values(rowOf(i)))
})()
const same = new Database(join(copy, 'tierce.db'), { readonly: true })
const cache = new Cache({ dir, meta })
const db = kysely(cache)
const plainDb = new Kysely({ dialect: new SqliteDialect({ database: plain }) })

const COLUMNS = ['key', 'accuracy', 'modelType', 'name', 'epochs', 'seed']
const LIVE = '(e.expires IS NULL OR e.expires > ?) AND (e.fresh IS NULL OR e.fresh > ?)'
const JOINED = `SELECT CAST(e.key AS TEXT) AS key, m.accuracy, m.modelType, m.name, m.epochs, m.seed
  FROM meta_experiments m JOIN entries e ON e.id = m.tierce_id WHERE ${LIVE} AND`

function byKysely(database, where, limit) {
  let query = database.selectFrom('experiments').select(COLUMNS)
  for (const [name, compared] of Object.entries(where)) {
    if (typeof compared !== 'object') query = query.where(name, '=', compared)
    else {
      if (compared.gte !== undefined) query = query.where(name, '>=', compared.gte)
      if (compared.lt !== undefined) query = query.where(name, '<', compared.lt)
    }
  }
  if (limit !== undefined) query = query.orderBy('accuracy', 'desc').limit(limit)
  return query.execute()
}

/** Each kind of query: how each contender asks it, with a number that changes from query to query. */
function kind(title, { where, plainWhere, params, limit }) {
  const tail = limit === undefined ? '' : ` ORDER BY accuracy DESC LIMIT ${limit}`
  const bare = plain.prepare(`SELECT ${COLUMNS.join(', ')} FROM experiments WHERE ${plainWhere}${tail}`)
  const joined = same.prepare(`${JOINED} ${plainWhere}${tail}`)
  const sql = `SELECT ${COLUMNS.join(', ')} FROM experiments WHERE ${plainWhere}${tail}`
  return {
    title,
    contenders: {
      'better-sqlite3, its own table': (n) => bare.all(...params(n)),
      'better-sqlite3, the same tables': (n) => joined.all(Date.now(), Date.now(), ...params(n)),
      'cache.find': (n) =>
        cache.find('experiments', {
          where: where(n),
          ...(limit === undefined ? {} : { limit, orderBy: { accuracy: 'desc' } }),
        }),
      'cache.query': (n) => cache.query(sql, params(n)),
      Kysely: (n) => byKysely(db, where(n), limit),
      'Kysely on better-sqlite3, its own table': (n) => byKysely(plainDb, where(n), limit),
    },
  }
}

const span = (rows) => (n) => {
  const from = ((n * 37) % 90) / 100
  return [from, from + rows / entries]
}
const ranged = (rows) => ({
  where: (n) => ({ accuracy: { gte: span(rows)(n)[0], lt: span(rows)(n)[1] } }),
  plainWhere: 'accuracy >= ? AND accuracy < ?',
  params: span(rows),
})
const kinds = [
  kind('one row by a unique column', {
    where: (n) => ({ name: `experiment number ${(n * 7) % entries}` }),
    plainWhere: 'name = ?',
    params: (n) => [`experiment number ${(n * 7) % entries}`],
  }),
  kind('20 rows of a range', ranged(20)),
  kind('100 rows of a range', ranged(100)),
  kind('1000 rows of a range', ranged(1000)),
  kind('the best 20 of a model', {
    where: (n) => ({ accuracy: { gte: 0.5 }, modelType: MODELS[n % 4] }),
    plainWhere: 'accuracy >= ? AND modelType = ?',
    params: (n) => [0.5, MODELS[n % 4]],
    limit: 20,
  }),
]

async function time(ask) {
  globalThis.gc?.()
  const start = process.hrtime.bigint()
  for (let n = 0; n < queries; n += 1) {
    const rows = ask(n)
    if (rows instanceof Promise) await rows
  }
  return Number(process.hrtime.bigint() - start) / queries / 1000
}

for (const { title, contenders } of kinds) {
  const lengths = new Set()
  for (const ask of Object.values(contenders)) lengths.add((await ask(3)).length)
  if (lengths.size !== 1) throw new Error(`${title}: answers differ in length: ${[...lengths]}`)
  const found = new Map(Object.keys(contenders).map((name) => [name, []]))
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, ask] of Object.entries(contenders)) found.get(name).push(await time(ask))
  }
  const [own, joined] = [...found.values()].slice(0, 2).map(median)
  console.log(`\n${title} (${[...lengths][0]} rows)`)
  for (const [name, times] of found) {
    const us = median(times)
    const ratios = `${(us / own).toFixed(2)} x its own table, ${(us / joined).toFixed(2)} x the same tables`
    console.log(`  ${name.padEnd(34)} ${us.toFixed(1).padStart(8)} us  ${ratios}`)
  }
}
await cache.close()
plain.close()
same.close()
rmSync(folder, { recursive: true, force: true })
