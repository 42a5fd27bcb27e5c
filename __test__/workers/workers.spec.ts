import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { expect, it } from 'vitest'
import { runScript } from '../helpers/child.js'
import { openCache, tempDir } from '../helpers/temp.js'
import { check } from '../processes/values.mjs'

const script = (name: string) => fileURLToPath(new URL(name, import.meta.url))

it('twenty_workers_are_terminated_while_they_write_and_nothing_acknowledged_is_lost', async () => {
  const dir = join(tempDir(), 'cache')
  const lines = await runScript(script('main.mjs'), [dir, 20, 2]).done
  const acknowledged = Object.entries(JSON.parse(lines.at(-1) ?? '{}') as Record<string, number>)
  expect(acknowledged.length).toBeGreaterThan(50)
  const cache = openCache({ dir, memory: false })
  const faults: unknown[] = []
  cache.on('error', (error) => faults.push(error))
  for (const [key, number] of acknowledged) {
    const value = await cache.get<Buffer>(key)
    if (value === undefined) expect.fail(`${key} was acknowledged and is gone`)
    // The second round counts from one again, so a number alone says nothing; the value must be whole and of this key.
    else expect(check(key, value), key).toBeGreaterThan(0)
    expect(number).toBeGreaterThan(0)
  }
  for await (const key of cache.keys()) {
    const value = await cache.get(key as string)
    if (key !== 'main') check(key as string, value as Buffer)
  }
  expect(faults).toEqual([])
})

it('one_round_of_workers_keeps_each_newest_acknowledged_value', async () => {
  const dir = join(tempDir(), 'cache')
  const lines = await runScript(script('main.mjs'), [dir, 6, 1]).done
  const acknowledged = Object.entries(JSON.parse(lines.at(-1) ?? '{}') as Record<string, number>)
  const cache = openCache({ dir, memory: false })
  for (const [key, number] of acknowledged) {
    expect(check(key, (await cache.get<Buffer>(key)) ?? Buffer.alloc(0)), key).toBeGreaterThanOrEqual(number)
  }
})

it('the_addon_loads_and_unloads_in_workers_again_and_again', async () => {
  const dir = join(tempDir(), 'cache')
  for (let round = 0; round < 20; round++) {
    const worker = new Worker(script('load.mjs'), { workerData: { dir, round } })
    const said = new Promise((resolve, reject) => {
      worker.once('message', resolve)
      worker.once('error', reject)
    })
    const ended = new Promise((resolve) => worker.once('exit', resolve))
    expect(await said).toBe(round)
    if (round % 3 === 2) await worker.terminate()
    await ended
  }
  const cache = openCache({ dir })
  const keys = Array.from({ length: 20 }, (_, round) => `round-${round}`)
  expect(await cache.getMany(keys)).toEqual(keys.map((_, round) => round))
})

it('threads_see_each_others_writes_at_once', async () => {
  const dir = join(tempDir(), 'cache')
  const cache = openCache({ dir })
  for (let round = 0; round < 3; round++) {
    await cache.set(`round-${round}`, 'old')
    expect(cache.getSync(`round-${round}`)).toBe('old')
    const worker = new Worker(script('load.mjs'), { workerData: { dir, round } })
    await new Promise((resolve, reject) => {
      worker.once('message', resolve)
      worker.once('error', reject)
    })
    expect(cache.getSync(`round-${round}`)).toBe(round)
    await worker.terminate()
  }
})
