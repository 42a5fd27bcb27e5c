/** What is done once for all processes on a directory. */
import type { Duration } from '../cache-options.js'
import { type Caching, hostOf } from '../caching.js'
import { CallKey, callPrefix, callTextSoon } from '../keys.js'
import { callback, checkOptions } from '../options.js'

/** Options of `once`. */
export interface OnceOptions {
  /** After so long it is done again. Default: never. */
  ttl?: Duration | undefined
  /** After waiting so long for another process, it is done all the same. Default: however long it takes. */
  lockTimeout?: Duration | undefined
}

/**
 * Runs `run` unless that was done under this name before, in any process; gives what it gave then. Of all who ask at one time
 * one runs it. What throws was not done. As all of a cache it lasts until it is evicted: it spares work, and guards nothing.
 * @throws what `run` throws
 */
export async function once<V>(
  cache: Caching,
  name: string,
  run: () => V | Promise<V>,
  options: OnceOptions = {},
): Promise<V> {
  callback(run, 'run')
  checkOptions(options, ['ttl', 'lockTimeout'], 'once')
  const { loading, prefix, optionsOf } = hostOf(cache)
  const { ttl = 'never', lockTimeout = 'never' } = options
  const singleFlight = loading.turns === undefined ? ('process' as const) : ('machine' as const)
  const plan = loading.planOf(optionsOf({ ttl, lockTimeout, singleFlight }))
  const text = await callTextSoon(prefix + callPrefix('tierce.once', ''), [name])
  const load = async () => ({ value: await run() }) // `undefined` is done too
  const done = (await loading.get(text, { load, args: [] }, plan)) as { value: V }
  return done.value
}

/** The key of what was done, for the verbs of the cache: deleted, it is done again. */
export function onceKey(name: string): CallKey {
  return new CallKey('tierce.once', '', [name])
}
