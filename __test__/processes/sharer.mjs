// Reads and writes one directory beside other processes, and checks all it sees.
//
// Keys belong to one writer each, so that "older than" has a meaning. The number of each acknowledged write is put on a board,
// a file that all read: a read that begins after that must not see an older one.
import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { Cache } from '../../dist/index.mjs'
import { check, KEPT, make, SIZES } from './values.mjs'

const [dir, board, me, writers, seconds, memory] = process.argv.slice(2)
const KEYS = 6
const cache = new Cache({ dir, memory: memory === 'true', ...KEPT })
cache.on('error', (error) => {
  throw error
})
const file = openSync(board, 'r+')
const cell = Buffer.alloc(8)
const slot = (writer, key) => 8 * (writer * KEYS + key)

function acknowledged(writer, key) {
  readSync(file, cell, 0, 8, slot(writer, key))
  return Number(cell.readBigUInt64LE())
}

function acknowledge(key, number) {
  cell.writeBigUInt64LE(BigInt(number))
  writeSync(file, cell, 0, 8, slot(Number(me), key))
}

let reads = 0
let writes = 0
let number = 0

async function read(writer, key, get) {
  const name = `w${writer}k${key}`
  const least = acknowledged(writer, key)
  const value = await get(name)
  if (value === undefined) {
    if (least > 0) throw new Error(`${name}: ${least} was acknowledged and is lost`)
    return
  }
  const seen = check(name, value)
  if (seen < least) throw new Error(`${name}: read ${seen} although ${least} was acknowledged before`)
  reads++
}

let state = Number(me) + 1
function random() {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0
  return state / 2 ** 32
}
const pick = (count) => Math.floor(random() * count)

async function write() {
  const key = pick(KEYS)
  const name = `w${me}k${key}`
  const value = make(name, ++number, SIZES[pick(SIZES.length)])
  if (random() < 0.2) cache.setSync(name, value)
  else await cache.set(name, value)
  acknowledge(key, number)
  writes++
}

console.log('ready')
const end = Date.now() + Number(seconds) * 1000
while (Date.now() < end) {
  await write()
  for (let turn = 0; turn < 6; turn++) {
    // Some keys are read again and again, so that memory answers.
    const writer = pick(Number(writers))
    const key = pick(KEYS)
    await read(writer, key, (name) => cache.get(name))
    await read(writer, key, (name) => (random() < 0.5 ? cache.getSync(name) : cache.get(name)))
    if (random() < 0.1) await read(writer, key, async (name) => (await cache.getMany([name]))[0])
    if (random() < 0.05) await read(writer, key, async (name) => (await cache.entry(name))?.value)
  }
}
// The last word of every writer is there: what is on the board is the least.
for (let writer = 0; writer < Number(writers); writer++) {
  for (let key = 0; key < KEYS; key++) await read(writer, key, (name) => cache.get(name))
}
await cache.close()
closeSync(file)
console.log(`${writes} ${reads}`)
