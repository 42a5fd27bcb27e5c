/** The memory tier of `Cache`: its policies, and what the disk tier is told. */
import { type CacheOptions, definePolicy, wrapSync } from 'tierce'
import { describe, expect, it } from 'vitest'
import { systemTime } from '../build/memory/clock.js'
import { Clock, noted } from '../build/tiers/clock.js'
import { MemoryEntry, MemoryTier } from '../build/tiers/memory.js'
import { POLICIES } from './helpers/policies.js'
import { openCache, tempDir } from './helpers/temp.js'

const BOUNDS = [
  { max: 1 },
  { max: 2 },
  { max: 100 },
  { maxSize: 20_000 },
  { max: 100, maxSize: 20_000 },
] satisfies CacheOptions['memory'][]

describe('each policy', () => {
  it.each([...POLICIES, undefined])(
    '%s: what was set is there at once, and the bounds hold',
    async (policy) => {
      for (const bounds of BOUNDS) {
        const cache = openCache({ memory: { ...bounds, policy } })
        for (let step = 0; step < 3000; step++) {
          const key = `k${(step * 7919) % 1013}`
          const value = 'x'.repeat((step * 31) % 900)
          cache.setSync(key, value)
          expect(cache.getSync(key), `${policy} ${JSON.stringify(bounds)} step ${step}`).toBe(value)
          cache.getSync(`k${step % 50}`)
          if (step % 11 === 0) cache.deleteSync(`k${(step * 13) % 1013}`)
          if (step % 500 !== 0) continue
          const { memory } = await cache.stats()
          expect(memory.entries).toBeLessThanOrEqual(bounds.max ?? Infinity)
          expect(memory.size).toBeLessThanOrEqual(bounds.maxSize ?? Infinity)
        }
      }
    },
  )

  it.each([{ max: 200 }, { maxSize: '46KB' }])(
    'w-tinylfu keeps what is used often through a scan: %o',
    async (bounds) => {
      const left = async (policy: string) => {
        const cache = openCache({ memory: { ...bounds, policy } })
        const hot = Array.from({ length: 50 }, (_, index) => `hot${index}`)
        for (let round = 0; round < 20; round++) {
          for (const key of hot) await cache.getOrSet(key, () => 1)
          for (let step = 0; step < 300; step++) await cache.set(`cold${round}-${step}`, step)
        }
        const found = await cache.getMany(hot)
        return found.filter((value) => value !== undefined).length
      }
      expect(await left('lru')).toBe(0)
      expect(await left('w-tinylfu')).toBeGreaterThan(40)
    },
  )

  it('a policy that there is not is refused by its name', () => {
    const open = () => openCache({ memory: { policy: 'lur' } })
    expect(open).toThrow(expect.objectContaining({ code: 'E_INVALID_OPTION' }))
    expect(open).toThrow(/memory\.policy.*"lur".*did you mean 'lru'/)
  })

  it('one that was defined decides', async () => {
    definePolicy<string>('tier-longest', {
      victim: (cache) => [...cache.keys()].reduce((a, b) => (b.length > a.length ? b : a)),
    })
    const cache = openCache({ memory: { max: 3, policy: 'tier-longest' } })
    for (const key of ['a', 'long', 'bb', 'c']) await cache.set(key, key)
    expect(await cache.getMany(['a', 'long', 'bb', 'c'])).toEqual(['a', undefined, 'bb', 'c'])
  })
})

