import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const PACKAGES = fileURLToPath(new URL('../../node_modules', import.meta.url))
const SMALLEST = 1_000
const LARGEST = 200_000

/**
 * Copies source files of the installed packages, so that a program may change them: at most `limit`, spread evenly over the sorted list
 * of all, no two with the same content.
 * @returns {{ files: string[], bytes: number }}
 */
export function copySources(limit, folder) {
  mkdirSync(folder)
  const all = distinct(sourcePaths())
  const count = Math.min(limit, all.length)
  let bytes = 0
  const files = Array.from({ length: count }, (_, index) => {
    const { path, content } = all[Math.floor((index * all.length) / count)]
    const copy = join(folder, `${index}-${path.replaceAll(/[^\w.-]+/g, '_').slice(-80)}`)
    writeFileSync(copy, content)
    bytes += content.length
    return copy
  })
  return { files, bytes }
}

function sourcePaths() {
  return readdirSync(PACKAGES, { recursive: true })
    .filter((path) => /\.[mc]?[jt]s$/.test(path) && !/\.d\.[mc]?ts$|\.min\.js$/.test(path))
    .sort()
}

function distinct(paths) {
  const seen = new Set()
  const found = []
  for (const path of paths) {
    const content = read(join(PACKAGES, path))
    if (content === undefined || content.length < SMALLEST || content.length > LARGEST) continue
    const digest = createHash('sha256').update(content).digest('hex')
    if (seen.has(digest)) continue
    seen.add(digest)
    found.push({ path, content })
  }
  return found
}

// A folder can be named like a file: `node_modules/highlight.js`.
function read(path) {
  try {
    return readFileSync(path)
  } catch (error) {
    if (error.code === 'EISDIR') return undefined
    throw error
  }
}
