/** How fresh a value is: arithmetic on times, without a clock of its own. */
import { parseDuration } from '../options.js'
import type { Kept } from '../tiers/entries.js'
import { type SetTimes, staleAt, type Times } from '../tiers/wire.js'
import type { LoadPlan } from './options.js'

/**
 * What a value that was found is good for: to be given (`fresh`); that, and to be loaded anew in the background (`renew`); to
 * be given where the load is late or fails (`fallback`); to be validated (`old`); nothing, as its time ended since it was read.
 */
export type Standing = 'fresh' | 'renew' | 'fallback' | 'old' | 'gone'

/** @param random in [0, 1): decides early renewals */
export function standingOf(kept: Kept, plan: LoadPlan, now: number, random: () => number): Standing {
  const stale = staleAt(kept)
  if (now < stale) return isEarly(kept.cost, plan.early, stale - now, random) ? 'renew' : 'fresh'
  if (now >= kept.expiresAt) return 'gone'
  if (now < stale + plan.staleWhileRevalidate) return 'renew'
  return now < stale + plan.staleIfError ? 'fallback' : 'old'
}

/** XFetch: `cost` is its delta, the time that the last load took. */
function isEarly(cost: number, beta: number, left: number, random: () => number): boolean {
  return beta > 0 && left < Infinity && -cost * beta * Math.log(1 - random()) >= left
}

/**
 * The times of an entry that is loaded now.
 * @param ttl as given, before jitter; `Infinity` never expires
 */
export function timesFor(ttl: number, plan: LoadPlan, now: number, random: () => number): Times {
  const most = plan.jitterMs > 0 ? Math.min(plan.jitterMs, ttl - 1) : ttl * plan.jitter
  const shorter = most > 0 && ttl < Infinity ? Math.floor(most * random()) : 0
  return timesAt(now + Math.max(1, ttl - shorter), plan)
}

function timesAt(stale: number, plan: LoadPlan): Times {
  const kept = plan.validate === undefined ? Math.max(plan.staleWhileRevalidate, plan.staleIfError) : Infinity
  if (kept === 0 || stale === Infinity) return { expiresAt: stale, freshUntil: Infinity }
  return { expiresAt: stale + kept, freshUntil: stale }
}

/** Parts of a sliding time to live in which at most one hit is written to disk. */
const SLIDES = 64

/** The times that a hit gives to a sliding entry, and whether the disk is told: not for each hit of a fraction of its time. */
export function slide(
  kept: Kept,
  ttl: number,
  plan: LoadPlan,
  now: number,
): { times: Times; tells: boolean } {
  const times = timesAt(now + ttl, plan)
  const grain = ttl / SLIDES
  return { times, tells: Math.floor(staleAt(kept) / grain) !== Math.floor((now + ttl) / grain) }
}

/** The time to live of a value. */
export function ttlOf(value: unknown, args: readonly unknown[], plan: LoadPlan, standard: number): number {
  if (plan.ttlOf !== undefined) return parseDuration(plan.ttlOf(value, ...args), 'ttl')
  return plan.ttl ?? standard
}

/** What the load of a value took, as it is stored. */
export function costOf(took: number): SetTimes['cost'] {
  return Math.min(Math.max(0, Math.round(took)), 2 ** 31)
}
