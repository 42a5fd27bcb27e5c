// Writes until it is killed, and says which writes were acknowledged: "+ key number"; "? key" before a delete, "- key" after.
import { writeSync } from 'node:fs'
import { Cache } from '../../dist/index.mjs'
import { KEPT, make, SIZES } from './values.mjs'

const [dir, round, memory] = process.argv.slice(2)
const cache = new Cache({ dir, memory: memory === 'true', codec: 'none', ...KEPT })
// Straight to the pipe, before anything else happens: what was said was acknowledged.
const say = (line) => writeSync(1, `${line}\n`)
const store = (key, number, size) =>
  cache.set(key, make(key, number, size)).then(() => say(`+ ${key} ${number}`))

say('ready')
for (let number = 0; ; number++) {
  const size = SIZES[number % SIZES.length]
  const at = Number(round) * 1e6 + number
  await store(`own-${round}-${number}`, at, size)
  await store(`shared-${number % 7}`, at, SIZES[(number * 3) % SIZES.length])
  if (number % 3 === 0) {
    await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        store(`batch-${index}`, at, SIZES[(number + index) % SIZES.length]),
      ),
    )
  }
  if (number % 5 === 4) {
    const key = `own-${round}-${number - 2}`
    say(`? ${key}`)
    await cache.delete(key)
    say(`- ${key}`)
  }
  if (number % 4 === 0) {
    const key = `sync-${number % 8}`
    cache.setSync(key, make(key, at, size))
    say(`+ ${key} ${at}`)
  }
}
