const assert = require('node:assert/strict')

/** The thin path through every layer, in one directory: bytes and structure go in and come back, also after a reopening. */
exports.exercise = async function exercise({ Cache, TierceError, wrap }, dir) {
  const value = { name: 'Ada', born: new Date(0), tags: new Set(['a', 'b']), size: 12n }
  const bytes = Buffer.alloc(300_000, 'tierce')
  const first = new Cache({ dir })
  await first.set({ user: 1, of: 'x' }, value)
  await first.set('bytes', bytes)
  await first.close()

  const cache = new Cache({ dir })
  assert.deepEqual(await cache.get({ of: 'x', user: 1 }), value)
  assert.equal(Buffer.compare(await cache.get('bytes'), bytes), 0)
  assert.equal(await cache.get('nothing'), undefined)

  let calls = 0
  const count = async (n) => {
    calls += 1
    return n * 2
  }
  const double = wrap(cache, count, { name: 'double', ttl: '1h' })
  assert.deepEqual([await double(21), await double(21), calls], [42, 42, 1])
  await cache.close()

  const memory = new Cache()
  await memory.set('k', 'v')
  assert.equal(await memory.get('k'), 'v')
  await memory.close()
  assert.throws(() => new Cache({ dir, ttl: 'soon' }), TierceError)
  console.log(`ok ${process.version}`)
}
