/** Verbs of many keys take as many as memory does: more than a statement has parameters, or a call has arguments. */
import { expect, it } from 'vitest'
import { openCache, tempDir } from './helpers/temp.js'

const MANY = 150_000
const keys = Array.from({ length: MANY }, (_, at) => `key ${at}`)

it.each([
  { tiers: 'memory', options: () => ({}) },
  { tiers: 'disk', options: () => ({ dir: tempDir(), memory: false }) },
])('hundreds_of_thousands_of_keys_are_one_call ($tiers)', async ({ options }) => {
  const cache = openCache(options())
  await cache.setMany(keys.map((key, at) => [key, at] as const))
  expect(await cache.size()).toBe(MANY)
  const values = await cache.getMany(keys)
  expect(values.every((value, at) => value === at)).toBe(true)
  expect(await cache.deleteMany(keys)).toBe(MANY)
  expect(await cache.size()).toBe(0)
})
