/** The numbers of the structured format, which docs/structured-format.md describes byte by byte. */

/** The first byte. A reader refuses any other, so a change of meaning needs a new one. */
export const VERSION = 5
/** Versions that are read and no longer written: the first with `REFERRED`, the first with a head and a text, and one without. */
export const REFERRED_VERSION = 4
export const HEAD_VERSION = 2
export const OLD_VERSION = 1
/** Bytes before the value: the version, how the text is written, and how many bytes of the end it is (`u16`). */
export const HEAD = 4

/** The bit beside the charset in the head of a value that refers to its objects by their numbers: else none has to be kept. */
export const REFERRED = 0x80

/** How deep a value may nest, the same for writer and reader: what is stored can be read on the stack of any thread. */
export const MAX_DEPTH = 1000

/** 0x00-0x7f are the integers 0-127; 0x80-0xbf are strings of 0-63 ASCII characters. */
export const SHORT_STRING = 0x80
export const SHORT_STRING_MAX = 63

/** How strings are written. */
export const Charset = { latin1: 0, utf8: 1, utf16: 2 } as const
export type Charset = (typeof Charset)[keyof typeof Charset]
export const CHARSETS = ['latin1', 'utf8', 'utf16le'] as const

/** `dd`-`ff` are parts of the text, of 0-34 UTF-16 units. */
export const Part = { of: 0xdd, max: 0x22 } as const

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
  part: 0xdb,
  numbers: 0xdc,
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

/**
 * How an array of what is alike is laid out: numbers as the view of their elements, as integers that are divided by a power of ten, or as
 * rows of the same length; booleans; objects of the same names and arrays of one length by columns.
 */
export const Elements = {
  int8: 1,
  int16: 4,
  int32: 6,
  float64: 9,
  decimal: 32,
  rows: 33,
  booleans: 34,
  objects: 35,
  arrays: 36,
} as const
export type Elements = (typeof Elements)[keyof typeof Elements]
/** The fewest columns: as each takes a byte for a row, what is read takes memory in proportion to its bytes, also columns in columns. */
export const WIDTH_MIN = 2
/** The largest power of ten that decimals are divided by. */
export const EXPONENT_MAX = 8

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
