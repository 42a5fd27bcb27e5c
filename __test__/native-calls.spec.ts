/** How often a verb goes into the addon: each call costs as much as a hit in memory several times over. */
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { type Cache, wrap } from 'tierce'
import { beforeEach, describe, expect, it } from 'vitest'
import { countCalls } from './helpers/failing.js'
import { openCache, tempDir } from './helpers/temp.js'

let calls: () => string[]
let cache: Cache

/** What `run` calls, and what the turn of the event loop after it does not. */
async function during(run: () => unknown): Promise<string[]> {
  await setImmediate() // what was begun before ends with its turn
  calls()
  await run()
  return calls()
}

const KEYS = Array.from({ length: 50 }, (_, at) => `key:${at}`)
const fill = () => cache.setMany(KEYS.map((key) => [key, { key }]))

describe('with memory in front of the disk', () => {
  beforeEach(async () => {
    calls = countCalls()
    cache = openCache({ dir: join(tempDir(), 'cache') })
    await fill()
  })

  it('a_hit_in_memory_calls_nothing', async () => {
    const wrapped = wrap(cache, async (n: number) => n, { name: 'wrapped' })
    await wrapped(1)
    const hits = {
      get: () => cache.get('key:1'),
      getSync: () => cache.getSync('key:1'),
      getMany: () => cache.getMany(KEYS),
      getOrSet: () => cache.getOrSet('key:1', () => 0),
      getOrSetSync: () => cache.getOrSetSync('key:1', () => 0),
      has: () => cache.has('key:1'),
      wrapped: () => wrapped(1),
    }
    for (const [name, hit] of Object.entries(hits)) expect(await during(hit), name).toEqual([])
  })

  it('what_was_read_from_disk_is_in_memory_from_then_on', async () => {
    const dir = join(tempDir(), 'again')
    const before = openCache({ dir })
    await before.set('key', 'value')
    await before.close()
    const again = openCache({ dir })
    expect(await during(() => again.get('key'))).toEqual(['fetch'])
    expect(await during(() => again.get('key'))).toEqual([])
  })
})

describe.each([{ memory: false }, {}] as const)('a disk tier with %o', (options) => {
  beforeEach(async () => {
    calls = countCalls()
    const dir = join(tempDir(), 'cache')
    cache = openCache({ dir, ...options })
    await fill()
    await cache.close()
    cache = openCache({ dir, ...options })
  })

  it('a_get_is_one_call_hit_or_miss', async () => {
    expect(await during(() => cache.get('key:1'))).toEqual(['fetch'])
    expect(await during(() => cache.get('none'))).toEqual(['fetch'])
    expect(await during(() => cache.getSync('key:2'))).toEqual(['fetch'])
    expect(await during(() => cache.getSync('none'))).toEqual(['fetch'])
    expect(await during(() => cache.has('key:3'))).toEqual(['state'])
  })

  it('a_verb_for_many_is_one_call_whatever_it_finds', async () => {
    expect(await during(() => cache.getMany([...KEYS, 'none', 'neither']))).toEqual(['fetchMany'])
    expect(await during(() => cache.setMany(KEYS.map((key) => [key, 1])))).toEqual(['apply'])
    expect(await during(() => cache.deleteMany([...KEYS, 'none']))).toEqual(['apply'])
  })

  it('the_sets_of_one_tick_are_one_call', async () => {
    expect(await during(() => Promise.all(KEYS.map((key) => cache.set(key, 2))))).toEqual(['apply'])
    expect(await during(() => cache.setSync('key:1', 3))).toEqual(['writeSync'])
  })

  it('the_reads_of_one_turn_share_a_snapshot_that_ends_with_it', async () => {
    calls()
    for (const key of KEYS.slice(0, 3)) await cache.get(key)
    await setImmediate()
    await setImmediate()
    expect(calls()).toEqual(['fetch', 'fetch', 'fetch', 'release'])
  })

  it('a_query_and_a_short_page_are_one_call', async () => {
    expect(await during(() => cache.query('SELECT count(*) FROM entries'))).toEqual(['ask'])
    expect(await during(() => cache.entries({ limit: 10 }).next())).toEqual(['pageNow'])
    expect(await during(() => cache.stats())).toEqual(['statsNow'])
  })
})
