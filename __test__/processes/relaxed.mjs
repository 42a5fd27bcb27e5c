// Sets one key after the other under `relaxed`, without waiting for the disk: until it is killed, or ends by itself as told.
import { writeSync } from 'node:fs'
import { Cache } from '../../dist/index.mjs'
import { make, SIZES } from './values.mjs'

const [dir, first, count, end] = process.argv.slice(2)
const cache = new Cache({ dir, memory: false, codec: 'none', durability: 'relaxed', maxSize: '1GB' })
for (let number = Number(first); number < Number(first) + Number(count); number++) {
  await cache.set(`key-${number}`, make(`key-${number}`, number, SIZES[number % SIZES.length]))
  if (number % 100 === 0) writeSync(1, `set ${number}\n`)
  if (number % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 1))
}
if (end === 'exit') process.exit(0)
if (end === 'close') await cache.close()
