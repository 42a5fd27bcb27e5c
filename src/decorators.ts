/** `@cached` and `@cachedSync`: `wrap` and `wrapSync` as decorators, standard and legacy. */
import type { Cache } from './cache.js'
import { makeError } from './errors.js'
import { type WrapOptions, wrap, wrapSync } from './wrap.js'

// biome-ignore lint/suspicious/noExplicitAny: only `any` accepts every method
type Method = (this: any, ...args: any[]) => any

/** Options of a decorated method. The name is that of its class and method, unless one is given. */
export interface CachedOptions extends WrapOptions<never[]> {
  /** The cache, or how to find it on the object. */
  // biome-ignore lint/suspicious/noExplicitAny: the class is not known here
  cache: Cache | ((self: any) => Cache)
}

/** A decorator for methods, in both of TypeScript's forms. */
export interface CachedDecorator {
  <M extends Method>(method: M, context: ClassMethodDecoratorContext): M
  <M extends Method>(target: object, name: string | symbol, descriptor: TypedPropertyDescriptor<M>): TypedPropertyDescriptor<M>
}

/** Caches what an asynchronous method returns. `this` is not part of the key: give `key` where results depend on it. */
export function cached(options: CachedOptions): CachedDecorator {
  return decorator(options, wrap as Wrap)
}

/** Caches what a synchronous method returns. */
export function cachedSync(options: CachedOptions): CachedDecorator {
  return decorator(options, wrapSync as Wrap)
}

type Wrap = (cache: Cache, fn: Method, options: WrapOptions) => Method

function decorator(options: CachedOptions, wrapper: Wrap): CachedDecorator {
  return ((first: unknown, second: unknown, descriptor?: PropertyDescriptor) => {
    if (typeof first === 'function' && (second as DecoratorContext)?.kind === 'method') {
      return decorate(first as Method, (second as ClassMethodDecoratorContext).name, options, wrapper)
    }
    if (typeof descriptor?.value === 'function') {
      return { ...descriptor, value: decorate(descriptor.value, second as string | symbol, options, wrapper) }
    }
    throw makeError('E_INVALID_OPTION', 'cached and cachedSync decorate methods; for a function use wrap or wrapSync.')
  }) as CachedDecorator
}

function decorate(method: Method, name: string | symbol, options: CachedOptions, wrapper: Wrap): Method {
  const { cache, ...rest } = options
  const byCache = new WeakMap<Cache, Method>()
  const decorated: Method = function (...args) {
    const found = typeof cache === 'function' ? cache(this) : cache
    let wrapped = byCache.get(found)
    if (wrapped === undefined) {
      const owner = ownerName(this, name, decorated)
      wrapped = wrapper(found, method, { ...rest, name: rest.name ?? `${owner}.${String(name)}` } as WrapOptions)
      byCache.set(found, wrapped)
    }
    return wrapped.apply(this, args)
  }
  return Object.defineProperty(decorated, 'name', { value: method.name, configurable: true })
}

/** The name of the class that has the method, which may be a parent of the object's own. */
function ownerName(self: unknown, name: string | symbol, method: Method): string {
  if (typeof self === 'function') return self.name
  for (let at = Object.getPrototypeOf(Object(self)); at !== null; at = Object.getPrototypeOf(at)) {
    if (Object.getOwnPropertyDescriptor(at, name)?.value === method) return at.constructor.name
  }
  return Object(self).constructor?.name ?? ''
}
