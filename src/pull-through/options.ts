/** Options of `pullThrough`, parsed and checked once. */
import type { Duration } from '../cache-options.js'
import type { Columns, RowInput } from '../columns.js'
import { makeError } from '../errors.js'
import type { NativeCoverageRules } from '../native.js'
import { callback, checkOptions, invalid, parseDuration, positiveInteger } from '../options.js'
import type { PullEngine } from './engine.js'
import { POSITIONS, type Positions } from './range.js'
import { type Ask, type PrimaryNames, type RangeNames, type Spec, specOf, type Table } from './table.js'

/** Rows, all at once or as they come. */
export type Fetched<T> = Iterable<T> | AsyncIterable<T>

/** What a fetch is given beside what it is to bring. */
export interface FetchContext {
  /** Aborted when nobody waits for the fetch any more, or the cache is closed. */
  signal: AbortSignal
}

/** The newest part of a range, which may still change at its source. */
export interface VolatileTail {
  /** How far it reaches back from the time of a fetch, such as `'1d'`. */
  last: Duration
  /** How long what was fetched of it is taken for good. */
  ttl: Duration
}

/** Options of {@link pullThrough}. */
export interface PullThroughOptions<
  C extends Columns,
  R extends RangeNames<C> = RangeNames<C>,
  K extends string = PrimaryNames<C>,
> {
  /** Where rows and coverage are kept: `sqlite(path)`, `duckdb(path)`, `postgres(url)`. */
  engine: PullEngine
  /** The table: `defineTable(name, columns)`. */
  table: Table<C>
  /** The `date()`, `timestamp()` or `integer()` column that ranges are asked of. */
  range: R
  /** The columns for each of whose values coverage is kept. By default those of the primary key without the range. */
  key?: readonly K[] | undefined
  /** Brings the rows of one gap: all there are from `start` to `end`, both included. */
  fetch(ask: Ask<C, R, K, 'out'>, context: FetchContext): Fetched<RowInput<C>> | Promise<Fetched<RowInput<C>>>
  /** How long what was fetched counts as covered. By default for ever. */
  ttl?: Duration | undefined
  /** The tail that is fetched again after a while, such as `{ last: '1d', ttl: '5m' }`. Ranges of days and instants only. */
  volatile?: VolatileTail | undefined
  /** At most so many gaps a request: the closest are fetched as one, with what lies between. */
  maxGaps?: number | undefined
  /** At most so much a fetch: a duration such as `'30d'`, or a number of integers. */
  chunk?: Duration | undefined
  /** So much more at each end of a gap, as far as it is not covered: a duration, or a number of integers. */
  padding?: Duration | undefined
  /** Fetches at one time. Default 4. */
  concurrency?: number | undefined
}

export interface Parsed {
  engine: PullEngine
  spec: Spec
  positions: Positions
  fetch: (ask: Record<string, unknown>, context: FetchContext) => unknown
  rules: NativeCoverageRules
  concurrency: number
}

const NAMES = [
  'engine',
  'table',
  'range',
  'key',
  'fetch',
  'ttl',
  'volatile',
  'maxGaps',
  'chunk',
  'padding',
  'concurrency',
]

/** @throws InvalidOptionError `E_INVALID_OPTION`; InvalidTtlError `E_INVALID_TTL` */
export function parseOptions(options: PullThroughOptions<Columns, never, string>): Parsed {
  checkOptions(options ?? null, NAMES, 'pullThrough')
  const { engine, table, range, key, fetch, maxGaps, concurrency = 4 } = options
  if (typeof engine?.write !== 'function' || typeof engine.query !== 'function') {
    throw invalid('engine', engine, "sqlite('file.db'), duckdb('file.db') or postgres(url)")
  }
  if (key !== undefined && !Array.isArray(key)) throw invalid('key', key, 'an array of names of columns')
  const spec = specOf(table, range, key)
  const positions = POSITIONS[spec.rangeType]
  return {
    engine,
    spec,
    positions,
    fetch: callback(fetch, 'fetch'),
    rules: {
      ...freshness(options, positions),
      ...(maxGaps !== undefined && { maxGaps: positiveInteger(maxGaps, 'maxGaps') }),
      ...length('chunk', options.chunk, positions),
      ...length('padding', options.padding, positions),
      low: positions.low,
      high: positions.high,
    },
    concurrency:
      concurrency === Number.POSITIVE_INFINITY ? concurrency : positiveInteger(concurrency, 'concurrency'),
  }
}

function freshness(
  options: { ttl?: unknown; volatile?: unknown },
  { unit }: Positions,
): Partial<NativeCoverageRules> {
  const ttl = options.ttl === undefined ? Number.POSITIVE_INFINITY : parseDuration(options.ttl, 'ttl')
  const forTtl = ttl === Number.POSITIVE_INFINITY ? {} : { ttl }
  if (options.volatile === undefined) return forTtl
  if (unit === undefined) {
    throw makeError(
      'E_INVALID_OPTION',
      'Invalid volatile: a range of integers has no newest time. Give a ttl instead.',
      { name: 'volatile' },
    )
  }
  checkOptions(options.volatile, ['last', 'ttl'], 'volatile')
  const { last, ttl: tail } = options.volatile as VolatileTail
  const [volatileLast, volatileTtl] = [
    parseDuration(last, 'volatile.last'),
    parseDuration(tail, 'volatile.ttl'),
  ]
  if (!Number.isFinite(volatileTtl)) return forTtl
  // All that ever can be asked is the tail then.
  return { ...forTtl, volatileLast: Math.min(volatileLast, Number.MAX_SAFE_INTEGER), volatileTtl, unit }
}

/** A length in positions. Of times it is a duration, of integers their number. */
function length(
  name: 'chunk' | 'padding',
  value: unknown,
  { unit }: Positions,
): Partial<NativeCoverageRules> {
  if (value === undefined || (name === 'padding' && value === 0)) return {}
  if (unit === undefined) return { [name]: positiveInteger(value, name) }
  const ms = parseDuration(value, name)
  if (!Number.isFinite(ms) || ms % unit !== 0) {
    throw invalid(name, value, unit === 1 ? 'a duration that ends' : "whole days, such as '30d'")
  }
  return { [name]: ms / unit }
}
