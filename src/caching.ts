/** What call caching needs of a cache, or of a namespace in one. */
import type { CallKey, Key } from './keys.js'
import type { AnyGetOrSetOptions } from './load/options.js'
import type { Loading } from './loading.js'
import { invalid } from './options.js'
import type { SetOptions } from './set-options.js'
import type { TierStack } from './tiers/stack.js'

/** A `Cache`, or a `Namespace` of one: what calls can be kept in. Its verbs are those of `Cache`. */
export interface Caching {
  get(key: Key | CallKey): Promise<unknown>
  getSync(key: Key | CallKey): unknown
  setSync(key: Key | CallKey, value: unknown, options?: SetOptions): void
  delete(key: Key | CallKey): Promise<boolean>
  deleteSync(key: Key | CallKey): boolean
}

/** The inside of one. */
export interface CallHost {
  loading: Loading
  tiers: TierStack
  /** What the text of each key starts with. */
  prefix: string
  /** Options of a load, with what is added to all of them. */
  optionsOf(options: AnyGetOrSetOptions | undefined): AnyGetOrSetOptions | undefined
}

const hosts = new WeakMap<object, CallHost>()

export function addHost(caching: object, host: CallHost): void {
  hosts.set(caching, host)
}

/** @throws InvalidOptionError `E_INVALID_OPTION` where it is neither a cache nor a namespace */
export function hostOf(caching: object): CallHost {
  const host = hosts.get(caching)
  if (host === undefined) throw invalid('cache', caching, 'a Cache, or a namespace of one')
  return host
}
