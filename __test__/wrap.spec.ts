import { CallKey, type Wrapped, wrap, wrapSync } from 'tierce'
import { describe, expect, expectTypeOf, it, vi } from 'vitest'
import { fakeClock } from './helpers/clock.js'
import { codeOf, failure } from './helpers/errors.js'
import { failDisk, WRITES } from './helpers/failing.js'
import { openCache, tempDir } from './helpers/temp.js'

describe('wrap', () => {
  it('equal_arguments_are_one_call_however_they_are_spelled', async () => {
    const cache = openCache()
    const query = vi.fn(async (options: object, limit?: number) => ({ options, limit }))
    const cached = wrap(cache, query, { name: 'query' })
    await cached({ a: 1, b: { c: 2, d: 3 } })
    await cached({ b: { d: 3, c: 2 }, a: 1 })
    await cached({ a: 1, b: { c: 2, d: 3 } }, undefined)
    expect(query).toHaveBeenCalledTimes(1)
    await cached({ a: 1, b: { c: 2, d: 3 } }, 5)
    expect(query).toHaveBeenCalledTimes(2)
  })

  it('add_of_2_and_5_never_answers_for_mul_of_2_and_5', async () => {
    const cache = openCache()
    const add = wrap(cache, async function add(a: number, b: number) {
      return a + b
    })
    const mul = wrap(cache, async function mul(a: number, b: number) {
      return a * b
    })
    expect(await add(2, 5)).toBe(7)
    expect(await mul(2, 5)).toBe(10)
    expect(await add(2, 5)).toBe(7)
  })

  it('arguments_that_look_alike_are_told_apart', async () => {
    const cache = openCache()
    const show = wrap(
      cache,
      async (...args: unknown[]) => args.map((arg) => `${typeof arg}:${String(arg)}`).join('|'),
      {
        name: 'show',
      },
    )
    const calls: unknown[][] = [
      [-1],
      [-2],
      [1],
      ['1'],
      [1n],
      [true],
      [null],
      [],
      ['a', 'b'],
      ['a,b'],
      [['a', 'b']],
      [0],
      [-0],
    ]
    const answers = []
    for (const args of calls) answers.push(await show(...args))
    for (const [index, args] of calls.entries()) expect(await show(...args)).toBe(answers[index])
    expect(await cache.size()).toBe(calls.length)
  })

  it('two_functions_under_one_name_are_refused', async () => {
    const cache = openCache()
    wrap(cache, async (a: number) => a + 1, { name: 'same' })
    const error = await failure(() => wrap(cache, async (a: number) => a + 2, { name: 'same' }))
    expect(error.code).toBe('E_INVALID_OPTION')
    expect(error.message).toContain('same')
    expect(await codeOf(() => wrapSync(cache, (a: number) => a + 3, { name: 'same' }))).toBe(
      'E_INVALID_OPTION',
    )
    wrap(cache, async (a: number) => a + 2, { name: 'same', version: '2' })
    wrap(openCache(), async (a: number) => a + 2, { name: 'same' })
  })

  it('two_bound_functions_under_one_name_are_refused_although_neither_shows_its_source', async () => {
    const cache = openCache()
    class Api {
      constructor(readonly host: string) {}
      async get() {
        return this.host
      }
    }
    const get = Api.prototype.get.bind(new Api('a'))
    wrap(cache, get)
    wrap(cache, get)
    expect(await codeOf(() => wrap(cache, Api.prototype.get.bind(new Api('b'))))).toBe('E_INVALID_OPTION')
  })

  it('one_function_may_be_wrapped_twice', async () => {
    const cache = openCache()
    const load = vi.fn(async () => 1)
    const [first, second] = [wrap(cache, load, { name: 'load' }), wrap(cache, load, { name: 'load' })]
    await first()
    await second()
    expect(load).toHaveBeenCalledTimes(1)
  })

  it('a_function_without_a_name_and_bad_options_are_refused', async () => {
    const cache = openCache()
    expect(await codeOf(() => wrap(cache, async () => 1))).toBe('E_INVALID_OPTION')
    expect(await codeOf(() => wrap(cache, 5 as never))).toBe('E_INVALID_OPTION')
    const options = (given: object) => () => wrap(cache, async () => 1, { name: 'f', ...given })
    expect(await codeOf(options({ ttl: 0 }))).toBe('E_INVALID_TTL')
    expect(await codeOf(options({ key: 'k' }))).toBe('E_INVALID_OPTION')
    expect(await codeOf(options({ version: 2 }))).toBe('E_INVALID_OPTION')
    expect(await codeOf(options({ name: '' }))).toBe('E_INVALID_OPTION')
    expect(await codeOf(options({ tll: 5 }))).toBe('E_INVALID_OPTION')
  })

  it('a_new_version_never_gets_the_results_of_an_old_one', async () => {
    const cache = openCache()
    expect(await wrap(cache, async () => 'v1', { name: 'f', version: '1' })()).toBe('v1')
    expect(await wrap(cache, async () => 'v2', { name: 'f', version: '2' })()).toBe('v2')
  })

  it('this_and_arguments_reach_the_function_and_its_looks_stay', async () => {
    const cache = openCache()
    const object = {
      base: 10,
      add: wrap(cache, async function add(this: { base: number }, a: number, b: number) {
        return this.base + a + b
      }),
    }
    expect(await object.add(1, 2)).toBe(13)
    expect(object.add.name).toBe('add')
    expect(object.add.length).toBe(2)
  })

  it('key_says_what_the_result_depends_on', async () => {
    const cache = openCache()
    const load = vi.fn(async (user: { id: number; at: () => void }) => user.id)
    const cached = wrap(cache, load, { name: 'user', key: (user) => user.id })
    await cached({ id: 1, at: () => {} })
    await cached({ id: 1, at: () => {} })
    expect(load).toHaveBeenCalledTimes(1)
    expect(await cache.get(cached.key({ id: 1, at: () => {} }))).toBe(1)
  })

  it('a_key_that_throws_or_is_none_rejects_and_does_not_throw', async () => {
    const cache = openCache()
    const broken = wrap(cache, async (_: unknown) => 1, {
      name: 'broken',
      key: () => {
        throw new RangeError('no key')
      },
    })
    for (const call of [broken, broken.fresh, broken.invalidate]) {
      await expect(call(1)).rejects.toThrow('no key')
    }
    expect(await codeOf(wrap(cache, async (_: unknown) => 1, { name: 'f' })(() => {}))).toBe('E_INVALID_KEY')
  })

  it('fresh_calls_again_and_stores_and_invalidate_removes', async () => {
    const cache = openCache({ dir: tempDir() })
    let calls = 0
    const count = wrap(cache, async (_id: string) => ++calls, { name: 'count' })
    expect(await count('a')).toBe(1)
    expect(await count.fresh('a')).toBe(2)
    expect(await count('a')).toBe(2)
    expect(await count.invalidate('a')).toBe(true)
    expect(await count.invalidate('a')).toBe(false)
    expect(await count('a')).toBe(3)
    expect(count.key('a')).toBeInstanceOf(CallKey)
    for await (const key of cache.keys()) expect(await cache.get(key)).toBe(3)
  })

  it('ttl_is_the_functions_and_a_synchronous_function_gives_promises', async () => {
    const clock = fakeClock()
    const cache = openCache({ clock, ttl: '1h' })
    let calls = 0
    const count = wrap(cache, () => ++calls, { name: 'count', ttl: '1s' })
    const first = count()
    expect(first).toBeInstanceOf(Promise)
    expect(await first).toBe(1)
    clock.advance(1000)
    expect(await count()).toBe(2)
  })

  it('errors_pass_untouched_and_are_not_cached_and_falsy_results_are', async () => {
    const cache = openCache()
    const error = new Error('mine')
    const outcomes: (() => unknown)[] = [
      () => {
        throw error
      },
      () => null,
    ]
    const run = vi.fn(async () => outcomes.shift()?.())
    const cached = wrap(cache, run, { name: 'run' })
    await expect(cached()).rejects.toBe(error)
    expect(await cached()).toBeNull()
    expect(await cached()).toBeNull()
    expect(run).toHaveBeenCalledTimes(2)
  })

  it('results_are_there_in_the_next_process_life', async () => {
    const dir = tempDir()
    const first = openCache({ dir })
    await wrap(first, async (x: number) => x * 2, { name: 'double' })(4)
    await first.close()
    const load = vi.fn(async (x: number) => x * 2)
    expect(await wrap(openCache({ dir }), load, { name: 'double' })(4)).toBe(8)
    expect(load).not.toHaveBeenCalled()
  })
})

