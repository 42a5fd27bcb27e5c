/** Reads for which a miss is an error. */
import { makeError } from '../errors.js'
import type { Key } from '../keys.js'
import { describe } from '../refusal.js'
import { type Soon, then } from '../soon.js'
import type { TierStack } from '../tiers/stack.js'

/**
 * The value of a key.
 * @throws KeyExpiredError `E_KEY_EXPIRED`, KeyNotFoundError `E_KEY_NOT_FOUND`
 */
export function getOrThrow(tiers: TierStack, text: string, key: Key, sync: boolean): Soon<unknown> {
  const isHeld = tiers.memory?.peek(text) !== undefined
  return then(sync ? tiers.readSync(text) : tiers.read(text), (value) => {
    if (value !== undefined) return value
    if (tiers.disk === undefined) throw missing(key, isHeld)
    return then(tiers.disk.state(text, sync), ({ is }) => {
      throw missing(key, is === 'expired')
    })
  })
}

function missing(key: Key, isExpired: boolean): Error {
  return isExpired
    ? makeError('E_KEY_EXPIRED', `The entry of key ${describe(key)} has expired.`, { key })
    : makeError('E_KEY_NOT_FOUND', `There is no entry of key ${describe(key)}.`, { key })
}
