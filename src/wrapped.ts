/** A function whose results are kept: its keys, its options, and where its results are found. */
import { type Caching, type CallHost, hostOf } from './caching.js'
import { CallIndex, type Cell, isIndexable } from './call-index.js'
import { makeError } from './errors.js'
import { CallKey, callPrefix, callTextSoon, callTextSync, type Key, keyText } from './keys.js'
import { type AnyGetOrSetOptions, type GetOrSetOptions, LOAD_OPTIONS, type LoadPlan } from './load/options.js'
import { callback, checkOptions } from './options.js'
import { describe, isPromise, isUnreadable } from './refusal.js'
import type { TierStack } from './tiers/stack.js'

/** Any function. */
// biome-ignore lint/suspicious/noExplicitAny: only `any` accepts every function
export type AnyFunction = (...args: any[]) => any

/** Options of a wrapped function; those that are functions get the arguments of the call too. */
export interface WrapOptions<Args extends unknown[] = unknown[], V = unknown>
  extends Omit<GetOrSetOptions<V, Args>, 'signal'> {
  /** Part of the key. Default: the function's own name, which a minifier may change. */
  name?: string | undefined
  /** Part of the key: a new version never gets the results of an old one. Default `''`. */
  version?: string | undefined
  /** What the result depends on. Default: all arguments, as a structured key. */
  key?: ((...args: Args) => Key) | undefined
  /** Whether `this` is part of the key, or what of it is. Default false. */
  // biome-ignore lint/suspicious/noExplicitAny: the object is not known here
  keyThis?: boolean | ((self: any) => Key) | undefined
}

/** How the calls of a wrapped function fared. */
export interface WrapStats {
  /** Calls of the wrapped function. */
  calls: number
  /** Calls of the function itself; all others were answered by the cache or by a load under way. */
  loads: number
  /** Of those, such as failed. */
  errors: number
}

/** Functions by cache, name and version: two of them under one key would answer for each other. */
const registered = new WeakMap<Caching, Map<string, string | AnyFunction>>()

const WRAP_OPTIONS = [
  'name',
  'version',
  'key',
  'keyThis',
  ...LOAD_OPTIONS.filter((name) => name !== 'signal'),
]

/** A function that is wrapped: its keys, its options, its results. */
export class Call {
  calls = 0
  loads = 0
  errors = 0
  readonly #cache: Caching
  readonly #host: CallHost
  readonly #tiers: TierStack
  readonly #fn: AnyFunction
  readonly #name: string
  readonly #version: string
  readonly #prefix: string
  readonly #makeKey: ((...args: never[]) => Key) | undefined
  readonly #keyThis: boolean | ((self: unknown) => Key)
  readonly #plan: LoadPlan
  readonly #isSync: boolean
  /** Undefined where a hit takes more than to be found. */
  readonly #index: CallIndex | undefined

  // biome-ignore lint/suspicious/noExplicitAny: options of every function
  constructor(cache: Caching, fn: AnyFunction, options: WrapOptions<any[], any>, sync: boolean) {
    if (isUnreadable(fn)) throw invalid('fn', `The wrapped function is ${describe(fn)} that cannot be read.`)
    callback(fn, 'the wrapped function')
    checkOptions(options, WRAP_OPTIONS, 'a wrapped function')
    const { name = fn.name, version = '', key, keyThis = false, ...rest } = options
    if (key !== undefined) callback(key, 'key')
    if (typeof keyThis !== 'boolean') callback(keyThis, 'keyThis')
    this.#host = hostOf(cache)
    register(cache, fn, name, version)
    this.#cache = cache
    this.#tiers = this.#host.tiers
    this.#fn = fn
    this.#name = name
    this.#version = version
    this.#prefix = this.#host.prefix + callPrefix(name, version)
    this.#makeKey = key
    this.#keyThis = keyThis
    this.#plan = this.#planOf(rest, sync)
    this.#isSync = sync
    if (this.#plan.isPlain && key === undefined && keyThis === false) this.#index = new CallIndex()
  }

  #planOf(options: AnyGetOrSetOptions, sync: boolean): LoadPlan {
    const given = Object.keys(options).length === 0 ? undefined : options
    const { loading } = this.#host
    const all = this.#host.optionsOf(given)
    return sync ? loading.syncPlanOf(all) : loading.planOf(all)
  }

  /** The result of a single argument, if the index leads to one that is live in memory. */
  indexed(argument: unknown): unknown {
    const entry = this.#cell(argument)?.entry
    return entry === undefined ? undefined : this.#tiers.readEntry(entry)
  }

