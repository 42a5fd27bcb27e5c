import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './paths.mjs'
import { npm, output, say, TaskError } from './run.mjs'

/** Says what is missing before a compiler says it in a hundred lines. */
export function checkToolchain() {
  if (!output('cargo', ['--version'])) {
    throw new TaskError('No Rust toolchain found. Install one (https://rustup.rs), then run this again.')
  }
  // SQLite and zstd are compiled from their C sources.
  const compiler = process.env.CC || 'cc'
  if (process.platform !== 'win32' && !output(compiler, ['--version'])) {
    throw new TaskError(
      `No C compiler found (\`${compiler}\`). Install one: build-essential on Debian, Xcode's tools on macOS.`,
    )
  }
}

/**
 * Installs the npm packages of a folder where that was not done since its lock file changed. Not `npm ci`: that refuses a lock file
 * written where a registry did not offer the packages of other platforms.
 */
export async function installPackages(folder = root) {
  const installed = join(folder, 'node_modules', '.package-lock.json')
  const lock = join(folder, 'package-lock.json')
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return
  say('Installing npm packages')
  await npm(['install', '--no-save', '--no-audit', '--no-fund'], { cwd: folder })
}
