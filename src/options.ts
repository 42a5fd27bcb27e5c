/**
 * Options are read once, here, when a cache or a call is set up; what comes out needs no further checks.
 */
import { makeError } from './errors.js'
import { describe, isUnreadable } from './refusal.js'

const DURATION_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
}

// Below the largest time a Date can hold (8.64e15 ms) by 20,000 years, so that now + duration is a valid Date.
const LONGEST_MS = 8e15

/**
 * Reads a duration: a positive number of milliseconds, a string such as `'90s'`, `'1.5h'`, `'7d'` (units ms, s, m, h, d, w),
 * or `Infinity` / `'never'` for no end. Fractions of a millisecond are rounded, never to 0.
 * @returns whole milliseconds, or `Infinity`; more than 8e15 ms (250,000 years) is `Infinity`.
 * @throws InvalidTtlError `E_INVALID_TTL`
 */
export function parseDuration(value: unknown, name: string): number {
  const ms = typeof value === 'string' ? durationOf(value) : value
  if (typeof ms !== 'number' || !(ms > 0)) {
    throw makeError(
      'E_INVALID_TTL',
      `Invalid ${name}: got ${describe(value)}. Give a positive number of milliseconds or a string such as '500ms', '90s', ` +
        `'2m', '1h', '7d' or '1w'; for no expiry give Infinity or 'never'.`,
      { name },
    )
  }
  return ms > LONGEST_MS ? Infinity : Math.max(1, Math.round(ms))
}

function durationOf(text: string): number {
  if (text.trim() === 'never') return Infinity
  const [, amount, unit] = /^\s*(\d+\.?\d*|\.\d+)\s*(ms|[smhdw])\s*$/.exec(text) ?? []
  return amount === undefined ? Number.NaN : Number(amount) * (DURATION_MS[unit as string] as number)
}

const SIZE_POWERS = 'KMGT'

/**
 * Reads a size in bytes: a positive safe integer, or a string such as `'512MB'` (10^6) or `'1.5GiB'` (2^30); units B, KB, MB,
 * GB, TB, KiB, MiB, GiB, TiB in any case.
 * @throws InvalidOptionError `E_INVALID_OPTION`
 */
export function parseSize(value: unknown, name: string): number {
  const bytes = typeof value === 'string' ? sizeOf(value) : value
  if (Number.isSafeInteger(bytes) && (bytes as number) > 0) return bytes as number
  throw invalid(
    name,
    value,
    `a positive whole number of bytes or a string such as '64MB', '512MB' (10^6) or '1GiB' (2^30)`,
  )
}

function sizeOf(text: string): number {
  const [, amount, power, binary] = /^\s*(\d+\.?\d*|\.\d+)\s*(?:([kmgt])(i?))?b\s*$/i.exec(text) ?? []
  if (amount === undefined) return Number.NaN
  const exponent = power === undefined ? 0 : SIZE_POWERS.indexOf(power.toUpperCase()) + 1
  return Math.round(Number(amount) * (binary ? 1024 : 1000) ** exponent)
}

/** What an option of another cache is called here. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  maxAge: 'ttl',
  stdTTL: 'ttl',
  expires: 'ttl',
  updateAgeOnGet: 'sliding',
  swr: 'staleWhileRevalidate',
  allowStale: 'staleWhileRevalidate',
  grace: 'staleIfError',
  refreshThreshold: 'early',
  maxKeys: 'max',
  maxItems: 'max',
  lruSize: 'max',
  sizeCalculation: 'weigher',
  useClones: 'values',
  dispose: 'onEvict',
  onEviction: 'onEvict',
  checkperiod: 'cleanupInterval',
  ttlAutopurge: 'cleanupInterval',
  cacheDir: 'dir',
  directory: 'dir',
  path: 'dir',
  cacheId: 'filename',
}

/**
 * Refuses names that no option has, so that a misspelt one is not silently without effect, and what cannot be read. `undefined` counts
 * as no options.
 * @throws InvalidOptionError `E_INVALID_OPTION`
 */
export function checkOptions(given: unknown, allowed: readonly string[], where: string): void {
  if (given === undefined) return
  if (typeof given !== 'object' || given === null || isUnreadable(given) || Array.isArray(given)) {
    throw invalid(
      `options of ${where}`,
      given,
      `an object with any of: ${allowed.join(', ')}${meant(given, allowed)}`,
    )
  }
  for (const name of Object.keys(given)) {
    if (allowed.includes(name)) {
      checkReadable(given, name)
      continue
    }
    const same = Object.hasOwn(ELSEWHERE, name) ? ELSEWHERE[name] : undefined
    const near = same !== undefined && allowed.includes(same) ? same : nearest(name, allowed)
    throw makeError(
      'E_INVALID_OPTION',
      `Unknown option ${describe(name)} of ${where}.${near === undefined ? '' : ` Did you mean '${near}'?`} ` +
        `Accepted: ${allowed.join(', ')}.`,
      { name, where },
    )
  }
}

