// Stores so many entries of its own beside other processes, large and small.
import { Cache } from '../../dist/index.mjs'

const [dir, name, count] = process.argv.slice(2)
const cache = new Cache({ dir })
for (let at = 0; at < Number(count); at++) {
  await cache.set(`${name} ${at}`, name.repeat(at % 10 === 0 ? 20_000 : 1), { tags: [name] })
}
await cache.close()
