import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Cache } from 'tierce'
import { expect, it } from 'vitest'
import { runScript } from '../helpers/child.js'
import { openCache, tempDir } from '../helpers/temp.js'

const SECONDS = Number(process.env.TIERCE_SHARE_SECONDS ?? 10)
const sharer = fileURLToPath(new URL('sharer.mjs', import.meta.url))
const keeper = fileURLToPath(new URL('keeper.mjs', import.meta.url))
const echo = fileURLToPath(new URL('echo.mjs', import.meta.url))

it.each([
  { tiers: 'disk', memory: false, seconds: SECONDS / 2 },
  { tiers: 'memory and disk', memory: true, seconds: SECONDS / 2 },
  { tiers: 'memory and encrypted disk', memory: true, seconds: SECONDS / 4, key: 'ab'.repeat(32) },
  { tiers: 'memory and disk with a journal', memory: true, seconds: SECONDS / 4, journal: true },
  { tiers: 'memory and disk, eight', memory: true, seconds: SECONDS / 4, processes: 8 },
  {
    tiers: 'memory and disk with a journal, eight',
    memory: true,
    seconds: SECONDS / 4,
    processes: 8,
    journal: true,
  },
])(
  'processes_share_a_directory_with_no_error_no_lost_write_and_no_old_value ($tiers)',
  async ({ memory, seconds, key, journal = false, processes = 2 }) => {
    const folder = tempDir()
    const board = join(folder, 'board')
    writeFileSync(board, Buffer.alloc(8 * 6 * processes))
    const args = (me: number) => [join(folder, 'cache'), board, me, processes, seconds, memory, journal]
    const children = Array.from({ length: processes }, (_, me) =>
      runScript(sharer, args(me), { TIERCE_TEST_KEY: key }),
    )
    for (const lines of await Promise.all(children.map((child) => child.done))) {
      const [writes = 0, reads = 0] = (lines.at(-1) ?? '').split(' ').map(Number)
      expect(writes).toBeGreaterThan(0)
      expect(reads).toBeGreaterThan(0)
    }
  },
)

it.each([
  { sort: 'plain', key: undefined, kept: {} },
  { sort: 'encrypted', key: 'ab'.repeat(32), kept: { encryption: { key: 'ab'.repeat(32) } } },
])('a_write_of_another_process_is_seen_by_this_ones_memory_at_once ($sort)', async ({ key, kept }) => {
  const dir = join(tempDir(), 'cache')
  const cache = openCache({ dir, ...kept })
  await cache.set('k', 0)
  const child = runScript(echo, [dir], { TIERCE_TEST_KEY: key })
  await child.said('ready')
  for (let round = 1; round <= 100; round++) {
    expect(cache.getSync('k')).toBe(round - 1) // in memory from here on
    expect((await cache.entry('k'))?.tier).toBe('memory')
    child.process.stdin.write(`${round}\n`)
    await child.said(`stored ${round}`)
    expect(cache.getSync('k')).toBe(round)
    expect(await cache.get('k')).toBe(round)
  }
  child.process.stdin.end('delete\n')
  await child.said('deleted')
  expect(cache.getSync('k')).toBeUndefined()
  await child.done
})

it.each(['json', 'sqlite'] as const)(
  'each_of_the_entries_that_two_processes_store_at_once_is_there (%s)',
  async (metadata) => {
    const dir = join(tempDir(), 'cache')
    await openCache({ dir, metadata }).close()
    await Promise.all(['a', 'b'].map((name) => runScript(keeper, [dir, name, 100]).done))
    const cache = openCache({ dir })
    expect(await cache.size()).toBe(200)
    for (const name of ['a', 'b']) {
      const values = await cache.getMany(Array.from({ length: 100 }, (_, at) => `${name} ${at}`))
      expect(values.map((value) => (value as string).length)).toEqual(
        Array.from({ length: 100 }, (_, at) => (at % 10 === 0 ? 20_000 : 1)),
      )
      expect(await cache.invalidateTags([name])).toBe(100)
    }
    expect((await cache.check()).problems).toEqual([])
  },
)

it('processes_that_start_at_once_make_one_directory', async () => {
  const dir = join(tempDir(), 'cache')
  const children = Array.from({ length: 4 }, () => runScript(echo, [dir]))
  await Promise.all(children.map((child) => child.said('ready')))
  for (const [index, child] of children.entries()) child.process.stdin.end(`${index}\n`)
  await Promise.all(children.map((child) => child.done))
  const cache = new Cache({ dir })
  expect(await cache.getMany(['own-0', 'own-1', 'own-2', 'own-3'])).toEqual([0, 1, 2, 3])
  await cache.close()
})
