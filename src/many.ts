/** What callers give verbs that take many keys or many entries, checked. */
import { checkOptions, invalid } from './options.js'
import { isList, isUnreadable } from './refusal.js'

/** Pairs of key and value, a `Map`, or an object whose names are the keys. */
export type Entries<K, V> = Iterable<readonly [K, V]> | { readonly [key: string]: V }

/** @throws InvalidOptionError `E_INVALID_OPTION` where it is neither pairs nor a plain object */
export function entriesOf<K, V>(entries: Entries<K, V>): readonly (readonly [K, V])[] {
  if (isIterable(entries)) {
    const pairs = iterated(entries, 'entries')
    for (const pair of pairs) if (!isList(pair)) throw invalid('entry', pair, 'a pair of key and value')
    return pairs
  }
  if (isPlain(entries)) {
    checkOptions(entries, Object.keys(entries), 'entries')
    return Object.entries(entries) as unknown as [K, V][]
  }
  throw invalid('entries', entries, 'pairs of key and value, a Map, or an object whose names are the keys')
}

/** A text is no list of keys, though it can be iterated. @throws InvalidOptionError `E_INVALID_OPTION` */
export function keysOf<K>(keys: Iterable<K>): readonly K[] {
  if (isList(keys)) return keys as readonly K[]
  if (isIterable(keys)) return iterated(keys, 'keys')
  throw invalid('keys', keys, 'an array of keys, or another iterable of them')
}

/** All that an iterable gives; what it throws passes through. @throws InvalidOptionError `E_INVALID_OPTION` where it is none */
export function iterated<T>(given: Iterable<T>, name: string): T[] {
  if (typeof given === 'string' || isIterable(given)) {
    const iterator = given[Symbol.iterator]() as Iterator<T> | undefined
    if (typeof iterator?.next === 'function') return [...{ [Symbol.iterator]: () => iterator }]
  }
  throw invalid(name, given, 'an array, or another iterable')
}

function isIterable<T>(given: Iterable<T> | object): given is Iterable<T> {
  if (typeof given !== 'object' || given === null || isUnreadable(given)) return false
  return typeof given[Symbol.iterator as never] === 'function'
}

function isPlain(given: unknown): given is object {
  if (typeof given !== 'object' || given === null || isUnreadable(given)) return false
  const prototype = Object.getPrototypeOf(given)
  return prototype === Object.prototype || prototype === null
}
