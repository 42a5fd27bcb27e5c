import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { MemoryCache } from 'tierce'
import { describe, expect, it } from 'vitest'
import { hashKey } from '../build/memory/hash.js'
import { NativeLedger } from '../index.js'

/** Real traces, and the misses that a reference program counts on them; they are no part of the repository. */
const root = fileURLToPath(new URL('..', import.meta.url))
const data = process.env.TIERCE_SHARED ?? resolve(root, '../shared/data')
const oracle = resolve(data, 'oracle.csv')

const EXACT: Record<string, string> = {
  'ref:FIFO': 'fifo',
  'ref:LRU': 'lru',
  'ref:LFU-lru-tie': 'lfu',
  'ref:LFU': 'lfu',
  'ref:MRU': 'mru',
  'ref:LIFO': 'lifo',
  'ref:SIEVE': 'sieve',
}
/** Two references each. A pair may be half a point worse than the worse of them, and the mean no worse than the better one. */
const LEARNING: Record<string, readonly [string, string]> = {
  's3-fifo': ['lcs:S3FIFO-mtm1', 'caffeine:S3FIFO-mtm1'],
  'w-tinylfu': ['caffeine:HillClimberWTinyLFU-simple', 'caffeine:WTinyLFU-w1-sketch'],
}
/** Half of the pairs are of traces up to this length; all are replayed where TIERCE_ALL_TRACES is set. */
const MOST_REQUESTS = process.env.TIERCE_ALL_TRACES ? Infinity : 140_000
const MOST_LEARNED = Math.max(MOST_REQUESTS, 520_000)

interface Row {
  trace: string
  reference: string
  capacity: number
  requests: number
  misses: number
  isBytes: boolean
}

interface Request {
  key: string
  size: number
}

function rows(): Row[] {
  const [, ...lines] = readFileSync(oracle, 'utf8').trim().split('\n')
  const all = lines
    .map((line) => line.split(','))
    .map(([trace, reference, capacity, requests, misses, , isBytes]) => ({
      trace: trace!,
      reference: reference!,
      capacity: Number(capacity),
      requests: Number(requests),
      misses: Number(misses),
      isBytes: isBytes === '1',
    }))
  return all.filter(({ requests }) => requests <= MOST_LEARNED)
}

const traces = new Map<string, Request[]>()
function requestsOf(trace: string): Request[] {
  let requests = traces.get(trace)
  if (requests === undefined) {
    const text = gunzipSync(readFileSync(resolve(data, 'traces', `${trace}.tsv.gz`))).toString('latin1')
    requests = text
      .trim()
      .split('\n')
      .map((line) => line.split('\t'))
      .map(([key, size]) => ({ key: key!, size: Number(size ?? 1) }))
    traces.set(trace, requests)
  }
  return requests
}

function missesOf(trace: string, policy: string, capacity: number, isBytes = false): number {
  const bounds = isBytes ? { maxSize: capacity, weigher: (size: number) => size } : { max: capacity }
  const cache = new MemoryCache<string, number>({ ...bounds, policy })
  for (const { key, size } of requestsOf(trace)) {
    // An object that is larger than the whole cache is not kept.
    if (cache.get(key) === undefined && !(isBytes && size > capacity)) cache.set(key, size)
  }
  expect(cache.check()).toBe('')
  return cache.metrics().misses
}

/** Misses of the Rust policy of the same name, which is asked about one thing at a time. */
function missesInRust(trace: string, name: string, capacity: number): number {
  const log = new Uint32Array(16)
  const victims = new Uint32Array(256)
  const policy = new NativeLedger(name, capacity, log, victims)
  const slots = new Map<string, number>()
  const held = new Set<number>()
  let misses = 0
  for (const { key } of requestsOf(trace)) {
    const slot = slots.get(key) ?? slots.size
    slots.set(key, slot)
    if (held.has(slot)) {
      log[0] = slot
      policy.drain(1)
      continue
    }
    misses++
    held.add(slot)
    log.set([(1 << 29) | slot, 0, hashKey(key), 1])
    const count = policy.drain(4)
    for (const victim of victims.subarray(0, count)) held.delete(victim)
  }
  return misses
}

