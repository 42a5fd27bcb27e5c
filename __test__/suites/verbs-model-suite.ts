/** Random verbs on a clock that stands still, against a naive model; with a disk, by two caches on one directory. */
import fc from 'fast-check'
import type { Cache } from 'tierce'
import { describe, expect, it } from 'vitest'
import { type FakeClock, fakeClock } from '../helpers/clock.js'
import { openCache } from '../helpers/temp.js'
import { optionsFor, type Tiers } from './cache-suite.js'

const RUNS = Number(process.env.TIERCE_SEEDS ?? 25)
const KEYS = ['a', 'b', { c: 1 }] as const
type ModelKey = (typeof KEYS)[number]

/** What a cache should be: a map with times. */
class Model {
  readonly entries = new Map<ModelKey, { value: unknown; expiresAt: number }>()

  constructor(readonly now: () => number) {}

  get(key: ModelKey): { value: unknown; expiresAt: number } | undefined {
    const entry = this.entries.get(key)
    return entry !== undefined && entry.expiresAt > this.now() ? entry : undefined
  }

  set(key: ModelKey, value: unknown, ttl: number | undefined): void {
    this.entries.set(key, { value, expiresAt: this.now() + (ttl ?? Number.POSITIVE_INFINITY) })
  }

  live(): ModelKey[] {
    return [...this.entries.keys()].filter((key) => this.get(key) !== undefined)
  }
}

interface World {
  caches: Cache[]
  model: Model
  clock: FakeClock
  /** Opens the caches again. */
  reopen(): Promise<void>
}

/** Does something to a cache and to the model, and compares what both say. */
type Step = (world: World, cache: Cache) => Promise<void>

const key = fc.constantFrom(...KEYS)
const ttl = fc.option(fc.integer({ min: 1, max: 6 }), { nil: undefined })
const value = fc.oneof(
  fc.integer({ min: -3, max: 3 }),
  fc.constantFrom<unknown>(null, 'text', 5n, { n: [1] }, Buffer.alloc(50_000, 7)),
)
const sync = fc.boolean()

type NamedStep = fc.Arbitrary<{ name: string; run: Step }>

const steps: NamedStep[] = [
  fc.record({ key, value, ttl, sync }).map((given) =>
    named('set', given, async ({ model }, cache) => {
      if (given.sync) cache.setSync(given.key, given.value, { ttl: given.ttl })
      else await cache.set(given.key, given.value, { ttl: given.ttl })
      model.set(given.key, given.value, given.ttl)
    }),
  ),
  fc.record({ key, value, ttl, sync, isThere: fc.boolean() }).map((given) =>
    named(given.isThere ? 'update' : 'add', given, async ({ model }, cache) => {
      const verb = given.isThere ? 'update' : 'add'
      const stored = given.sync
        ? cache[`${verb}Sync`](given.key, given.value, { ttl: given.ttl })
        : await cache[verb](given.key, given.value, { ttl: given.ttl })
      expect(stored).toBe((model.get(given.key) !== undefined) === given.isThere)
      if (stored) model.set(given.key, given.value, given.ttl)
    }),
  ),
  fc.record({ key, sync }).map((given) =>
    named('delete', given, async ({ model }, cache) => {
      const deleted = given.sync ? cache.deleteSync(given.key) : await cache.delete(given.key)
      expect(deleted).toBe(model.get(given.key) !== undefined)
      model.entries.delete(given.key)
    }),
  ),
  fc.record({ key, ttl, sync }).map((given) =>
    named('expire', given, async ({ model }, cache) => {
      const time = given.ttl ?? 'never'
      const done = given.sync ? cache.expireSync(given.key, time) : await cache.expire(given.key, time)
      const entry = model.get(given.key)
      expect(done).toBe(entry !== undefined)
      if (entry !== undefined) model.set(given.key, entry.value, given.ttl)
    }),
  ),
  fc.constant(
    named('clear', {}, async ({ model }, cache) => {
      await cache.clear()
      model.entries.clear()
    }),
  ),
  fc.constant(
    named('cleanup', {}, async ({ model }, cache) => {
      await cache.cleanup()
      for (const one of KEYS) if (model.get(one) === undefined) model.entries.delete(one)
      expect(await cache.expiredCount()).toBe(0)
      expect(await cache.size()).toBe(model.live().length)
    }),
  ),
  fc
    .integer({ min: 1, max: 4 })
    .map((ms) => named('advance', { ms }, async ({ clock }) => clock.advance(ms))),
  fc.constant(named('reopen', {}, async (world) => world.reopen())),
]

