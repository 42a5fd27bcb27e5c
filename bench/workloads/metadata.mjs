// Indexed queries of custom metadata over 100,000 entries, against bare SQL through better-sqlite3 on a table of its own that holds
// just the keys and the columns. Kysely builds and compiles each query anew, but for the form that says otherwise: its own dialect over that
// table says what this costs.
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { Kysely, SqliteDialect } from 'kysely'
import { Cache, double, integer, text } from '../../dist/index.mjs'
import { kysely } from '../../dist/kysely.mjs'
import { asking, measure, measureInTurn } from '../lib/measure.mjs'

const COUNT = 100_000
const ROUNDS = 5
const MODELS = ['xgboost', 'forest', 'linear', 'transformer']
const COLUMNS = ['key', 'accuracy', 'modelType', 'name', 'epochs', 'seed']
const meta = {
  experiments: {
    accuracy: double().index(),
    modelType: text().index(),
    name: text().unique(),
    epochs: integer(),
    seed: integer(),
  },
}
const rowOf = (i, count) => ({
  accuracy: ((i * 7919) % count) / count,
  modelType: MODELS[i % 4],
  name: `experiment number ${i}`,
  epochs: i % 100,
  seed: i * 31,
})

async function tierce(folder, count, queryOf) {
  const cache = new Cache({ dir: join(folder, 'cache'), meta })
  for (let i = 0; i < count; i += 1000) {
    const some = Array.from({ length: Math.min(1000, count - i) }, (_, j) => i + j)
    await Promise.all(
      some.map((k) =>
        cache.set(`experiment:${k}`, { result: k }, { meta: { experiments: rowOf(k, count) } }),
      ),
    )
  }
  return { query: queryOf(cache), close: () => cache.close() }
}

async function plain(folder, count, queryOf) {
  const db = new Database(join(folder, 'data.sqlite'))
  db.pragma('journal_mode = WAL')
  db.exec(`CREATE TABLE experiments (key TEXT PRIMARY KEY, accuracy REAL, modelType TEXT, name TEXT UNIQUE, epochs INTEGER, seed INTEGER);
    CREATE INDEX by_accuracy ON experiments (accuracy); CREATE INDEX by_model ON experiments (modelType)`)
  const insert = db.prepare('INSERT INTO experiments VALUES (?, ?, ?, ?, ?, ?)')
  db.transaction(() => {
    for (let i = 0; i < count; i += 1) insert.run(`experiment:${i}`, ...Object.values(rowOf(i, count)))
  })()
  return { query: queryOf(db), close: () => db.close() }
}

const sqlOf = ({ sql }) => `SELECT ${COLUMNS.join(', ')} FROM experiments WHERE ${sql}`

function byKysely(database) {
  return ({ build }, params) => build(database.selectFrom('experiments').select(COLUMNS), params).execute()
}

/** The same, compiled once for each kind of query, as one does where it is asked often. */
function byCompiled(database) {
  const compiled = new Map()
  return (kind, params) => {
    if (!compiled.has(kind))
      compiled.set(kind, kind.build(database.selectFrom('experiments').select(COLUMNS), params).compile())
    return database.executeQuery({ ...compiled.get(kind), parameters: params }).then(({ rows }) => rows)
  }
}

const contenders = {
  'tierce find': (...given) =>
    tierce(
      ...given,
      (cache) =>
        ({ where }, params) =>
          cache.find('experiments', { where: where(params) }),
    ),
  'tierce query': (...given) =>
    tierce(...given, (cache) => (kind, params) => cache.query(sqlOf(kind), params)),
  'tierce Kysely': (...given) => tierce(...given, (cache) => byKysely(kysely(cache))),
  'tierce Kysely, compiled': (...given) => tierce(...given, (cache) => byCompiled(kysely(cache))),
  'better-sqlite3': (...given) =>
    plain(...given, (db) => {
      const statements = new Map(Object.values(KINDS).map((kind) => [kind, db.prepare(sqlOf(kind))]))
      return (kind, params) => statements.get(kind).all(...params)
    }),
  'Kysely on better-sqlite3': (...given) =>
    plain(...given, (db) => byKysely(new Kysely({ dialect: new SqliteDialect({ database: db }) }))),
}

const ranged = (rows) => ({
  rows,
  times: Math.ceil(100_000 / rows), // enough that the engine has compiled what each contender runs
  sql: 'accuracy >= ? AND accuracy < ?',
  params: (n, count) => {
    const from = ((n * 37) % 90) / 100
    return [from, from + rows / count]
  },
  where: ([gte, lt]) => ({ accuracy: { gte, lt } }),
  build: (query, [from, to]) => query.where('accuracy', '>=', from).where('accuracy', '<', to),
})

/** Each kind of query: how each contender asks it, with parameters that change from query to query. */
const KINDS = {
  one: {
    rows: 1,
    times: 10_000,
    sql: 'name = ?',
    params: (n, count) => [`experiment number ${(n * 7) % count}`],
    where: ([name]) => ({ name }),
    build: (query, [name]) => query.where('name', '=', name),
  },
  twenty: ranged(20),
  hundred: ranged(100),
  thousand: ranged(1000),
}

async function run({ contender, scale, folder }) {
  const count = Math.ceil(COUNT * scale)
  const store = await contenders[contender](folder, count)
  const pieces = {}
  for (const [id, kind] of Object.entries(KINDS)) {
    const ask = (n) => store.query(kind, kind.params(n, count))
    // A bound may fall on a value or beside it.
    pieces[id] = asking(kind.times, ask, ({ length }) => Math.abs(length - kind.rows) <= 1)
  }
  const found = await measureInTurn(pieces, { rounds: ROUNDS, warmup: 1, by: measure }) // statements are prepared
  await store.close()
  return found
}

export const workloads = [
  {
    id: 'metadata',
    group: 'metadata',
    contenders: Object.keys(contenders),
    run,
    rows: {
      one: 'one row by a unique column',
      twenty: '20 rows of a range',
      hundred: '100 rows of a range',
      thousand: '1000 rows of a range',
    },
  },
]
