import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Cache, type CacheOptions } from 'tierce'
import { expect, it } from 'vitest'
import { runScript } from '../helpers/child.js'
import { tempDir } from '../helpers/temp.js'
import { check } from './values.mjs'

const ROUNDS = Number(process.env.TIERCE_KILL_ROUNDS ?? 50)
const writer = fileURLToPath(new URL('writer.mjs', import.meta.url))

/** Of a key that is removed, and of one that was being removed. */
const [GONE, MAYBE] = [-1, -2]

/** What was acknowledged: the number of the newest value of each key, or one of these two. */
type Acknowledged = Map<string, number>

function note(acknowledged: Acknowledged, lines: readonly string[]): void {
  for (const line of lines) {
    const [sign, key = '', number] = line.split(' ')
    if (sign === '+') acknowledged.set(key, Number(number))
    if (sign === '?') acknowledged.set(key, MAYBE)
    if (sign === '-') acknowledged.set(key, GONE)
  }
}

/** Runs a writer for a while, kills it, and gives what it said. */
async function writeAndKill(dir: string, round: number, key?: string): Promise<string[]> {
  const child = runScript(writer, [dir, round, round % 2 === 0], { TIERCE_TEST_KEY: key })
  await child.said('ready')
  await new Promise((resolve) => setTimeout(resolve, (round * 37) % 160))
  child.process.kill('SIGKILL')
  await once(child.process, 'close')
  await child.done.catch(() => {})
  return child.lines
}

async function verify(dir: string, acknowledged: Acknowledged, kept: CacheOptions): Promise<number> {
  const cache = new Cache({ dir, memory: false, ...kept })
  const faults: string[] = []
  cache.on('error', (error) => faults.push(`${error.code}: ${error.message}`))
  let seen = 0
  for await (const key of cache.keys()) {
    const value = await cache.get<Buffer>(key as string)
    expect(value, `${key} is listed`).toBeDefined()
    check(key as string, value as Buffer) // whole, acknowledged or not
    seen++
  }
  for (const [key, number] of acknowledged) {
    const value = await cache.get<Buffer>(key)
    if (number === MAYBE) continue
    if (number === GONE) {
      if (value !== undefined) expect.fail(`${key} was removed and is back`)
    } else if (value === undefined) expect.fail(`${key} was acknowledged and is gone`)
    // A newer one may have been stored and not yet acknowledged.
    else expect(check(key, value), key).toBeGreaterThanOrEqual(number)
  }
  expect(faults).toEqual([])
  await cache.close()
  return seen
}

/** Names of the files that hold values. */
function valueFiles(dir: string): string[] {
  const folder = join(dir, 'values')
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name)
}

/** Entries whose value is in a file. */
async function entriesInFiles(dir: string): Promise<number> {
  const cache = new Cache({ dir, memory: false })
  let count = 0
  for await (const key of cache.keys()) {
    if (((await cache.entry(key))?.storedSize ?? 0) > 32 * 1024) count++
  }
  await cache.close()
  return count
}

it.each([
  { sort: 'plain', rounds: ROUNDS, key: undefined },
  { sort: 'encrypted', rounds: Math.ceil(ROUNDS / 5), key: 'ab'.repeat(32) },
])(
  'kill_dash_9_of_a_writer_loses_nothing_acknowledged_and_shows_nothing_partial ($sort, $rounds rounds)',
  async ({ rounds, key }) => {
    const kept = key === undefined ? {} : { encryption: { key } }
    const dir = join(tempDir(), 'cache')
    const acknowledged: Acknowledged = new Map()
    let writes = 0
    for (let round = 0; round < rounds; round++) {
      const lines = await writeAndKill(dir, round, key)
      writes += lines.length
      note(acknowledged, lines)
      await verify(dir, acknowledged, kept)
      // What was checked goes, so that a round costs the same however many there are.
      const cache = new Cache({ dir, memory: false, ...kept })
      for (const own of [...acknowledged.keys()].filter((name) => name.startsWith('own-'))) {
        await cache.delete(own)
        acknowledged.delete(own)
      }
      await cache.close()
    }
    expect(writes).toBeGreaterThanOrEqual(rounds)
    expect(await verify(dir, acknowledged, kept)).toBeGreaterThan(0)
  },
)

it('kill_dash_9_leaves_no_orphan_file_after_the_next_open', async () => {
  const dir = join(tempDir(), 'cache')
  for (let round = 1; round <= 5; round++) {
    await writeAndKill(dir, round)
    await new Cache({ dir }).close()
    expect(valueFiles(dir)).toHaveLength(await entriesInFiles(dir))
  }
})

it('kill_dash_9_leaves_no_lock_file_of_a_dead_owner', async () => {
  const dir = join(tempDir(), 'cache')
  const child = runScript(fileURLToPath(new URL('idler.mjs', import.meta.url)), [dir])
  await child.said('stored')
  child.process.kill('SIGKILL')
  await once(child.process, 'close')
  await new Cache({ dir }).close()
  expect(readdirSync(join(dir, 'owners'))).toEqual([])
})