/** What takes a database on disk. */
const countingSteps: NamedStep[] = [
  fc.record({ key, ttl, sync, by: fc.constantFrom<number | bigint>(1, -2, 3n) }).map((given) =>
    named('increment', given, async ({ model }, cache) => {
      const entry = model.get(given.key)
      const held = entry?.value ?? (typeof given.by === 'bigint' ? 0n : 0)
      const run = async () =>
        given.sync
          ? cache.incrementSync(given.key, given.by as number, { ttl: given.ttl })
          : cache.increment(given.key, given.by as number, { ttl: given.ttl })
      if (entry?.value === null || typeof held !== typeof given.by) {
        await expect(run()).rejects.toMatchObject({ code: 'E_INVALID_OPTION' })
        return
      }
      const sum = (held as number) + (given.by as number)
      expect(await run()).toBe(sum)
      if (entry === undefined) model.set(given.key, sum, given.ttl)
      else entry.value = sum
    }),
  ),
  fc
    .record({ keys: fc.array(key, { minLength: 1 }), value, fails: fc.boolean(), meets: fc.boolean() })
    .map((given) =>
      named('transaction', given, async ({ model, caches }, cache) => {
        const thrown = new Error('mine')
        const written = new Set<ModelKey>()
        const seen = (one: ModelKey) => (written.has(one) ? given.value : model.get(one)?.value)
        const outcome = cache.transaction(async (tx) => {
          for (const one of given.keys) {
            expect(await tx.get(one)).toEqual(seen(one))
            await tx.set(one, given.value)
            written.add(one)
          }
          if (given.meets) {
            await caches.at(-1)?.set(given.keys[0]!, 'other')
            model.set(given.keys[0]!, 'other', undefined)
          }
          if (given.fails) throw thrown
        })
        if (given.fails) await expect(outcome).rejects.toBe(thrown)
        else if (given.meets) await expect(outcome).rejects.toMatchObject({ code: 'E_TRANSACTION' })
        else {
          await outcome
          for (const one of given.keys) model.set(one, given.value, undefined)
        }
      }),
    ),
]

function named(name: string, given: object, run: Step): { name: string; run: Step } {
  const text = JSON.stringify(given, (_, one) =>
    typeof one === 'bigint' ? `${one}n` : Buffer.isBuffer(one) ? 'bytes' : one,
  )
  return { name: `${name} ${text}`.slice(0, 200), run }
}

export function verbsModelSuite(tiers: Tiers): void {
  const step = fc.oneof(...steps, ...(tiers.metadata === undefined ? countingSteps : []))

  describe('every verb against a model', () => {
    it('random_verbs_do_what_a_map_with_times_does', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(fc.tuple(step, fc.nat(1)), { maxLength: 30 }), async (steps) => {
          const clock = fakeClock()
          const options = optionsFor(tiers, { clock })
          const open = () => Array.from({ length: tiers.disk ? 2 : 1 }, () => openCache(options))
          const world: World = {
            caches: open(),
            model: new Model(clock),
            clock,
            reopen: async () => {
              if (!tiers.disk) return
              await world.caches[0]?.close()
              world.caches[0] = openCache(options)
            },
          }
          for (const [{ run }, which] of steps) {
            await run(world, world.caches[which % world.caches.length]!)
            for (const cache of world.caches) await compare(cache, world.model)
          }
          for (const cache of world.caches) await cache.close()
        }),
        { numRuns: RUNS },
      )
    })
  })
}

async function compare(cache: Cache, model: Model): Promise<void> {
  for (const one of KEYS) {
    const entry = model.get(one)
    expect(await cache.get(one)).toEqual(entry?.value)
    expect(cache.getSync(one)).toEqual(entry?.value)
    expect(await cache.has(one)).toBe(entry !== undefined)
    expect(await cache.ttl(one)).toBe(entry === undefined ? undefined : entry.expiresAt - model.now())
  }
  const listed: unknown[] = []
  for await (const one of cache.keys()) listed.push(one)
  expect(listed).toHaveLength(model.live().length)
  expect(listed).toEqual(expect.arrayContaining(model.live()))
}
