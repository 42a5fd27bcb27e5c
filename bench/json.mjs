#!/usr/bin/env node
// What encoding and decoding JSON-able values of 2 KB costs, without the tiers: ours against JSON, v8 and msgpackr, in CPU time.
//
//   node bench/json.mjs [--rounds 31] [--times 500] [--only NAME]
import { createRequire } from 'node:module'
import { parseArgs } from 'node:util'
import v8 from 'node:v8'
import { pack, unpack } from 'msgpackr'
import { median } from './lib/measure.mjs'

const { decode, encode } = createRequire(import.meta.url)('../build/values/index.js')
const { values: given } = parseArgs({
  options: {
    rounds: { type: 'string', default: '31' },
    times: { type: 'string', default: '500' },
    only: { type: 'string' },
  },
})
const [rounds, times] = [given.rounds, given.times].map(Number)

const list = (length, make) => Array.from({ length }, (_, index) => make(index))
const person = (name) => ({ date: '2014-11-07T22:01:45Z', name, email: 'monalisa@example.org' })
const link = (path, sha) => ({ url: `https://api.example.org/repos/monalisa/hello/git/${path}/${sha}`, sha })
const sha = (seed) => `${'7638417db6d59f3c431d3e1f261cc637155684c'}${seed % 10}`
const round = (number) => Math.round(number * 1e6) / 1e6
const nest = (depth) => (depth === 0 ? 'leaf' : { level: depth, list: [depth], child: nest(depth - 1) })
const VALUES = {
  rows: {
    version: 3,
    rows: list(20, (id) => ({
      id,
      name: `user ${id}`,
      email: `user${id}@example.org`,
      isActive: id % 2 === 0,
      score: id / 8,
    })),
    next: null,
  },
  settings: {
    name: 'service',
    port: 8080,
    debug: false,
    tags: ['alpha', 'beta', 'gamma'],
    limits: { cpu: 0.75, memory: 512, retries: 3 },
    routes: list(14, (i) => ({
      path: `/api/v1/resource${i}`,
      method: i % 2 ? 'GET' : 'POST',
      auth: i % 3 === 0,
      timeout: 1000 * i,
      handler: { module: `handlers/resource${i}`, name: 'handle' },
    })),
    description: 'A configuration of a kind that is often met, with a sentence or two of prose in it.',
  },
  commit: {
    ...link('commits', sha(0)),
    author: person('Monalisa Octocat'),
    committer: person('Monalisa Octocat'),
    message: 'Read me, because I am a good citizen',
    tree: link('trees', sha(1)),
    parents: list(4, (i) => link('commits', sha(i))),
    verification: { verified: false, reason: 'unsigned', signature: null, payload: null },
    files: list(4, (i) => ({ filename: `src/file${i}.txt`, additions: i * 13, ...link('blobs', sha(i)) })),
  },
  article: {
    id: 'a1b2c3',
    title: 'On caches',
    author: { name: 'Jörg Müller', mail: 'joerg@example.org' },
    body: 'Ein Zwischenspeicher hält Kopien. '.repeat(50),
    tags: ['caching', 'Speicher', '日本語'],
    stats: { views: 1234567, likes: 42, ratio: 0.034 },
  },
  dictionary: Object.fromEntries(
    list(50, (i) => [
      `key-${((i * 2654435761) >>> 0).toString(36)}`,
      { hits: i * 3, at: 1700000000000 + i * 1000 },
    ]),
  ),
  integers: list(340, (i) => (i * 7919) % 100003),
  coordinates: {
    type: 'LineString',
    coordinates: list(50, (i) => [13.4 + Math.sin(i) / 7, 52.5 + Math.cos(i) / 9]),
  },
  polygons: {
    type: 'FeatureCollection',
    features: list(4, (f) => ({
      type: 'Feature',
      properties: { name: `area ${f}`, level: f },
      geometry: {
        type: 'Polygon',
        coordinates: [list(12, (i) => [round(13.4 + f + Math.sin(i) / 7), round(52.5 + Math.cos(i) / 9)])],
      },
    })),
  },
  matrix: list(12, (i) => list(12, (j) => (i * 31 + j * 17) % 1000)),
  pairs: list(90, (i) => [`name ${i}`, i * 37]),
  mixed: list(220, (i) => (i % 3 === 0 ? i / 7 : i * 1000)),
  decimals: list(300, (i) => round(((i * 7919) % 10000) / 100)),
  nested: nest(60),
  text: { id: 7, body: 'The quick brown fox jumps over the lazy dog. '.repeat(44) },
  japanese: {
    id: 7,
    title: '吾輩は猫である',
    body: '名前はまだ無い。どこで生れたかとんと見当がつかぬ。'.repeat(26),
  },
  dates: list(25, (i) => ({
    at: `2024-05-${10 + (i % 20)}T10:${10 + i}:00.000Z`,
    until: 1700000000000 + i * 3600000,
    id: i,
  })),
  points: list(100, (i) => ({ x: i * 3, y: i * 5 })),
  floats: list(60, (i) => ({ x: Math.sin(i), y: Math.cos(i) })),
  ids: list(130, (i) => 1700000000000 + i * 1234567),
  words: list(240, (i) => `word${i}`),
  flags: list(380, (i) => i % 3 === 0),
  nulls: list(60, (i) => ({ id: i, parent: i % 4 === 0 ? null : i >> 1, tags: [] })),
  lists: list(60, (i) => ({ id: i, tags: ['a', `b${i % 7}`] })),
}

