/** Tables of `apache-arrow`, read by their shape: their buffers go to the native side as they are. */
import { describe } from '../refusal.js'
import { type Built, bytesOf } from './column.js'
import type { NativeSource, Wire } from './columnar.js'
import { assembled } from './encode.js'
import { arrowModule } from './frames.js'
import { type DataType, type Field, field, type TimeUnit } from './schema.js'

/** As far as types, data and tables of `apache-arrow` are used here. */
interface ArrowType {
  typeId: number
  bitWidth?: number
  isSigned?: boolean
  precision?: number
  scale?: number
  unit?: number
  timezone?: string | null
  byteWidth?: number
  listSize?: number
  keysSorted?: boolean
  children?: ArrowField[] | null
  indices?: ArrowType
  dictionary?: ArrowType
}

interface ArrowField {
  name: string
  type: ArrowType
  nullable: boolean
}

interface ArrowData {
  type: ArrowType
  offset: number
  length: number
  nullCount: number
  nullBitmap?: Uint8Array
  values?: ArrayBufferView
  valueOffsets?: ArrayBufferView
  children: ArrowData[]
  dictionary?: { data: ArrowData[] }
}

export interface ArrowTable {
  schema: { fields: ArrowField[] }
  batches: { data: ArrowData; numRows: number }[]
}

/** Its batches. What has no plain buffers is written as IPC by the package itself. */
export function arrowWires(table: ArrowTable): NativeSource {
  const hasNulls = (at: number) => table.batches.some(({ data }) => (data.children[at]?.nullCount ?? 0) > 0)
  const fields = table.schema.fields.map(({ name, type, nullable }, at) =>
    fieldOf({ name, type, nullable: nullable || hasNulls(at) }),
  )
  if (fields.includes(undefined)) return { ipc: arrowModule().tableToIPC(table, 'stream') }
  const known = fields as Field[]
  const batches: Wire[] = []
  for (const { data } of table.batches) {
    const built = data.children.map((child, at) => build(child, known[at]!.data_type))
    if (built.includes(undefined)) return { ipc: arrowModule().tableToIPC(table, 'stream') }
    batches.push(assembled([], built as Built[], data.length, known))
  }
  if (batches.length === 0) batches.push(emptyOf(known))
  return { batches }
}

function emptyOf(fields: Field[]): Wire {
  const ipc = { type: 'Null' as DataType, lengths: [0], buffers: [] }
  return assembled(
    fields.map((each) => each.name),
    fields.map(() => ipc),
    0,
  )
}

function fieldOf(given: ArrowField): Field | undefined {
  const type = typeOf(given.type)
  return type === undefined ? undefined : { ...field(given.name, type), nullable: given.nullable }
}

const UNITS: TimeUnit[] = ['Second', 'Millisecond', 'Microsecond', 'Nanosecond']

/** The numbers of the types are those of the package's enum `Type`. */
const TYPES: Record<number, (type: ArrowType) => DataType | undefined> = {
  1: () => 'Null',
  2: ({ isSigned, bitWidth }) => `${isSigned ? '' : 'U'}Int${bitWidth}` as DataType,
  3: ({ precision }) => (['Float16', 'Float32', 'Float64'] as const)[precision!],
  4: () => 'Binary',
  5: () => 'Utf8',
  6: () => 'Boolean',
  7: ({ bitWidth, precision, scale }) =>
    bitWidth === 128 ? { Decimal128: [precision!, scale!] } : undefined,
  8: ({ unit }) => (unit === 0 ? 'Date32' : 'Date64'),
  9: ({ unit, bitWidth }) => (bitWidth === 32 ? { Time32: UNITS[unit!]! } : { Time64: UNITS[unit!]! }),
  10: ({ unit, timezone }) => ({ Timestamp: [UNITS[unit!]!, timezone ?? null] }),
  12: ({ children }) => of(children, ([item]) => ({ List: item! })),
  13: ({ children }) => of(children, (fields) => ({ Struct: fields })),
  15: ({ byteWidth }) => ({ FixedSizeBinary: byteWidth! }),
  16: ({ children, listSize }) => of(children, ([item]) => ({ FixedSizeList: [item!, listSize!] })),
  17: ({ children, keysSorted }) =>
    of(children, ([entries]) => ({ Map: [entriesOf(entries!), keysSorted ?? false] })),
  18: ({ unit }) => ({ Duration: UNITS[unit!]! }),
  19: () => 'LargeBinary',
  20: () => 'LargeUtf8',
  [-1]: ({ indices, dictionary }) => {
    const [keys, values] = [typeOf(indices!), typeOf(dictionary!)]
    return keys === undefined || values === undefined ? undefined : { Dictionary: [keys, values] }
  },
}

/** Neither an entry of a map nor its key is ever null. */
function entriesOf(entries: Field): Field {
  const [key, value] = (entries.data_type as { Struct: Field[] }).Struct
  return { ...entries, nullable: false, data_type: { Struct: [{ ...key!, nullable: false }, value!] } }
}

function typeOf(type: ArrowType): DataType | undefined {
  return TYPES[type.typeId]?.(type)
}

function of(
  children: ArrowField[] | null | undefined,
  make: (fields: Field[]) => DataType,
): DataType | undefined {
  // Fields of `apache-arrow` are not nullable by default, whatever they hold.
  const fields = (children ?? []).map((child) =>
    fieldOf({ name: child.name, type: child.type, nullable: true }),
  )
  return fields.includes(undefined) ? undefined : make(fields as Field[])
}

/** The tree of an array; undefined where its buffers are not in one piece. */
function build(data: ArrowData | undefined, type: DataType): Built | undefined {
  if (data === undefined) throw new TypeError(`A table of Arrow lacks a column: ${describe(data)}`)
  const buffers: (Uint8Array | undefined)[] = []
  if (type !== 'Null')
    buffers.push(data.nullCount > 0 && data.nullBitmap ? bits(data.nullBitmap, data) : undefined)
  if (data.valueOffsets) buffers.push(bytesOf(data.valueOffsets))
  // Booleans are the one type whose values are bits.
  if (data.values && type !== 'Null')
    buffers.push(type === 'Boolean' ? bits(data.values as Uint8Array, data) : bytesOf(data.values))
  const children = childrenOf(data)
  const built = children?.map((child) => build(child, typeOf(child.type)!))
  if (built === undefined || built.includes(undefined)) return undefined
  return {
    type,
    lengths: [data.length, ...(built as Built[]).flatMap((child) => child.lengths)],
    buffers: [...buffers, ...(built as Built[]).flatMap((child) => child.buffers)],
  }
}

function childrenOf(data: ArrowData): ArrowData[] | undefined {
  if (data.dictionary === undefined) return data.children
  return data.dictionary.data.length === 1 ? data.dictionary.data : undefined
}

/** Bits from a row on, which a slice of a table may start at. */
function bits(bytes: Uint8Array, { offset, length }: ArrowData): Uint8Array {
  if (offset === 0) return bytesOf(bytes)
  const moved = new Uint8Array((length + 7) >> 3)
  for (let row = 0; row < length; row++) {
    const at = offset + row
    if ((bytes[at >> 3]! >> (at & 7)) & 1) moved[row >> 3]! |= 1 << (row & 7)
  }
  return moved
}
