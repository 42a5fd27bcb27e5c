/** Options of `Cache`, parsed and checked once. */

import { type EncryptionOptions, parseEncryption } from './encryption.js'
import { makeError } from './errors.js'
import type { AnyGetOrSetOptions } from './load/options.js'
import { systemTime } from './memory/clock.js'
import { hasPolicy, type PolicyName, parsePolicy } from './memory/policies.js'
import type { MetaTables } from './meta.js'
import {
  boolean,
  checkOptions,
  clockOption,
  oneOf,
  parseDuration,
  parseSize,
  positiveInteger,
} from './options.js'
import { part } from './parts.js'
import { describe, isUnreadable } from './refusal.js'
import type { Coding } from './tiers/batch.js'
import type { DiskOptions } from './tiers/disk.js'
import { DEFAULT_POLICY, type MemoryTierOptions } from './tiers/memory.js'

/** Milliseconds, or `'90s'`, `'1h'`, `'7d'`; `Infinity` or `'never'` for no expiry. */
export type Duration = number | string
/** Bytes, or `'512MB'` (10^6), `'1GiB'` (2^30). */
export type Size = number | string
/**
 * How values are compressed. `auto` looks at each value and takes what makes it smallest; no codec makes a value larger. Arrays
 * of numbers are shuffled before `lz4` and `zstd`, `pco` is for them alone, and `fast` is the quickest that gains much.
 */
export type Codec = 'auto' | 'fast' | 'none' | 'lz4' | 'zstd' | 'pco'
/** A codec with a level: zstd 1 to 19, default 1; pco 0 to 12, default 8. */
export interface CodecOptions {
  codec?: Codec | undefined
  level?: number | undefined
}
/**
 * When a write counts as done: `relaxed`, for a set, when it is queued (within some milliseconds it is where `process` has it; a
 * kill may lose the newest ones, in their order and never half a one; `close` and the end of the process write them); `process`, when other
 * processes see it and no kill can lose it; `power`, when it survives a power cut (each commit waits for the disk).
 */
export type Durability = 'relaxed' | 'process' | 'power'

/**
 * Where a directory keeps what it knows of its entries: `sqlite`, in a database, or `json`, in a file for each entry, which needs
 * no locks; `auto` takes `json` only where locks do not work in the directory.
 */
export type Metadata = 'sqlite' | 'json' | 'auto'

/** The policies of the disk tier: those whose order can be kept in the rows. */
export type DiskPolicy = 'lru' | 'lfu' | 'fifo' | 'lifo' | 'mru' | 'sieve' | 's3-fifo'

/** Options of the memory tier. */
export interface MemoryOptions {
  /** Entries. No bound by default. */
  max?: number | undefined
  /** Bytes, as estimated from the values. Default `'64MB'`. */
  maxSize?: Size | undefined
  /**
   * Which entry goes first: `'w-tinylfu'` (default), `'lru'`, `'lfu'`, `'fifo'`, `'lifo'`, `'mru'`, `'sieve'`, `'s3-fifo'`,
   * `'auto'`, or a name given to `definePolicy`. What was set is there until others come, whatever the policy.
   */
  policy?: PolicyName | (string & {}) | undefined
}