const scratch = Buffer.allocUnsafeSlow(64 * 1024)
const contenders = (value) => ({
  tierce: {
    encode: () => {
      const { kind, data } = encode(value)
      return {
        kind,
        length: typeof data === 'string' ? scratch.write(data, 0) : (scratch.set(data, 0) ?? data.length),
      }
    },
    decode: ({ kind, length }) => decode(kind, scratch, 0, length, false),
  },
  JSON: {
    encode: () => scratch.write(JSON.stringify(value), 0),
    decode: (length) => JSON.parse(scratch.toString('utf8', 0, length)),
  },
  v8: { encode: () => v8.serialize(value), decode: (stored) => v8.deserialize(stored) },
  msgpackr: { encode: () => pack(value), decode: (stored) => unpack(stored) },
})

const cpu = () => {
  const { user, system } = process.cpuUsage()
  return user + system
}

/** Median microseconds of encoding and decoding, by contender, all in turn. */
function measure(value) {
  const all = Object.entries(contenders(value)).map(([name, one]) => ({ name, one, to: [], from: [] }))
  for (let round = 0; round < rounds; round += 1) {
    for (const { one, to, from } of all) {
      let stored
      let start = cpu()
      for (let i = 0; i < times; i += 1) stored = one.encode()
      to.push((cpu() - start) / times)
      start = cpu()
      for (let i = 0; i < times; i += 1) one.decode(stored)
      from.push((cpu() - start) / times)
    }
  }
  return all.map(({ name, to, from }) => ({ name, us: [median(to), median(from)] }))
}

const names = Object.keys(VALUES).filter((name) => given.only === undefined || name === given.only)
// Twice: a program stores values of many shapes, and code that has seen but one is quicker than it will ever be.
for (const name of names) measure(VALUES[name])
console.log(
  `Node ${process.version}; µs to encode + to decode; the ratio is that of the sum to the least of the others`,
)
for (const name of names) {
  const [ours, ...others] = measure(VALUES[name])
  const sum = ({ us: [to, from] }) => to + from
  const ratio = sum(ours) / Math.min(...others.map(sum))
  const cells = [ours, ...others].map(({ name, us }) => `${name} ${us.map((x) => x.toFixed(1)).join(' + ')}`)
  const bytes = Buffer.byteLength(JSON.stringify(VALUES[name]))
  console.log(`${name.padEnd(12)} ${bytes} bytes  ${cells.join('   ')}   ratio ${ratio.toFixed(2)}`)
}
