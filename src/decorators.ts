/** `@cached` and `@cachedSync`: `wrap` and `wrapSync` as decorators, standard and legacy. */
import type { Caching } from './caching.js'
import { makeError } from './errors.js'
import { type AnyFunction, type WrapControls, type WrapOptions, wrap, wrapSync } from './wrap.js'

// biome-ignore lint/suspicious/noExplicitAny: only `any` accepts every method
type Method = (this: any, ...args: any[]) => any

/** Options of a decorated method. The name is that of its class and method, unless one is given. */
// biome-ignore lint/suspicious/noExplicitAny: results of every method
export interface CachedOptions extends WrapOptions<never[], any> {
  /** The cache, or how to find it on the object. */
  // biome-ignore lint/suspicious/noExplicitAny: the class is not known here
  cache: Caching | ((self: any) => Caching)
}

/** A decorator for methods, in both of TypeScript's forms. */
export interface CachedDecorator {
  <M extends Method>(method: M, context: ClassMethodDecoratorContext): M
  <M extends Method>(
    target: object,
    name: string | symbol,
    descriptor: TypedPropertyDescriptor<M>,
  ): TypedPropertyDescriptor<M>
}

/** Caches what an asynchronous method returns. `this` is not part of the key: give `key` where results depend on it. */
export function cached(options: CachedOptions): CachedDecorator {
  return decorator(options, wrap as Wrap)
}

/** Caches what a synchronous method returns. */
export function cachedSync(options: CachedOptions): CachedDecorator {
  return decorator(options, wrapSync as Wrap)
}

const controlled = new WeakMap<Method, (self: unknown) => Method>()

/**
 * The controls of a decorated method, as a wrapped function has them: `controls(api.user).invalidate(5)`. Where the cache is
 * found on the object, or `this` is part of the key, give the object too.
 * @throws InvalidOptionError `E_INVALID_OPTION` where it is not decorated with `cached` or `cachedSync`
 */
export function controls<F extends AnyFunction>(
  method: F,
  self?: ThisParameterType<F> | object,
): WrapControls<Parameters<F>, ReturnType<F>> {
  const wrappedFor = controlled.get(method)
  if (wrappedFor === undefined) {
    throw makeError(
      'E_INVALID_OPTION',
      'The function has no controls: give a method that is decorated with cached or cachedSync.',
    )
  }
  const wrapped = wrappedFor(self) as unknown as Record<string, AnyFunction>
  const names = ['fresh', 'invalidate', 'peek', 'key', 'stats']
  const bound = names.map((name) => [name, (...args: unknown[]) => wrapped[name]!.apply(self, args)])
  return Object.fromEntries(bound) as WrapControls<Parameters<F>, ReturnType<F>>
}

type Wrap = (cache: Caching, fn: Method, options: WrapOptions) => Method

function decorator(options: CachedOptions, wrapper: Wrap): CachedDecorator {
  return ((first: unknown, second: unknown, descriptor?: PropertyDescriptor) => {
    if (typeof first === 'function' && (second as DecoratorContext)?.kind === 'method') {
      const { name, addInitializer } = second as ClassMethodDecoratorContext
      const owner = { name: '' }
      const decorated = decorate(first as Method, name, options, wrapper, owner)
      // Before the first call, which may be one without its object: on the class if static, on each new object if not.
      addInitializer(function () {
        if (owner.name === '') owner.name = ownerName(this, name, decorated)
      })
      return decorated
    }
    if (typeof descriptor?.value === 'function') {
      const owner = { name: className(first as object) }
      return {
        ...descriptor,
        value: decorate(descriptor.value, second as string | symbol, options, wrapper, owner),
      }
    }
    throw makeError(
      'E_INVALID_OPTION',
      'cached and cachedSync decorate methods; for a function use wrap or wrapSync.',
    )
  }) as CachedDecorator
}

function decorate(
  method: Method,
  name: string | symbol,
  options: CachedOptions,
  wrapper: Wrap,
  owner: { name: string },
): Method {
  const { cache, ...rest } = options
  const byCache = new WeakMap<Caching, Method>()
  const wrappedFor = (self: unknown): Method => {
    const found = typeof cache === 'function' ? cache(self) : cache
    let wrapped = byCache.get(found)
    if (wrapped === undefined) {
      const full = rest.name ?? `${owner.name || ownerName(self, name, decorated)}.${String(name)}`
      wrapped = wrapper(found, method, { ...rest, name: full } as WrapOptions)
      byCache.set(found, wrapped)
    }
    return wrapped
  }
  const decorated: Method = function (...args) {
    return wrappedFor(this).apply(this, args)
  }
  controlled.set(decorated, wrappedFor)
  return Object.defineProperty(decorated, 'name', { value: method.name, configurable: true })
}

/**
 * The name of the class that has the method, which may be a parent of the object's own. Where another decorator has replaced
 * the method, it is the topmost class with one of that name: the same for each child class.
 */
function ownerName(self: unknown, name: string | symbol, method: Method): string {
  let at: object | null = typeof self === 'function' ? self : Object.getPrototypeOf(Object(self))
  let owner = at
  for (; at !== null; at = Object.getPrototypeOf(at)) {
    const own = Object.getOwnPropertyDescriptor(at, name)?.value
    if (own !== undefined) owner = at
    if (own === method) break
  }
  return owner === null ? '' : className(owner)
}

/** Of a class, or of a prototype. */
function className(at: object): string {
  return (typeof at === 'function' ? at : at.constructor)?.name ?? ''
}
