import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../../', import.meta.url))

/** Where a path given relative to the repository is. */
export const at = (...parts) => join(root, ...parts)

// Outside the clone, so that a fresh clone on the same machine starts warm.
export const cacheDir = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'tierce')

export const targetDir = process.env.CARGO_TARGET_DIR || join(cacheDir, 'target')
