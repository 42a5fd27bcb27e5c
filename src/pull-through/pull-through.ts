/**
 * `pullThrough`: a table that fills itself. What is asked for and not covered is fetched, the rest comes from the database.
 *
 * What is missing is decided by intervals alone (`coverage.rs`), never by which rows there are: a weekend without rows is
 * covered like any other days.
 */

import { type Cell, fromCell, toCell } from '../cells.js'
import type { Columns, Row } from '../columns.js'
import { fromNative, makeError } from '../errors.js'
import { type NativeCoverageRules, type NativePlan, native } from '../native.js'
import { checkOptions, invalid, signalOption } from '../options.js'
import { part } from '../parts.js'
import { describe, Refusal } from '../refusal.js'
import type { PullEngine, QueryParam } from './engine.js'
import type { Flight, Flights } from './flights.js'
import type { Parsed, PullThroughOptions } from './options.js'
import type { Positions } from './range.js'
import { QueryResult } from './result.js'
import type { Interval, Key, Pieces, Store } from './store.js'
import type { Ask, PrimaryNames, Range, RangeNames, Spec } from './table.js'

/** Options of one call. */
export interface PullCallOptions {
  /** Ends the call with its reason, and the fetches that nobody else waits for. */
  signal?: AbortSignal | undefined
}

/** From so many stored intervals of one key on, it is looked whether fewer would do. */
const MANY_PIECES = 64

/** The table of this kind with the given options. @throws InvalidOptionError `E_INVALID_OPTION` */
export function pullThrough<
  C extends Columns,
  R extends RangeNames<C>,
  const K extends string = PrimaryNames<C>,
>(options: PullThroughOptions<C, R, K>): PullThrough<C, R, K> {
  return new PullThrough(part('pull-through').parseOptions(options as never))
}

/** How many tables use each engine: the last one to close lets go of the database. */
const users = new WeakMap<PullEngine, number>()

