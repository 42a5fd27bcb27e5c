/** Verbs that depend on what a key holds: each is decided where it is stored, in one step, also between processes. */
import type { Duration } from '../cache-options.js'
import { makeError } from '../errors.js'
import { checkOptions } from '../options.js'
import { describe } from '../refusal.js'
import { type Soon, then } from '../soon.js'
import type { Batch } from '../tiers/batch.js'
import { packSet } from '../tiers/disk.js'
import type { Write } from '../tiers/entries.js'
import type { Extras } from '../tiers/extras.js'
import type { MemoryEntry } from '../tiers/memory.js'
import type { TierStack } from '../tiers/stack.js'
import type { Outcome, SetTimes } from '../tiers/wire.js'
import { encode } from '../values/index.js'

/** Stores a value if there is no live entry; whether it did. */
export function add(tiers: TierStack, write: Write, sync: boolean): Soon<boolean> {
  const kept = tiers.current(write.text)
  const live = kept?.isLive(tiers.now()) ? kept : undefined
  // What is on its way to the disk may still fail: only the disk can tell.
  const isThere = live !== undefined && (tiers.disk === undefined || live.place !== undefined)
  return then(setWhen(tiers, write, 'absent', isThere, sync), (existed) => !existed)
}

/** Stores a value if there is a live entry; whether it did. */
export function update(tiers: TierStack, write: Write, sync: boolean): Soon<boolean> {
  const isMissing = tiers.disk === undefined && !tiers.current(write.text)?.isLive(tiers.now())
  return setWhen(tiers, write, 'present', isMissing, sync)
}

/** Gives whether there was a live entry. `isRefused`: that is known to be in the way. */
function setWhen(
  tiers: TierStack,
  write: Write,
  when: 'absent' | 'present',
  isRefused: boolean,
  sync: boolean,
): Soon<boolean> {
  const encoded = tiers.encode(write.value) // bad values are refused whatever is there
  const existed = (when === 'absent') === isRefused
  if (isRefused) return existed
  if (tiers.disk === undefined || encoded === undefined) {
    return then(tiers.write([write], sync), () => existed)
  }
  if (when === 'present') tiers.forget(write.text)
  else tiers.outdate(write.text)
  const entry = { ...write, encoded: tiers.packed(write, encoded) }
  const changed = tiers.change([write.text], 1, (batch) => packSet(batch, entry, when), sync)
  return then(changed, ([outcome]) => {
    const { existed } = outcome!
    if (existed === (when === 'present')) tiers.counters.sets++
    return existed
  })
}

/** Counts as an access of a live entry; whether there is one. */
export function touch(tiers: TierStack, text: string, sync: boolean): Soon<boolean> {
  if (tiers.live(text) !== undefined) return true
  if (tiers.disk === undefined) return false
  return then(tiers.disk.state(text, sync, true), ({ is }) => is === 'live')
}

/** Milliseconds until a live entry expires. */
export function ttl(tiers: TierStack, text: string, sync: boolean): Soon<number | undefined> {
  return then(tiers.state(text, sync), ({ is, expiresAt }) =>
    is === 'live' ? Math.max(0, expiresAt! - tiers.now()) : undefined,
  )
}

/** An increment, checked. */
export interface Increment {
  text: string
  by: number | bigint
  /** Of an entry that is made. */
  expiresAt: number
  extras?: Extras | undefined
}

/** Options of `increment`. */
export interface IncrementOptions {
  /** Time to live of an entry that is made. Default: the cache's. */
  ttl?: Duration | undefined
}

/** @throws InvalidOptionError `E_INVALID_OPTION` */
export function parseIncrement(options: IncrementOptions): IncrementOptions {
  checkOptions(options, ['ttl'], 'increment')
  return options
}

/** Adds to the number that a key holds; the sum. */
export function increment(tiers: TierStack, asked: Increment, sync: boolean): Soon<number | bigint> {
  const { text, by, expiresAt, extras } = asked
  if (tiers.disk === undefined) return incrementInMemory(tiers, asked)
  tiers.forget(text)
  // What an entry has beside its value comes with a set: one of nothing, in the same transaction, where there is none yet.
  const isMade = extras !== undefined && !tiers.disk.isJson
  const pack = (batch: Batch): void => {
    if (isMade) {
      const encoded = encode(typeof by === 'bigint' ? 0n : 0)
      packSet(batch, { text, encoded, expiresAt, freshUntil: Infinity, cost: 0, extras }, 'absent')
    }
    batch.increment(text, by, expiresAt)
  }
  return then(tiers.change([text], isMade ? 2 : 1, pack, sync), (outcomes) => {
    tiers.counters.sets++
    return (outcomes.at(-1) as Outcome).number!
  })
}

function incrementInMemory(tiers: TierStack, { text, by, expiresAt, extras }: Increment): number | bigint {
  const live: MemoryEntry | undefined = tiers.live(text)
  const value = sum(live === undefined ? undefined : tiers.given(live), by)
  const times = live ?? { expiresAt, freshUntil: Number.POSITIVE_INFINITY, cost: 0 }
  const write = {
    ...pickTimes(times),
    text,
    value,
    coding: undefined,
    extras: live === undefined ? extras : live.extras,
  }
  const kept = tiers.keep(write, tiers.encode(value), live?.created)
  tiers.counters.sets++
  if (kept !== undefined && live !== undefined) kept.hits = live.hits
  return value
}

function pickTimes({ expiresAt, freshUntil, cost }: SetTimes): SetTimes {
  return { expiresAt, freshUntil, cost }
}

/**
 * The sum of what a key holds and `by`.
 * @throws InvalidOptionError `E_INVALID_OPTION` where it holds something else, or the sum is out of range
 */
export function sum(held: unknown, by: number | bigint): number | bigint {
  const from = held === undefined ? (typeof by === 'bigint' ? 0n : 0) : held
  if (typeof from !== typeof by) {
    const what = `The key holds ${describe(from)}, and ${describe(by)} cannot be added to it`
    throw refused(`${what}: increment adds numbers to numbers and bigints to bigints. Set the key first.`)
  }
  const value = ((from as number) + (by as number)) as number | bigint
  if (!isNumber(value)) {
    throw refused(`The sum of ${from} and ${by} is out of range: nothing was changed.`)
  }
  return Object.is(value, -0) ? 0 : value
}

/** @throws InvalidOptionError `E_INVALID_OPTION` */
export function addend(by: unknown): number | bigint {
  if (isNumber(by)) return by === 0 ? 0 : by // not -0
  throw refused(
    `Invalid increment: got ${describe(by)}. Give a finite number, or a bigint of up to 128 bits.`,
  )
}

function isNumber(value: unknown): value is number | bigint {
  return typeof value === 'bigint' ? BigInt.asIntN(128, value) === value : Number.isFinite(value)
}

function refused(message: string): Error {
  return makeError('E_INVALID_OPTION', message)
}