/** Options of a `Cache`. */
export interface CacheOptions<M extends MetaTables = MetaTables> {
  /** The directory of the disk tier. Without it the cache is in memory only. Its parent must exist. */
  dir?: string | undefined
  /** Bytes on disk: database pages in use and value files. Default `'1GB'`, at least 1 MiB. */
  maxSize?: Size | undefined
  /** Entries on disk. No bound by default. */
  max?: number | undefined
  /**
   * Which entry goes first on disk. Default `'lru'`. It is this cache's choice and not the directory's: another one may be given
   * at each opening.
   */
  policy?: DiskPolicy | undefined
  /** Time to live of entries that are set without one. Default: no expiry. */
  ttl?: Duration | undefined
  /** Compression on disk. Default `'auto'`. */
  codec?: Codec | undefined
  /** Level of the codec, where it has one: zstd 1 to 19, default 1; pco 0 to 12, default 8. */
  level?: number | undefined
  /** Compression of values of a kind, by its name: `{ json: 'zstd', 'typed-array': { codec: 'pco', level: 4 } }`. */
  codecs?: Readonly<Record<string, Codec | CodecOptions>> | undefined
  /** Default `'process'`. */
  durability?: Durability | undefined
  /**
   * Whether plain small sets of this cache go into a journal in memory that all processes share, and from there into the database in
   * batches. Sets are several times as fast with it, are seen by every process at once, and survive a kill as without it; after a power
   * cut, what is there is a beginning of what was set. Default true. It takes up to 6.1 MiB of disk, and a listing right after
   * many sets moves them first. Without effect where less than 64 MiB of disk are free, with `durability: 'power'`, `max`, a
   * `maxSize` below 16 MiB, `metadata: 'json'`, and on systems other than Linux and macOS.
   */
  journal?: boolean | undefined
  /**
   * For a directory whose file system has no locks to rely on (network mounts, some mounts of containers): `'json'` keeps a
   * self-checking file for each entry, and no database. Transactions, `increment`, SQL and unique columns are not to be had then,
   * statistics and tags look at every entry, the policy is `lru` or `fifo`, and memory is off unless `memory` is given. The choice
   * is made when the directory is, and kept in it: later caches need not name it. Default `'sqlite'`.
   */
  metadata?: Metadata | undefined
  /** How long a write waits for other processes. Default 10 s. */
  lockTimeout?: Duration | undefined
  /**
   * Removes what has expired when the directory is opened, in the background. Default false: it goes when it is met, and first
   * when room is needed.
   */
  cleanupOnOpen?: boolean | undefined
  /**
   * The memory tier in front of the disk; `false` turns it off. Where the directory has no database (`metadata: 'json'`) it is off
   * by default: nothing tells it of other processes' writes, so each of its hits reads the first line of the entry's file.
   */
  memory?: MemoryOptions | boolean | undefined
  /**
   * Whether memory hands out the live value (`shared`, the default: treat it as read-only) or a copy of what it was when it was
   * set (`copy`: each read pays for decoding it). Without a `dir`, `shared` keeps what has no stored form too: functions, symbols, instances
   * of classes. A promise is refused by both.
   */
  values?: 'shared' | 'copy' | undefined
  /**
   * Tables that entries may have a row in, to be found by: `{ experiments: { accuracy: double().index(), model: text() } }`. It
   * needs a `dir`. What is declared is kept there: later caches may add indexes and columns that may be null.
   */
  meta?: M | undefined
  /**
   * Encrypts what is on disk, with XChaCha20-Poly1305: values, descriptions and the texts of keys; keys and tags are found by keyed hashes. Times,
   * counts, kinds, codecs and sizes are not encrypted. The key belongs to the directory from its first opening on. Without `meta`. With
   * `metadata: 'json'` all of an entry is encrypted, also its `meta`; its length and the time of its last use are not.
   */
  encryption?: EncryptionOptions | undefined
  /**
   * Whether the directory has the texts of keys. Default true. With false it has their hashes (BLAKE3, 256 bits) alone: listings give each
   * key as a `HashedKey`, and `prefix` and `match` are refused. It belongs to the directory from its first opening on.
   */
  storeKeys?: boolean | undefined
  /**
   * Whether the checksum of each value is looked at when it is read. Default true. With false a value that was damaged on the disk may
   * come out changed, or as `E_CORRUPT`; what is encrypted is always verified.
   */
  integrity?: boolean | undefined
  /** Options of every load, unless the call says otherwise. */
  defaults?: AnyGetOrSetOptions | undefined
  /** Where the time comes from, in milliseconds since the Unix epoch. Default `Date.now`; for tests. */
  clock?: (() => number) | undefined
}

/** The same, complete. */
export interface ParsedOptions {
  disk: DiskOptions | undefined
  memory: MemoryTierOptions | undefined
  /** Nobody asked for it: a directory without a database has none. */
  isMemoryDefault: boolean
  /** By kind. */
  codecs: ReadonlyMap<string, Coding>
  copies: boolean
  cleanupOnOpen: boolean
  meta: MetaTables
  ttl: number
  defaults: AnyGetOrSetOptions
  now: () => number
}

/** Options that say nothing without a directory. */
const DISK_ONLY = [
  'maxSize',
  'max',
  'policy',
  'codec',
  'level',
  'codecs',
  'durability',
  'journal',
  'metadata',
  'lockTimeout',
  'cleanupOnOpen',
  'meta',
  'encryption',
  'storeKeys',
  'integrity',
] as const
const NAMES = ['dir', 'ttl', 'memory', 'values', ...DISK_ONLY, 'defaults', 'clock']

const DISK_POLICIES: readonly DiskPolicy[] = ['lru', 'lfu', 'fifo', 'lifo', 'mru', 'sieve', 's3-fifo']
const METADATA: readonly Metadata[] = ['sqlite', 'json', 'auto']
const CODECS: readonly Codec[] = ['auto', 'fast', 'none', 'lz4', 'zstd', 'pco']
const DEFAULTS = { maxSize: '1GB', memorySize: '64MB', lockTimeout: '10s' }

/**
 * @throws InvalidOptionError `E_INVALID_OPTION`, naming the option and what is accepted
 * @throws InvalidTtlError `E_INVALID_TTL`
 */
export function parseOptions(options: CacheOptions): ParsedOptions {
  checkOptions(options, NAMES, 'Cache')
  const memory = parseMemory(options.memory ?? {}, options.dir !== undefined)
  const meta = options.meta === undefined ? {} : part('listing').checkTables(options.meta)
  const disk = options.dir === undefined ? undefined : parseDisk(options, options.dir)
  if (disk === undefined) {
    const idle = DISK_ONLY.find((name) => options[name] !== undefined)
    if (idle !== undefined) {
      const where = ['maxSize', 'max', 'policy'].includes(idle) ? `, or give memory: { ${idle} }` : ''
      throw invalid(idle, `${idle} is about the disk tier, and there is no dir: give dir too${where}`)
    }
    if (memory === undefined) {
      throw invalid('memory', 'memory is false and there is no dir: a cache needs at least one tier')
    }
  }
  return {
    disk,
    memory,
    isMemoryDefault: options.memory === undefined,
    codecs: parseCodecs(options.codecs),
    meta,
    copies: oneOf(options.values ?? 'shared', 'values', ['shared', 'copy']) === 'copy',
    cleanupOnOpen: boolean(options.cleanupOnOpen ?? false, 'cleanupOnOpen'),
    ttl: options.ttl === undefined ? Number.POSITIVE_INFINITY : parseDuration(options.ttl, 'ttl'),
    defaults: options.defaults ?? {},
    now: options.clock === undefined ? systemTime : clockOption(options.clock),
  }
}

