// What runs under valgrind's memcheck: everything of the addon that works on memory which JavaScript sees too. `npm test -- memcheck`.
const { MemoryCache, SharedMemoryCache } = require('../dist/index.js')

for (const policy of ['lfu', 'auto']) {
  const cache = new MemoryCache({ max: 300, policy, ttl: '1h' })
  for (let step = 0; step < 6000; step++) {
    const key = (step * 7919) % 1013
    if (cache.get(key) === undefined) cache.set(key, step)
    if (step % 7 === 0) cache.delete((step * 31) % 1013)
  }
  if (cache.check() !== '' || [...cache.keys()].length !== cache.size)
    throw new Error(`${policy}: ${cache.check()}`)
}

const cache = new SharedMemoryCache({ name: 'memcheck', maxSize: 200_000 })
for (let step = 0; step < 3000; step++) {
  const key = `k${(step * 7919) % 101}`
  const length = (step * 37) % 3000
  if (step % 3 === 0) cache.set(key, Buffer.alloc(length, step % 251))
  else if (step % 100 === 1) cache.set(key, 'x'.repeat(40 * length), { ttl: 1 })
  else {
    const value = cache.get(key)
    if (Buffer.isBuffer(value) && value.some((byte) => byte !== value[0])) throw new Error(`${key} is torn`)
  }
}
cache.set('k'.repeat(100_000), 1)
if (cache.check() !== '' || [...cache.entries()].length === 0) throw new Error(cache.check())
cache.close()
process.stdout.write('done\n')
