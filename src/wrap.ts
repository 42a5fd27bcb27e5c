/** Call caching: a function whose results are kept in a cache, by its name, its version and its arguments. */
import type { Caching } from './caching.js'
import { makeError } from './errors.js'
import type { CallKey } from './keys.js'
import { describe } from './refusal.js'
import { type AnyFunction, Call, type WrapOptions, type WrapStats } from './wrapped.js'

export type { AnyFunction, WrapOptions, WrapStats } from './wrapped.js'

/** What a wrapped function can do beside being called. With `keyThis`, call them with the object: `fn.fresh.call(object, …)`. */
export interface WrapControls<Args extends unknown[], Result> {
  /** Calls the function although there may be a result, and stores the new one. */
  fresh(...args: Args): Result
  /** Removes the result of these arguments. Resolves to whether there was one. */
  invalidate(...args: Args): Promise<boolean>
  /** The result of these arguments, if there is one: the function is not called. */
  peek(...args: Args): Promise<Awaited<Result> | undefined>
  /** The key of these arguments, for the verbs of the cache. */
  key(...args: Args): CallKey
  /** How its calls fared, in this process. */
  stats(): WrapStats
}

/** An asynchronous function keeps its type, overloads and generics included; a synchronous one returns promises. */
export type Wrapped<F extends AnyFunction> = (ReturnType<F> extends Promise<unknown>
  ? F
  : (this: ThisParameterType<F>, ...args: Parameters<F>) => Promise<ReturnType<F>>) &
  WrapControls<Parameters<F>, Promise<Awaited<ReturnType<F>>>>

/** A synchronous function with its results cached. */
export type WrappedSync<F extends AnyFunction> = F & WrapControls<Parameters<F>, ReturnType<F>>

/**
 * Wraps a function: its results come from the cache, and of all calls with equal arguments at one time one is made. `this`
 * is not part of the key, unless `keyThis` says so.
 * @throws InvalidOptionError `E_INVALID_OPTION`: there is no name, or another function has it
 */
export function wrap<F extends AnyFunction>(
  cache: Caching,
  fn: F,
  options: WrapOptions<Parameters<F>, Awaited<ReturnType<F>>> = {},
): Wrapped<F> {
  const call = new Call(cache, fn, options, false)
  const wrapped = function (this: unknown, argument: unknown) {
    call.calls++
    // biome-ignore lint/complexity/noArguments: one that is found in the index needs no array
    if (arguments.length === 1) {
      const found = call.indexedSoon(argument)
      if (found !== undefined) return found
    }
    // biome-ignore lint/complexity/noArguments: as above
    return call.get(this, [...arguments])
  }
  return call.finish(wrapped, (self, args) => call.fresh(self, args)) as unknown as Wrapped<F>
}

/**
 * Wraps a synchronous function: its results come from the cache, on this thread.
 * @throws InvalidOptionError `E_INVALID_OPTION`: there is no name, or another function has it
 */
export function wrapSync<F extends AnyFunction>(
  cache: Caching,
  fn: F,
  options: Omit<WrapOptions<Parameters<F>, ReturnType<F>>, 'staleWhileRevalidate' | 'timeout'> = {},
): WrappedSync<F> {
  const call = new Call(cache, fn, options, true)
  const wrapped = function (this: unknown, argument: unknown) {
    call.calls++
    // biome-ignore lint/complexity/noArguments: one that is found in the index needs no array
    if (arguments.length === 1) {
      const found = call.indexed(argument)
      if (found !== undefined) return found
    }
    // biome-ignore lint/complexity/noArguments: as above
    return call.getSync(this, [...arguments])
  }
  return call.finish(wrapped, (self, args) => call.freshSync(self, args)) as unknown as WrappedSync<F>
}

/** What a generator gives. */
export type ItemOf<F extends AnyFunction> =
  ReturnType<F> extends Iterable<infer T> | AsyncIterable<infer T> ? T : never

/** A generator with what it gives cached. */
export type WrappedGenerator<F extends AnyFunction> = ((
  this: ThisParameterType<F>,
  ...args: Parameters<F>
) => AsyncGenerator<ItemOf<F>, void, undefined>) &
  Omit<WrapControls<Parameters<F>, Promise<ItemOf<F>[]>>, 'fresh'>

/**
 * Wraps a generator, synchronous or not: what it gives is stored as an array once it was consumed to its end, and never
 * part of it. Those who consume one at one time each run it.
 * @throws InvalidOptionError `E_INVALID_OPTION`: there is no name, or another function has it
 */
export function wrapGenerator<F extends AnyFunction>(
  cache: Caching,
  fn: F,
  options: WrapOptions<Parameters<F>, ItemOf<F>[]> = {},
): WrappedGenerator<F> {
  const call = new Call(cache, fn, options, false)
  const wrapped = async function* (this: unknown, ...args: unknown[]) {
    call.calls++
    const known = (await cache.get(call.key(this, args))) as unknown[] | undefined
    if (known !== undefined) {
      yield* known
      return
    }
    // A load that is under way as long as the items are consumed, so that an invalidation meanwhile is heard of.
    let finish!: (items: unknown[] | undefined) => void
    const consumed = new Promise<unknown[] | undefined>((resolve) => {
      finish = resolve
    })
    const stored = call.load(this, args, () => consumed)
    let items: unknown[] | undefined
    try {
      const given: unknown[] = []
      for await (const item of itemsOf(fn, fn.apply(this, args))) {
        given.push(item)
        yield item
      }
      items = given
    } catch (error) {
      call.errors++
      throw error
    } finally {
      call.loads++
      finish(items)
      await stored
    }
  }
  return call.finish(wrapped, undefined) as unknown as WrappedGenerator<F>
}

/** @throws InvalidOptionError `E_INVALID_OPTION` where a function that should be a generator gave nothing to iterate over */
function itemsOf(fn: AnyFunction, given: unknown): AsyncIterable<unknown> | Iterable<unknown> {
  const items = given as Partial<AsyncIterable<unknown> & Iterable<unknown>> | null | undefined
  if (typeof (items?.[Symbol.asyncIterator] ?? items?.[Symbol.iterator]) === 'function') return items as never
  throw makeError(
    'E_INVALID_OPTION',
    `${fn.name || 'The function'} gave ${describe(given)}: give wrapGenerator a function of items, such as an async generator, and wrap any other.`,
    { name: 'fn' },
  )
}