describe('wrapSync', () => {
  it('gives_results_at_once_and_fresh_ones_when_asked', async () => {
    const cache = openCache({ dir: tempDir() })
    let calls = 0
    const count = wrapSync(cache, (_id: number) => ++calls, { name: 'count' })
    expect([count(1), count(1), count(2)]).toEqual([1, 1, 2])
    expect(count.fresh(1)).toBe(3)
    expect(count(1)).toBe(3)
    expect(await count.invalidate(1)).toBe(true)
    expect(count(1)).toBe(4)
    expect(cache.getSync(count.key(1))).toBe(4)
  })

  it('refuses_promises_and_stores_nothing', async () => {
    const cache = openCache()
    const load = wrapSync(cache, async () => 1, { name: 'load' })
    expect(await codeOf(() => load())).toBe('E_INVALID_OPTION')
    expect(await codeOf(() => load.fresh())).toBe('E_INVALID_OPTION')
    expect(await cache.size()).toBe(0)
  })

  it('undefined_is_not_stored_and_a_full_disk_breaks_no_call', () => {
    const cache = openCache({ dir: tempDir() })
    const faults: string[] = []
    cache.on('error', ({ code }) => faults.push(code))
    const results = [undefined, 1, 2]
    const next = wrapSync(cache, () => results.shift(), { name: 'next' })
    expect(next()).toBeUndefined()
    failDisk(WRITES)
    expect(next()).toBe(1)
    expect(next.fresh()).toBe(2)
    expect(faults).toEqual(['E_STORAGE_FULL', 'E_STORAGE_FULL'])
  })
})

