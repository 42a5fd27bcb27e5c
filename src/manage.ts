/** Verbs of management: what an operator asks of a cache rather than a program. */
import { type CallKey, type Key, keyFromText } from './keys.js'
import { boolean, checkOptions } from './options.js'
import type { TierStack } from './tiers/stack.js'

/** Options of `check`. */
export interface CheckOptions {
  /** Repairs what is found. Default false. */
  fix?: boolean | undefined
}

/** One thing that is wrong. */
export interface CheckProblem {
  /**
   * `damaged-entry`, `damaged-file`, `missing-file`: the entry is a miss, and is removed. `orphan-file`: no entry points to it.
   * `foreign-file`: the cache did not make it, and leaves it alone. `wrong-account`: sizes that do not add up.
   */
  kind:
    | 'damaged-database'
    | 'damaged-entry'
    | 'damaged-file'
    | 'missing-file'
    | 'orphan-file'
    | 'foreign-file'
    | 'wrong-account'
  /** What was found, for people. */
  message: string
  /** The entry's, where it can be read. */
  key?: Key | CallKey
  /** The file that it is about. */
  path?: string
  /** Whether it is set right: never without `fix`. */
  fixed: boolean
}

/** What `check` found. */
export interface CheckReport {
  /** Whether nothing is wrong, or nothing any more. */
  ok: boolean
  /** Entries that were looked at, expired ones included. */
  entries: number
  /** Of these, those that have expired. */
  expired: number
  /**
   * Entries on pages that cannot be read any more: about as many as there are on others. 1 where none can be read, and nobody knows how
   * many there were.
   */
  unreachable: number
  /** Value files that were read. */
  files: number
  /** Bytes of values, as stored, that were read. */
  bytes: number
  /** Problems. */
  found: number
  /** Of these, those that are set right. */
  fixed: number
  /** The first 1000. */
  problems: CheckProblem[]
}

export async function check(tiers: TierStack, options: CheckOptions): Promise<CheckReport> {
  checkOptions(options, ['fix'], 'check')
  const fix = boolean(options.fix ?? false, 'fix')
  if (tiers.disk === undefined) {
    const { entries } = await tiers.stats()
    const none = { expired: 0, unreachable: 0, files: 0, bytes: 0, found: 0, fixed: 0, problems: [] }
    return { ok: true, entries, ...none }
  }
  const report = await tiers.disk.manage((disk, now) => disk.check(fix, now))
  const problems = report.problems.map(({ kind, message, key, path, fixed }): CheckProblem => {
    const known = key === undefined || key === null ? undefined : readableKey(key)
    return {
      kind: kind as CheckProblem['kind'],
      message,
      ...(known === undefined ? {} : { key: known }),
      ...(path === undefined || path === null ? {} : { path }),
      fixed,
    }
  })
  const left = problems.filter(({ kind, fixed }) => kind !== 'foreign-file' && !fixed)
  return { ...report, ok: left.length === 0 && report.found - report.fixed <= problems.length, problems }
}

/** The key of a damaged row may be noise. */
function readableKey(key: Buffer): Key | CallKey | undefined {
  try {
    return keyFromText(key.toString('utf8'))
  } catch {
    return undefined
  }
}