/** A table that is fetched where it is asked for. Made by {@link pullThrough}. */
export class PullThrough<C extends Columns = Columns, R extends string = string, K extends string = string>
  implements AsyncDisposable
{
  readonly #spec: Spec
  readonly #positions: Positions
  readonly #engine: PullEngine
  readonly #rules: NativeCoverageRules
  readonly #fetch: Parsed['fetch']
  readonly #store: Store
  readonly #flights: Flights
  #prepared: Promise<void> | undefined
  #closed: Promise<void> | undefined
  /** Under way. */
  readonly #calls = new Set<Promise<unknown>>()

  /** @internal */
  constructor({ engine, spec, positions, fetch, rules, concurrency }: Parsed) {
    const { Flights, Store } = part('pull-through')
    this.#spec = spec
    this.#positions = positions
    this.#engine = engine
    this.#rules = rules
    this.#fetch = fetch
    this.#store = new Store(engine, spec)
    this.#flights = new Flights(concurrency)
    users.set(engine, (users.get(engine) ?? 0) + 1)
  }

  /**
   * The rows of a range, `start` and `end` included, sorted by the primary key. What of it is not covered is fetched first. Where a
   * fetch fails, what others brought is kept, and the call rejects with that fetch's own error.
   * @throws InvalidOptionError `E_INVALID_OPTION`, InvalidRowError `E_INVALID_ROW`, and those of the database
   */
  async get(ask: Ask<C, R, K, 'in'>, options: PullCallOptions = {}): Promise<QueryResult<Row<C>>> {
    const { key, range } = this.#parse(ask as Record<string, unknown>, true)
    const signal = signalOf(options, 'get')
    return this.#call(signal, async () => {
      await this.#fill(key, range!, signal)
      const types = this.#spec.columns.map(([, { type }]) => type)
      return new QueryResult<Row<C>>(await this.#store.rows(key, range!, signal), types)
    })
  }

  /**
   * Runs a statement on the database that only reads, with parameters that are bound, and gives what is there: nothing is
   * fetched. Values come as the database gives them.
   */
  async query<T = Record<string, unknown>>(
    sql: string,
    params: readonly QueryParam[] = [],
    options: PullCallOptions = {},
  ): Promise<QueryResult<T>> {
    if (typeof sql !== 'string') throw invalid('SQL', sql, 'one statement that reads')
    part('pull-through').checkParams(params)
    const signal = signalOf(options, 'query')
    return this.#call(signal, async () => new QueryResult<T>(await this.#engine.query(sql, params, signal)))
  }

  /** What is covered for a key now: sorted ranges, both ends included, that neither overlap nor touch. */
  async coverage(key: Omit<Ask<C, R, K, 'in'>, R>): Promise<Range<unknown>[]> {
    const parsed = this.#parse(key as Record<string, unknown>, false)
    const { low, high } = this.#positions
    const pieces = await this.#call(undefined, () => this.#store.pieces(parsed.key.text, low, high))
    const covered = native().coveredRanges(pieces, Date.now(), this.#rules)
    return pairs(covered).map(([start, end]) => this.#shown(start, end))
  }

  /**
   * Takes back that a range is covered, or all ranges of a key, or without arguments all there are: it is fetched again when it
   * is asked for. Rows stay until then.
   */
  async invalidate(ask?: Omit<Ask<C, R, K, 'in'>, R> & Partial<Ask<C, R, K, 'in'>>): Promise<void> {
    const parsed = ask === undefined ? undefined : this.#parse(ask as Record<string, unknown>, undefined)
    const { low, high } = this.#positions
    const range = parsed?.range ?? this.#interval(low, high)
    await this.#call(undefined, () => {
      const flights = parsed === undefined ? this.#flights.all() : this.#flights.of(parsed.key.text)
      for (const flight of flights) if (overlaps(flight, range)) flight.outdated = true
      return parsed === undefined ? this.#store.uncoverAll() : this.#store.uncover(parsed.key, range)
    })
  }

  /** Ends the fetches under way and, where no other table uses it, lets go of the database. */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    await this.#flights.end()
    await Promise.allSettled(this.#calls)
    const left = users.get(this.#engine)! - 1
    users.set(this.#engine, left)
    if (left === 0) await this.#engine.close()
  }

  /** Runs a call on the tables, which are made where they are not there. `close` waits for it. */
  async #call<T>(signal: AbortSignal | undefined, run: () => Promise<T>): Promise<T> {
    signal?.throwIfAborted()
    this.#checkOpen()
    const call = this.#prepare().then(run)
    this.#calls.add(call)
    try {
      return await call
    } finally {
      this.#calls.delete(call)
    }
  }

  #checkOpen(): void {
    if (this.#closed === undefined) return
    throw makeError(
      'E_CLOSED',
      `The pull-through cache of ${describe(this.#spec.name)} is closed: make a new one.`,
    )
  }

  #prepare(): Promise<void> {
    if (this.#prepared === undefined) {
      const preparing = this.#store.prepare()
      this.#prepared = preparing
      // What fails now may work later: the next call tries again.
      preparing.catch(() => {
        if (this.#prepared === preparing) this.#prepared = undefined
      })
    }
    return this.#prepared
  }

  async #fill(key: Key, range: Interval, signal: AbortSignal | undefined): Promise<void> {
    const { padding = 0 } = this.#rules
    const around = [range.start - padding, range.end + padding] as const
    let landings: number
    let pieces: Pieces
    do {
      landings = this.#flights.landings
      pieces = await this.#store.pieces(key.text, ...around)
      // Not older than the last fetch that ended: else what that one stored would be fetched again.
    } while (landings !== this.#flights.landings)
    signal?.throwIfAborted()
    const flying = this.#flights.of(key.text)
    const plan = this.#plan(pieces, flying, range)
    const missing = pairs(plan.missing)
    if (missing.length === 0) return
    this.#checkOpen()
    // No turn of the event loop since the flights were looked at: two calls never start the same fetch.
    const begun = pairs(plan.fetches).map(([start, end]) => this.#start(key, start, end))
    const meets = (flight: Flight) => missing.some(([start, end]) => overlaps(flight, { start, end }))
    const joined = flying.filter((flight) => !flight.outdated && meets(flight))
    await settle([...joined, ...begun].sort((a, b) => a.start - b.start).map((flight) => flight.join(signal)))
    if (pieces.length / 3 > MANY_PIECES) await this.#compact(key, pieces)
  }

  #plan(pieces: Pieces, flying: readonly Flight[], { start, end }: Interval): NativePlan {
    const under = flying.filter(({ outdated }) => !outdated).flatMap((flight) => [flight.start, flight.end])
    try {
      return native().planFetches(pieces, Float64Array.from(under), start, end, Date.now(), this.#rules)
    } catch (error) {
      throw fromNative(error)
    }
  }

  #start(key: Key, start: number, end: number): Flight {
    return this.#flights.start(key.text, start, end, async (flight) => {
      const { signal } = flight.controller
      const range = this.#interval(start, end)
      const ask: Record<string, unknown> = {}
      for (const [i, name] of this.#spec.key.entries()) ask[name] = this.#value(name, key.cells[i]!)
      ask[this.#spec.range] = this.#shown(start, end)
      // Before the fetch: what changes at the source from now on may not be in it.
      const now = Date.now()
      const bring = async () =>
        part('pull-through').collect(
          await this.#fetch(ask, { signal }),
          this.#spec,
          this.#positions,
          key,
          range,
          signal,
        )
      const batch = await part('pull-through').unlessAborted(bring(), signal)
      await this.#store.commit(key, range, batch, flight.outdated ? undefined : now)
    })
  }

  async #compact(key: Key, pieces: Pieces): Promise<void> {
    const compacted = native().compactCoverage(pieces, this.#rules) as Pieces
    if (compacted.length * 2 <= pieces.length) await this.#store.compact(key, pieces, compacted)
  }

  #parse(
    ask: Record<string, unknown>,
    ranged: boolean | undefined,
  ): { key: Key; range: Interval | undefined } {
    const { key, range } = this.#spec
    if (typeof ask !== 'object' || ask === null)
      throw invalid('request', ask, `an object with ${[...key, range].join(', ')}`)
    for (const name of Object.keys(ask)) {
      if (key.includes(name) || (name === range && ranged !== false)) continue
      throw invalid('request', name, `only ${[...key, ...(ranged === false ? [] : [range])].join(', ')}`)
    }
    const cells = key.map((name) => this.#cell(name, ask[name], name))
    const given = ask[range]
    const isLeftOut = ranged === false || (ranged === undefined && given === undefined)
    return {
      key: { cells, text: JSON.stringify(cells) },
      range: isLeftOut ? undefined : this.#parseRange(given),
    }
  }

  #parseRange(given: unknown): Interval {
    const name = this.#spec.range
    if (typeof given !== 'object' || given === null)
      throw invalid(name, given, 'an object with start and end, both included')
    const { start, end, ...rest } = given as Record<string, unknown>
    if (Object.keys(rest).length > 0) throw invalid(name, Object.keys(rest)[0], 'start and end only')
    const [from, to] = [this.#cell(name, start, `${name}.start`), this.#cell(name, end, `${name}.end`)]
    const interval = this.#interval(this.#positions.ofCell(from), this.#positions.ofCell(to) + 1)
    if (interval.start < interval.end) return interval
    throw makeError(
      'E_INVALID_OPTION',
      `Invalid ${name}: it starts at ${describe(start)}, after its end at ${describe(end)}. Give a start that is not after the end; both are included.`,
      { name },
    )
  }

  #cell(column: string, value: unknown, name: string): Cell {
    try {
      return toCell(this.#spec.columns.find(([at]) => at === column)![1], value)
    } catch (error) {
      const refusal = Refusal.from(error)
      throw makeError(
        'E_INVALID_OPTION',
        `Invalid ${name} for table ${describe(this.#spec.name)}: it is ${refusal.what}. ${refusal.advice}`,
        { name },
      )
    }
  }

  #interval(start: number, end: number): Interval {
    return { start, end, cells: [this.#positions.toCell(start), this.#positions.toCell(end - 1)] }
  }

  /** A range as callers and fetches see it: with both ends included. */
  #shown(start: number, end: number): Range<unknown> {
    const [first, last] = this.#interval(start, end).cells
    return { start: this.#value(this.#spec.range, first), end: this.#value(this.#spec.range, last) }
  }

  #value(column: string, cell: Cell): unknown {
    return fromCell(this.#spec.columns.find(([at]) => at === column)![1].type, cell)
  }
}

function signalOf(options: PullCallOptions, call: string): AbortSignal | undefined {
  checkOptions(options, ['signal'], call)
  const { signal } = options
  return signal === undefined ? undefined : signalOption(signal)
}

function overlaps(
  flight: { start: number; end: number },
  { start, end }: { start: number; end: number },
): boolean {
  return flight.start < end && start < flight.end
}

/** Waits for all, and then fails as the first of them that failed. */
async function settle(work: readonly Promise<void>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(work))
    if (outcome.status === 'rejected') throw outcome.reason
}

function pairs(flat: Float64Array): [number, number][] {
  return Array.from({ length: flat.length / 2 }, (_, i) => [flat[i * 2]!, flat[i * 2 + 1]!])
}
