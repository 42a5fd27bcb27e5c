/** Call caching: a function whose results are kept in a cache, by its name, its version and its arguments. */
import type { Cache } from './cache.js'
import type { Duration } from './cache-options.js'
import { makeError } from './errors.js'
import { CallKey, type Key, keyText } from './keys.js'
import { callback, checkOptions, parseDuration } from './options.js'
import type { SetOptions } from './set-options.js'

// biome-ignore lint/suspicious/noExplicitAny: only `any` accepts every function
type AnyFunction = (...args: any[]) => any

/** Options of a wrapped function. */
export interface WrapOptions<Args extends unknown[] = unknown[]> {
  /** Part of the key. Default: the function's own name, which a minifier may change. */
  name?: string | undefined
  /** Part of the key: a new version never gets the results of an old one. Default `''`. */
  version?: string | undefined
  /** Time to live of a result. Default: the cache's. */
  ttl?: Duration | undefined
  /** What the result depends on. Default: all arguments, as a structured key. */
  key?: ((...args: Args) => Key) | undefined
}

/** What a wrapped function can do beside being called. */
export interface WrapControls<Args extends unknown[], Result> {
  /** Calls the function although there may be a result, and stores the new one. */
  fresh(...args: Args): Result
  /** Removes the result of these arguments. Resolves to whether there was one. */
  invalidate(...args: Args): Promise<boolean>
  /** The key of these arguments, for the verbs of the cache. */
  key(...args: Args): CallKey
}

/** An asynchronous function keeps its type, overloads and generics included; a synchronous one returns promises. */
export type Wrapped<F extends AnyFunction> = (ReturnType<F> extends Promise<unknown>
  ? F
  : (this: ThisParameterType<F>, ...args: Parameters<F>) => Promise<ReturnType<F>>) &
  WrapControls<Parameters<F>, Promise<Awaited<ReturnType<F>>>>

/** A synchronous function with its results cached. */
export type WrappedSync<F extends AnyFunction> = F & WrapControls<Parameters<F>, ReturnType<F>>

/** Functions by cache, name and version: two of them under one key would answer for each other. */
const registered = new WeakMap<Cache, Map<string, string | AnyFunction>>()

/**
 * Wraps a function: its results come from the cache, and of all calls with equal arguments at one time one is made. `this`
 * is not part of the key.
 * @throws InvalidOptionError `E_INVALID_OPTION`: there is no name, or another function has it
 */
export function wrap<F extends AnyFunction>(
  cache: Cache,
  fn: F,
  options: WrapOptions<Parameters<F>> = {},
): Wrapped<F> {
  const call = describeCall(cache, fn, options)
  const wrapped = function (this: unknown, ...args: Parameters<F>) {
    return promised(() => cache.getOrSet(call.key(...args), () => fn.apply(this, args), call.options))
  }
  const fresh = function (this: unknown, ...args: Parameters<F>) {
    return promised(() => cache.refresh(call.key(...args), () => fn.apply(this, args), call.options))
  }
  return finish(fn, wrapped, { fresh, invalidate: call.invalidate, key: call.key }) as unknown as Wrapped<F>
}

/**
 * Wraps a synchronous function: its results come from the cache, on this thread.
 * @throws InvalidOptionError `E_INVALID_OPTION`: there is no name, or another function has it
 */
export function wrapSync<F extends AnyFunction>(
  cache: Cache,
  fn: F,
  options: WrapOptions<Parameters<F>> = {},
): WrappedSync<F> {
  const call = describeCall(cache, fn, options)
  const load = (self: unknown, args: Parameters<F>) => {
    const result = fn.apply(self, args)
    if (typeof result?.then !== 'function') return result
    throw invalid(
      fn.name,
      `${fn.name || 'The function'} returned a promise: wrap it with wrap or cached, not with wrapSync or cachedSync.`,
    )
  }
  const wrapped = function (this: unknown, ...args: Parameters<F>) {
    return cache.getOrSetSync(call.key(...args), () => load(this, args), call.options)
  }
  const fresh = function (this: unknown, ...args: Parameters<F>) {
    return cache.refreshSync(call.key(...args), () => load(this, args), call.options)
  }
  return finish(fn, wrapped, {
    fresh,
    invalidate: call.invalidate,
    key: call.key,
  }) as unknown as WrappedSync<F>
}

interface Call<Args extends unknown[]> {
  options: SetOptions
  key(...args: Args): CallKey
  invalidate(...args: Args): Promise<boolean>
}

function describeCall<Args extends unknown[]>(
  cache: Cache,
  fn: AnyFunction,
  options: WrapOptions<Args>,
): Call<Args> {
  callback(fn, 'the wrapped function')
  checkOptions(options, ['name', 'version', 'ttl', 'key'], 'a wrapped function')
  if (options.ttl !== undefined) parseDuration(options.ttl, 'ttl')
  const { name = fn.name, version = '', key: makeKey } = options
  if (makeKey !== undefined) callback(makeKey, 'key')
  register(cache, fn, name, version)
  const key = (...args: Args) => new CallKey(name, version, makeKey === undefined ? args : [makeKey(...args)])
  return {
    options: options.ttl === undefined ? {} : { ttl: options.ttl },
    key,
    invalidate: (...args) => promised(() => cache.delete(key(...args))),
  }
}

/** Where `options.key` throws, the promise rejects. */
function promised<T>(run: () => Promise<T>): Promise<T> {
  try {
    return run()
  } catch (error) {
    return Promise.reject(error)
  }
}

function register(cache: Cache, fn: AnyFunction, name: string, version: string): void {
  if (typeof name !== 'string' || name === '') {
    throw invalid(name, 'The function has no name of its own: give options.name, which is part of the key.')
  }
  if (typeof version !== 'string') throw invalid(name, `version is ${String(version)}; accepted is a string.`)
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

function finish(fn: AnyFunction, wrapped: AnyFunction, controls: object): AnyFunction {
  Object.defineProperty(wrapped, 'name', { value: fn.name, configurable: true })
  Object.defineProperty(wrapped, 'length', { value: fn.length, configurable: true })
  return Object.assign(wrapped, controls)
}

function invalid(name: unknown, message: string): Error {
  return makeError('E_INVALID_OPTION', message, { name })
}