describe('what the disk tier is told', () => {
  const now = 0
  const place = (id: number) => ({ slot: id, epoch: 0, idLow: id, idHigh: 0 })
  const make = (max: number, policy = 'lru') =>
    new MemoryTier({ max, maxSize: 1e6, policy, tells: true }, () => now)
  const times = { expiresAt: Infinity, freshUntil: Infinity }
  const entry = (id: number, size = 8, expiresAt = Infinity) => {
    const made = new MemoryEntry(`k${id}`, id, size, 'live', 0, { ...times, expiresAt, cost: 0 })
    made.place = place(id)
    return made
  }
  const put = (tier: MemoryTier, made: MemoryEntry) => {
    expect(tier.put(made)).toBe(tier.peek(made.text) === made)
    return made
  }

  it('accesses come with their number, the least recent first, and once', () => {
    const tier = make(10)
    const [a, b, c] = [1, 2, 3].map((id) => put(tier, entry(id)))
    for (const one of [a, b, c, a, a]) tier.use(one, 1)
    expect(tier.takeAccesses().map(({ idLow, hits }) => [idLow, hits])).toEqual([
      [2, 1],
      [3, 1],
      [1, 3],
    ])
    expect(tier.takeAccesses()).toEqual([])
  })

  it('accesses of an entry that was evicted are told, those of one that was replaced or removed are not', () => {
    const tier = make(2)
    for (const id of [1, 2]) tier.use(put(tier, entry(id)), 1)
    put(tier, entry(3))
    put(tier, entry(2))
    expect(tier.takeAccesses().map(({ idLow }) => idLow)).toEqual([1])
    tier.use(tier.peek('k2')!, 1)
    tier.delete('k2')
    expect(tier.takeAccesses()).toEqual([])
    expect(tier.count).toBe(1)
  })

  it('an access before the write is done is told when it is', () => {
    const tier = make(2)
    const waiting = put(tier, entry(1))
    waiting.place = undefined
    tier.use(waiting, 1)
    expect(tier.takeAccesses()).toEqual([])
    waiting.place = place(1)
    expect(tier.takeAccesses()).toHaveLength(1)
  })

  it('cleanup removes what has expired and nothing else, by the time that was set last', () => {
    let time = 1e6
    const removed: [string, string][] = []
    const tier = new MemoryTier(
      { max: 3000, maxSize: 1e6, policy: 'lru', tells: false },
      () => time,
      (entry, reason) => removed.push([entry.text, reason]),
    )
    for (let id = 0; id < 1000; id++) put(tier, entry(id, 8, 1e6 + 10 * id))
    put(tier, entry(1))
    tier.retime(tier.peek('k2')!, { ...times, expiresAt: 2e9 })
    tier.retime(tier.peek('k900')!, { ...times, expiresAt: 1e6 + 5 })
    tier.delete('k3')
    time += 2000
    expect(tier.cleanup()).toBe(201 - 3 + 1)
    expect(tier.cleanup()).toBe(0)
    expect(removed.every(([, reason]) => reason === 'expire')).toBe(true)
    expect([...tier.entries()].every(({ expiresAt }) => expiresAt > time)).toBe(true)
    time = 3e9
    tier.cleanup()
    expect([...tier.entries()].map(({ text }) => text)).toEqual(['k1'])
    expect(tier.check()).toBe('')
  })

  it.each(POLICIES)('%s: the account holds through any mixture of calls', (policy) => {
    const tier = make(50, policy)
    for (let step = 0; step < 20_000; step++) {
      const id = (step * 7919) % 131
      const held = tier.peek(`k${id}`)
      if (held === undefined || step % 17 === 0) {
        const made = entry(id, (step * 37) % 60_000)
        if (step % 3 === 0) made.place = undefined
        put(tier, made)
      } else if (step % 23 === 0) tier.remove(held)
      else tier.use(held, step)
      if (step % 1000 === 0) {
        const accesses = tier.takeAccesses()
        expect(accesses.every(({ hits }) => hits > 0)).toBe(true)
        expect(tier.check()).toBe('')
      }
    }
    expect([...tier.entries()]).toHaveLength(tier.count)
    tier.clear()
    expect([tier.count, tier.size, tier.takeAccesses().length]).toEqual([0, 0, 0])
  })

  it('eviction from disk goes by what memory answered, whatever the policy of memory', async () => {
    const cache = openCache({
      dir: tempDir(),
      maxSize: '1MiB',
      codec: 'none',
      memory: { max: 64, policy: 'sieve' },
    })
    await cache.set('kept', 'x')
    for (let step = 0; step < 600; step++) {
      await cache.set(`k${step}`, 'y'.repeat(5000))
      expect(await cache.get('kept')).toBe('x')
    }
    expect((await cache.entry('kept'))?.hits).toBeGreaterThan(500)
  })

  it('what the disk evicted and memory still answers with is the same to every read', async () => {
    const cache = openCache({ dir: tempDir(), max: 2 })
    for (const key of ['a', 'b', 'c', 'd']) await cache.set(key, key)
    const listed = []
    for await (const key of cache.keys()) listed.push(key)
    expect(listed).toHaveLength(2)
    for (const key of ['a', 'b', 'c', 'd']) {
      expect([cache.getSync(key), await cache.get(key), await cache.has(key)]).toEqual([key, key, true])
      expect(await cache.entry(key)).toMatchObject({ value: key, tier: 'memory', tags: [] })
      expect(await cache.getOrThrow(key)).toBe(key)
    }
    await cache.delete('a')
    expect([await cache.entry('a'), await cache.get('a')]).toEqual([undefined, undefined])
  })
})

