// What processes and worker threads of the tests do with tables. Loads the built package, as users do.
import { createRequire } from 'node:module'
import { isMainThread, workerData } from 'node:worker_threads'

const { TableCache } = createRequire(import.meta.url)('../../dist/index.js')
const [task, dir, ...args] = isMainThread ? process.argv.slice(2) : workerData
const say = (line) => process.stdout.write(`${line}\n`)
const rows = (round, count) => Array.from({ length: count }, (_, id) => ({ id, round }))

const tasks = {
  /** Holds the database until it is ended. */
  async hold(options) {
    const tables = new TableCache({ dir, ...JSON.parse(options) })
    await tables.listTables()
    say('open')
    setInterval(() => tables, 1000) // what nobody refers to is collected, and closed
  },
  /** Opens the database and says how that ended. */
  async open(options) {
    const tables = new TableCache({ dir, lockTimeout: 0, ...JSON.parse(options) })
    try {
      say(JSON.stringify({ tables: await tables.listTables() }))
    } catch (error) {
      say(JSON.stringify({ code: error.code, context: error.context }))
    }
    await tables.close()
  },
  /** Replaces a table again and again, and says which round is there. */
  async write(count) {
    const tables = new TableCache({ dir })
    for (let round = 1; ; round++) {
      await tables.update('t', rows(round, Number(count)))
      say(`wrote ${round}`)
      await tables.append('log', [{ round }])
      say(`logged ${round}`)
    }
  },
  /** Makes backups while it writes. */
  async backup(count) {
    const tables = new TableCache({ dir })
    for (let round = 1; ; round++) {
      await tables.update('t', rows(round, Number(count)))
      await tables.backup()
      say(`backed up ${round}`)
    }
  },
  /** One of several threads: writes its own rows by each way, and reads all. */
  async share(worker, rounds) {
    const tables = new TableCache({ dir, threads: 2 })
    const db = await tables.connect()
    for (let round = 0; round < Number(rounds); round++) {
      const row = { worker: Number(worker), round }
      await tables.append('appended', [row])
      await tables.upsert('upserted', [row], { key: ['worker', 'round'] })
      await tables.update('replaced', [row])
      await tables.update(`own${worker}`, [row])
      const seen = await db.query('SELECT count(*) n FROM replaced').rows()
      if (seen[0].n !== 1n) throw new Error(`a reader saw ${seen[0].n} rows of one`)
    }
    await db.close()
    await tables.close()
  },
}

await tasks[task](...args)
