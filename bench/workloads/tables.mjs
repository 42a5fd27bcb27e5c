// One million rows of five columns into a table, a group-by out of it, and all rows out as columns; by tierce from and to Arrow's memory, and
// by DuckDB's own package with its appender and its column reader. Both on files, with DuckDB of the same release.
import { createRequire } from 'node:module'
import { join } from 'node:path'

const require = createRequire(import.meta.url)
const ROWS = 1_000_000
const GROUP_BY =
  'SELECT symbol, count(*)::INTEGER AS n, avg(price) AS price, sum(volume) AS volume FROM t GROUP BY symbol ORDER BY symbol'
const NUMBERS = 'SELECT id, quantity, price, volume FROM t'
const ALL = 'SELECT * FROM t'

/** The rows as plain columns. */
function columnsOf(rows) {
  const symbols = Array.from({ length: 1000 }, (_, at) => `SYM${at}`)
  return {
    id: Int32Array.from({ length: rows }, (_, row) => row),
    quantity: Int32Array.from({ length: rows }, (_, row) => (row * 7919) % 1000),
    price: Float64Array.from({ length: rows }, (_, row) => 100 + Math.sin(row) * 10),
    volume: Float64Array.from({ length: rows }, (_, row) => (row * 31) % 100_003),
    symbol: Array.from({ length: rows }, (_, row) => symbols[(row * 17) % 1000]),
  }
}

const contenders = {
  async tierce(folder, columns) {
    const arrow = require('apache-arrow')
    const { TableCache } = require('../../dist/index.js')
    const tables = new TableCache({ dir: folder })
    const { symbol, ...numbers } = columns
    const table = new arrow.Table({
      ...Object.fromEntries(
        Object.entries(numbers).map(([name, values]) => [name, arrow.makeVector(values)]),
      ),
      symbol: arrow.vectorFromArray(symbol, new arrow.Utf8()),
    })
    await tables.listTables()
    const db = await tables.connect()
    return {
      update: () => tables.update('t', table),
      read: (sql) => db.query(sql).columns(),
      close: async () => {
        await db.close()
        await tables.close()
      },
    }
  },

  async '@duckdb/node-api'(folder, columns) {
    const { DOUBLE, DuckDBDataChunk, DuckDBInstance, INTEGER, VARCHAR } = require('@duckdb/node-api')
    const instance = await DuckDBInstance.create(join(folder, 'peer.duckdb'))
    const connection = await instance.connect()
    // Its quickest way in: whole vectors of 2048 values.
    const rows = columns.id.length
    const chunks = Array.from({ length: Math.ceil(rows / 2048) }, (_, at) =>
      Object.values(columns).map((values) => Array.from(values.slice(at * 2048, (at + 1) * 2048))),
    )
    return {
      async update() {
        await connection.run(
          'CREATE OR REPLACE TABLE t (id INTEGER, quantity INTEGER, price DOUBLE, volume DOUBLE, symbol VARCHAR)',
        )
        const appender = await connection.createAppender('t')
        for (const values of chunks) {
          const chunk = DuckDBDataChunk.create([INTEGER, INTEGER, DOUBLE, DOUBLE, VARCHAR], values[0].length)
          chunk.setColumns(values)
          appender.appendDataChunk(chunk)
        }
        appender.closeSync()
      },
      read: async (sql) => (await connection.runAndReadAll(sql)).getColumnsObjectJS(),
      close: async () => {
        connection.closeSync()
        instance.closeSync()
      },
    }
  },
}

async function timed(run) {
  const cpu = process.cpuUsage()
  const start = process.hrtime.bigint()
  const result = await run()
  const wall = Number(process.hrtime.bigint() - start)
  const { user, system } = process.cpuUsage(cpu)
  return { time: { wall, cpu: (user + system) * 1000, ops: 1 }, result }
}

async function run({ contender, scale, folder }) {
  const rows = Math.round(ROWS * scale)
  const peer = await contenders[contender](folder, columnsOf(rows))
  const found = {}
  for (const round of ['cold', 'warm']) {
    found.update = (await timed(() => peer.update())).time
    for (const [name, sql, length] of [
      ['group', GROUP_BY, 1000],
      ['numbers', NUMBERS, rows],
      ['all', ALL, rows],
    ]) {
      const { time, result } = await timed(() => peer.read(sql))
      if (Object.values(result)[0].length !== length)
        throw new Error(`${name} gave another number of rows, ${round}`)
      found[name] = time
    }
  }
  await peer.close()
  return found
}

export const workloads = [
  {
    id: 'tables',
    group: 'tables',
    contenders: Object.keys(contenders),
    rows: {
      update: 'a table of 1 M rows × 5 columns is replaced',
      group: 'a group-by over it, as columns',
      numbers: '1 M rows × 4 numbers out, as columns',
      all: '1 M rows × 5 columns out, text too',
    },
    run,
  },
]
