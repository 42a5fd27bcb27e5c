#!/usr/bin/env node
// What encoding and decoding a JSON-able value of 2 KB costs, without the tiers: ours against JSON, v8 and msgpackr.
//
//   node bench/json.mjs [--rounds 31] [--times 500]
import { createRequire } from 'node:module'
import { parseArgs } from 'node:util'
import v8 from 'node:v8'
import { pack, unpack } from 'msgpackr'
import { median } from './lib/measure.mjs'

const { decode, encode } = createRequire(import.meta.url)('../build/values/index.js')
const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '31' }, times: { type: 'string', default: '500' } },
})
const [rounds, times] = [values.rounds, values.times].map(Number)

const rows = Array.from({ length: 20 }, (_, id) => ({
  id,
  name: `user ${id}`,
  email: `user${id}@example.org`,
  isActive: id % 2 === 0,
  score: id / 8,
}))
const value = { version: 3, rows, next: null }
const bytes = Buffer.byteLength(JSON.stringify(value))

const scratch = Buffer.allocUnsafeSlow(64 * 1024)
const contenders = {
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
}

const found = Object.fromEntries(Object.keys(contenders).map((name) => [name, { encode: [], decode: [] }]))
for (let round = 0; round < rounds; round += 1) {
  for (const [name, contender] of Object.entries(contenders)) {
    let stored
    let start = process.hrtime.bigint()
    for (let i = 0; i < times; i += 1) stored = contender.encode()
    found[name].encode.push(Number(process.hrtime.bigint() - start) / times)
    start = process.hrtime.bigint()
    for (let i = 0; i < times; i += 1) contender.decode(stored)
    found[name].decode.push(Number(process.hrtime.bigint() - start) / times)
  }
}
console.log(`a value of ${bytes} bytes of JSON, ns`)
for (const [name, { encode, decode }] of Object.entries(found)) {
  const [to, from] = [median(encode), median(decode)]
  console.log(
    `${name.padEnd(10)} encode ${to.toFixed(0).padStart(7)}  decode ${from.toFixed(0).padStart(7)}  both ${(to + from).toFixed(0).padStart(7)}`,
  )
}
