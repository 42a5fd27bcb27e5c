import { execFileSync } from 'node:child_process'
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
import { renameLibrary } from './macho.mjs'
import { at, cacheDir } from './paths.mjs'
import { renameImport } from './pe.mjs'
import { TaskError } from './run.mjs'
import { nodeNames } from './targets.mjs'

/** Raised when what is done to the library changes. */
const REVISION = 1

/** DuckDB's library in its own npm packages, and what a copy that is this package's own is called: as long, and with the release in it. */
const LIBRARIES = {
  linux: ['libduckdb.so', (digits) => `libtd${digits}.so`],
  darwin: ['libduckdb.dylib', (digits) => `libtd${digits}.dylib`],
  win32: ['duckdb.dll', (digits) => `td${digits}.dll`],
}

const bindings = (name) => at('node_modules', '@duckdb', name)

/** The release, such as 1.5.6. */
function release() {
  return JSON.parse(readFileSync(join(bindings('node-bindings'), 'package.json'), 'utf8')).version.split(
    '-',
  )[0]
}

/** DuckDB's licence. */
export const duckdbLicence = () => join(bindings('node-bindings'), 'LICENSE')

/** What the library is called beside the addon: a name that no other copy of DuckDB has. */
export function ownName(system) {
  const [major, minor, patch] = release().split('.')
  return LIBRARIES[system][1](`${major}${minor.padStart(2, '0')}${patch}`)
}

/**
 * The folder with the library that the addon for a target triple (this machine's by default) is linked with, which is made where it is
 * missing: outside the clone, as cargo's output is. Nothing is compiled and nothing downloaded: it is the copy of an installed npm package.
 */
export function duckdbFolder(target) {
  const { system, arch } = nodeNames(target)
  const [name] = LIBRARIES[system] ?? []
  const library = join(bindings(`node-bindings-${system}-${arch}`), name ?? '')
  if (name === undefined || !existsSync(library)) return undefined
  const folder = join(cacheDir, 'duckdb', `${release()}-${system}-${arch}-${REVISION}`)
  if (existsSync(folder)) return folder
  const temporary = `${folder}.${process.pid}`
  mkdirSync(temporary, { recursive: true })
  makeOwn[system](library, join(temporary, ownName(system)), join(temporary, name))
  try {
    renameSync(temporary, folder)
  } catch (error) {
    rmSync(temporary, { recursive: true })
    if (!existsSync(folder)) throw error // else another build was quicker
  }
  return folder
}

/** Makes `own` of the library; the linker looks for `linked`, and takes down the name that it finds in there. */
const makeOwn = {
  linux(library, own, linked) {
    const file = readFileSync(library)
    makeOwnLibrary(file, ownName('linux'))
    writeFileSync(own, file)
    symlinkSync(ownName('linux'), linked)
  },
  darwin(library, own, linked) {
    const file = readFileSync(library)
    renameLibrary(file, 'libduckdb.dylib', ownName('darwin'))
    writeFileSync(own, file)
    // What was changed is refused by the loader until it is signed anew.
    execFileSync('codesign', ['--force', '--sign', '-', own])
    symlinkSync(ownName('darwin'), linked)
  },
  // The name is in those who import it: see `finishAddon`. Programs of tests, which are not edited, find the old one.
  win32(library, own, linked) {
    copyFileSync(library, own)
    copyFileSync(library, linked)
    const imports = library.replace(/dll$/, 'lib')
    if (existsSync(imports)) copyFileSync(imports, linked.replace(/dll$/, 'lib'))
  },
}

/** What cargo needs to link with it, and what is linked to run. */
export function linkEnvironment(target) {
  const folder = duckdbFolder(target)
  if (folder === undefined) return {}
  const path = process.platform === 'win32' && { Path: `${folder};${process.env.Path}` }
  return { DUCKDB_LIB_DIR: folder, ...path }
}

/** Makes a new addon import the library by its own name, where the linker could not. */
export function finishAddon(addon, target) {
  const { system } = nodeNames(target)
  if (system !== 'win32') return
  const file = readFileSync(addon)
  if (renameImport(file, 'duckdb.dll', ownName(system))) writeFileSync(addon, file)
}

/** Puts the library where the addon looks for it: beside it. */
export function shipDuckdb(target, destination) {
  const { system, arch } = nodeNames(target)
  const folder = duckdbFolder(target)
  if (folder === undefined) {
    throw new TaskError(
      `There is no DuckDB for ${system}-${arch}: npm install --no-save --force @duckdb/node-bindings-${system}-${arch}@${release()}-…`,
    )
  }
  const source = join(folder, ownName(system))
  const shipped = join(destination, ownName(system))
  if (existsSync(shipped) && statSync(shipped).mtimeMs >= statSync(source).mtimeMs) return
  // A new file: the old one may be mapped by a running process.
  const temporary = `${shipped}.${process.pid}`
  copyFileSync(source, temporary)
  renameSync(temporary, shipped)
}
