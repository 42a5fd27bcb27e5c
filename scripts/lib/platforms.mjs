import { spawnSync } from 'node:child_process'
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { duckdbLicence, ownName, shipDuckdb } from './columnar.mjs'
import { at } from './paths.mjs'
import { bin, TaskError } from './run.mjs'
import { platformName } from './targets.mjs'

/** The folders of the npm packages whose addon comes in platform packages of its own. */
export const PACKAGES = ['.', 'packages/columnar']

/** What is in a platform package of `@tierce/columnar` beside the addon. */
const LICENCES = ['LICENSE-MIT', 'LICENSE-APACHE', 'LICENSE-DUCKDB']

/**
 * Makes the platform folders of a package from its manifest, as they are committed: the napi CLI's, which names the addon, and what
 * else is shipped. The CLI writes only beside a manifest, so it works on a copy.
 */
export function createPlatformFolders(folder, destination) {
  const temporary = mkdtempSync(join(tmpdir(), 'tierce-platforms-'))
  copyFileSync(at(folder, 'package.json'), join(temporary, 'package.json'))
  const [node, script] = bin('@napi-rs/cli', 'napi')
  const result = spawnSync(node, [script, 'create-npm-dirs'], { cwd: temporary, encoding: 'utf8' })
  if (result.status !== 0) throw new TaskError(`${result.stdout}${result.stderr}`)
  for (const platform of readdirSync(join(temporary, 'npm'))) {
    const path = join(temporary, 'npm', platform, 'package.json')
    if (folder !== '.') addFiles(path, [ownName(platform.split('-')[0]), ...LICENCES])
  }
  rmSync(destination, { recursive: true, force: true })
  cpSync(join(temporary, 'npm'), destination, { recursive: true })
  rmSync(temporary, { recursive: true })
}

function addFiles(path, names) {
  const manifest = JSON.parse(readFileSync(path, 'utf8'))
  manifest.files.push(...names)
  writeFileSync(path, `${JSON.stringify(manifest, null, 2)}\n`)
}

/** Puts the addon of `@tierce/columnar`, the library and the licences into a platform folder: what is published. */
export function fillPlatformFolder(destination, target) {
  const addon = `tierce-columnar.${platformName(target)}.node`
  mkdirSync(destination, { recursive: true })
  copyFileSync(at('packages', 'columnar', addon), join(destination, addon))
  shipDuckdb(target, destination)
  copyLicences(destination)
  copyFileSync(duckdbLicence(), join(destination, 'LICENSE-DUCKDB'))
}

/** What the package `@tierce/columnar` itself is published with, in a folder. */
export function fillMainFolder(destination) {
  const source = at('packages', 'columnar')
  mkdirSync(destination, { recursive: true })
  for (const name of ['package.json', 'README.md', 'index.js', 'index.d.ts'])
    copyFileSync(join(source, name), join(destination, name))
  copyLicences(destination)
}

function copyLicences(destination) {
  for (const name of ['LICENSE-MIT', 'LICENSE-APACHE']) copyFileSync(at(name), join(destination, name))
}
