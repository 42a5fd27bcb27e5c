// Random interleavings of loads, errors, timeouts, aborts and invalidations, against a model that says what each call gets.
import fc from 'fast-check'
import { type Cache, type GetOrSetOptions, TimeoutError } from 'tierce'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { openCache, tempDir } from './helpers/temp.js'

const RUNS = Number(process.env.TIERCE_SEEDS ?? 150)
const KEYS = ['a', 'b']
const STEP = 10

interface Plan {
  ttl: number
  staleWhileRevalidate: number
  staleIfError: number
  cacheErrors: number
  soft: number
  hard: number
}
const plan = (given: Partial<Plan>): Plan => ({
  ttl: 30,
  staleWhileRevalidate: 0,
  staleIfError: 0,
  cacheErrors: 0,
  soft: Infinity,
  hard: Infinity,
  ...given,
})
const PLANS = [
  plan({}),
  plan({ staleWhileRevalidate: 100 }),
  plan({ staleIfError: 200 }),
  plan({ staleIfError: 200, soft: 20, hard: 60 }),
  plan({ cacheErrors: 50, staleIfError: 100 }),
  plan({ staleWhileRevalidate: 200, hard: 40 }),
  plan({ hard: 30, cacheErrors: 20 }),
]

function optionsOf({ soft, hard, ...rest }: Plan): GetOrSetOptions<string> {
  const given = Object.entries(rest).filter(([, ms]) => ms > 0)
  const timeout = Object.fromEntries(Object.entries({ soft, hard }).filter(([, ms]) => ms < Infinity))
  return { ...Object.fromEntries(given), ...(Object.keys(timeout).length > 0 && { timeout }) }
}

type Op =
  | { op: 'ask'; key: number; plan: number; abortable: boolean }
  | { op: 'give' | 'fail' | 'abort'; which: number }
  | { op: 'pass'; steps: number }
  | { op: 'delete' | 'set' | 'look'; key: number }
  | { op: 'clear' }

