// What a release does, into a temporary folder: pack the main and this platform's package, install both where nothing else is.
import { spawnSync } from 'node:child_process'
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { at } from '../../scripts/lib/paths.mjs'
import { fillMainFolder, fillPlatformFolder } from '../../scripts/lib/platforms.mjs'
import { bin } from '../../scripts/lib/run.mjs'
import { platformName } from '../../scripts/lib/targets.mjs'

/** The manifest of the repository. */
export const manifest = JSON.parse(readFileSync(at('package.json'), 'utf8'))

/** How TypeScript programs of users are checked. */
export const compilerOptions = {
  strict: true,
  noEmit: true,
  target: 'es2022',
  lib: ['es2022', 'esnext.disposable'],
  types: ['node'],
  typeRoots: [at('node_modules', '@types')],
  skipLibCheck: false,
}

/**
 * Runs a command to its end.
 * @returns {{ status: number | null, text: string, stdout: string }} `text` is both outputs, for the message of a failed assertion
 */
export function command(file, args, options = {}) {
  const result = spawnSync(file, args, { encoding: 'utf8', maxBuffer: 1e8, ...options })
  const text = `$ ${[file, ...args].join(' ')}\n${result.stdout}${result.stderr}${result.error?.message ?? ''}`
  return { status: result.status, text, stdout: result.stdout }
}

export function must(file, args, options) {
  const result = command(file, args, options)
  if (result.status !== 0) throw new Error(result.text)
  return result
}

/** Runs a development dependency's program. */
export function tool(packageName, program, args, options) {
  const [node, script] = bin(packageName, program)
  return command(node, [script, ...args], options)
}

function npm(args, options) {
  const script = process.env.npm_execpath
  if (script?.endsWith('.js')) return must(process.execPath, [script, ...args], options)
  return must('npm', args, { shell: process.platform === 'win32', ...options })
}

/**
 * The two tarballs, with the contents of a release.
 * @returns {{ main: Packed, platform: Packed, asPublished: boolean }} `asPublished`: the binary is of the profile that is published
 * @typedef {{ file: string, unpackedSize: number, files: string[] }} Packed
 */
export function packBoth(folder) {
  const main = join(folder, 'main')
  const platforms = join(folder, 'npm')
  mkdirSync(main)
  for (const name of [...manifest.files, 'README.md']) {
    if (existsSync(at(name))) cpSync(at(name), join(main, name), { recursive: true })
  }
  writeFileSync(join(main, 'package.json'), JSON.stringify(publishedManifest(manifest), null, 2))
  cpSync(at('npm'), platforms, { recursive: true })
  const binary = `${manifest.napi.binaryName}.${platformName()}.node`
  const platform = join(platforms, platformName())
  const published = process.env.TIERCE_DIST_BINARY
  copyFileSync(published ?? at(binary), join(platform, binary))
  if (published === undefined) strip(join(platform, binary))
  return { main: pack(main, folder), platform: pack(platform, folder), asPublished: published !== undefined }
}

// `napi pre-publish` adds these to package.json when every platform's binary is there.
function publishedManifest(manifest) {
  const { devDependencies, scripts, allowScripts, ...rest } = manifest
  const names = manifest.napi.targets.map(platformName)
  const optionalDependencies = Object.fromEntries(
    names.map((name) => [`${manifest.napi.packageName}-${name}`, manifest.version]),
  )
  return { ...rest, optionalDependencies }
}

/** The two tarballs of `@tierce/columnar`. The binary is that of the tests: what is published takes minutes to build. */
export function packColumnar(folder) {
  const source = at('packages', 'columnar')
  const manifest = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8'))
  const [main, platform] = [join(folder, 'columnar'), join(folder, 'columnar-platform')]
  fillMainFolder(main)
  writeFileSync(join(main, 'package.json'), JSON.stringify(publishedManifest(manifest), null, 2))
  cpSync(join(source, 'npm', platformName()), platform, { recursive: true })
  fillPlatformFolder(platform)
  strip(join(platform, `tierce-columnar.${platformName()}.node`))
  return { main: pack(main, folder), platform: pack(platform, folder) }
}

// The published build has no symbols.
function strip(path) {
  if (process.platform === 'win32') return false
  const flags = process.platform === 'darwin' ? ['-x'] : ['--strip-all']
  return command('strip', [...flags, path]).status === 0
}

function pack(folder, destination) {
  const { stdout } = npm(['pack', '--json', '--ignore-scripts', '--pack-destination', destination], {
    cwd: folder,
  })
  const parsed = JSON.parse(stdout)
  const [packed] = Array.isArray(parsed) ? parsed : Object.values(parsed)
  const { filename, unpackedSize, files } = packed
  return { file: join(destination, filename), unpackedSize, files: files.map((entry) => entry.path) }
}

/** Installs the tarballs into an empty folder. Nothing is asked of a registry: the address given cannot answer. */
export function installInto(folder, tarballs) {
  mkdirSync(folder)
  writeFileSync(join(folder, 'package.json'), '{ "name": "consumer", "private": true, "version": "1.0.0" }\n')
  const quiet = [
    '--no-audit',
    '--no-fund',
    '--ignore-scripts',
    '--registry',
    'http://127.0.0.1:9',
    '--fetch-retries',
    '0',
  ]
  npm(['install', ...quiet, ...tarballs], { cwd: folder })
  cpSync(at('__test__', 'package', 'consumer'), folder, { recursive: true })
}
