// A cache of tables over real files: each day's trades come as CSV, reference data as Parquet, and a report needs both. A file is read only
// where the cache has no table of it that is young enough. Prints what was read and what came from the cache, and draws it.
//
//   node examples/tables.mjs [picture.svg]
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TableCache } from 'tierce'
import { stepsSvg } from './lib/coverage-svg.mjs'

const folder = mkdtempSync(join(tmpdir(), 'tierce-tables-'))
const data = join(folder, 'data')
const DAYS = ['2024-03-01', '2024-03-04', '2024-03-05']
const SYMBOLS = ['AAPL', 'MSFT', 'NVDA', 'SAP']

/** The files, as other systems would leave them. */
async function makeFiles() {
  mkdirSync(data)
  for (const [at, day] of DAYS.entries()) {
    const lines = Array.from({ length: 20_000 }, (_, row) => {
      const symbol = SYMBOLS[(row + at) % SYMBOLS.length]
      return `${day} ${String(9 + (row % 8)).padStart(2, '0')}:00:00,${symbol},${(100 + (row % 50) + at).toFixed(2)},${1 + (row % 9)}`
    })
    writeFileSync(join(data, `trades-${day}.csv`), `at,symbol,price,quantity\n${lines.join('\n')}\n`)
  }
  const scratch = new TableCache()
  await scratch.update('sectors', { symbol: SYMBOLS, sector: ['hardware', 'software', 'chips', 'software'] })
  const db = await scratch.connect()
  await db.query('FROM sectors').parquet(join(data, 'sectors.parquet'))
  await db.close()
  await scratch.close()
}

let now = Date.parse('2024-03-06T08:00:00Z')
let [read, cached] = [[], []]
const steps = []
/** What became of each table at each step. */
const kinds = new Map()

/** The table of a file: from the cache, or else from the file. */
async function table(tables, name, file, ttl) {
  const isThere = await tables.check(name)
  kinds.set(name, [...(kinds.get(name) ?? []), isThere ? 'cached' : 'fetched'])
  if (isThere) cached.push(name)
  else {
    read.push(file)
    await tables.update(name, join(data, file), { ttl })
  }
  return `"${name}"`
}

async function report(tables, step) {
  steps.push(step)
  ;[read, cached] = [[], []]
  const days = []
  for (const day of DAYS)
    days.push(`FROM ${await table(tables, `trades ${day}`, `trades-${day}.csv`, 'never')}`)
  const sectors = await table(tables, 'sectors', 'sectors.parquet', '1h')
  const db = await tables.connect()
  const rows = await db.query(
    `SELECT sector, count(*)::INTEGER AS trades, round(sum(price * quantity), 2) AS turnover
     FROM (${days.join(' UNION ALL ')}) JOIN ${sectors} USING (symbol) WHERE quantity >= $least GROUP BY sector ORDER BY sector`,
    { least: 2 },
  )
  console.log(
    `read ${read.length} files (${read.join(', ') || 'none'}), ${cached.length} tables from the cache`,
  )
  await db.close()
  return rows
}

try {
  await makeFiles()
  const options = { dir: join(folder, 'cache'), now: () => now }
  const before = new TableCache(options)
  const first = await report(before, 'the first report')
  console.table(first)
  assert.equal(read.length, 4)
  await before.close()

  const tables = new TableCache(options) // as a new process would
  try {
    assert.deepEqual(await report(tables, 'a new program'), first)
    assert.deepEqual([read.length, cached.length], [0, 4])

    now += 2 * 3_600_000 // reference data is an hour old at most
    assert.deepEqual(await report(tables, 'two hours later'), first)
    assert.deepEqual(read, ['sectors.parquet'])

    await tables.clear({ table: `trades ${DAYS[1]}` })
    assert.deepEqual(await report(tables, 'one day was cleared'), first)
    assert.deepEqual(read, [`trades-${DAYS[1]}.csv`])

    const { tables: known, size } = await tables.info()
    for (const { table: name, rows, age } of known)
      console.log(`${name}: ${rows} rows, ${age / 60_000} minutes old`)
    console.log(`${(size / 1e6).toFixed(1)} MB in use`)
    assert.equal(
      known.reduce((sum, { rows }) => sum + rows, 0),
      60_004,
    )
    const rows = new Map(known.map((each) => [each.table, each.rows]))
    const lanes = [...kinds].map(([label, of]) => ({ label, note: `${rows.get(label)}`, kinds: of }))
    const svg = stepsSvg({
      title: 'Tables of a report: which were read from their files',
      subtitle: 'A lane a table, a column a report; trades are kept for ever, sectors for an hour',
      steps,
      lanes,
    })
    const picture = process.argv[2]
    if (picture !== undefined) writeFileSync(picture, svg)
    console.log(
      `${picture === undefined ? 'Give a path to have the picture written' : `Picture: ${picture}`} (${svg.length} bytes of SVG)`,
    )
  } finally {
    await tables.close()
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
