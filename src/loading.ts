/** The loads of one cache: its options and defaults, and what `load.ts` needs of its tiers. */
import type { ParsedOptions } from './cache-options.js'
import { makeError } from './errors.js'
import type { Faults } from './events.js'
import { isText, type Key, keyText, keyTextSoon } from './keys.js'
import type { LoadCall, LoadContext, NotModified } from './load/flight.js'
import {
  type AnyGetOrSetOptions,
  LOAD_OPTIONS,
  type LoadPlan,
  parseLoadOptions,
  parseLoadSyncOptions,
  withoutAsync,
} from './load/options.js'
import { Turns } from './load/turns.js'
import { Loads } from './load.js'
import { isReplaced, systemTime } from './memory/clock.js'
import { callback, checkOptions } from './options.js'
import { parseSetOptions, type SetOptions } from './set-options.js'
import { now as done, then } from './soon.js'
import type { Storing } from './tiers/entries.js'
import type { TierStack } from './tiers/stack.js'

/** What makes a value. It may answer `notModified` where the context has an old one. */
export type Loader<V> = (context: LoadContext<V>) => V | NotModified | Promise<V | NotModified>
/** As `Loader`, for a load on this thread. */
export type LoaderSync<V> = (context: LoadContext<V>) => V | NotModified

/** What the loads of a cache need of it. */
export interface Owner {
  tiers: TierStack
  faults: Faults
  isClosed(): boolean
  /** @throws ClosedError `E_CLOSED` */
  open(): void
}

const NO_ARGS: readonly unknown[] = []

export class Loading {
  readonly loads: Loads
  /** Locks that all processes on the directory share; undefined without one. */
  readonly turns: Turns | undefined
  readonly #owner: Owner
  /** Refuses options of an entry that are not accepted. */
  readonly #check: (entry: SetOptions) => Storing
  readonly #defaults: AnyGetOrSetOptions
  readonly #syncDefaults: AnyGetOrSetOptions
  /** Of loads that are given no options of their own. */
  readonly #plan: LoadPlan
  readonly #syncPlan: LoadPlan

  /** @throws InvalidOptionError `E_INVALID_OPTION`, InvalidTtlError `E_INVALID_TTL`: of the defaults */
  constructor({ ttl, now, defaults, disk, meta }: ParsedOptions, owner: Owner) {
    this.#check = (entry) => parseSetOptions(entry, ttl, 0, meta)
    this.#owner = owner
    this.turns = disk === undefined || owner.tiers.disk?.isJson ? undefined : new Turns(disk.dir)
    checkOptions(defaults, LOAD_OPTIONS, 'defaults')
    this.#plan = this.#checked(parseLoadOptions(defaults, this.#check))
    this.#defaults = defaults
    this.#syncDefaults = withoutAsync(defaults)
    this.#syncPlan = parseLoadOptions(this.#syncDefaults, this.#check)
    const { tiers, faults } = owner
    this.loads = new Loads({
      find: (text) => tiers.find(text),
      findSync: (text) => tiers.findSync(text),
      write: (text, value, storing) => tiers.set(text, value, storing),
      writeSync: (text, value, storing) => {
        owner.open() // the load may have closed it
        done(tiers.set(text, value, storing, true))
      },
      renew: async (text, times) => tiers.renew(text, times, true),
      renewSync: (text, times) => done(tiers.renew(text, times, true, true)),
      slide: (text, times) => tiers.slide(text, times),
      storing: this.#check,
      ttl,
      now: tiers.now,
      // A test that has fake timers wants loads measured with them.
      timer: now === systemTime ? () => (isReplaced() ? now() : performance.now()) : now,
      counters: tiers.counters,
      random: Math.random,
      report: (fault) => faults.report(fault),
      locks: this.turns,
    })
  }

  getOrSet(key: Key, load: LoadCall['load'], options: AnyGetOrSetOptions | undefined): Promise<unknown> {
    // A hit in memory takes what it does in `Cache.get`, and a miss no promise beside that of the load.
    try {
      if (options !== undefined || !isPlainCall(key, load)) return this.#getOrSet(key, load, options)
      const live = this.#live(key, this.#plan)
      if (live !== undefined) return Promise.resolve(live)
      const value = this.#missed(keyText(key), load, NO_ARGS, this.#plan)
      return value instanceof Promise ? value : Promise.resolve(value)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async #getOrSet(
    key: Key,
    load: LoadCall['load'],
    options: AnyGetOrSetOptions | undefined,
  ): Promise<unknown> {
    callback(load, 'load')
    const plan = this.planOf(options)
    const soon = keyTextSoon(key)
    const text = typeof soon === 'string' ? soon : await soon
    const value = this.#soon(text, load, NO_ARGS, plan)
    return value instanceof Promise ? await value : value
  }

  async refresh(key: Key, load: LoadCall['load'], options: AnyGetOrSetOptions | undefined): Promise<unknown> {
    callback(load, 'load')
    const plan = this.planOf(options)
    const soon = keyTextSoon(key)
    const text = typeof soon === 'string' ? soon : await soon
    return this.fresh(text, { load, args: NO_ARGS }, plan)
  }

  getOrSetSync(key: Key, load: LoadCall['load'], options: AnyGetOrSetOptions | undefined): unknown {
    if (options !== undefined || !isPlainCall(key, load)) return this.#getOrSetSync(key, load, options)
    const plan = this.#syncPlan
    const live = this.#live(key, plan)
    return live === undefined ? this.#loadSync(keyText(key), { load, args: NO_ARGS }, plan) : live
  }

  #getOrSetSync(key: Key, load: LoadCall['load'], options: AnyGetOrSetOptions | undefined): unknown {
    callback(load, 'load')
    const plan = this.syncPlanOf(options)
    return this.getSync(keyText(key), { load, args: NO_ARGS }, plan)
  }

