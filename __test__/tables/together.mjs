// A release of DuckDB's own package, Polars and tables in one process, loaded in the order of the arguments.

import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const require = createRequire(import.meta.url)
const dir = mkdtempSync(join(tmpdir(), 'tierce-together-'))

/** A query that makes exceptions, threads, casts and formats of DuckDB's work. */
const SQL =
  "SELECT sum(x)::BIGINT AS sum, max(strftime(TIMESTAMP '2024-01-01' + to_days(x::INT % 9), '%Y-%m-%d')) AS day FROM range(100000) t(x)"

async function duckdb(name) {
  const { DuckDBInstance } = require(name)
  const instance = await DuckDBInstance.create(join(dir, `${name.replaceAll('/', '-')}.db`))
  const connection = await instance.connect()
  const work = async () => {
    const [row] = (await connection.runAndReadAll(SQL)).getRowObjects()
    if (row.sum !== 4999950000n || row.day !== '2024-01-09')
      throw new Error(`${name} computed ${row.sum}, ${row.day}`)
    await connection.run('CREATE OR REPLACE TABLE t AS FROM range(10000)')
    await connection.run("SELECT 'x'::INT").then(
      () => Promise.reject(new Error('a cast that cannot be done was done')),
      (error) => {
        if (!error.message.includes('Conversion Error')) throw error
      },
    )
  }
  const [{ v }] = (await connection.runAndReadAll('SELECT version() AS v')).getRowObjects()
  return {
    version: v,
    work,
    close: () => {
      connection.closeSync()
      instance.closeSync()
    },
  }
}

async function tables() {
  const { TableCache } = require('../../dist/index.js')
  const cache = new TableCache({ dir, threads: 2 })
  await cache.update('t', [{ a: 1 }])
  const db = await cache.connect()
  const work = async () => {
    const [row] = await db.query(SQL)
    if (row.sum !== 4999950000n || row.day !== '2024-01-09')
      throw new Error(`the tables computed ${row.sum}, ${row.day}`)
    await cache.update(
      't',
      Array.from({ length: 1000 }, (_, a) => ({ a, text: `row ${a}` })),
    )
    const failed = await db
      .query("SELECT 'x'::INT")
      .rows()
      .catch((error) => error)
    if (failed.code !== 'E_QUERY') throw failed
  }
  const [{ v }] = await db.query('SELECT version() AS v')
  return {
    version: v,
    work,
    close: async () => {
      await db.close()
      await cache.close()
    },
  }
}

async function polars() {
  const pl = require('nodejs-polars')
  const work = async () => {
    const sum = pl
      .DataFrame({ a: [1, 2, 3] })
      .select(pl.col('a').sum())
      .toRecords()[0].a
    if (sum !== 6) throw new Error(`polars computed ${sum}`)
  }
  return { version: 'polars', work, close() {} }
}

const makers = {
  tables,
  polars,
  same: () => duckdb('@duckdb/node-api'),
  older: () => duckdb('@duckdb/node-api-older'),
}
const all = []
for (const name of process.argv.slice(2)) {
  all.push(await makers[name]())
  await all.at(-1).work()
}
for (let round = 0; round < 5; round++) await Promise.all(all.map(({ work }) => work()))
for (const { close } of all) await close()
rmSync(dir, { recursive: true })
process.stdout.write(`${all.map(({ version }) => version).join(' ')}\n`)
