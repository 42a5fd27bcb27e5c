/** What callers give verbs that take many keys or many entries, checked. */
import { invalid } from './options.js'

/** Pairs of key and value, a `Map`, or an object whose names are the keys. */
export type Entries<K, V> = Iterable<readonly [K, V]> | { readonly [key: string]: V }

/** @throws InvalidOptionError `E_INVALID_OPTION` where it is neither pairs nor a plain object */
export function entriesOf<K, V>(entries: Entries<K, V>): readonly (readonly [K, V])[] {
  if (isIterable(entries)) {
    const pairs = [...entries]
    for (const pair of pairs)
      if (!Array.isArray(pair)) throw invalid('entry', pair, 'a pair of key and value')
    return pairs
  }
  if (isPlain(entries)) return Object.entries(entries) as unknown as [K, V][]
  throw invalid('entries', entries, 'pairs of key and value, a Map, or an object whose names are the keys')
}

/** A text is no list of keys, though it can be iterated. @throws InvalidOptionError `E_INVALID_OPTION` */
export function keysOf<K>(keys: Iterable<K>): readonly K[] {
  if (Array.isArray(keys)) return keys
  if (isIterable(keys)) return [...keys]
  throw invalid('keys', keys, 'an array of keys, or another iterable of them')
}

function isIterable<T>(given: Iterable<T> | object): given is Iterable<T> {
  return typeof given === 'object' && given !== null && typeof given[Symbol.iterator as never] === 'function'
}

function isPlain(given: unknown): given is object {
  if (typeof given !== 'object' || given === null) return false
  const prototype = Object.getPrototypeOf(given)
  return prototype === Object.prototype || prototype === null
}
