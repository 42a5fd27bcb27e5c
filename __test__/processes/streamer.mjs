// Streams a value of so many MB in and out, and says by how many MB resident memory grew.
//   node __test__/processes/streamer.mjs <dir> <MB>
import { createHash } from 'node:crypto'
import { Cache } from '../../dist/index.mjs'

const [dir, megabytes] = process.argv.slice(2)
const cache = new Cache({ dir, maxSize: '4GB' })
await cache.set('warm', Buffer.alloc(1_000_000))
await cache.get('warm')

let highest = 0
const watch = () => {
  highest = Math.max(highest, process.memoryUsage.rss())
}
watch()
const before = highest

/** Megabytes that compress a little, each another one. */
async function* pieces(hash) {
  const piece = Buffer.alloc(1_000_000)
  for (let number = 0; number < Number(megabytes); number++) {
    for (let at = 0; at < piece.length; at += 4)
      piece.writeUInt32LE((number * 2654435761 + at * 40503) >>> 0, at)
    hash.update(piece)
    yield piece
    watch()
  }
}

const [written, read] = [createHash('sha256'), createHash('sha256')]
await cache.setStream('value', pieces(written))
for await (const piece of await cache.getStream('value')) {
  read.update(piece)
  watch()
}
if (written.digest('hex') !== read.digest('hex')) throw new Error('what came out is not what went in')
await cache.close()
console.log(`grew ${Math.round((highest - before) / 1e6)}`)
