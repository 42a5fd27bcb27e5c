const assert = require('node:assert/strict')
const { readFileSync } = require('node:fs')
const { join } = require('node:path')

/** The thin path through the tables: what `@tierce/columnar` has to do in an installed package. */
exports.exerciseTables = async function exerciseTables({ Cache, TableCache }, dir) {
  const tables = new TableCache({ dir: join(dir, 'tables') })
  assert.equal(
    await tables.update('prices', [
      { symbol: 'A', close: 1.5 },
      { symbol: 'B', close: 2.5 },
    ]),
    2,
  )
  const db = await tables.connect()
  const columns = await db.query('SELECT symbol, close FROM prices WHERE close > ?', [2]).columns()
  assert.deepEqual(columns, { symbol: ['B'], close: Float64Array.of(2.5) })
  await db.close()
  await tables.close()
  const cache = new Cache({ dir: join(dir, 'cache') })
  await cache.set('plain', 1)
  await cache.close()
  console.log(`ok ${process.version}`)
  // Where the loader found DuckDB: beside the addon, and nowhere else.
  if (process.platform === 'linux') {
    const maps = readFileSync('/proc/self/maps', 'utf8')
    console.log(`library ${[...new Set(maps.match(/\/\S*\/libtd\d+\.so$/gm))].join(' ')}`)
  }
}

/** What the tables say where the package is not as it has to be. */
exports.refusal = async function refusal({ TableCache }) {
  const error = await new TableCache().listTables().catch((failed) => failed)
  console.log(JSON.stringify({ code: error.code, message: error.message }))
}