const key = fc.nat(KEYS.length - 1)
const anyOp: fc.Arbitrary<Op> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ op: fc.constant('ask' as const), key, plan: fc.nat(PLANS.length - 1), abortable: fc.boolean() }) }, // biome-ignore format: one a line
  { weight: 4, arbitrary: fc.record({ op: fc.constantFrom('give' as const, 'give' as const, 'fail' as const, 'abort' as const), which: fc.nat(5) }) }, // biome-ignore format: one a line
  {
    weight: 3,
    arbitrary: fc.record({ op: fc.constant('pass' as const), steps: fc.integer({ min: 1, max: 12 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ op: fc.constantFrom('delete' as const, 'set' as const, 'look' as const), key }),
  },
  { weight: 1, arbitrary: fc.constant({ op: 'clear' as const }) },
)

/** What random orders seldom come to: a load behind that hangs, and one that a soft timeout leaves alone. */
const RARE: [Op[]][] = [1, 5].map((second) => [
  [
    { op: 'ask', key: 0, plan: 3, abortable: false },
    { op: 'give', which: 0 },
    { op: 'pass', steps: 3 },
    { op: 'ask', key: 0, plan: second === 1 ? 3 : 5, abortable: false },
    { op: 'pass', steps: 3 },
    { op: 'pass', steps: 3 },
    { op: 'pass', steps: 3 },
  ],
])

interface Entry {
  value: string
  stale: number
  expires: number
}

/** What a call is to get, once it is known. */
interface Waiter {
  load: Load
  fallback: string | undefined
  soft: number
  hard: number
  controller: AbortController | undefined
  expected: unknown
}

interface Load {
  key: string
  plan: Plan
  give(value: string): void
  fail(error: Error): void
  signal: AbortSignal
  waiters: Set<Waiter>
  /** Until when it goes on although nobody waits. */
  held: number | undefined
  /** What it brings is not stored. */
  outdated: boolean
  done: boolean
}

class Run {
  readonly #cache: Cache
  readonly #entries = new Map<string, Entry>()
  readonly #errors = new Map<string, { error: Error; until: number }>()
  readonly #flights = new Map<string, Load>()
  readonly #loads: Load[] = []
  readonly #waiters: Waiter[] = []
  readonly #calls: { got: Promise<unknown>; expected: () => unknown }[] = []
  #number = 0

  constructor(cache: Cache) {
    this.#cache = cache
    cache.on('error', () => {})
  }

  async apply(op: Op): Promise<void> {
    if (op.op === 'ask') await this.#ask(KEYS[op.key]!, PLANS[op.plan]!, op.abortable)
    else if (op.op === 'pass') for (let step = 0; step < op.steps; step++) await this.#pass()
    else if (op.op === 'give' || op.op === 'fail') await this.#settle(op.op, op.which)
    else if (op.op === 'abort') await this.#abort(op.which)
    else if (op.op === 'look') await this.#look(KEYS[op.key]!)
    else await this.#change(op)
    await turn()
    await this.#settled()
    this.#check()
  }

  /** Calls whose answers are known have them before the clock moves on: the disk takes real time to store what was loaded. */
  async #settled(): Promise<void> {
    const known = this.#calls.filter(({ expected }) => expected() !== PENDING)
    await Promise.allSettled(known.map(({ got }) => got))
  }

  async end(): Promise<void> {
    for (const load of this.#loads) if (!load.done) await this.#land(load, 'give')
    await turn()
    const got = await Promise.allSettled(this.#calls.map((call) => call.got))
    for (const [index, outcome] of got.entries()) {
      const expected = this.#calls[index]!.expected()
      const actual = outcome.status === 'fulfilled' ? outcome.value : outcome.reason
      if (expected === TIMEOUT) expect(actual).toBeInstanceOf(TimeoutError)
      else expect(actual).toBe(expected)
    }
    for (const name of KEYS) await this.#look(name)
  }

  async #ask(name: string, given: Plan, abortable: boolean): Promise<void> {
    const controller = abortable ? new AbortController() : undefined
    let started: Load | undefined
    const load = ({ signal }: { signal: AbortSignal }) => {
      expect(started, 'a call starts one load').toBeUndefined()
      return new Promise<string>((give, fail) => {
        started = { key: name, plan: given, give, fail, signal, waiters: new Set(), held: undefined, outdated: false, done: false } // biome-ignore format: a record
      })
    }
    const entry = this.#entry(name)
    const failure = this.#errors.get(name)
    const isFailing = failure !== undefined && failure.until > Date.now()
    const flying = this.#flights.get(name)
    const got = this.#cache.getOrSet<string>(name, load, { ...optionsOf(given), signal: controller?.signal })
    got.catch(() => {})
    // The disk may take more than a turn to say that there is nothing.
    let answered = false
    void got.then(
      () => (answered = true),
      () => (answered = true),
    )
    while (flying === undefined && started === undefined && !answered) await turn()
    await turn()
    const now = Date.now()
    if (entry !== undefined && now < entry.stale + given.staleWhileRevalidate) {
      this.#calls.push({ got, expected: () => entry.value })
      const isLoading = flying !== undefined || (now >= entry.stale && !isFailing)
      expect(started !== undefined, 'a stale one is loaded behind').toBe(flying === undefined && isLoading)
      if (now >= entry.stale && isLoading) this.#hold(this.#fly(started ?? flying!), given)
      return
    }
    const fallback = entry !== undefined && now < entry.stale + given.staleIfError ? entry.value : undefined
    if (flying === undefined && isFailing) {
      expect(started, 'an error that is kept spares the load').toBeUndefined()
      this.#calls.push({ got, expected: () => fallback ?? failure.error })
      return
    }
    expect(started !== undefined, 'a load is started where none is under way').toBe(flying === undefined)
    const flight = this.#fly(started ?? flying!)
    const waiter: Waiter = {
      load: flight,
      fallback,
      soft: fallback === undefined ? Infinity : now + given.soft,
      hard: now + given.hard,
      controller,
      expected: PENDING,
    }
    flight.waiters.add(waiter)
    this.#waiters.push(waiter)
    this.#calls.push({ got, expected: () => waiter.expected })
    this.#holds.set(waiter, given)
  }

  readonly #holds = new Map<Waiter, Plan>()

  #fly(load: Load): Load {
    if (!this.#loads.includes(load)) {
      this.#loads.push(load)
      this.#flights.set(load.key, load)
    }
    return load
  }

  #hold(load: Load, { hard }: Plan): void {
    load.held ??= Date.now() + hard
  }

  #entry(name: string): Entry | undefined {
    const entry = this.#entries.get(name)
    return entry !== undefined && entry.expires > Date.now() ? entry : undefined
  }

  async #pass(): Promise<void> {
    await this.#settled()
    await vi.advanceTimersByTimeAsync(STEP)
    await turn()
    const now = Date.now()
    for (const load of this.#loads) {
      for (const waiter of load.waiters) {
        if (waiter.soft > now || waiter.hard <= now) continue
        if (load.held !== undefined && load.held <= waiter.soft) load.held = undefined
        this.#hold(load, this.#holds.get(waiter)!)
        this.#leave(waiter, waiter.fallback)
      }
      for (const waiter of load.waiters) {
        if (waiter.hard <= now) this.#leave(waiter, waiter.fallback ?? TIMEOUT)
      }
      if (load.held !== undefined && load.held <= now) load.held = undefined
      this.#abandonIfAlone(load)
    }
  }

  #leave(waiter: Waiter, expected: unknown): void {
    waiter.expected = expected
    waiter.load.waiters.delete(waiter)
  }

  #abandonIfAlone(load: Load): void {
    if (load.done || load.waiters.size > 0 || load.held !== undefined) return
    load.outdated = true
    if (this.#flights.get(load.key) === load) this.#flights.delete(load.key)
  }

  async #abort(which: number): Promise<void> {
    const waiting = this.#waiters.filter(({ expected, controller }) => expected === PENDING && controller)
    const waiter = waiting[which % Math.max(1, waiting.length)]
    if (waiter === undefined) return
    const reason = new Error(`abort ${++this.#number}`)
    waiter.controller!.abort(reason)
    this.#leave(waiter, reason)
    this.#abandonIfAlone(waiter.load)
    await turn()
  }

  async #settle(how: 'give' | 'fail', which: number): Promise<void> {
    const open = this.#loads.filter(({ done }) => !done)
    const load = open[which % Math.max(1, open.length)]
    if (load !== undefined) await this.#land(load, how)
  }

  async #land(load: Load, how: 'give' | 'fail'): Promise<void> {
    load.done = true
    const value = `${load.key} ${++this.#number}`
    const error = new Error(value)
    if (how === 'give') load.give(value)
    else load.fail(error)
    for (const waiter of load.waiters) {
      this.#leave(waiter, how === 'give' ? value : (waiter.fallback ?? error))
    }
    if (this.#flights.get(load.key) === load) this.#flights.delete(load.key)
    await turn()
    if (load.outdated) return
    const { ttl, staleIfError, staleWhileRevalidate, cacheErrors } = load.plan
    const stale = Date.now() + ttl
    const expires = stale + Math.max(staleIfError, staleWhileRevalidate)
    if (how === 'give') {
      this.#entries.set(load.key, { value, stale, expires })
      this.#errors.delete(load.key)
    } else if (cacheErrors > 0) this.#errors.set(load.key, { error, until: Date.now() + cacheErrors })
  }

  async #change(op: Op): Promise<void> {
    const names = 'key' in op ? [KEYS[op.key]!] : KEYS
    for (const name of names) {
      const flight = this.#flights.get(name)
      if (flight !== undefined) flight.outdated = true
      this.#flights.delete(name)
      this.#entries.delete(name)
      this.#errors.delete(name)
    }
    if (op.op === 'set') {
      const value = `set ${++this.#number}`
      this.#entries.set(names[0]!, { value, stale: Date.now() + 100, expires: Date.now() + 100 })
      await this.#cache.set(names[0]!, value, { ttl: 100 })
    } else if (op.op === 'delete') await this.#cache.delete(names[0]!)
    else await this.#cache.clear()
  }

  /** An old value is never back: what is there is what the model has. */
  async #look(name: string): Promise<void> {
    const entry = this.#entry(name)
    const live = entry !== undefined && entry.stale > Date.now() ? entry.value : undefined
    expect(await this.#cache.get(name)).toBe(live)
    expect(this.#cache.getSync(name)).toBe(live)
  }

  #check(): void {
    for (const load of this.#loads) {
      if (load.done) continue
      const isAlone = load.waiters.size === 0 && load.held === undefined
      expect(load.signal.aborted, 'a load is stopped when the last one has left').toBe(isAlone)
    }
  }
}

const PENDING = Symbol('pending')
const TIMEOUT = Symbol('timeout')

async function turn(): Promise<void> {
  for (let index = 0; index < 3; index++) await new Promise((resolve) => setImmediate(resolve))
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'], now: 1_700_000_000_000 })
})
afterEach(() => {
  vi.useRealTimers()
})

it.each<[string, () => Cache]>([
  ['memory', () => openCache()],
  ['disk', () => openCache({ dir: tempDir(), memory: false })],
  ['memory and disk', () => openCache({ dir: tempDir() })],
])(
  'loads_errors_timeouts_aborts_and_invalidations_in_any_order_agree_with_the_model (%s)',
  async (_, make) => {
    const cache = make()
    const property = fc.asyncProperty(fc.array(anyOp, { minLength: 5, maxLength: 60 }), async (ops) => {
      await cache.clear()
      const run = new Run(cache)
      for (const op of ops) await run.apply(op)
      await run.end()
    })
    await fc.assert(property, { numRuns: RUNS, examples: RARE })
  },
  120_000,
)