const isThere = existsSync(oracle)
const long = isThere ? rows() : []
const all = long.filter(({ requests }) => requests <= MOST_REQUESTS)
const names = [...new Set(all.map((row) => row.trace))]

describe.skipIf(!isThere)('miss counts equal those of the reference program', () => {
  const exact = all.filter(({ reference }) => reference in EXACT)
  for (const trace of names) {
    it(trace, { timeout: 600_000 }, () => {
      for (const { reference, capacity, misses, isBytes } of exact.filter((row) => row.trace === trace)) {
        const name = `${reference} ${capacity}${isBytes ? ' bytes' : ''}`
        expect(`${name}: ${missesOf(trace, EXACT[reference]!, capacity, isBytes)}`).toBe(`${name}: ${misses}`)
      }
    })
  }

  it('for each exact policy, in entries and in bytes', () => {
    const kinds = new Set(exact.map(({ reference, isBytes }) => `${EXACT[reference]} ${isBytes}`))
    expect(kinds.size).toBe(2 * new Set(Object.values(EXACT)).size)
  })
})

describe.skipIf(!isThere)('the policies that learn keep up with their references', () => {
  for (const [policy, references] of Object.entries(LEARNING)) {
    it(policy, { timeout: 1_200_000 }, () => {
      const sums = [0, 0, 0]
      let pairs = 0
      const isPair = ({ reference, capacity, isBytes }: Row) =>
        reference === references[0] && capacity >= 100 && !isBytes
      for (const { trace, capacity, requests, misses } of long.filter(isPair)) {
        const isOther = (row: Row) =>
          row.trace === trace && row.capacity === capacity && row.reference === references[1] && !row.isBytes
        const other = long.find(isOther)
        if (other === undefined) continue
        const points = [missesOf(trace, policy, capacity), misses, other.misses].map(
          (count) => (100 * count) / requests,
        )
        const [ours, one, two] = points as [number, number, number]
        expect(ours, `${trace} at ${capacity}: ${points}`).toBeLessThanOrEqual(Math.max(one, two) + 0.5)
        points.forEach((point, index) => {
          sums[index]! += point
        })
        pairs++
      }
      expect(pairs).toBeGreaterThan(20)
      const [ours, one, two] = sums.map((sum) => sum / pairs) as [number, number, number]
      expect(ours, `means ${ours} ${one} ${two}`).toBeLessThanOrEqual(Math.min(one, two))
    })
  }

  for (const policy of Object.keys(LEARNING)) {
    it(`${policy}: misses on just the requests that the Rust policy misses on`, { timeout: 600_000 }, () => {
      const isPair = ({ reference, capacity, isBytes }: Row) =>
        reference === 'ref:LRU' && capacity >= 2 && !isBytes
      for (const { trace, capacity } of all.filter(isPair)) {
        const name = `${trace} at ${capacity}`
        const misses = missesInRust(trace, policy, capacity)
        expect(`${name}: ${missesOf(trace, policy, capacity)}`).toBe(`${name}: ${misses}`)
      }
    })
  }

  it('auto: at most one point behind the best of the others, where there is something to learn from', {
    timeout: 600_000,
  }, () => {
    let pairs = 0
    const isPair = ({ reference, capacity, requests, isBytes }: Row) =>
      reference === 'ref:LRU' && capacity >= 100 && requests >= 20 * capacity && !isBytes
    for (const { trace, capacity, requests } of all.filter(isPair)) {
      const ratio = (policy: string) => (100 * missesOf(trace, policy, capacity)) / requests
      const best = Math.min(
        ...['lru', 'lfu', 'sieve', 's3-fifo', 'w-tinylfu', 'mru', 'lifo', 'fifo'].map(ratio),
      )
      expect(ratio('auto'), `${trace} at ${capacity}: best ${best}`).toBeLessThanOrEqual(best + 1)
      pairs++
    }
    expect(pairs).toBeGreaterThan(3)
  })
})
