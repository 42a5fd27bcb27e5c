#!/usr/bin/env node
// What a key made of the content of files costs: against reading the files with as many threads, and against `stat`.
//
//   node bench/content.mjs [--files 200] [--bytes 1000000] [--rounds 15] [--cpu]
//
// With --cpu in processor time over all threads, in which other work on the machine counts for less.
import { mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { Cache, directory, file } from '../dist/index.mjs'
import { median } from './lib/measure.mjs'

const { values } = parseArgs({
  options: {
    files: { type: 'string', default: '200' },
    bytes: { type: 'string', default: '1000000' },
    rounds: { type: 'string', default: '15' },
    cpu: { type: 'boolean', default: false },
  },
})
const [files, bytes, rounds] = [values.files, values.bytes, values.rounds].map(Number)
const threads = Math.min(availableParallelism(), 8)

/** Reads its share of the files into one buffer, again and again, as fast as Node can. */
const READER = `
  const { parentPort, workerData } = require('node:worker_threads')
  const { openSync, readSync, closeSync } = require('node:fs')
  const buffer = Buffer.allocUnsafeSlow(1 << 20)
  parentPort.on('message', () => {
    for (let at; (at = Atomics.add(workerData.next, 0, 1)) < workerData.paths.length; ) {
      const descriptor = openSync(workerData.paths[at], 'r')
      while (readSync(descriptor, buffer, 0, buffer.length, null) > 0);
      closeSync(descriptor)
    }
    parentPort.postMessage(0)
  })`

const folder = mkdtempSync(join(tmpdir(), 'tierce-content-'))
const paths = Array.from({ length: files }, (_, index) => join(folder, `${index}.bin`))
let state = 1
const noise = Buffer.alloc(bytes)
for (let at = 0; at < bytes; at += 1) {
  state = (state * 48271) % 2147483647
  noise[at] = state
}
for (const [index, path] of paths.entries()) {
  noise.writeUInt32LE(index)
  writeFileSync(path, noise)
}

const next = new Int32Array(new SharedArrayBuffer(4))
const workers = Array.from(
  { length: threads },
  () => new Worker(READER, { eval: true, workerData: { paths, next } }),
)
const cache = new Cache()

/** As if written anew, and long enough ago to be remembered. */
let age = 1_000_000
async function touch() {
  age += 1
  for (const path of paths) utimesSync(path, age, age)
  await new Promise((resolve) => setTimeout(resolve, 80))
}

const WORK = {
  read: () => {
    Atomics.store(next, 0, 0)
    return Promise.all(
      workers.map((worker) => {
        const done = new Promise((resolve) => worker.once('message', resolve))
        worker.postMessage(0)
        return done
      }),
    )
  },
  stat: () => paths.map((path) => statSync(path)),
  'file, new': () => cache.getMany(paths.map((path) => file(path))),
  'file, new, blake3': () => cache.getMany(paths.map((path) => file(path, { hash: 'blake3' }))),
  'file, unchanged': () => cache.getMany(paths.map((path) => file(path))),
  'directory, new': () => cache.get(directory(folder)),
  'directory, unchanged': () => cache.get(directory(folder)),
}

const milliseconds = () => {
  if (!values.cpu) return performance.now()
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

const times = new Map(Object.keys(WORK).map((name) => [name, []]))
for (let round = 0; round < rounds; round += 1) {
  for (const [name, work] of Object.entries(WORK)) {
    if (name.includes('new')) await touch()
    else if (name.includes('unchanged')) await work()
    const start = milliseconds()
    await work()
    times.get(name).push(milliseconds() - start)
  }
}
await Promise.all(workers.map((worker) => worker.terminate()))
rmSync(folder, { recursive: true })

// The quickest quarter: on a shared machine the rest measures the others.
const typical = (name) =>
  median(
    times
      .get(name)
      .toSorted((a, b) => a - b)
      .slice(0, Math.ceil(rounds / 4)),
  )
const against = (name) => (name.includes('unchanged') ? 'stat' : 'read')
console.log(
  `${files} files of ${bytes} bytes, page cache warm, ${threads} threads, ${rounds} rounds${values.cpu ? ', processor time' : ''}\n`,
)
console.log('| | ms | against reading or stat |\n|---|---:|---:|')
for (const name of times.keys()) {
  const ratio = typical(name) / typical(against(name))
  const shown = name === 'read' || name === 'stat' ? '' : `${ratio.toFixed(2)} x ${against(name)}`
  console.log(`| ${name} | ${typical(name).toFixed(2)} | ${shown} |`)
}
