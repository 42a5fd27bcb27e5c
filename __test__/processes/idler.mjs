// Stores a value that takes a file, says so, and does nothing until it is killed.
import { Cache } from '../../dist/index.mjs'

const cache = new Cache({ dir: process.argv[2], codec: 'none' })
await cache.set(`large-${process.pid}`, Buffer.alloc(50_000))
console.log('stored')
setInterval(() => {}, 1000)
