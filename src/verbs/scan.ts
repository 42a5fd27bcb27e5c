/** Scans of frames: some of the columns and rows of a stored frame, without reading the rest. */
import { makeError } from '../errors.js'
import { checkOptions, positiveInteger } from '../options.js'
import { describe, isUnreadable } from '../refusal.js'
import {
  columnar,
  type NativeFilter,
  type NativeResult,
  type NativeScan,
  native,
  type Wire,
} from '../tables/columnar.js'
import { type ColumnValues, toColumns, toRows } from '../tables/decode.js'
import { asWire, parametersWire, valuesWire } from '../tables/encode.js'
import { arrowOf, polarsOf } from '../tables/frames.js'
import type { TierStack } from '../tiers/stack.js'
import { isFrame } from '../values/frames.js'
import { encode } from '../values/index.js'

/** A value that a column is compared with. Text is read as what the column holds: `'2024-01-31'` for days. */
export type FilterValue = string | number | bigint | boolean | Date

/** Conditions on a column, all of which a row meets. A null meets none but `isNull: true`. */
export interface FilterConditions {
  /** Equal to it. */
  eq?: FilterValue
  /** Another one. */
  ne?: FilterValue
  /** Below it. */
  lt?: FilterValue
  /** Below it or equal. */
  lte?: FilterValue
  /** Above it. */
  gt?: FilterValue
  /** Above it or equal. */
  gte?: FilterValue
  /** One of these. */
  in?: readonly FilterValue[]
  /** Whether it is null. */
  isNull?: boolean
}

/** Conditions by column; a value alone is what the column equals, null that it is null. */
export type Filter = Readonly<Record<string, FilterValue | null | FilterConditions>>

const COMPARISONS = ['eq', 'ne', 'lt', 'lte', 'gt', 'gte', 'in', 'isNull']

/** A part of a stored frame: nothing is read until a form of it is asked for. Immutable: each method gives a new one. */
export class FrameScan {
  readonly #stored: () => Promise<Uint8Array | undefined>
  readonly #scan: NativeScan

  /** @internal */
  constructor(stored: () => Promise<Uint8Array | undefined>, scan: NativeScan = { filters: [] }) {
    this.#stored = stored
    this.#scan = scan
  }

  /** These columns, in this order. Others are not decoded. */
  select(...columns: string[]): FrameScan {
    if (columns.length === 0 || columns.some((name) => typeof name !== 'string')) {
      throw makeError('E_INVALID_OPTION', 'Invalid columns of a scan: give the name of at least one.', {
        name: 'select',
      })
    }
    return new FrameScan(this.#stored, { ...this.#scan, columns })
  }

  /** Rows that meet all of these conditions, and those of filters before. Parts of the frame without such rows are not read. */
  filter(filter: Filter): FrameScan {
    const names = isUnreadable(filter) ? [] : Object.keys(filter ?? {})
    checkOptions(filter ?? null, names, 'a filter')
    const filters = Object.entries(filter).flatMap(([column, given]) => conditions(column, given))
    return new FrameScan(this.#stored, { ...this.#scan, filters: [...this.#scan.filters, ...filters] })
  }

  /** At most so many rows. */
  limit(rows: number): FrameScan {
    return new FrameScan(this.#stored, { ...this.#scan, limit: positiveInteger(rows, 'limit') })
  }

  async #result(): Promise<NativeResult | undefined> {
    const bytes = await this.#stored()
    return bytes && native(() => columnar().scanFrame(bytes, this.#scan))
  }

  async #wire(): Promise<Wire | undefined> {
    const result = await this.#result()
    return result && native(() => result.columns())
  }

  /** Objects; `undefined` on a miss. */
  async rows<Row = Record<string, unknown>>(): Promise<Row[] | undefined> {
    const wire = await this.#wire()
    return wire && (toRows(wire) as Row[])
  }

  /** Columns by name, as those of `Query`; `undefined` on a miss. */
  async columns(): Promise<Record<string, ColumnValues> | undefined> {
    const wire = await this.#wire()
    return wire && toColumns(wire)
  }

  /** A stream of Arrow's IPC format; `undefined` on a miss. */
  async ipc(): Promise<Buffer | undefined> {
    const result = await this.#result()
    return result && native(() => result.ipc())
  }

  /** A table of `apache-arrow`; `undefined` on a miss. */
  async arrow(): Promise<unknown> {
    const ipc = await this.ipc()
    return ipc && arrowOf(ipc)
  }

  /** A frame of `nodejs-polars`; `undefined` on a miss. */
  async polars(): Promise<unknown> {
    const ipc = await this.ipc()
    return ipc && polarsOf(ipc)
  }
}

function conditions(column: string, given: Filter[string]): NativeFilter[] {
  if (given === null) return [condition(column, 'isNull', true)]
  if (typeof given !== 'object' || given instanceof Date) return [condition(column, 'eq', given)]
  return Object.entries(given).map(([compare, value]) => condition(column, compare, value))
}

function condition(column: string, compare: string, value: unknown): NativeFilter {
  const list = compare === 'in' && Array.isArray(value) && value.length > 0
  const fits =
    list || compare === 'isNull' ? compare !== 'isNull' || typeof value === 'boolean' : isValue(value)
  if (!COMPARISONS.includes(compare) || !fits) {
    throw makeError(
      'E_INVALID_OPTION',
      `Invalid condition on ${describe(column)}: got ${compare}: ${describe(value)}. Give ${COMPARISONS.join(', ')}, with a string, number, bigint, boolean or Date; in: with a list of them.`,
      { name: 'filter' },
    )
  }
  if (compare === 'isNull')
    return { column, compare: value ? 'isNull' : 'notNull', values: parametersWire([null])! }
  const values = asWire('filter', () =>
    list ? valuesWire(value as FilterValue[]) : parametersWire([value])!,
  )
  return { column, compare, values }
}

function isValue(value: unknown): value is FilterValue {
  return ['string', 'number', 'bigint', 'boolean'].includes(typeof value) || value instanceof Date
}

/**
 * The Parquet of a stored frame.
 * @throws InvalidOptionError `E_INVALID_OPTION`: what is stored is no frame
 */
export async function storedFrame(tiers: TierStack, text: string): Promise<Uint8Array | undefined> {
  const live = tiers.disk === undefined ? tiers.live(text) : undefined
  const stored = tiers.disk === undefined ? live && encode(live.value) : await tiers.disk.stored(text)
  if (stored === undefined || (isFrame(stored.kind) && typeof stored.data !== 'string'))
    return stored?.data as Uint8Array
  throw makeError('E_INVALID_OPTION', 'Only frames can be scanned: the value of this key is none. Use get.', {
    name: 'key',
  })
}
