import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { runScript } from '../helpers/child.js'
import { openCache, tempDir } from '../helpers/temp.js'

const PROCESSES = 8
const TURNS = 100
const counter = fileURLToPath(new URL('counter.mjs', import.meta.url))

it.each([
  { verb: 'increment', memory: true },
  { verb: 'incrementSync', memory: true },
  { verb: 'bigint', memory: false },
  { verb: 'transaction', memory: true },
  { verb: 'transactionSync', memory: true },
])('eight_processes_that_count_lose_nothing ($verb)', async ({ verb, memory }) => {
  const dir = join(tempDir(), 'cache')
  const cache = openCache({ dir })
  const children = Array.from({ length: PROCESSES }, () => runScript(counter, [dir, verb, TURNS, memory]))
  await Promise.all(children.map((child) => child.said('ready')))
  for (const child of children) child.process.stdin.end('go\n')
  const sums = (await Promise.all(children.map((child) => child.done))).map((lines) =>
    (lines.at(-1) ?? '').split(' ').map(Number),
  )
  // Each number was given to one caller, and each process saw its own rise.
  const all = sums.flat().toSorted((a, b) => a - b)
  expect(all).toEqual(Array.from({ length: PROCESSES * TURNS }, (_, index) => index + 1))
  for (const own of sums) expect(own).toEqual(own.toSorted((a, b) => a - b))
  const total = PROCESSES * TURNS
  expect(await cache.get('n')).toBe(verb === 'bigint' ? BigInt(total) : total)
})
