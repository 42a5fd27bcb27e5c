/** Frames of other packages: tables of `apache-arrow`, frames of `nodejs-polars`. Neither is a dependency; both are met by their shape. */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { makeError } from '../errors.js'

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

const modules = new Map<string, unknown>()

/** A package of the program's, from where it is installed: beside this one, or where the program runs. */
function load<T>(name: string, purpose: string): T {
  const known = modules.get(name)
  if (known !== undefined) return known as T
  let cause: unknown
  for (const from of [createRequire(__filename), createRequire(join(process.cwd(), 'package.json'))]) {
    try {
      const found = from(name) as T & { default?: T }
      modules.set(name, found)
      return found
    } catch (error) {
      cause = error
    }
  }
  throw makeError(
    'E_UNAVAILABLE',
    `${purpose} needs the package ${name}: run \`npm install ${name}\`.`,
    { package: name },
    cause,
  )
}

export const arrowModule = (): ArrowModule => load('apache-arrow', 'A table of Arrow')
const polarsModule = (): PolarsModule => load('nodejs-polars', 'A frame of Polars')

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

/** Whether a value is a frame of `nodejs-polars`. */
export function isPolars(value: unknown): value is PolarsFrame {
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.prototype.toString.call(value) === '[object DataFrame]' &&
    typeof (value as PolarsFrame).writeParquet === 'function'
  )
}
