// Reads and writes one directory beside other processes, and checks all it sees.
//
// Keys belong to one writer each, so that "older than" has a meaning. The number of each acknowledged write is put on a board,
// a file that all read: a read that begins after that must not see an older one.
import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { Cache } from '../../dist/index.mjs'
import { check, KEPT, make, SIZES } from './values.mjs'

const [dir, board, me, writers, seconds, memory, journal] = process.argv.slice(2)
const KEYS = 6
// On a machine that has more to do, it is others' turn for long.
const lockTimeout = '1h'
const cache = new Cache({ dir, memory: memory === 'true', journal: journal === 'true', lockTimeout, ...KEPT })
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
  judge(name, least, await get(name))
}

/** Some keys of each writer in one call. */
async function readMany(sync) {
  const asked = Array.from({ length: Number(writers) }, (_, writer) => [writer, pick(KEYS)])
  const names = asked.map(([writer, key]) => `w${writer}k${key}`)
  const least = asked.map(([writer, key]) => acknowledged(writer, key))
  const values = sync ? cache.getManySync(names) : await cache.getMany(names)
  for (const [index, name] of names.entries()) judge(name, least[index], values[index])
}

function judge(name, least, value) {
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
    if (random() < 0.2) await readMany(random() < 0.5)
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
