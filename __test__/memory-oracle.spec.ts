import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { MemoryCache } from 'tierce'
import { describe, expect, it } from 'vitest'

/** Real traces, and the misses that a reference program counts on them; they are no part of the repository. */
const root = fileURLToPath(new URL('..', import.meta.url))
const data = process.env.TIERCE_SHARED ?? resolve(root, '../shared/data')
const oracle = resolve(data, 'oracle.csv')

const POLICIES: Record<string, string> = {
  'ref:FIFO': 'fifo',
  'ref:LRU': 'lru',
  'ref:LFU-lru-tie': 'lfu',
  'ref:LFU': 'lfu',
  'ref:MRU': 'mru',
  'ref:LIFO': 'lifo',
  'ref:SIEVE': 'sieve',
}
const MOST_REQUESTS = 140_000

interface Row {
  trace: string
  policy: string
  capacity: number
  misses: number
}

function rows(): Row[] {
  const [, ...lines] = readFileSync(oracle, 'utf8').trim().split('\n')
  return lines
    .map((line) => line.split(','))
    .filter(
      ([, policy, , requests, , , bytes]) =>
        policy! in POLICIES && Number(requests) <= MOST_REQUESTS && bytes === '0',
    )
    .map(([trace, policy, capacity, , misses]) => ({
      trace: trace!,
      policy: POLICIES[policy!]!,
      capacity: Number(capacity),
      misses: Number(misses),
    }))
}

function keysOf(trace: string): string[] {
  const text = gunzipSync(readFileSync(resolve(data, 'traces', `${trace}.tsv.gz`))).toString('latin1')
  return text
    .trim()
    .split('\n')
    .map((line) => line.split('\t')[0]!)
}

function missesOf(keys: string[], policy: string, capacity: number): number {
  const cache = new MemoryCache<string, true>({ max: capacity, policy })
  for (const key of keys) if (cache.get(key) === undefined) cache.set(key, true)
  expect(cache.check()).toBe('')
  return cache.metrics().misses
}

describe.skipIf(!existsSync(oracle))('miss counts equal those of the reference program', () => {
  const all = existsSync(oracle) ? rows() : []
  for (const trace of new Set(all.map((row) => row.trace))) {
    it(trace, { timeout: 300_000 }, () => {
      const keys = keysOf(trace)
      for (const { policy, capacity, misses } of all.filter((row) => row.trace === trace)) {
        expect(`${policy} ${capacity}: ${missesOf(keys, policy, capacity)}`).toBe(
          `${policy} ${capacity}: ${misses}`,
        )
      }
    })
  }

  it('for each exact policy', () => {
    expect(new Set(all.map(({ policy }) => policy))).toEqual(
      new Set(['fifo', 'lru', 'lfu', 'mru', 'lifo', 'sieve']),
    )
  })
})
