/** Columns of stored values as vectors of the package `apache-arrow`. */
import { dayOf } from '../cells.js'
import type { ColumnType } from '../columns.js'

/** A table of the package `apache-arrow`: what all its versions have in common. */
export interface ArrowTable {
  readonly numRows: number
  readonly numCols: number
  readonly schema: { readonly fields: readonly { readonly name: string }[] }
  getChild(name: string): Iterable<unknown> | null
  toArray(): unknown[]
}

/** What is used of `apache-arrow`. */
export interface ArrowModule {
  Table: new (columns: Record<string, unknown>) => ArrowTable
  vectorFromArray(values: readonly unknown[], type?: unknown): unknown
  Utf8: new () => unknown
  Int64: new () => unknown
  Float64: new () => unknown
  Bool: new () => unknown
  DateDay: new () => unknown
  TimestampMillisecond: new (zone?: string) => unknown
}

const DAY_MS = 86_400_000

/** The Arrow type of a column: Utf8 (JSON as its text), Int64, Float64, Bool, Date32, Timestamp(ms, UTC). */
export function arrowVector(
  arrow: ArrowModule,
  type: ColumnType | undefined,
  cells: readonly unknown[],
): unknown {
  const vector = (of: unknown, convert: (cell: never) => unknown = (cell) => cell) =>
    arrow.vectorFromArray(
      cells.map((cell) => (cell === null ? null : convert(cell as never))),
      of,
    )
  switch (type) {
    case 'text':
    case 'json':
      return vector(new arrow.Utf8())
    case 'integer':
      return vector(new arrow.Int64(), (cell: number) => BigInt(cell))
    case 'double':
      return vector(new arrow.Float64())
    case 'boolean':
      return vector(new arrow.Bool(), (cell: number) => cell !== 0)
    case 'date':
      return vector(new arrow.DateDay(), (cell: string) => new Date(dayOf(cell) * DAY_MS))
    case 'timestamp':
      return vector(new arrow.TimestampMillisecond('UTC'), (cell: number) => new Date(cell))
    default:
      return vector(inferred(arrow, cells))
  }
}

/** The type of a column that no table names: what its first value is. */
function inferred(arrow: ArrowModule, cells: readonly unknown[]): unknown {
  const first = cells.find((cell) => cell !== null)
  if (typeof first === 'number') return new arrow.Float64()
  if (typeof first === 'string' || first === undefined) return new arrow.Utf8()
  return undefined
}
