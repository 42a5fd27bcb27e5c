/** The key of an encrypted cache. No message here shows any of it. */
import { makeError } from './errors.js'
import { checkOptions } from './options.js'
import { isUnreadable } from './refusal.js'

/** Encryption at rest. */
export interface EncryptionOptions {
  /**
   * 32 random bytes, as `crypto.randomBytes(32)` gives them: the bytes, or a string of 64 hexadecimal digits or of base64. A password is
   * none: derive 32 bytes from it, with `crypto.scryptSync`.
   */
  key: Uint8Array | string
}

const BYTES = 32
const HEX = /^[0-9a-f]{64}$/i
const BASE64 = /^[\w+/-]{43}=?$/

/**
 * A copy of the key's bytes, for the addon alone: whoever hands it over overwrites it then.
 * @throws InvalidOptionError `E_INVALID_OPTION`
 */
export function parseEncryption(given: unknown): Uint8Array {
  if (typeof given !== 'object' || given === null || isUnreadable(given) || given instanceof Uint8Array) {
    throw refused(`an object was expected, { key }, and it is a ${typeof given}`)
  }
  checkOptions(given, ['key'], 'encryption')
  const { key } = given as { key?: unknown }
  if (key instanceof Uint8Array) {
    if (key.length !== BYTES) throw refused(`the key has ${key.length} bytes`)
    return Uint8Array.from(key)
  }
  if (typeof key !== 'string') throw refused(`the key is a ${typeof key}`)
  if (HEX.test(key)) return Uint8Array.from(Buffer.from(key, 'hex'))
  if (BASE64.test(key)) return Uint8Array.from(Buffer.from(key, 'base64'))
  throw refused(`the key is a string of ${key.length} characters`)
}

function refused(what: string): Error {
  return makeError(
    'E_INVALID_OPTION',
    `Invalid encryption: ${what}. Give { key } with ${BYTES} random bytes, as a Uint8Array, 64 hexadecimal digits or base64; from a password, derive them with crypto.scryptSync.`,
    { name: 'encryption' },
  )
}
