/**
 * Long random programs on what stands on a cache: limits, locks, namespaces and wrapped functions, each against the plainest thing
 * that does the same, on a clock that moves when the program says so. With a disk, two caches on one directory take turns.
 */
import {
  type Cache,
  type CacheOptions,
  type Lease,
  lock,
  type Namespace,
  rateLimiter,
  wrap,
  wrapGenerator,
  wrapMany,
  wrapSync,
} from 'tierce'
import { describe, expect, it } from 'vitest'
import { type FakeClock, fakeClock } from './helpers/clock.js'
import { type Random, randomOf } from './helpers/random.js'
import { openCache, tempDir } from './helpers/temp.js'

/** Programs of each kind; a failing one is named by its seed. */
const PROGRAMS = Number(process.env.TIERCE_SEEDS ?? 6)

const places: { place: string; options: () => CacheOptions; isShared: boolean }[] = [
  { place: 'memory', options: () => ({}), isShared: false },
  { place: 'disk', options: () => ({ dir: tempDir(), memory: false }), isShared: true },
  { place: 'memory and disk', options: () => ({ dir: tempDir() }), isShared: true },
]

/** Runs programs in each place; `run` gets the caches, of which each step takes one. */
function programs(
  name: string,
  run: (world: { random: Random; clock: FakeClock; pick: () => Cache; caches: Cache[] }) => Promise<void>,
): void {
  describe.each(places)(`${name} in $place`, ({ options, isShared }) => {
    it.each(Array.from({ length: PROGRAMS }, (_, at) => at + 1))('seed %i', async (seed) => {
      const random = randomOf(seed * 101 + name.length)
      const clock = fakeClock()
      const given = { ...options(), clock }
      const caches = Array.from({ length: isShared ? 2 : 1 }, () => openCache(given))
      await run({ random, clock, caches, pick: () => random.pick(caches) })
    })
  })
}

programs('limits', async ({ random, clock, pick }) => {
  const limit = 1 + random.below(6)
  const per = random.pick([1, 7, 100, 1000])
  const burst = random.chance(0.5) ? 1 + random.below(8) : undefined
  const bucket = { name: 'b', limit, per, burst }
  const window = { name: 'w', limit, per, algorithm: 'sliding-window' as const }
  const most = burst ?? limit
  /** Parts of a token, of which `per` make one, in whole numbers; and when they were counted. */
  const buckets = new Map<string, { parts: number; at: number }>()
  /** When each was taken. */
  const windows = new Map<string, number[]>()

  for (let step = 0; step < 150; step++) {
    if (random.chance(0.4)) clock.advance(random.pick([1, 3, Math.ceil(per / limit), per, 3 * per]))
    const key = random.pick(['', 'a', 'b'])
    const now = clock()
    if (random.chance(0.5)) {
      const cost = 1 + random.below(most)
      const known = buckets.get(key) ?? { parts: most * per, at: now }
      const full = Math.min(most * per, known.parts + (now - known.at) * limit)
      const allowed = full >= cost * per
      const left = allowed ? full - cost * per : full
      buckets.set(key, { parts: left, at: now })
      expect(rateLimiter(pick(), bucket).tryTake(key, cost)).toEqual({
        allowed,
        remaining: Math.floor(left / per),
        retryAfter: allowed ? 0 : Math.ceil((cost * per - full) / limit),
      })
    } else {
      const cost = 1 + random.below(limit)
      const held = (windows.get(key) ?? []).filter((at) => at > now - per)
      const allowed = held.length + cost <= limit
      if (allowed) held.push(...Array.from({ length: cost }, () => now))
      windows.set(key, held)
      const first = held[held.length + cost - limit - 1]
      expect(rateLimiter(pick(), window).tryTake(key, cost)).toEqual({
        allowed,
        remaining: limit - held.length,
        retryAfter: allowed ? 0 : first! + per - now,
      })
    }
    if (random.chance(0.03)) {
      rateLimiter(pick(), bucket).reset(key)
      rateLimiter(pick(), window).reset(key)
      buckets.delete(key)
      windows.delete(key)
    }
  }
})