describe('the time of a hit', () => {
  /** More than a turn of the event loop compares by the system's clock. */
  const MANY = 300

  it('a_clock_of_the_program_is_asked_at_each_hit', async () => {
    let now = 1e12
    const cache = openCache({ clock: () => now, ttl: 100_000 })
    await cache.set('k', 'v')
    for (let hit = 0; hit < MANY; hit++) expect(cache.getSync('k')).toBe('v')
    now += 99_999
    expect(await cache.get('k')).toBe('v')
    expect((await cache.entry('k'))?.accessedAt).toBe(now)
    now += 1
    expect(cache.getSync('k')).toBeUndefined()
    expect(await cache.get('k')).toBeUndefined()
    expect(await cache.getOrSet('k', () => 'new')).toBe('new')
  })

  it('in_a_turn_that_lasts_an_entry_is_gone_when_its_time_has_come', () => {
    const cache = openCache({ ttl: 20 })
    cache.setSync('long', 'v', { ttl: '1h' })
    cache.setSync('k', 'v')
    const set = Date.now()
    while (Date.now() <= set + 20) {
      cache.getSync('k')
      expect(cache.getSync('long')).toBe('v')
    }
    expect(cache.getSync('k')).toBeUndefined()
    expect(cache.hasSync('k')).toBe(false)
    expect(cache.getOrSetSync('k', () => 'new')).toBe('new')
  })

  it('only_times_that_are_far_are_told_without_a_look_at_the_clock', async () => {
    const clock = new Clock(systemTime)
    const [past, far] = [noted(Date.now() - 60_000), noted(Date.now() + 3_600_000)]
    const told = (time: number) => Array.from({ length: MANY }, () => clock.isWellBefore(time))
    expect(told(past)).not.toContain(true)
    expect(told(far)).not.toContain(false)
    clock.turn()
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
    expect(clock.isWellBefore(far), 'few comparisons of a turn need no thread').toBe(false)
  })

  it('what_the_clock_throws_rejects_the_promise', async () => {
    let now: unknown = 1e12
    const cache = openCache({ clock: () => now as number, ttl: 1000 })
    await cache.set('k', 'v')
    now = 'noon'
    const wrong = expect.objectContaining({ code: 'E_INVALID_OPTION' })
    const calls = [cache.get('k'), cache.set('k', 'v'), cache.getOrSet('k', () => 'v')]
    for (const call of calls) await expect(call).rejects.toThrow(wrong)
  })
})

describe('an entry that is written over, as memory alone does', () => {
  it('has nothing of the value before: not its uses, its tags, its time to live or its weight', async () => {
    const cache = openCache({ memory: { max: 10 } })
    await cache.set('a', 'x'.repeat(1000), { tags: ['old'], ttl: '1h', description: 'old' })
    for (let use = 0; use < 5; use++) cache.getSync('a')
    const before = (await cache.stats()).memory.size
    await cache.set('a', 'y', { tags: ['new'] })
    expect((await cache.stats()).memory).toEqual({ entries: 1, size: before - 1998 })
    expect(await cache.entry('a')).toMatchObject({
      value: 'y',
      hits: 0,
      expiresAt: Infinity,
      tags: ['new'],
      description: undefined,
    })
    expect(cache.invalidateTagsSync('old')).toBe(0)
    expect(cache.invalidateTagsSync('new')).toBe(1)
    expect(cache.getSync('a')).toBeUndefined()
  })

  it('stays what it was for who looks at it: a load with a fallback, a listing, a transaction', async () => {
    let time = 1e6
    const cache = openCache({ memory: { max: 10 }, clock: () => time })
    const options = { ttl: 10, staleIfError: '1h' }
    await cache.refresh('a', () => 'stale', options)
    time += 20
    const failing = () => {
      cache.setSync('a', 'meanwhile')
      throw new Error('no')
    }
    cache.on('error', () => {})
    expect(cache.getOrSetSync('a', failing, options)).toBe('stale')
    expect(cache.getSync('a')).toBe('meanwhile')

    await cache.setMany({ a: 1, b: 22 })
    const listed: [unknown, number][] = []
    for await (const { key, size } of cache.entries()) {
      listed.push([key, size])
      cache.setSync('b', 'x'.repeat(500))
      for (let id = 0; id < 30; id++) cache.setSync(`k${id}`, id)
    }
    expect(listed).toEqual([
      ['a', 218],
      ['b', 218],
    ])

    await cache.set('t', 1)
    const conflict = cache.transactionSync.bind(cache, (tx) => {
      tx.get('t')
      cache.setSync('t', 1)
      tx.set('u', 1)
    })
    expect(conflict).toThrow(expect.objectContaining({ code: 'E_TRANSACTION' }))
  })

  it('leads nobody to a value of another key after it was evicted', () => {
    const cache = openCache({ memory: { max: 3, policy: 'fifo' } })
    const double = wrapSync(cache, (of: number) => 2 * of, { name: 'double' })
    for (let round = 0; round < 3; round++) {
      for (let of = 1; of < 10; of++) {
        expect(double(of)).toBe(2 * of)
        expect(double(of)).toBe(2 * of)
        cache.setSync(double.key(of), -of)
        expect(double(of)).toBe(-of)
        cache.setSync(`other${of}`, 'other')
      }
      for (let of = 1; of < 5; of++) {
        cache.deleteSync(double.key(of))
        expect(double(of)).toBe(2 * of)
      }
      cache.clearSync()
    }
  })
})