function parseDisk(options: CacheOptions, dir: unknown): DiskOptions {
  if (typeof dir !== 'string' || dir === '' || dir.includes('\0')) {
    throw invalid('dir', `dir is ${describe(dir)}; accepted is the path of a directory, as a string`)
  }
  const lockTimeout = parseDuration(options.lockTimeout ?? DEFAULTS.lockTimeout, 'lockTimeout')
  return {
    dir,
    maxSize: parseSize(options.maxSize ?? DEFAULTS.maxSize, 'maxSize'),
    policy: parseDiskPolicy(options.policy ?? 'lru'),
    ...(options.max === undefined ? {} : { max: positiveInteger(options.max, 'max') }),
    codec: oneOf(options.codec ?? 'auto', 'codec', CODECS),
    durability: oneOf(options.durability ?? 'process', 'durability', ['relaxed', 'process', 'power']),
    ...(options.metadata === undefined ? {} : { metadata: oneOf(options.metadata, 'metadata', METADATA) }),
    lockTimeout: Math.min(lockTimeout, Number.MAX_SAFE_INTEGER),
    ...(options.level === undefined ? {} : { level: parseLevel(options.level) }),
    ...(options.meta === undefined ? {} : { meta: part('listing').declaredTables(options.meta) }),
    journal: boolean(options.journal ?? true, 'journal'),
    storeKeys: boolean(options.storeKeys ?? true, 'storeKeys'),
    integrity: boolean(options.integrity ?? true, 'integrity'),
    ...(options.encryption === undefined ? {} : { encryption: parseEncryption(options.encryption) }),
  }
}

function parseDiskPolicy(policy: unknown): DiskPolicy {
  if (DISK_POLICIES.includes(policy as DiskPolicy)) return policy as DiskPolicy
  if (typeof policy === 'string' && hasPolicy(policy)) {
    const accepted = DISK_POLICIES.map((name) => `'${name}'`).join(', ')
    throw invalid('policy', `policy is '${policy}', which is for memory; on disk give one of ${accepted}`)
  }
  return oneOf(policy, 'policy', DISK_POLICIES)
}

function parseLevel(level: unknown): number {
  if (Number.isInteger(level) && (level as number) >= 0 && (level as number) <= 19) return level as number
  throw invalid('level', `level is ${describe(level)}; accepted are 1 to 19 for zstd and 0 to 12 for pco`)
}

/** @throws InvalidOptionError `E_INVALID_OPTION` */
export function parseCoding(options: CodecOptions): Coding | undefined {
  const { codec, level } = options
  if (codec === undefined && level === undefined) return undefined
  return {
    codec: oneOf(codec ?? 'auto', 'codec', CODECS),
    level: level === undefined ? undefined : parseLevel(level),
  }
}

function parseCodecs(codecs: CacheOptions['codecs']): ReadonlyMap<string, Coding> {
  const parsed = new Map<string, Coding>()
  if (codecs === undefined) return parsed
  if (typeof codecs !== 'object' || codecs === null || isUnreadable(codecs)) {
    throw invalid('codecs', `codecs is ${describe(codecs)}; accepted is an object with a codec for each kind`)
  }
  checkOptions(codecs, Object.keys(codecs), 'codecs')
  for (const [kind, given] of Object.entries(codecs)) {
    if (typeof given === 'object') checkOptions(given, ['codec', 'level'], `codecs.${kind}`)
    const coding = parseCoding(typeof given === 'object' && given !== null ? given : { codec: given })
    if (coding !== undefined) parsed.set(kind, coding)
  }
  return parsed
}

function parseMemory(memory: MemoryOptions | boolean, tells: boolean): ParsedOptions['memory'] {
  if (typeof memory === 'boolean') return memory ? parseMemory({}, tells) : undefined
  checkOptions(memory, ['max', 'maxSize', 'policy'], 'memory')
  return {
    policy: memory.policy === undefined ? DEFAULT_POLICY : parsePolicy(memory.policy, 'memory.policy'),
    tells,
    max: memory.max === undefined ? Number.POSITIVE_INFINITY : positiveInteger(memory.max, 'memory.max'),
    maxSize: parseSize(memory.maxSize ?? DEFAULTS.memorySize, 'memory.maxSize'),
  }
}

function invalid(name: string, message: string): Error {
  return makeError('E_INVALID_OPTION', `${message}.`, { name })
}
