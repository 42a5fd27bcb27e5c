#!/usr/bin/env node
// A pull-through table beside the plain query of its database: 100,000 rows that are all covered, and the same rows fetched and stored.
//
//   node bench/pull-through.mjs [--rows 100000] [--rounds 7]
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { date, defineTable, double, duckdb, integer, pullThrough, sqlite, text } from '../dist/index.mjs'

const { values: given } = parseArgs({
  options: {
    rows: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '7' },
    child: { type: 'string' },
    file: { type: 'string' },
  },
})
const ROWS = Number(given.rows)
const RUNS = 9
const START = Date.parse('1900-01-01')
const dayOf = (at) => new Date(START + at * 86_400_000).toISOString().slice(0, 10)
const ASK = { symbol: 'AAPL', date: { start: '1900-01-01', end: dayOf(ROWS - 1) } }
const COLUMNS = { symbol: text().primaryKey(), date: date().primaryKey(), close: double(), volume: integer() }
const rows = () =>
  Array.from({ length: ROWS }, (_, at) => ({
    symbol: 'AAPL',
    date: dayOf(at),
    close: at / 7,
    volume: at * 100,
  }))

const open = (engine, fetch = () => []) =>
  pullThrough({ engine, table: defineTable('prices', COLUMNS), range: 'date', fetch })
const SELECT =
  'SELECT symbol, date, close, volume FROM prices WHERE symbol = ? AND date >= ? AND date <= ? ORDER BY symbol, date'
let marks = 0
const PARAMS = [ASK.symbol, ASK.date.start, ASK.date.end]

/** Each gives a function that is timed, and one that ends it. Peers open the file that tierce has made. */
const CONTENDERS = {
  async 'tierce rows'(file) {
    const cache = open(sqlite(file))
    return [async () => (await cache.get(ASK)).rows().length, () => cache.close()]
  },
  async 'tierce columns'(file) {
    const cache = open(sqlite(file))
    return [async () => (await cache.get(ASK)).columns().close.length, () => cache.close()]
  },
  async 'better-sqlite3 rows'(file) {
    const Database = createRequire(import.meta.url)('better-sqlite3')
    const database = new Database(file, { readonly: true })
    const statement = database.prepare(SELECT)
    return [() => statement.all(...PARAMS).length, () => database.close()]
  },
  async 'tierce rows, DuckDB'(file) {
    const cache = open(duckdb(`${file}.duckdb`))
    return [async () => (await cache.get(ASK)).rows().length, () => cache.close()]
  },
  async 'tierce columns, DuckDB'(file) {
    const cache = open(duckdb(`${file}.duckdb`))
    return [async () => (await cache.get(ASK)).columns().close.length, () => cache.close()]
  },
  async '@duckdb/node-api rows'(file) {
    const [connection, end] = await duckdbPeer(file)
    const run = async () => (await connection.runAndReadAll(DUCKDB_SELECT, PARAMS)).getRowObjectsJS().length
    return [run, end]
  },
  async '@duckdb/node-api columns'(file) {
    const [connection, end] = await duckdbPeer(file)
    const run = async () =>
      (await connection.runAndReadAll(DUCKDB_SELECT, PARAMS)).getColumnsObjectJS().close.length
    return [run, end]
  },
  async 'tierce store'(file) {
    const all = rows()
    const cache = open(sqlite(`${file}.stored`), () => all)
    const run = async () => {
      await cache.invalidate()
      return (await cache.get(ASK)).length
    }
    return [run, () => cache.close()]
  },
  async 'better-sqlite3 store'(file) {
    const all = rows()
    const Database = createRequire(import.meta.url)('better-sqlite3')
    const database = new Database(`${file}.peer`)
    database.pragma('journal_mode = WAL')
    database.pragma('synchronous = NORMAL')
    database.exec(
      'CREATE TABLE IF NOT EXISTS prices (symbol TEXT NOT NULL, date TEXT NOT NULL, close REAL, volume INTEGER, PRIMARY KEY (symbol, date)) STRICT, WITHOUT ROWID',
    )
    const remove = database.prepare('DELETE FROM prices WHERE symbol = ? AND date >= ? AND date <= ?')
    const insert = database.prepare(
      'INSERT INTO prices VALUES (?, ?, ?, ?) ON CONFLICT (symbol, date) DO UPDATE SET close = excluded.close, volume = excluded.volume',
    )
    const select = database.prepare(SELECT)
    const store = database.transaction(() => {
      remove.run(...PARAMS)
      for (const { symbol, date, close, volume } of all) insert.run(symbol, date, close, volume)
    })
    const run = () => {
      store()
      return select.all(...PARAMS).length
    }
    return [run, () => database.close()]
  },
}

