/** A function of many keys, asked for one: what is missing in one tick is one call. */
import { type Caching, hostOf } from './caching.js'
import { makeError } from './errors.js'
import { CallKey, callPrefix, callTextSoon, type Key } from './keys.js'
import { type GetOrSetOptions, LOAD_OPTIONS } from './load/options.js'
import { callback, checkOptions, positiveInteger, stringOption } from './options.js'
import { nextTick } from './pause.js'

/** Options of a function of many keys. */
export interface WrapManyOptions<K, V> extends Omit<GetOrSetOptions<V, [K]>, 'signal'> {
  /** Part of the key. Default: the function's own name, which a minifier may change. */
  name?: string | undefined
  /** Part of the key: a new version never gets the results of an old one. Default `''`. */
  version?: string | undefined
  /** Keys of one call, at most. Default: no limit. */
  maxBatch?: number | undefined
}

/** What comes back for keys: values in their order (an `Error` fails its key alone), or a Map. */
export type Many<K, V> = readonly (V | Error | undefined)[] | ReadonlyMap<K, V>

/** A function of many keys, asked for one at a time or for several. */
export interface WrappedMany<K, V> {
  /** `undefined` where the function gave nothing. */
  (key: K): Promise<V | undefined>
  /** Those of several keys, in their order. */
  many(keys: Iterable<K>): Promise<(V | undefined)[]>
  /** Removes the result of a key. Resolves to whether there was one. */
  invalidate(key: K): Promise<boolean>
  /** The key of its entry, for the verbs of the cache. */
  key(key: K): CallKey
}

interface Asked<K> {
  key: K
  resolve(value: unknown): void
  reject(error: unknown): void
}

/**
 * Wraps a function of many keys: each key has an entry of its own, and the keys that are missing in one tick are one call.
 * @throws InvalidOptionError `E_INVALID_OPTION`
 */
export function wrapMany<K extends Key, V>(
  cache: Caching,
  fn: (keys: K[]) => Promise<Many<K, V>>,
  options: WrapManyOptions<K, V> = {},
): WrappedMany<K, V> {
  callback(fn, 'the wrapped function')
  checkOptions(
    options,
    ['name', 'version', 'maxBatch', ...LOAD_OPTIONS.filter((name) => name !== 'signal')],
    'wrapMany',
  )
  const { name = fn.name, version = '', maxBatch, ...rest } = options
  if (typeof name !== 'string' || name === '') {
    const why = 'The function has no name of its own: give options.name, which is part of the key.'
    throw makeError('E_INVALID_OPTION', why, { name })
  }
  stringOption(version, 'version')
  const most = maxBatch === undefined ? Number.POSITIVE_INFINITY : positiveInteger(maxBatch, 'maxBatch')
  const host = hostOf(cache)
  const plan = host.loading.planOf(host.optionsOf(rest))
  const prefix = host.prefix + callPrefix(name, version)
  let asked: Asked<K>[] = []

  const flush = (): void => {
    const batch = asked
    asked = []
    for (let start = 0; start < batch.length; start += most)
      void callFor(batch.slice(start, start + most), fn)
  }
  const load = (key: K) =>
    new Promise<unknown>((resolve, reject) => {
      // After the promises of this tick: each load that it began is there by then.
      if (asked.length === 0) nextTick(flush)
      asked.push({ key, resolve, reject })
    })
  const one = async (key: K): Promise<V | undefined> => {
    const text = await callTextSoon(prefix, [key])
    return host.loading.get(text, { load: () => load(key), args: [key] }, plan) as Promise<V | undefined>
  }
  const key = (of: K) => new CallKey(name, version, [of])
  return Object.assign(one, {
    many: (keys: Iterable<K>) => Promise.all(Array.from(keys, one)),
    invalidate: (of: K) => cache.delete(key(of)),
    key,
  })
}

async function callFor<K, V>(batch: Asked<K>[], fn: (keys: K[]) => Promise<Many<K, V>>): Promise<void> {
  try {
    const given = await fn(batch.map(({ key }) => key))
    const isMap = given instanceof Map
    if (!isMap && !(Array.isArray(given) && given.length === batch.length)) {
      throw makeError(
        'E_INVALID_OPTION',
        `A function of ${batch.length} keys gave ${Array.isArray(given) ? `${given.length} values` : 'no array'}: give one for each key, in their order, or a Map.`,
      )
    }
    for (const [index, { key, resolve, reject }] of batch.entries()) {
      const value = isMap ? given.get(key) : (given as readonly unknown[])[index]
      if (value instanceof Error) reject(value)
      else resolve(value)
    }
  } catch (error) {
    for (const { reject } of batch) reject(error)
  }
}
