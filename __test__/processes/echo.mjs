// Stores under "k" each number that it reads from its input, and says so.
import { createInterface } from 'node:readline'
import { Cache } from '../../dist/index.mjs'
import { KEPT } from './values.mjs'

const cache = new Cache({ dir: process.argv[2], ...KEPT })
console.log('ready')
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'delete') {
    await cache.delete('k')
    console.log('deleted')
    continue
  }
  await cache.set('k', Number(line))
  await cache.set(`own-${line}`, Number(line))
  console.log(`stored ${line}`)
}
await cache.close()