  /** As `indexed`, in a promise: one for all callers, unless each is to have a copy. */
  indexedSoon(argument: unknown): Promise<unknown> | undefined {
    const cell = this.#cell(argument)
    if (cell?.entry === undefined) return undefined
    const value = this.#tiers.readEntry(cell.entry)
    if (value === undefined) return undefined
    if (this.#tiers.copies) return Promise.resolve(value)
    cell.promise ??= Promise.resolve(value)
    return cell.promise
  }

  #cell(argument: unknown): Cell | undefined {
    if (this.#index === undefined || !(typeof argument === 'string' || isIndexable(argument)))
      return undefined
    return this.#index.get(argument)
  }

  get(self: unknown, args: unknown[]): Promise<unknown> {
    return this.#withText(self, args, (text) => {
      const found = this.#inMemory(text, args)
      return found === undefined ? this.#host.loading.get(text, this.#call(self, args), this.#plan) : found
    })
  }

  fresh(self: unknown, args: unknown[]): Promise<unknown> {
    return this.load(self, args, undefined)
  }

  /** As `fresh`, with another load in the place of the function. */
  load(self: unknown, args: unknown[], load: (() => unknown) | undefined): Promise<unknown> {
    const call = load === undefined ? this.#call(self, args) : { load, args }
    return this.#withText(self, args, (text) => this.#host.loading.fresh(text, call, this.#plan))
  }

  getSync(self: unknown, args: unknown[]): unknown {
    const text = callTextSync(this.#prefix, this.#dependsOn(self, args))
    return this.#inMemory(text, args) ?? this.#host.loading.getSync(text, this.#call(self, args), this.#plan)
  }

  freshSync(self: unknown, args: unknown[]): unknown {
    const text = callTextSync(this.#prefix, this.#dependsOn(self, args))
    return this.#host.loading.freshSync(text, this.#call(self, args), this.#plan)
  }

  key(self: unknown, args: unknown[]): CallKey {
    return new CallKey(this.#name, this.#version, this.#dependsOn(self, args))
  }

  /** Gives a wrapper the looks of its function, and its controls. */
  finish(
    wrapper: AnyFunction,
    fresh: ((self: unknown, args: unknown[]) => unknown) | undefined,
  ): AnyFunction {
    const call = this
    const cache = this.#cache
    Object.defineProperty(wrapper, 'name', { value: this.#fn.name, configurable: true })
    Object.defineProperty(wrapper, 'length', { value: this.#fn.length, configurable: true })
    return Object.assign(wrapper, {
      ...(fresh !== undefined && {
        fresh(this: unknown, ...args: unknown[]) {
          return fresh(this, args)
        },
      }),
      async invalidate(this: unknown, ...args: unknown[]) {
        return cache.delete(call.key(this, args))
      },
      async peek(this: unknown, ...args: unknown[]) {
        return cache.get(call.key(this, args))
      },
      key(this: unknown, ...args: unknown[]) {
        return call.key(this, args)
      },
      stats: (): WrapStats => ({ calls: call.calls, loads: call.loads, errors: call.errors }),
    })
  }

  /** Where the key of a call cannot be made, the promise rejects. */
  #withText(self: unknown, args: unknown[], then: (text: string) => unknown): Promise<unknown> {
    try {
      const text = callTextSoon(this.#prefix, this.#dependsOn(self, args))
      return typeof text === 'string' ? Promise.resolve(then(text)) : text.then(then)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #dependsOn(self: unknown, args: unknown[]): unknown[] {
    const own = this.#makeKey === undefined ? args : [atOnce('key', this.#makeKey(...(args as never[])))]
    if (this.#keyThis === false) return own
    const its = this.#keyThis === true ? self : atOnce('keyThis', this.#keyThis(self))
    return [{ this: its }, ...own]
  }

  /** A live result in memory, which the index leads to from now on. */
  #inMemory(text: string, args: unknown[]): unknown {
    if (this.#index === undefined || args.length !== 1 || !isIndexable(args[0])) return undefined
    const entry = this.#tiers.memory?.peek(text)
    const found = entry === undefined ? undefined : this.#tiers.readEntry(entry)
    if (found !== undefined) this.#index.set(args[0], entry!)
    return found
  }

  #call(self: unknown, args: unknown[]) {
    return { load: () => this.#run(self, args), args }
  }

  #run(self: unknown, args: unknown[]): unknown {
    this.loads++
    let result: unknown
    try {
      result = this.#fn.apply(self, args)
    } catch (error) {
      this.errors++
      throw error
    }
    if (typeof (result as Promise<unknown> | undefined)?.then !== 'function') return result
    const name = this.#fn.name || 'The function'
    if (this.#isSync) {
      isPromise(result) // nobody waits for it
      throw invalid(
        name,
        `${name} returned a promise: wrap it with wrap or cached, not with wrapSync or cachedSync.`,
      )
    }
    return (result as Promise<unknown>).then(undefined, (error) => {
      this.errors++
      throw error
    })
  }
}

function atOnce(name: string, given: unknown): unknown {
  if (!isPromise(given)) return given
  const why = `Invalid key: ${name} gave a promise. Give a function that makes the key at once.`
  throw makeError('E_INVALID_KEY', why, { name })
}

function register(cache: Caching, fn: AnyFunction, name: string, version: string): void {
  if (typeof name !== 'string' || name === '') {
    throw invalid(name, 'The function has no name of its own: give options.name, which is part of the key.')
  }
  if (typeof version !== 'string')
    throw invalid(name, `version is ${describe(version)}; accepted is a string.`)
  const functions = registered.get(cache) ?? new Map<string, string | AnyFunction>()
  registered.set(cache, functions)
  const id = keyText(new CallKey(name, version, []))
  // The same source again is the same function: wrapped twice, or loaded again. Bound functions do not show theirs.
  const source = String(fn)
  const mark = source.endsWith('{ [native code] }') ? fn : source
  if ((functions.get(id) ?? mark) !== mark) {
    throw invalid(
      name,
      `Another function is wrapped as '${name}'${version === '' ? '' : `, version '${version}'`} in this cache, and would answer for this one: give each its own options.name.`,
    )
  }
  functions.set(id, mark)
}

function invalid(name: unknown, message: string): Error {
  return makeError('E_INVALID_OPTION', message, { name })
}