programs('locks', async ({ random, clock, pick }) => {
  const held = new Map<string, { by: Lease; until: number }>()
  const leases: Lease[] = []
  const isLive = (name: string) => (held.get(name)?.until ?? 0) > clock()
  for (let step = 0; step < 120; step++) {
    if (random.chance(0.3)) clock.advance(random.pick([1, 10, 50]))
    if (leases.length === 0 || random.chance(0.4)) {
      const name = random.pick(['x', 'y'])
      const ms = random.pick([10, 40, 100])
      if (isLive(name)) {
        const late = lock(pick(), name, { lease: ms, timeout: 1 })
        await expect(late).rejects.toMatchObject({ code: 'E_LOCK_TIMEOUT' })
        continue
      }
      const lease = await lock(pick(), name, { lease: ms })
      expect(lease.expiresAt).toBe(clock() + ms)
      held.set(name, { by: lease, until: clock() + ms })
      leases.push(lease)
      continue
    }
    const lease = random.pick(leases)
    const isIts = isLive(lease.name) && held.get(lease.name)?.by === lease
    const way = random.below(3)
    if (way === 0) expect(lease.isHeld()).toBe(isIts)
    else if (way === 1) {
      expect(lease.extend(60)).toBe(isIts)
      if (isIts) held.set(lease.name, { by: lease, until: clock() + 60 })
    } else {
      expect(lease.release()).toBe(isIts)
      if (isIts) held.delete(lease.name)
    }
  }
})

interface Known {
  value: unknown
  until: number
  tags: string[]
}

programs('namespaces', async ({ random, clock, caches }) => {
  const names = ['a', 'b'] as const
  const spaces = caches.map((cache) => names.map((name) => cache.namespace(name)))
  const known = names.map(() => new Map<string, Known>())
  const long = 'x'.repeat(1100)
  const keys = ['k', 'l', { of: [1, 'k'] }, `${long}1`, `${long}2`]
  const live = (of: Map<string, Known>, key: unknown) => {
    const found = of.get(JSON.stringify(key))
    return found !== undefined && found.until > clock() ? found : undefined
  }
  for (let step = 0; step < 150; step++) {
    if (random.chance(0.2)) clock.advance(random.pick([1, 5, 30]))
    const at = random.below(2)
    const space = random.pick(spaces)[at] as Namespace
    const of = known[at]!
    const key = random.pick(keys)
    const found = live(of, key)
    const put = (value: unknown, { ttl, tags }: { ttl?: number; tags?: string[] } = {}) =>
      of.set(JSON.stringify(key), { value, until: clock() + (ttl ?? Infinity), tags: tags ?? [] })
    const options = {
      ...(random.chance(0.4) ? { ttl: random.pick([1, 20, 1000]) } : {}),
      ...(random.chance(0.4) ? { tags: [random.pick(['red', 'blue'])] } : {}),
    }
    const isSync = random.chance(0.5)
    switch (random.below(13)) {
      case 0:
      case 1:
      case 2:
        if (isSync) space.setSync(key, step, options)
        else await space.set(key, step, options)
        put(step, options)
        break
      case 3:
        await space.setMany([[key, step]], options)
        put(step, options)
        break
      case 4:
        expect(isSync ? space.addSync(key, step, options) : await space.add(key, step, options)).toBe(!found)
        if (!found) put(step, options)
        break
      case 5:
        expect(isSync ? space.updateSync(key, step, options) : await space.update(key, step, options)).toBe(
          !!found,
        )
        if (found) put(step, options)
        break
      case 6: {
        const value = isSync ? space.incrementSync(key, 5) : await space.increment(key, 5)
        expect(value).toBe(((found?.value as number | undefined) ?? 0) + 5)
        if (found) found.value = value
        else put(value)
        break
      }
      case 7:
        expect(isSync ? space.deleteSync(key) : await space.delete(key)).toBe(!!found)
        of.delete(JSON.stringify(key))
        break
      case 8:
        expect(isSync ? space.expireSync(key, 25) : await space.expire(key, 25)).toBe(!!found)
        if (found) found.until = clock() + 25
        break
      case 9: {
        const tag = random.pick(['red', 'blue'])
        const tagged = [...of].filter(([, { tags }]) => tags.includes(tag))
        const count = isSync ? space.invalidateTagsSync([tag]) : await space.invalidateTags([tag])
        expect(count).toBeGreaterThanOrEqual(tagged.filter(([, { until }]) => until > clock()).length)
        for (const [text] of tagged) of.delete(text)
        break
      }
      case 10:
        if (random.chance(0.3)) {
          if (isSync) space.clearSync()
          else await space.clear()
          of.clear()
        }
        break
      case 11: {
        const listed: unknown[] = []
        for await (const one of space.keys()) {
          listed.push(one)
          expect(await space.has(one as never)).toBe(true)
        }
        expect(listed).toHaveLength(keys.filter((one) => live(of, one)).length)
        break
      }
      default: {
        const left = isSync ? space.ttlSync(key) : await space.ttl(key)
        expect(left).toBe(found && found.until - clock())
      }
    }
    const seen = [space.getSync(key), (await space.getMany([key]))[0], await space.get(key)]
    expect(seen).toEqual(Array(3).fill(live(of, key)?.value))
  }
  for (const [at, of] of known.entries()) {
    for (const space of spaces.map((of) => of[at] as Namespace)) {
      const expected = keys.map((key) => live(of, key)?.value)
      expect(await space.getMany(keys)).toEqual(expected)
      expect(await space.size()).toBe(expected.filter((value) => value !== undefined).length)
    }
  }
})

