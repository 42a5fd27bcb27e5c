/** What callers give a cache in memory, checked. */
import { makeError } from '../errors.js'
import { describe } from '../refusal.js'

/** Pairs, a `Map`, or an object whose names are the keys. */
export type MemoryEntries<K, V> = Iterable<readonly [K, V]> | { readonly [key: string]: V }

export function entriesOf<K, V>(entries: MemoryEntries<K, V>): (readonly [K, V])[] {
  return Symbol.iterator in entries ? [...entries] : (Object.entries(entries) as [K, V][])
}

/** @throws InvalidKeyError `E_INVALID_KEY` */
export function checkKey(key: unknown): void {
  switch (typeof key) {
    case 'string':
    case 'number':
    case 'bigint':
    case 'function':
      return
    case 'object':
      if (key !== null) return
  }
  throw makeError(
    'E_INVALID_KEY',
    `A key is ${describe(key)}. Accepted are strings, numbers, bigints, and objects by identity.`,
    {},
  )
}

export function refuseUndefined(): Error {
  return makeError(
    'E_UNSERIALIZABLE',
    'undefined cannot be stored: it is what a miss gives. Store null, or delete the key.',
    { path: 'value' },
  )
}