describe('types', () => {
  it('an_asynchronous_function_keeps_its_type_with_overloads_and_generics', () => {
    const cache = openCache()
    function load(id: number): Promise<number>
    function load(name: string, deep: boolean): Promise<string>
    async function load(id: number | string): Promise<number | string> {
      return id
    }
    const cached = wrap(cache, load)
    expectTypeOf(cached(1)).toEqualTypeOf<Promise<number>>()
    expectTypeOf(cached('a', true)).toEqualTypeOf<Promise<string>>()
    const same = wrap(cache, async <T>(value: T): Promise<T> => value, { name: 'same' })
    expectTypeOf(same(5 as const)).toEqualTypeOf<Promise<5>>()
    // @ts-expect-error: no such overload
    cached(true).catch(() => {})
  })

  it('a_synchronous_function_gives_a_promise_and_its_controls_take_its_arguments', () => {
    const cache = openCache()
    const length = wrap(cache, (text: string) => text.length, { name: 'length' })
    expectTypeOf(length('a')).toEqualTypeOf<Promise<number>>()
    expectTypeOf(length.fresh('a')).toEqualTypeOf<Promise<number>>()
    expectTypeOf(length.invalidate('a')).toEqualTypeOf<Promise<boolean>>()
    expectTypeOf(length.key('a')).toEqualTypeOf<CallKey>()
    expectTypeOf<Wrapped<() => Promise<1>>>().toBeCallableWith()
    const sync = wrapSync(cache, (text: string) => text.length, { name: 'sync' })
    expectTypeOf(sync('a')).toEqualTypeOf<number>()
    expectTypeOf(sync.fresh('a')).toEqualTypeOf<number>()
    // @ts-expect-error: not its argument
    expect(sync(5)).toBeUndefined()
  })
})
