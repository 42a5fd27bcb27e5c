import { readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { at } from './paths.mjs'
import { say } from './run.mjs'

/**
 * What a part may import: the arrows of ARCHITECTURE.md that no other lint holds. A part is a file and a folder of one name, given as a
 * regular expression; what is not named here is bound by `biome.json` and clippy alone. Types are free: they are gone when the program runs.
 */
const TYPESCRIPT = {
  'keys(-[a-z]+)?': 'content errors intrinsics refusal',
  values: 'arrays errors intrinsics options parts refusal tables',
  tiers: 'entry errors memory native pause soon values',
  memory: 'errors events many native options parts refusal tiers values',
  load: 'channels errors memory native options refusal set-options soon tiers',
  shared: 'errors memory native options refusal values',
  'pull-through': 'cells columns errors native optional options parts pause refusal',
  tables: 'cells columns errors optional options parts pause refusal',
}
const RUST = {
  error: '',
  clock: '',
  coverage: 'error',
  key: 'error',
  codec: 'error',
  policy: '',
  frame: 'codec error key',
  hash: 'clock error key',
  memory: 'clock error policy',
  cipher: 'codec error',
  sql: 'disk error', // of disk, the number that tells its database from one of the user's
}
/** What only some parts of the Rust crate may use. */
const ONLY = [
  ['rusqlite', /^(disk\/db\/|disk\/(query|backup)\.rs|sql\/)/],
  ['std::fs', /^(disk|hash)\/|\/tests\.rs$/],
]

/** Says every import that has no arrow. @returns {number} an exit code */
export function checkLayers() {
  const wrong = [...wrongInTypeScript(), ...wrongInRust()]
  for (const line of wrong) process.stdout.write(`${line}\n`)
  if (wrong.length > 0)
    say('Layers: draw the arrow in ARCHITECTURE.md and scripts/lib/layers.mjs, or turn it round')
  return wrong.length === 0 ? 0 : 1
}

function* wrongInTypeScript() {
  for (const [path, text] of sources(at('src'), '.ts')) {
    const part = Object.keys(TYPESCRIPT).find((name) => isOf(path, name))
    if (part === undefined) continue
    for (const [, types, from] of text.matchAll(/^(?:import|export)( type)? [^;'"]*? from '(\.[^']+)'$/gm)) {
      const target = posix.join(posix.dirname(path), from).replace(/\.js$/, '')
      const may = [part, ...words(TYPESCRIPT[part])].some((name) => isOf(target, name))
      if (!types && !may) yield `src/${path} imports ${target}: ${part} may import ${TYPESCRIPT[part]}`
    }
  }
}

function* wrongInRust() {
  for (const [path, text] of sources(at('crates/tierce/src'), '.rs')) {
    const code = text.replaceAll(/^\s*\/\/.*$/gm, '')
    for (const [name, where] of ONLY) {
      if (code.includes(name) && !where.test(path)) yield `crates/tierce/src/${path} uses ${name}`
    }
    const part = Object.keys(RUST).find((name) => isOf(path, name))
    if (part === undefined) continue
    for (const [, target] of code.matchAll(/\bcrate::([a-z_]+)\b/g)) {
      const may = [part, ...words(RUST[part])].includes(target)
      if (!may)
        yield `crates/tierce/src/${path} uses crate::${target}: ${part} may use ${RUST[part] || 'nothing'}`
    }
  }
}

/** `load` is `load.ts` and everything in `load/`. */
const isOf = (path, name) => new RegExp(`^${name}([./]|$)`).test(path)
const words = (text) => text.split(' ').filter(Boolean)

function* sources(folder, ending) {
  for (const name of readdirSync(folder, { recursive: true })) {
    const path = name.replaceAll('\\', '/')
    if (path.endsWith(ending)) yield [path, readFileSync(join(folder, name), 'utf8')]
  }
}
