/** Packages that only some features need: loaded when they are first used, and named where they are missing. */
import { createRequire } from 'node:module'
import { type ErrorCode, makeError } from './errors.js'

/**
 * Loads an optional package.
 * @throws TierceError with `code`, which says what to install
 */
export function requireOptional<T>(name: string, purpose: string, code: ErrorCode): T {
  try {
    // Not a plain `require`: a bundler would take the package in.
    return createRequire(__filename)(name) as T
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND'
    const message = missing
      ? `${purpose} needs the package ${name}, which is not installed: run npm install ${name}.`
      : `${purpose} needs the package ${name}, which cannot be loaded: ${(cause as Error).message}`
    throw makeError(code, message, { package: name }, cause)
  }
}
