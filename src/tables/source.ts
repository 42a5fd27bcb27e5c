/** What rows can be given as, for the native side. */
import { existsSync } from 'node:fs'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { types } from 'node:util'
import type { NumberArray } from '../arrays.js'
import { makeError } from '../errors.js'
import { oneOf } from '../options.js'
import { describe } from '../refusal.js'
import { arrowWires } from './arrow.js'
import type { NativeSource } from './columnar.js'
import type { Connection } from './database.js'
import { asWire, columnsWire, parametersWire, rowsWire } from './encode.js'
import { isArrowTable, isPolars } from './frames.js'
import type { QueryOptions } from './interrupt.js'
import { type Parameters, Query } from './query.js'

/** A Parquet, CSV or JSON file. */
export interface FileSource {
  /** Its path; globs work, as `data/*.parquet`. */
  file: string | URL
  /** Default: as its name ends. */
  format?: 'parquet' | 'csv' | 'json' | undefined
}

/** Rows: objects. */
export type RowsSource = readonly object[]
/** Columns by name, of one length. Typed arrays are not copied: leave them alone until the promise settles. */
export type ColumnsSource = Record<string, readonly unknown[] | NumberArray>

/**
 * Where the rows of a table come from: an array of rows, columns by name, a table of `apache-arrow`, bytes of Arrow's IPC formats, a
 * frame of `nodejs-polars`, the path of a Parquet, CSV or JSON file, or a query of the same database.
 */
export type TableSource =
  | RowsSource
  | ColumnsSource
  | Uint8Array
  | ArrayBuffer
  | string
  | URL
  | FileSource
  | Query
  | object

const FORMATS: Record<string, string> = {
  '.parquet': 'parquet',
  '.pq': 'parquet',
  '.csv': 'csv',
  '.tsv': 'csv',
  '.json': 'json',
  '.ndjson': 'json',
  '.jsonl': 'json',
}

/**
 * The native form of a source.
 * @throws InvalidOptionError `E_INVALID_OPTION`: it is none of those; UnserializableError `E_UNSERIALIZABLE`: a value fits into no column;
 * UnavailableError `E_UNAVAILABLE`: there is no such file
 */
export function nativeSource(source: unknown): NativeSource {
  if (typeof source === 'string' || source instanceof URL) return fileSource({ file: source })
  if (source instanceof Query) return source.source()
  if (types.isUint8Array(source)) return { ipc: source }
  if (types.isAnyArrayBuffer(source)) return { ipc: new Uint8Array(source) }
  if (Array.isArray(source)) return { batches: [asWire('rows', () => rowsWire(source))] }
  if (isPolars(source)) return { ipc: source.writeIPCStream({ compression: 'uncompressed' }) }
  if (isArrowTable(source)) return arrowWires(source)
  if (isFile(source)) return fileSource(source)
  if (isColumns(source)) return { batches: [asWire('columns', () => columnsWire(source))] }
  throw makeError(
    'E_INVALID_OPTION',
    `Invalid source of a table: got ${describe(source)}. Give an array of rows, an object of columns, a table of Arrow, IPC bytes, a frame of Polars, the path of a Parquet, CSV or JSON file, or a query.`,
    { name: 'source' },
  )
}

/**
 * Runs a statement that reads rows as the table `given`, once: `INSERT INTO t BY NAME FROM given`. Gives how many rows it changed.
 */
export async function runWith(
  connection: Connection,
  sql: string,
  given: RowsSource | ColumnsSource | Uint8Array,
  parameters: Parameters = [],
  options: QueryOptions = {},
): Promise<number> {
  const wire = asWire('parameters', () => parametersWire(parameters))
  const result = await connection.execute(sql, wire, options, nativeSource(given))
  return result.changed()
}

function isFile(source: unknown): source is FileSource {
  const file = (source as FileSource | null)?.file
  return typeof file === 'string' || file instanceof URL
}

function isColumns(source: unknown): source is ColumnsSource {
  if (typeof source !== 'object' || source === null || types.isProxy(source)) return false
  const values = Object.values(source)
  return (
    values.length > 0 &&
    values.every(
      (value) =>
        Array.isArray(value) ||
        (types.isTypedArray(value) && !types.isUint8ClampedArray(value)) ||
        types.isUint8ClampedArray(value),
    )
  )
}

function fileSource({ file, format }: FileSource): NativeSource {
  const path = file instanceof URL ? fileURLToPath(file) : file
  // A compressed one ends in two: prices.csv.gz
  const name = path.toLowerCase().replace(/\.(gz|zst)$/, '')
  const found =
    format === undefined ? FORMATS[extname(name)] : oneOf(format, 'format', ['parquet', 'csv', 'json'])
  if (found === undefined) {
    throw makeError(
      'E_INVALID_OPTION',
      `Cannot see the format of ${describe(path)} from its name: give { file, format: 'parquet' | 'csv' | 'json' }.`,
      { name: 'format' },
    )
  }
  if (!/[*?[]/.test(path) && !existsSync(path)) {
    throw makeError('E_UNAVAILABLE', `There is no file ${path}.`, { path })
  }
  return { file: path, format: found }
}
