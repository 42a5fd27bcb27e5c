/** What callers give a cache in memory, checked. */
import { makeError } from '../errors.js'
import { describe } from '../refusal.js'

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
