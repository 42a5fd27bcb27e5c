/** Frames of other packages: tables of `apache-arrow`, frames of `nodejs-polars`. Neither is a dependency; both are met by their shape. */
import { requireOptional } from '../optional.js'
import type { ArrowTable } from './arrow.js'

/** As far as frames of `nodejs-polars` are used here. */
export interface PolarsFrame {
  writeIPCStream(options?: { compression?: string }): Buffer
  writeParquet(options?: { compression?: string }): Buffer
}

interface ArrowModule {
  tableFromIPC(bytes: Uint8Array): unknown
  tableToIPC(table: unknown, type: 'stream'): Uint8Array
}

interface PolarsModule {
  readIPCStream(bytes: Buffer): PolarsFrame
  readParquet(bytes: Buffer): PolarsFrame
}

export const arrowModule = (): ArrowModule =>
  requireOptional('apache-arrow', 'A table of Arrow', 'E_COLUMNAR_MISSING')
const polarsModule = (): PolarsModule =>
  requireOptional('nodejs-polars', 'A frame of Polars', 'E_COLUMNAR_MISSING')

/** A table of `apache-arrow` from IPC bytes. */
export function arrowOf(ipc: Buffer): unknown {
  return arrowModule().tableFromIPC(ipc)
}

/** A frame of `nodejs-polars` from IPC bytes. */
export function polarsOf(ipc: Buffer): PolarsFrame {
  return polarsModule().readIPCStream(ipc)
}

/** A frame of `nodejs-polars` from Parquet. */
export function polarsOfParquet(bytes: Buffer): PolarsFrame {
  return polarsModule().readParquet(bytes)
}

/** Whether a value is a table of `apache-arrow`, of whatever copy of the package. */
export function isArrowTable(value: unknown): value is ArrowTable {
  if (typeof value !== 'object' || value === null) return false
  // Own properties: no getter of a stranger's runs.
  if (!Object.hasOwn(value, 'schema') || !Object.hasOwn(value, 'batches')) return false
  const { schema, batches } = value as Partial<ArrowTable>
  return Array.isArray(schema?.fields) && Array.isArray(batches) && 'getChild' in value
}

/** Whether a value is a frame of `nodejs-polars`. */
export function isPolars(value: unknown): value is PolarsFrame {
  if (typeof value !== 'object' || value === null) return false
  try {
    const isFrame = Object.prototype.toString.call(value) === '[object DataFrame]'
    return isFrame && typeof (value as PolarsFrame).writeParquet === 'function'
  } catch {
    return false // a proxy that was revoked, or throws
  }
}
