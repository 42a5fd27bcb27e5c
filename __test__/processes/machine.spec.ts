import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Cache } from 'tierce'
import { expect, it, vi } from 'vitest'
import { type Child, runScript } from '../helpers/child.js'
import { openCache, tempDir } from '../helpers/temp.js'
import { PATIENTLY } from '../helpers/wait.js'

/** A load that is under way until its process is killed: the longest that a timer can wait. */
const NEVER = 2 ** 31 - 1
const loader = fileURLToPath(new URL('loader.mjs', import.meta.url))

/** Processes that are ready to ask for one key, and what begins a load. */
async function start(processes: number, callers: number, ms: number, sync = '', memory = true) {
  const folder = tempDir()
  const [dir, log] = [join(folder, 'cache'), join(folder, 'log')]
  writeFileSync(log, '')
  const env = { TIERCE_MEMORY: String(memory) }
  const children = Array.from({ length: processes }, () =>
    runScript(loader, [dir, log, callers, ms, sync], env),
  )
  await Promise.all(children.map((child) => child.said('ready')))
  const loads = () => readFileSync(log, 'utf8').split('\n').filter(Boolean).map(Number)
  return { dir, log, children, loads }
}

const ask = (child: Child) => child.process.stdin.end('go\n')

async function answers(children: Child[]): Promise<{ different: number; by: number }[]> {
  const lines = await Promise.all(children.map((child) => child.done))
  return lines.map((said) => {
    const [, different, by] = said.at(-1)!.split(' ').map(Number)
    return { different: different!, by: by! }
  })
}

it.each([
  { how: 'memory and disk', sync: '', memory: true },
  { how: 'disk', sync: '', memory: false },
  { how: 'sync', sync: 'sync', memory: true },
])('eight_processes_with_fifty_callers_each_are_one_load ($how)', async ({ sync, memory }) => {
  const { children, loads } = await start(8, 50, 300, sync, memory)
  for (const child of children) ask(child)
  const got = await answers(children)
  expect(loads()).toHaveLength(1)
  expect(got.every(({ different, by }) => different === 1 && by === loads()[0])).toBe(true)
})

it('when_the_holder_is_killed_midway_one_of_the_others_loads_and_all_get_its_value', async () => {
  const { dir, log, children: others, loads } = await start(7, 50, 300)
  const first = runScript(loader, [dir, log, 50, NEVER])
  await first.said('ready')
  ask(first)
  await first.said('loading')
  for (const child of others) ask(child)
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect(loads()).toHaveLength(1)
  first.process.kill('SIGKILL')
  const got = await answers(others)
  expect(loads()).toHaveLength(2)
  expect(loads()[0]).toBe(first.process.pid)
  // Had they waited for the lock timeout, each would have loaded by itself.
  expect(got.every(({ different, by }) => different === 1 && by === loads()[1])).toBe(true)
})

it('loads_that_are_nested_across_processes_end_by_the_lock_timeout', async () => {
  const dir = join(tempDir(), 'cache')
  const [one, other] = [openCache({ dir }), openCache({ dir })]
  const options = { singleFlight: 'machine', lockTimeout: 200 } as const
  const nested = (first: Cache, a: string, b: string) =>
    first.getOrSet(
      a,
      async () => {
        await new Promise((resolve) => setTimeout(resolve, 50))
        return `${a} of ${await first.getOrSet(b, () => b, options)}`
      },
      options,
    )
  const [ab, ba] = await Promise.all([nested(one, 'a', 'b'), nested(other, 'b', 'a')])
  expect(ab).toMatch(/^a of b/)
  expect(ba).toMatch(/^b of a/)
})

it('a_load_on_this_thread_does_not_wait_for_one_of_its_own', async () => {
  const dir = join(tempDir(), 'cache')
  const [one, other] = [openCache({ dir }), new Cache({ dir })]
  const options = { singleFlight: 'machine' } as const
  const begun: ((value: string) => void)[] = []
  const load = () => new Promise<string>((resolve) => begun.push(resolve))
  const slow = one.getOrSet('k', load, options)
  await vi.waitFor(() => expect(begun).toHaveLength(1), PATIENTLY)
  expect(one.getOrSetSync('k', () => 'sync', options)).toBe('sync')
  await one.delete('k')
  const again = other.getOrSet('k', load, options)
  await vi.waitFor(() => expect(begun).toHaveLength(2), PATIENTLY)
  expect(one.getOrSetSync('k', () => 'sync', options)).toBe('sync')
  begun[1]!('late')
  expect(await again).toBe('late')
  void slow
  await other.close()
})