programs('wrapped functions', async ({ random, clock, caches }) => {
  const ttl = random.pick([5, 50])
  let loads = 0
  // The order of properties is no part of it.
  const textOf = (argument: unknown) =>
    JSON.stringify(argument, (_, part) => (part?.a === 1 ? { a: 1, b: [2] } : (part as unknown)))
  const load = (argument: unknown) => `${++loads} of ${textOf(argument)}`
  const kinds = caches.map((cache) => [
    wrap(cache, async (argument: unknown) => load(argument), { name: 'async', ttl }),
    wrapSync(cache, (argument: unknown) => load(argument), { name: 'sync', ttl }),
    wrapMany(cache, async (all: unknown[]) => all.map(load), { name: 'many', ttl }),
    wrapGenerator(cache, async function* (argument: unknown) { yield load(argument) }, { name: 'items', ttl }), // biome-ignore format: short
  ])
  const known = kinds[0]!.map(() => new Map<string, { value: string; until: number }>())
  const first = async (given: unknown) => {
    if (typeof (given as AsyncIterable<string>)[Symbol.asyncIterator] !== 'function') return given
    for await (const item of given as AsyncIterable<string>) given = item
    return given
  }
  for (let step = 0; step < 150; step++) {
    if (random.chance(0.2)) clock.advance(random.pick([1, 4, 30]))
    const at = random.below(4)
    const call = random.pick(kinds)[at] as unknown as ((argument: unknown) => unknown) & {
      fresh?: (argument: unknown) => unknown
      invalidate(argument: unknown): Promise<boolean>
      peek?: (argument: unknown) => Promise<unknown>
    }
    const of = known[at]!
    const argument = random.pick([1, '1', { a: 1, b: [2] }, 'y'.repeat(1500), null])
    const text = textOf(argument)
    const found = of.get(text)
    const live = found !== undefined && found.until > clock() ? found.value : undefined
    const given = text.startsWith('{') ? { b: [2], a: 1 } : argument
    const before = loads
    switch (random.below(6)) {
      case 0:
        expect(await call.invalidate(given)).toBe(live !== undefined)
        of.delete(text)
        break
      case 1: {
        if (call.peek === undefined) break
        const peeked = await call.peek(given)
        expect(at === 3 && peeked !== undefined ? (peeked as unknown[])[0] : peeked).toBe(live)
        expect(loads).toBe(before)
        break
      }
      case 2:
        if (call.fresh === undefined) break
        expect(await call.fresh(given)).toBe(`${before + 1} of ${text}`)
        of.set(text, { value: `${before + 1} of ${text}`, until: clock() + ttl })
        break
      default: {
        const value = await first(await call(given))
        expect(value).toBe(live ?? `${before + 1} of ${text}`)
        expect(loads).toBe(live === undefined ? before + 1 : before)
        if (live === undefined) of.set(text, { value: value as string, until: clock() + ttl })
      }
    }
  }
})