  refreshSync(key: Key, load: LoadCall['load'], options: AnyGetOrSetOptions | undefined): unknown {
    callback(load, 'load')
    const plan = this.syncPlanOf(options)
    return this.freshSync(keyText(key), { load, args: NO_ARGS }, plan)
  }

  async get(text: string, { load, args }: LoadCall, plan: LoadPlan): Promise<unknown> {
    const value = this.#soon(text, load, args, plan)
    return value instanceof Promise ? await value : value
  }

  #soon(text: string, load: LoadCall['load'], args: LoadCall['args'], plan: LoadPlan): unknown {
    const live = this.#live(text, plan)
    return live === undefined ? this.#missed(text, load, args, plan) : live
  }

  /** Goes on where `#live` found nothing. */
  #missed(text: string, load: LoadCall['load'], args: LoadCall['args'], plan: LoadPlan): unknown {
    if (this.#owner.isClosed()) return this.#loadClosed({ load, args })
    const { tiers } = this.#owner
    const value = this.loads.get(text, { load, args }, plan)
    return tiers.copies ? then(value, (given) => tiers.own(given)) : value
  }

  /** The live value in memory, where the plan asks for nothing else. */
  #live(text: string, plan: LoadPlan): unknown {
    if (!plan.isPlain || plan.signal?.aborted === true || this.#owner.isClosed()) return undefined
    return this.#owner.tiers.readMemory(text)
  }

  async fresh(text: string, call: LoadCall, plan: LoadPlan): Promise<unknown> {
    if (this.#owner.isClosed()) return this.#loadClosed(call)
    return this.#owner.tiers.own(await this.loads.fresh(text, call, plan))
  }

  getSync(text: string, call: LoadCall, plan: LoadPlan): unknown {
    const live = this.#live(text, plan)
    return live === undefined ? this.#loadSync(text, call, plan) : live // not `??`: null is a value
  }

  #loadSync(text: string, call: LoadCall, plan: LoadPlan): unknown {
    return this.#owner.isClosed() ? this.#loadClosed(call) : this.loads.sync.get(text, call, plan)
  }

  freshSync(text: string, call: LoadCall, plan: LoadPlan): unknown {
    return this.#owner.isClosed() ? this.#loadClosed(call) : this.loads.sync.fresh(text, call, plan)
  }

  /** What the caller gave is refused now, not after a costly load. */
  planOf(options: AnyGetOrSetOptions | undefined): LoadPlan {
    if (options === undefined) return this.#plan
    checkOptions(options, LOAD_OPTIONS, 'a load')
    return this.#checked(parseLoadOptions({ ...this.#defaults, ...options }, this.#check))
  }

  syncPlanOf(options: AnyGetOrSetOptions | undefined): LoadPlan {
    if (options === undefined) return this.#syncPlan
    checkOptions(options, LOAD_OPTIONS, 'a load')
    return this.#checked(parseLoadSyncOptions({ ...this.#syncDefaults, ...options }, this.#check))
  }

  #checked(plan: LoadPlan): LoadPlan {
    if (plan.barrier !== 'machine' || this.turns !== undefined) return plan
    const why =
      this.#owner.tiers.disk === undefined
        ? 'there is no dir: give dir'
        : "that has no locks (metadata 'json'): use 'process'"
    throw makeError(
      'E_INVALID_OPTION',
      `singleFlight 'machine' keeps its locks in the cache's directory, and ${why}, or a lock of yours.`,
      { name: 'singleFlight' },
    )
  }

  /** A program that is shutting down still gets its values. */
  #loadClosed({ load }: LoadCall): unknown {
    try {
      this.#owner.open()
    } catch (fault) {
      this.#owner.faults.report(fault)
    }
    return load({ signal: new AbortController().signal, old: undefined })
  }
}

/** Of a call without options: whether a hit in memory needs nothing to be made of its key. */
function isPlainCall(key: Key, load: unknown): key is string {
  return typeof load === 'function' && isText(key)
}
