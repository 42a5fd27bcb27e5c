const assert = require('node:assert/strict')

/** The thin path through every layer, in one directory: bytes and structure go in and come back, also after a reopening. */
exports.exercise = async function exercise(tierce, dir) {
  const { Cache, TierceError, wrap } = tierce
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
  await exerciseParts(tierce, dir)
  console.log(`ok ${process.version}`)
}

/** What is loaded when it is first used, each part once: as far as it goes without packages that are optional. */
async function exerciseParts(tierce, dir) {
  const { Cache, ColumnarMissingError, MemoryCache, PullThrough, TableCache, TierceError } = tierce
  const cache = new Cache({ dir })
  const keys = []
  for await (const key of cache.keys()) keys.push(key)
  assert.ok(keys.includes('bytes'))
  assert.equal((await cache.query('SELECT key FROM entries')).length, keys.length)
  assert.equal(await cache.transaction((tx) => tx.get('nothing')), undefined)
  assert.deepEqual((await cache.check()).problems, [])
  await cache.setStream('stream', ['a', 'b'])
  assert.equal((await cache.get('stream')).toString(), 'ab')
  await cache.close()

  const memory = new MemoryCache({ max: 2, dir })
  memory.set('k', 'v')
  assert.equal(await new MemoryCache({ max: 2 }).load(await memory.save('memory')), 1)
  assert.throws(() => tierce.prometheus(cache), { code: 'E_UNAVAILABLE' })

  const columns = { id: tierce.integer().primaryKey(), name: tierce.text() }
  const table = tierce.defineTable('things', columns)
  const fetch = ({ id }) => [{ id: id.start, name: 'a' }]
  const engine = tierce.sqlite(`${dir}.db`)
  const things = tierce.pullThrough({ engine, table, range: 'id', fetch })
  assert.ok(things instanceof PullThrough)
  assert.deepEqual((await things.get({ id: { start: 1, end: 3 } })).rows(), [{ id: 1, name: 'a' }])
  await things.close()

  class Tables extends TableCache {}
  const tables = new Tables()
  assert.ok(tables instanceof TableCache)
  await assert.rejects(() => tables.connect(), ColumnarMissingError)
  assert.throws(() => tierce.duckdb(''), TierceError)
}
