#!/usr/bin/env node
// What encryption, hashes in the place of keys, and skipped checksums cost: sets and gets of random bytes, awaited one at a time and
// synchronous, against a cache without these options. All in one process and in turn; medians of CPU time an operation.
//
//   node --expose-gc bench/encryption.mjs [--keys 5000] [--rounds 9]
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Cache } from '../dist/index.mjs'
import { measure, median } from './lib/measure.mjs'

const { values } = parseArgs({
  options: { keys: { type: 'string', default: '5000' }, rounds: { type: 'string', default: '9' } },
})
const [count, rounds] = [values.keys, values.rounds].map(Number)
const folder = mkdtempSync(join(tmpdir(), 'tierce-encryption-'))
const KINDS = {
  plain: {},
  encrypted: { encryption: { key: randomBytes(32) } },
  'without keys': { storeKeys: false },
  'without integrity': { integrity: false },
}
const keys = Array.from({ length: count }, (_, at) => `key:${at}`)

for (const size of [100, 10_000]) {
  const data = Array.from({ length: 64 }, () => randomBytes(size))
  const caches = Object.entries(KINDS).map(([name, options]) => {
    const dir = join(folder, `${size} ${name}`)
    return { name, cache: new Cache({ dir, memory: false, codec: 'none', ...options }), took: {} }
  })
  const works = {
    set: async (cache) => {
      for (const [at, key] of keys.entries()) await cache.set(key, data[at % 64])
    },
    get: async (cache) => {
      for (const key of keys) await cache.get(key)
    },
    'set sync': (cache) => {
      for (const [at, key] of keys.entries()) cache.setSync(key, data[at % 64])
    },
    'get sync': (cache) => {
      for (const key of keys) cache.getSync(key)
    },
  }
  for (let round = 0; round <= rounds; round++) {
    for (const [what, work] of Object.entries(works)) {
      const turn = round % caches.length // nobody is always the first
      for (const { cache, took } of [...caches.slice(turn), ...caches.slice(0, turn)]) {
        took[what] ??= []
        const { cpu } = await measure(() => work(cache))
        if (round > 0) took[what].push(cpu / count / 1000) // the first round fills and warms up
      }
    }
  }
  console.log(`\n${size} B: µs of CPU an operation, and times those of a plain cache\n`)
  console.log(`| | ${Object.keys(works).join(' | ')} |\n|---|${'---:|'.repeat(4)}`)
  for (const { name, cache, took } of caches) {
    const cells = Object.keys(works).map((what) => {
      const [mine, plain] = [median(took[what]), median(caches[0].took[what])]
      return `${mine.toFixed(1)} (${(mine / plain).toFixed(2)})`
    })
    console.log(`| ${name} | ${cells.join(' | ')} |`)
    await cache.close()
  }
}
rmSync(folder, { recursive: true, force: true })
