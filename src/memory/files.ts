/** The files of `save` and `load`: names, atomic writes, checked reads; for both forms of each verb. */
import {
  closeSync,
  fsyncSync,
  openSync,
  promises,
  readFileSync as readWhole,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname, resolve } from 'node:path'
import { type ErrorCode, makeError } from '../errors.js'
import { describe } from '../refusal.js'

/** Options of `save`. */
export interface SaveOptions {
  /** Puts the time (UTC) into the name, so that no file is replaced: `cache-20260131T235959123Z.tierce`. Default false. */
  timestamp?: boolean | undefined
}

/** The absolute path of a file that may be given relative to `dir`, or not at all. */
export function pathOf(
  file: unknown,
  dir: string,
  name: string,
  extension: string,
  at: number | undefined,
): string {
  if (file !== undefined && (typeof file !== 'string' || file === '' || file.includes('\0'))) {
    throw makeError(
      'E_INVALID_OPTION',
      `Invalid file: got ${describe(file)}. Give the path of a file, as a text.`,
      { name: 'file' },
    )
  }
  const path = resolve(dir, file ?? `${name}.${extension}`)
  if (at === undefined) return path
  const stamp = new Date(at).toISOString().replace(/[-:.]/g, '')
  const dot = path.lastIndexOf('.')
  const cut = dot > dirname(path).length + 1 ? dot : path.length
  return `${path.slice(0, cut)}-${stamp}${path.slice(cut)}`
}

/**
 * Replaces a file in one step: whoever reads it sees the old bytes or the new ones, also after a power cut. Where the path is a link,
 * it is the file behind it; whoever could not read the old one cannot read the new one.
 */
export function writeFileSync(given: string, chunks: readonly Uint8Array[]): void {
  const { path, mode } = targetOf(given)
  const temporary = temporaryOf(path)
  try {
    const file = openSync(temporary, 'wx', mode)
    try {
      for (const chunk of chunks) for (let at = 0; at < chunk.length; ) at += writeSync(file, chunk, at)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(temporary, path)
    syncDirectory(dirname(path))
  } catch (error) {
    discard(temporary)
    throw writeError(path, error)
  }
}

/** As `writeFileSync`. */
export async function writeFile(given: string, chunks: readonly Uint8Array[]): Promise<void> {
  const { path, mode } = targetOf(given)
  const temporary = temporaryOf(path)
  try {
    const file = await promises.open(temporary, 'wx', mode)
    try {
      for (const chunk of chunks) await file.writeFile(chunk)
      await file.sync()
    } finally {
      await file.close()
    }
    await promises.rename(temporary, path)
    syncDirectory(dirname(path))
  } catch (error) {
    discard(temporary)
    throw writeError(path, error)
  }
}

export function readFileSync(path: string): Buffer {
  try {
    return readWhole(path)
  } catch (error) {
    throw readError(path, error)
  }
}

export async function readFile(path: string): Promise<Buffer> {
  try {
    return await promises.readFile(path)
  } catch (error) {
    throw readError(path, error)
  }
}

/** What cannot be removed either (its name is too long, the disk is gone) shall not hide why. */
function discard(temporary: string): void {
  try {
    rmSync(temporary, { force: true })
  } catch {
    // The error that led here is the one to tell.
  }
}

/** The file that a path leads to, and the rights of a new one in its place. What is there and is no file (a device, a pipe) is not replaced. */
function targetOf(given: string): { path: string; mode: number } {
  let path: string
  try {
    path = realpathSync(given)
  } catch {
    return { path: given, mode: 0o666 } // nothing is there, or the error comes again when it is written
  }
  const stat = statSync(path)
  if (stat.isFile()) return { path, mode: stat.mode & 0o777 }
  throw writeError(
    given,
    new Error(`there is ${stat.isDirectory() ? 'a directory' : 'something that is no file'}`),
  )
}

function temporaryOf(path: string): string {
  return `${path}.${crypto.getRandomValues(Buffer.alloc(6)).toString('hex')}.tmp`
}

/** The rename itself lasts only when the directory is written. Not every system lets a directory be opened. */
function syncDirectory(dir: string): void {
  try {
    const handle = openSync(dir, 'r')
    try {
      fsyncSync(handle)
    } finally {
      closeSync(handle)
    }
  } catch {
    // The file is whole all the same.
  }
}

const WRITE_CODES: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: 'E_STORAGE_FULL',
  EDQUOT: 'E_STORAGE_FULL',
  EROFS: 'E_READ_ONLY',
  EACCES: 'E_READ_ONLY',
  EPERM: 'E_READ_ONLY',
}

function writeError(path: string, cause: unknown): Error {
  const { code = '', message } = cause as NodeJS.ErrnoException
  return makeError(
    WRITE_CODES[code] ?? 'E_UNAVAILABLE',
    `Cannot save to ${path}: ${message}`,
    { path },
    cause,
  )
}

function readError(path: string, cause: unknown): Error {
  const { code, message } = cause as NodeJS.ErrnoException
  const why = code === 'ENOENT' ? 'there is no such file' : message
  return makeError('E_UNAVAILABLE', `Cannot load ${path}: ${why}.`, { path }, cause)
}
