#!/usr/bin/env node
// Sizes and speeds of the codecs for arrays of numbers, with the Pareto front: 8 MB of Float64 each.
//
//   node bench/arrays.mjs [--python PYTHON] [--cpu] [--profile PROFILE]
//
// PYTHON has the package blosc2; without one its rows are left out. PROFILE is cargo's: `dist`, what is published, unless it is given;
// `release` is what the tests run. With --cpu, speeds are of processor time over all threads, in which other
// work on the machine counts for less; without, of the time that passed.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { deflateSync, inflateSync } from 'node:zlib'

const { values: given } = parseArgs({
  options: {
    python: { type: 'string', default: 'python3' },
    count: { type: 'string', default: '1000000' },
    cpu: { type: 'boolean', default: false },
    profile: { type: 'string', default: 'dist' },
  },
})
const COUNT = Number(given.count)
const RUNS = 5

/** A stream of numbers in [0, 1) with 53 random bits. */
function random(seed) {
  let [a, b] = [seed, seed ^ 0x9e3779b9]
  const next = () => {
    a = (Math.imul(a ^ (a >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0
    b = (Math.imul(b ^ (b >>> 13), 0x297a2d39) + a) | 0
    return (a ^ (b >>> 7)) >>> 0
  }
  return () => ((next() >>> 5) * 67108864 + (next() >>> 6)) / 9007199254740992
}

const make = (number) => Float64Array.from({ length: COUNT }, (_, index) => number(index))
const uniform = random(1)
const gauss = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform())
let at = 0
const walk = make(() => (at += gauss()))
const DATA = {
  sine: make((index) => Math.sin(index / 1000)),
  walk,
  'walk, 2 decimals': walk.map((number) => Math.round(number * 100) / 100),
  '0..N': make((index) => index),
  'random of 32 bits': make(() => Math.floor(uniform() * 4294967296) / 4294967296),
  'random of 53 bits': make(() => uniform()),
}

const folder = mkdtempSync(join(tmpdir(), 'tierce-arrays-'))
const files = Object.entries(DATA).map(([name, array]) => {
  writeFileSync(join(folder, name), Buffer.from(array.buffer))
  return join(folder, name)
})

/** Rows of data set, codec, level, bytes, seconds of coding and of decoding. */
function tierce() {
  const root = fileURLToPath(new URL('..', import.meta.url))
  const args = [
    'bench',
    '--quiet',
    '--profile',
    given.profile,
    '--package',
    'tierce',
    '--bench',
    'codecs',
    '--',
    ...(given.cpu ? ['cpu'] : []),
    'f64',
    ...files,
  ]
  return parse(execFileSync('cargo', args, { cwd: root, encoding: 'utf8' }))
}

const BLOSC = `
import sys, time, blosc2
clock = time.process_time if sys.argv[1] == 'cpu' else time.perf_counter
def best(run):
    times = []
    for _ in range(7):
        start = clock(); result = run(); times.append(clock() - start)
    return result, min(times)
for path in sys.argv[2:]:
    raw = open(path, 'rb').read()
    for name, level, params in [
        ('blosc2 (compress2, its defaults)', '', {}),
        ('blosc2 shuffle + zstd', 1, dict(clevel=1)),
        ('blosc2 shuffle + lz4', 5, dict(codec=blosc2.Codec.LZ4, clevel=5)),
        ('blosc2 shuffle + blosclz', 9, dict(codec=blosc2.Codec.BLOSCLZ, clevel=9)),
    ]:
        coded, encode = best(lambda: blosc2.compress2(raw, typesize=8, **params))
        back, decode = best(lambda: blosc2.decompress2(coded))
        assert back == raw
        print(path, name, level, len(coded), encode, decode, sep='\\t')
    coded, encode = best(lambda: blosc2.compress(raw, typesize=8))
    back, decode = best(lambda: blosc2.decompress(coded))
    print(path, 'blosc2 (compress, its defaults)', '', len(coded), encode, decode, sep='\\t')
`

function blosc() {
  try {
    return parse(
      execFileSync(given.python, ['-c', BLOSC, given.cpu ? 'cpu' : 'wall', ...files], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      }),
    )
  } catch {
    console.log(`${given.python} has no blosc2: its rows are left out\n`)
    return []
  }
}

function parse(text) {
  const lines = text.split('\n').filter((line) => line.includes('\t'))
  return lines.map((line) => {
    const [path, codec, level, ...numbers] = line.split('\t')
    const [bytes, encode, decode] = numbers.map(Number)
    return { set: basename(path), codec: `${codec}${level === '' ? '' : `-${level}`}`, bytes, encode, decode }
  })
}

function seconds() {
  if (!given.cpu) return performance.now() / 1000
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

function quickest(run) {
  let [best, result] = [Number.POSITIVE_INFINITY, undefined]
  for (let index = 0; index < RUNS; index += 1) {
    const start = seconds()
    result = run()
    best = Math.min(best, seconds() - start)
  }
  return [result, best]
}

function zlib() {
  return Object.entries(DATA).flatMap(([set, array]) =>
    [1, 6].map((level) => {
      const [coded, encode] = quickest(() => deflateSync(Buffer.from(array.buffer), { level }))
      const [, decode] = quickest(() => inflateSync(coded))
      return { set, codec: `zlib-${level}`, bytes: coded.length, encode, decode }
    }),
  )
}

function print(set, rows) {
  const raw = 8 * COUNT
  const speed = (seconds) => Math.round(raw / 1e6 / seconds)
  // Nothing else is smaller and quicker in both directions.
  const isFront = (row) =>
    !rows.some(
      (other) =>
        other !== row && other.bytes <= row.bytes && other.encode <= row.encode && other.decode <= row.decode,
    )
  console.log(
    `\n**${set}**\n\n| | bytes | of raw | encode MB/s | decode MB/s | front |\n|---|---:|---:|---:|---:|---|`,
  )
  for (const row of rows.toSorted((a, b) => a.bytes - b.bytes)) {
    const share = `${((100 * row.bytes) / raw).toFixed(2)} %`
    const front = isFront(row) ? '*' : ''
    console.log(
      `| ${row.codec} | ${row.bytes.toLocaleString('en')} | ${share} | ${speed(row.encode)} | ${speed(row.decode)} | ${front} |`,
    )
  }
}

try {
  const rows = [...tierce(), ...blosc(), ...zlib()]
  console.log(
    `${COUNT} numbers of 8 bytes; the quickest of a few runs of the ${given.profile} build, ${given.cpu ? 'in processor time' : 'in time passed'}; 1 MB is 10^6 bytes`,
  )
  for (const set of Object.keys(DATA))
    print(
      set,
      rows.filter((row) => row.set === set),
    )
} finally {
  rmSync(folder, { recursive: true })
}
