import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { describe, expect, it } from 'vitest'
import { type Child, runScript } from '../helpers/child.js'
import { failure } from '../helpers/errors.js'
import { tempDir } from '../helpers/temp.js'
import { openTables, rowsOf } from './helpers.js'

const SCRIPT = fileURLToPath(new URL('child.mjs', import.meta.url))
const KILLS = Number(process.env.TIERCE_KILL_ROUNDS ?? 8)

const run = (task: string, ...args: unknown[]) => runScript(SCRIPT, [task, ...args])

async function openIn(dir: string, options: object): Promise<unknown> {
  const lines = await run('open', dir, JSON.stringify(options)).done
  return JSON.parse(lines.at(-1)!)
}

async function kill(child: Child): Promise<void> {
  const ended = new Promise((resolve) => child.process.once('close', resolve))
  child.process.kill('SIGKILL')
  await ended
}

describe('several processes', () => {
  it('a second one is told who has the database', async () => {
    const dir = tempDir()
    const holder = run('hold', dir, '{}')
    await holder.said('open')
    const error = await failure(openTables({ dir }).listTables())
    expect(error.code).toBe('E_LOCK_TIMEOUT')
    expect(error.context?.pid).toBe(String(holder.process.pid))
    expect(error.message).toContain(String(holder.process.pid))
    expect((await failure(openTables({ dir, readOnly: true }).listTables())).code).toBe('E_LOCK_TIMEOUT')
    const waiting = openTables({ dir, lockTimeout: '20s' }).listTables()
    await kill(holder)
    expect(await waiting).toEqual([])
  })

  it('readers share a database with readers, and with nobody who writes', async () => {
    const dir = tempDir()
    const writer = openTables({ dir })
    await writer.update('t', [{ a: 1 }])
    expect(await openIn(dir, { readOnly: true })).toMatchObject({
      code: 'E_LOCK_TIMEOUT',
      context: { pid: String(process.pid) },
    })
    await writer.backup()
    expect(await openIn(dir, { snapshot: true })).toEqual({ tables: ['t'] })
    expect((await failure(openTables({ dir, readOnly: true }).listTables())).code).toBe('E_LOCK_TIMEOUT')
    await writer.close()
    const reader = openTables({ dir, readOnly: true })
    expect(await rowsOf(reader, 'FROM t')).toEqual([{ a: 1 }])
    expect(await openIn(dir, { readOnly: true })).toEqual({ tables: ['t'] })
    expect(await openIn(dir, {})).toMatchObject({ code: 'E_LOCK_TIMEOUT' })
    expect((await failure(rowsOf(reader, 'CREATE TABLE x (a INT)'))).code).toBe('E_READ_ONLY')
  })

  it('kill -9 while tables are replaced: the old or the new one, and nothing acknowledged is lost', async () => {
    const dir = tempDir()
    let logged = 0
    for (let round = 0; round < KILLS; round++) {
      const child = run('write', dir, 20_000)
      await child.said(`logged ${1 + (round % 2)}`)
      await new Promise((resolve) => setTimeout(resolve, 7 * round))
      await kill(child)
      logged += child.lines.filter((line) => line.startsWith('logged')).length
      const last = Number(child.lines.findLast((line) => line.startsWith('wrote'))?.split(' ')[1])
      const tables = openTables({ dir })
      const [seen] = (await rowsOf(tables, 'SELECT count(*) n, min(round) low, max(round) high FROM t')) as {
        n: bigint
        low: number
        high: number
      }[]
      expect(seen.n).toBe(20_000n)
      expect(seen.low).toBe(seen.high)
      expect(seen.high - last).toBeOneOf([0, 1]) // written, and not yet said
      const [log] = (await rowsOf(tables, 'SELECT count(*)::INTEGER n FROM log')) as { n: number }[]
      expect(log.n - logged).toBeGreaterThanOrEqual(0)
      logged = log.n
      await tables.close()
    }
  })

  it('kill -9 while a backup is made: the old or the new backup', async () => {
    const dir = tempDir()
    for (let round = 0; round < KILLS; round++) {
      const child = run('backup', dir, 20_000)
      await child.said('backed up 1')
      await new Promise((resolve) => setTimeout(resolve, 11 * round))
      await kill(child)
      const last = Number(child.lines.findLast((line) => line.startsWith('backed up'))?.split(' ')[2])
      const snapshot = openTables({ dir, snapshot: true })
      const [seen] = (await rowsOf(
        snapshot,
        'SELECT count(*) n, min(round) low, max(round) high FROM t',
      )) as { n: bigint; low: number; high: number }[]
      expect([seen.n, seen.low]).toEqual([20_000n, seen.high])
      expect(seen.high - last).toBeOneOf([0, 1])
      await snapshot.close()
    }
  })
})

describe('several threads', () => {
  it('eight workers on one file: no error, no lost row', async () => {
    const dir = tempDir()
    const [workers, rounds] = [8, 6]
    const threads = Array.from({ length: workers }, (_, worker) => {
      const thread = new Worker(SCRIPT, { workerData: ['share', dir, worker, rounds] })
      return new Promise<void>((resolve, reject) => {
        thread.on('error', reject)
        thread.on('exit', (code) =>
          code === 0 ? resolve() : reject(new Error(`a worker ended with ${code}`)),
        )
      })
    })
    const tables = openTables({ dir })
    await tables.listTables()
    await Promise.all(threads)
    const all = BigInt(workers * rounds)
    expect(
      await rowsOf(tables, 'SELECT count(*) n, count(DISTINCT (worker, round)) d FROM appended'),
    ).toEqual([{ n: all, d: all }])
    expect(
      await rowsOf(tables, 'SELECT count(*) n, count(DISTINCT (worker, round)) d FROM upserted'),
    ).toEqual([{ n: all, d: all }])
    expect(await rowsOf(tables, 'SELECT count(*) n FROM replaced')).toEqual([{ n: 1n }])
    for (let worker = 0; worker < workers; worker++)
      expect(await rowsOf(tables, `FROM own${worker}`)).toEqual([{ worker, round: rounds - 1 }])
  })

  it('a worker that is ended in the middle harms nobody', async () => {
    const dir = tempDir()
    const tables = openTables({ dir })
    await tables.update('t', [{ a: 1 }])
    for (let round = 0; round < 3; round++) {
      const thread = new Worker(SCRIPT, { workerData: ['write', dir, 2000], stdout: true })
      await new Promise((resolve) => thread.stdout.once('data', resolve))
      await thread.terminate()
      expect(await rowsOf(tables, 'SELECT count(*) n FROM t')).toEqual([{ n: 2000n }])
    }
  })
})