/** What one value in the place of options is for, as other caches take it. */
function meant(given: unknown, allowed: readonly string[]): string {
  const names = { string: ['dir', 'ttl'], number: ['max', 'ttl'] }[typeof given as 'string']
  const name = names?.find((name) => allowed.includes(name))
  return name === undefined ? '' : `; for ${name} that is { ${name}: ${describe(given)} }`
}

function checkReadable(given: object, name: string): void {
  let value: unknown
  try {
    value = given[name as never]
  } catch (cause) {
    throw makeError(
      'E_INVALID_OPTION',
      `Invalid ${name}: reading it threw. Give plain data.`,
      { name },
      cause,
    )
  }
  if (isUnreadable(value)) throw invalid(name, value, 'a value that can be read')
}

/** One of a few words. @throws InvalidOptionError `E_INVALID_OPTION` */
export function oneOf<T extends string>(value: unknown, name: string, accepted: readonly T[]): T {
  if (accepted.includes(value as T)) return value as T
  const near = typeof value === 'string' ? nearest(value, accepted) : undefined
  const hint = near === undefined ? '' : ` (did you mean '${near}'?)`
  throw invalid(name, value, `one of ${accepted.map((word) => `'${word}'`).join(', ')}${hint}`)
}

/** @throws InvalidOptionError `E_INVALID_OPTION` */
export function positiveInteger(value: unknown, name: string): number {
  if (Number.isSafeInteger(value) && (value as number) > 0) return value as number
  throw invalid(name, value, 'a positive whole number')
}

/** A number of times. @throws InvalidOptionError `E_INVALID_OPTION` */
export function countOption(value: unknown, name: string): number {
  if (value === Infinity || (Number.isSafeInteger(value) && (value as number) >= 0)) return value as number
  throw invalid(name, value, '0, a positive whole number, or Infinity')
}

/** @throws InvalidOptionError `E_INVALID_OPTION` */
export function stringOption(value: unknown, name: string): string {
  if (typeof value === 'string') return value
  throw invalid(name, value, 'a string')
}

/** @throws InvalidOptionError `E_INVALID_OPTION` */
export function boolean(value: unknown, name: string): boolean {
  if (typeof value === 'boolean') return value
  throw invalid(name, value, 'true or false')
}

/** @throws InvalidOptionError `E_INVALID_OPTION` */
export function callback<F extends (...args: never[]) => unknown>(value: unknown, name: string): F {
  if (typeof value === 'function') return value as F
  throw invalid(name, value, 'a function')
}

/** @throws InvalidOptionError `E_INVALID_OPTION` */
export function signalOption(signal: unknown): AbortSignal {
  if (!isUnreadable(signal) && signal instanceof AbortSignal) return signal
  throw invalid('signal', signal, 'an AbortSignal')
}

/** The clock of a user: one that gives no time would end in loops without end. @throws InvalidOptionError `E_INVALID_OPTION` */
export function clockOption(value: unknown): () => number {
  const clock = callback<() => unknown>(value, 'clock')
  const now = () => {
    const time = clock()
    if (typeof time === 'number' && time >= 0 && time <= LONGEST_MS) return time
    throw invalid('clock', time, 'a function that gives milliseconds since the Unix epoch, as Date.now does')
  }
  now()
  return now
}

/** The error of an option that is not accepted: what was given, and what is accepted. */
export function invalid(name: string, value: unknown, accepted: string): Error {
  return makeError('E_INVALID_OPTION', `Invalid ${name}: got ${describe(value)}. Give ${accepted}.`, { name })
}

function nearest(name: string, words: readonly string[]): string | undefined {
  let best: string | undefined
  let least = Math.max(2, Math.ceil(name.length / 3)) + 1
  for (const word of words) {
    const edits = distance(name.toLowerCase(), word.toLowerCase())
    if (edits < least) [best, least] = [word, edits]
  }
  return best
}

/** Levenshtein distance; a name longer than any option's is cut, as it is near none. */
function distance(given: string, word: string): number {
  const a = given.slice(0, 64)
  let row = Array.from({ length: word.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= word.length; j++) {
      const change = (row[j - 1] as number) + (a[i - 1] === word[j - 1] ? 0 : 1)
      next.push(Math.min(change, (row[j] as number) + 1, (next[j - 1] as number) + 1))
    }
    row = next
  }
  return row[word.length] as number
}
