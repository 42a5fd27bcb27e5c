#!/usr/bin/env node
// A directory of one million small entries (or as many as the first argument says), filled in batches. Then, in fresh
// processes without a memory tier: how long an open takes, also after a writer was killed, and the resident memory during
// reads and sets. Prints medians; Node's own share, with the modules loaded, stands beside, and on Linux what the process has
// of its own beyond that and V8's heap in the end.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { getHeapStatistics } from 'node:v8'
import { Cache } from '../dist/index.mjs'

const BATCH = 10_000
const READS = 20_000
const SETS = 5_000
const ROUNDS = 5
const keyOf = (at) => `key:${Math.imul(at, 2654435761) >>> 0}:${at}`
const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1]
const mebibytes = (bytes) => bytes / 2 ** 20

function beyondTheHeap() {
  if (process.platform !== 'linux') return Number.NaN
  const [, kibibytes] = /RssAnon:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))
  return Number(kibibytes) * 1024 - getHeapStatistics().total_physical_size
}

const roles = {
  async fill(dir, count) {
    const cache = new Cache({ dir, memory: false, maxSize: 8 * 2 ** 30 })
    const value = Buffer.alloc(100, 7)
    const start = performance.now()
    for (let from = 0; from < count; from += BATCH) {
      const length = Math.min(BATCH, count - from)
      await cache.setMany(Array.from({ length }, (_, at) => [keyOf(from + at), value]))
    }
    const seconds = (performance.now() - start) / 1000
    const { entries, diskSize } = await cache.stats()
    if (entries !== count) throw new Error(`${entries} of ${count} entries`)
    await cache.close()
    return { seconds, diskSize, memory: process.resourceUsage().maxRSS * 1024 }
  },

  /** Sets, and dies: the log stays, and nobody has said what the database was like. */
  async die(dir) {
    const cache = new Cache({ dir, memory: false, maxSize: 8 * 2 ** 30 })
    for (let at = 0; at < 2_000; at++) await cache.set(keyOf(at), Buffer.alloc(100, 8))
    process.kill(process.pid, 'SIGKILL')
    await new Promise(() => {})
  },

  async use(dir, count) {
    const bare = process.memoryUsage.rss()
    const before = beyondTheHeap()
    const start = performance.now()
    const cache = new Cache({ dir, memory: false, maxSize: 8 * 2 ** 30 })
    const open = performance.now() - start
    cache.getSync(keyOf(count >> 1))
    const first = performance.now() - start
    const opened = process.memoryUsage.rss()
    let seed = 1
    const next = () => {
      seed = (Math.imul(seed, 1103515245) + 12345) | 0
      return seed >>> 1
    }
    for (let read = 0; read < READS; read++) {
      if ((await cache.get(keyOf(next() % count))) === undefined) throw new Error('an entry is missing')
    }
    const read = process.memoryUsage.rss()
    for (let set = 0; set < SETS; set++) await cache.set(keyOf(next() % count), Buffer.alloc(100, 9))
    const memory = process.resourceUsage().maxRSS * 1024
    const beyond = beyondTheHeap() - before
    await cache.close()
    return { open, first, bare, opened, read, memory, beyond }
  },
}

function run(role, dir, count) {
  const child = spawnSync(process.execPath, [import.meta.filename, role, dir, count], { encoding: 'utf8' })
  if (role === 'die' && child.signal === 'SIGKILL') return
  if (child.status !== 0) throw new Error(`${role}: ${child.stderr}`)
  return JSON.parse(child.stdout)
}

function report(name, runs) {
  const of = (field) => median(runs.map((result) => result[field]))
  const sizes = ['bare', 'opened', 'read', 'memory', 'beyond'].map((field) => mebibytes(of(field)).toFixed(1))
  console.log(`| ${name} | ${of('open').toFixed(1)} | ${of('first').toFixed(1)} | ${sizes.join(' | ')} |`)
}

const [first, dir, given] = process.argv.slice(2)
if (first in roles) {
  console.log(JSON.stringify(await roles[first](dir, Number(given))))
} else {
  const count = Number(first ?? 1_000_000)
  const folder = mkdtempSync(join(tmpdir(), 'tierce-million-'))
  try {
    const cache = join(folder, 'cache')
    const { seconds, diskSize, memory } = run('fill', cache, count)
    console.log(
      `${count} entries in ${seconds.toFixed(1)} s, ${mebibytes(diskSize).toFixed(0)} MiB; ${mebibytes(memory).toFixed(0)} MiB resident at most\n`,
    )
    console.log(
      '| opened | open, ms | with the first read | Node alone, MiB | opened | after reads | at most | beyond Node and its heap |',
    )
    console.log('| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |')
    const rounds = Array.from({ length: ROUNDS }, (_, at) => at)
    report(
      'after a close',
      rounds.map(() => run('use', cache, count)),
    )
    report(
      'after a kill',
      rounds.map(() => {
        run('die', cache, count)
        return run('use', cache, count)
      }),
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