const DUCKDB_SELECT = SELECT.replace(/\?/g, () => `$${++marks}`)
  .replace('$2', '$2::DATE')
  .replace('$3', '$3::DATE')

async function duckdbPeer(file) {
  const { DuckDBInstance } = await import('@duckdb/node-api')
  const instance = await DuckDBInstance.create(`${file}.duckdb`, { access_mode: 'READ_ONLY' })
  const connection = await instance.connect()
  const end = () => {
    connection.closeSync()
    instance.closeSync()
  }
  return [connection, end]
}

const PAIRS = [
  ['all covered, as rows', 'tierce rows', 'better-sqlite3 rows'],
  ['all covered, as columns', 'tierce columns', 'better-sqlite3 rows'],
  ['DuckDB, all covered, as rows', 'tierce rows, DuckDB', '@duckdb/node-api rows'],
  ['DuckDB, all covered, as columns', 'tierce columns, DuckDB', '@duckdb/node-api columns'],
  ['fetched from memory and stored', 'tierce store', 'better-sqlite3 store'],
]

const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1]

/** In a process of its own: the median time of a run, in milliseconds. */
async function child(name, file) {
  const [run, end] = await CONTENDERS[name](file)
  const times = []
  for (let i = 0; i < RUNS + 2; i++) {
    const start = performance.now()
    const count = await run()
    if (i >= 2) times.push(performance.now() - start)
    if (count !== ROWS) throw new Error(`${name} found ${count} rows`)
  }
  await end()
  process.stdout.write(String(median(times)))
}

function measure(name, file) {
  const args = [fileURLToPath(import.meta.url), '--rows', String(ROWS), '--child', name, '--file', file]
  return Number(execFileSync(process.execPath, args, { encoding: 'utf8' }))
}

async function main() {
  const folder = mkdtempSync(join(tmpdir(), 'tierce-pull-'))
  const file = join(folder, 'prices.db')
  const all = rows()
  for (const engine of [sqlite(file), duckdb(`${file}.duckdb`)]) {
    const cache = open(engine, () => all)
    await cache.get(ASK)
    await cache.close()
  }
  const lines = [
    `${ROWS} rows of 4 columns; medians of ${given.rounds} rounds, in fresh processes that take turns.`,
    '',
  ]
  lines.push('|  | tierce, ms | peer, ms | tierce / peer |', '| --- | ---: | ---: | ---: |')
  for (const [title, own, peer] of PAIRS) {
    const times = { own: [], peer: [] }
    for (let round = 0; round < Number(given.rounds); round++) {
      times.own.push(measure(own, file))
      times.peer.push(measure(peer, file))
    }
    const ratio = median(times.own.map((time, i) => time / times.peer[i]))
    lines.push(
      `| ${title}, against ${peer.split(' ')[0]} | ${median(times.own).toFixed(1)} | ${median(times.peer).toFixed(1)} | ${ratio.toFixed(2)} |`,
    )
  }
  rmSync(folder, { recursive: true })
  process.stdout.write(`${lines.join('\n')}\n`)
}

await (given.child === undefined ? main() : child(given.child, given.file))
