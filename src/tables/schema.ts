/** Arrow's types as the native side writes them in JSON (the form of the crate `arrow-schema`). */

export type TimeUnit = 'Second' | 'Millisecond' | 'Microsecond' | 'Nanosecond'

type Plain =
  | 'Null'
  | 'Boolean'
  | `${'Int' | 'UInt'}${8 | 16 | 32 | 64}`
  | `Float${16 | 32 | 64}`
  | 'Utf8'
  | 'LargeUtf8'
  | 'Binary'
  | 'LargeBinary'
  | 'Date32'
  | 'Date64'

export type DataType =
  | Plain
  | { Timestamp: [TimeUnit, string | null] }
  | { Time32: TimeUnit }
  | { Time64: TimeUnit }
  | { Duration: TimeUnit }
  | { Interval: 'YearMonth' | 'DayTime' | 'MonthDayNano' }
  | { Decimal128: [number, number] }
  | { Decimal256: [number, number] }
  | { FixedSizeBinary: number }
  | { List: Field }
  | { LargeList: Field }
  | { FixedSizeList: [Field, number] }
  | { Struct: Field[] }
  | { Map: [Field, boolean] }
  | { Dictionary: [DataType, DataType] }
  | { Union: [[number, Field][], 'Sparse' | 'Dense'] }

export interface Field {
  name: string
  data_type: DataType
  nullable: boolean
  dict_id: number
  dict_is_ordered: boolean
  metadata: Record<string, string>
}

export interface Schema {
  fields: Field[]
  metadata: Record<string, string>
}

export const field = (name: string, type: DataType): Field => ({
  name,
  data_type: type,
  nullable: true,
  dict_id: 0,
  dict_is_ordered: false,
  metadata: {},
})

/** A type that has parts: its name and they. Plain ones have none. */
export function parts(type: DataType): [name: string, parts: unknown] {
  if (typeof type === 'string') return [type, undefined]
  return Object.entries(type)[0] as [string, unknown]
}
