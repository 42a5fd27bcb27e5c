import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { makeOwnLibrary } from './elf.mjs'
import { at, cacheDir } from './paths.mjs'
import { TaskError } from './run.mjs'

/** Raised when what `makeOwnLibrary` does changes. */
const REVISION = 1

const bindings = at('node_modules', '@duckdb', `node-bindings-${process.platform}-${process.arch}`)
const names = { linux: 'libduckdb.so', darwin: 'libduckdb.dylib', win32: 'duckdb.dll' }

/** DuckDB's library, as its own npm package carries it; undefined where there is none for this platform. */
function original() {
  const library = join(bindings, names[process.platform] ?? '')
  return existsSync(library) ? library : undefined
}

/** The release, such as 1.5.6. */
function release() {
  return JSON.parse(readFileSync(join(bindings, 'package.json'), 'utf8')).version.split('-')[0]
}

/** What the library is called beside the addon: a name that no other copy of DuckDB has, and as long as `libduckdb.so`. */
function ownName() {
  if (process.platform !== 'linux') return names[process.platform]
  const [major, minor, patch] = release().split('.')
  return `libtd${major}${minor.padStart(2, '0')}${patch}.so`
}

/**
 * The folder with the library that the addon is linked with, which is made where it is missing: outside the clone, as cargo's output
 * is. Nothing is compiled and nothing downloaded: it is the copy of an installed npm package.
 */
export function duckdbFolder() {
  const library = original()
  if (library === undefined) return undefined
  const folder = join(cacheDir, 'duckdb', `${release()}-${process.platform}-${process.arch}-${REVISION}`)
  if (existsSync(folder)) return folder
  const temporary = `${folder}.${process.pid}`
  mkdirSync(temporary, { recursive: true })
  const file = readFileSync(library)
  if (process.platform === 'linux') {
    makeOwnLibrary(file, ownName())
    // The linker looks for this name, and takes down the other one.
    symlinkSync(ownName(), join(temporary, names.linux))
  }
  writeFileSync(join(temporary, ownName()), file)
  try {
    renameSync(temporary, folder)
  } catch (error) {
    rmSync(temporary, { recursive: true })
    if (!existsSync(folder)) throw error // else another build was quicker
  }
  return folder
}

/** What cargo needs to link with it. */
export function linkEnvironment() {
  const folder = duckdbFolder()
  return folder === undefined ? {} : { DUCKDB_LIB_DIR: folder }
}

/** Puts the library where the addon looks for it. */
export function shipDuckdb() {
  const folder = duckdbFolder()
  if (folder === undefined)
    throw new TaskError(`DuckDB's npm package has no library for ${process.platform}-${process.arch}`)
  const source = join(folder, ownName())
  const target = at('packages', 'columnar', ownName())
  if (existsSync(target) && statSync(target).mtimeMs >= statSync(source).mtimeMs) return
  // A new file: the old one may be mapped by a running process.
  const temporary = `${target}.${process.pid}`
  copyFileSync(source, temporary)
  renameSync(temporary, target)
}
