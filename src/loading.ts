/** The loads of one cache: its options and defaults, and what `load.ts` needs of its tiers. */
import type { ParsedOptions } from './cache-options.js'
import { makeError } from './errors.js'
import type { Faults } from './events.js'
import { type Key, keyText, keyTextSoon } from './keys.js'
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
import { counted } from './memory/flights.js'
import { callback, checkOptions } from './options.js'
import { parseSetOptions, type SetOptions } from './set-options.js'
import { now as done } from './soon.js'
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

export class Loading {
  readonly loads: Loads
  /** Locks that all processes on the directory share; undefined without one. */
  readonly turns: Turns | undefined
  readonly #owner: Owner
  /** Refuses options of an entry that are not accepted. */
  readonly #check: (entry: SetOptions) => void
  readonly #defaults: AnyGetOrSetOptions
  readonly #syncDefaults: AnyGetOrSetOptions
  /** Of loads that are given no options of their own. */
  readonly #plan: LoadPlan
  readonly #syncPlan: LoadPlan

  /** @throws InvalidOptionError `E_INVALID_OPTION`, InvalidTtlError `E_INVALID_TTL`: of the defaults */
  constructor({ ttl, now, defaults, disk, meta }: ParsedOptions, owner: Owner) {
    this.#check = (entry) => void parseSetOptions(entry, ttl, 0, meta)
    this.#owner = owner
    this.turns = disk === undefined || owner.tiers.disk?.isJson ? undefined : new Turns(disk.dir)
    checkOptions(defaults, LOAD_OPTIONS, 'defaults')
    this.#plan = this.#checked(parseLoadOptions(defaults, this.#check))
    this.#defaults = defaults
    this.#syncDefaults = withoutAsync(defaults)
    this.#syncPlan = parseLoadOptions(this.#syncDefaults, this.#check)
    const { tiers, faults } = owner
    const storing = (entry: SetOptions) => parseSetOptions(entry, ttl, now(), meta)
    this.loads = new Loads({
      find: (text) => tiers.find(text),
      findSync: (text) => tiers.findSync(text),
      write: async (text, value, entry, times) => tiers.write([{ text, value, ...storing(entry), ...times }]),
      writeSync: (text, value, entry, times) => {
        owner.open() // the load may have closed it
        done(tiers.write([{ text, value, ...storing(entry), ...times }], true))
      },
      renew: async (text, times) => tiers.renew(text, times, true),
      renewSync: (text, times) => done(tiers.renew(text, times, true, true)),
      slide: (text, times) => tiers.slide(text, times),
      ttl,
      now,
      random: Math.random,
      report: (fault) => faults.report(fault),
      locks: this.turns,
    })
  }

  async getOrSet(
    key: Key,
    load: LoadCall['load'],
    options: AnyGetOrSetOptions | undefined,
  ): Promise<unknown> {
    callback(load, 'load')
    const plan = this.planOf(options)
    const soon = keyTextSoon(key)
    const text = typeof soon === 'string' ? soon : await soon
    return this.#live(text, plan) ?? this.get(text, { load, args: [] }, plan)
  }

  async refresh(key: Key, load: LoadCall['load'], options: AnyGetOrSetOptions | undefined): Promise<unknown> {
    callback(load, 'load')
    const plan = this.planOf(options)
    const soon = keyTextSoon(key)
    const text = typeof soon === 'string' ? soon : await soon
    return this.fresh(text, { load, args: [] }, plan)
  }

  getOrSetSync(key: Key, load: LoadCall['load'], options: AnyGetOrSetOptions | undefined): unknown {
    callback(load, 'load')
    const plan = this.syncPlanOf(options)
    return this.getSync(keyText(key), { load, args: [] }, plan)
  }

  refreshSync(key: Key, load: LoadCall['load'], options: AnyGetOrSetOptions | undefined): unknown {
    callback(load, 'load')
    const plan = this.syncPlanOf(options)
    return this.freshSync(keyText(key), { load, args: [] }, plan)
  }

  async get(text: string, call: LoadCall, plan: LoadPlan): Promise<unknown> {
    if (this.#owner.isClosed()) return this.#loadClosed(call)
    const live = this.#live(text, plan)
    if (live !== undefined) return live
    return this.#owner.tiers.own(await this.loads.get(text, this.#counted(call), plan))
  }

  /** The live value in memory, where the plan asks for nothing else. */
  #live(text: string, plan: LoadPlan): unknown {
    if (!plan.isPlain || plan.signal?.aborted === true || this.#owner.isClosed()) return undefined
    return this.#owner.tiers.readMemory(text)
  }

  async fresh(text: string, call: LoadCall, plan: LoadPlan): Promise<unknown> {
    if (this.#owner.isClosed()) return this.#loadClosed(call)
    return this.#owner.tiers.own(await this.loads.fresh(text, this.#counted(call), plan))
  }

  getSync(text: string, call: LoadCall, plan: LoadPlan): unknown {
    if (this.#owner.isClosed()) return this.#loadClosed(call)
    return this.#live(text, plan) ?? this.loads.getSync(text, this.#counted(call), plan)
  }

  freshSync(text: string, call: LoadCall, plan: LoadPlan): unknown {
    return this.#owner.isClosed()
      ? this.#loadClosed(call)
      : this.loads.freshSync(text, this.#counted(call), plan)
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

  /** The same load, counted when it is called. */
  #counted(call: LoadCall): LoadCall {
    const { counters } = this.#owner.tiers
    return { ...call, load: (context) => counted(counters, () => call.load(context)) }
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
