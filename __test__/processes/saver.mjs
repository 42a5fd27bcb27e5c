// Saves and backs up until it is killed.
import { join } from 'node:path'
import { Cache } from '../../dist/index.mjs'

const [folder, round] = process.argv.slice(2)
const cache = new Cache({ dir: join(folder, 'cache') })
console.log('ready')
for (let number = 0; ; number++) {
  await cache.save(join(folder, 'saved'))
  await cache.backup(join(folder, `backup-${round}-${number}`))
}
