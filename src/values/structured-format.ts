/** The numbers of the structured format, which docs/structured-format.md describes byte by byte. */

/** The first byte. A reader refuses any other, so a change of meaning needs a new one. */
export const VERSION = 1

/** How deep a value may nest, the same for writer and reader: what is stored can be read on the stack of any thread. */
export const MAX_DEPTH = 1000

/** 0x00-0x7f are the integers 0-127; 0x80-0xbf are strings of 0-63 ASCII characters. */
export const SHORT_STRING = 0x80
export const SHORT_STRING_MAX = 63

export const Tag = {
  undefined: 0xc0,
  null: 0xc1,
  false: 0xc2,
  true: 0xc3,
  int: 0xc4,
  double: 0xc5,
  bigint: 0xc6,
  negativeBigint: 0xc7,
  latin1: 0xc8,
  utf8: 0xc9,
  utf16: 0xca,
  object: 0xcb,
  knownObject: 0xcc,
  nullObject: 0xcd,
  knownNullObject: 0xce,
  array: 0xcf,
  sparseArray: 0xd0,
  map: 0xd1,
  set: 0xd2,
  date: 0xd3,
  regExp: 0xd4,
  url: 0xd5,
  error: 0xd6,
  arrayBuffer: 0xd7,
  viewOfBytes: 0xd8,
  viewOfBuffer: 0xd9,
  reference: 0xda,
} as const

/** Views by number. Append only. */
export const VIEW_NAMES: readonly string[] = [
  'DataView',
  'Int8Array',
  'Uint8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
  'Float16Array',
  'Buffer',
]

/** Errors by number. Append only. */
export const ERROR_NAMES: readonly string[] = [
  'Error',
  'TypeError',
  'RangeError',
  'SyntaxError',
  'ReferenceError',
  'EvalError',
  'URIError',
  'AggregateError',
]

/** The parts of an error that are own and not enumerable, each by its bit. */
export const ERROR_PARTS = [
  ['message', 1],
  ['stack', 2],
  ['cause', 4],
  ['errors', 8],
] as const
