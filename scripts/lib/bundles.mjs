// What rolldown makes of src/: `dist/index.js`, the parts that are loaded when they are first used (src/parts.ts), and `dist/core.js`,
// which these share. Few files, as each that Node looks up and loads costs 0.3 ms of every program's start; and not one, as it
// compiles all that it loads. Written by scripts/lib/build.mjs.
import { readdirSync } from 'node:fs'
import { at } from './paths.mjs'

const parts = readdirSync(at('src/parts')).map((file) => `parts/${file.replace(/\.ts$/, '')}`)

const EXPORT = String.raw`Object\.defineProperty\(exports,"([$\w]+)",{enumerable:!0,get:function\(\){return ?([^{}]+)}}\)`
const EXPORTS = new RegExp(`${EXPORT}(?:,${EXPORT})+`, 'g')

/** Has a chunk say once what all its exports have in common: it was 11 KB of `core.js`. */
const brief = {
  name: 'brief-exports',
  generateBundle(_options, bundle) {
    for (const chunk of Object.values(bundle)) {
      if (chunk.type !== 'chunk') continue
      chunk.code = chunk.code.replaceAll(EXPORTS, (text) => {
        const exported = [...text.matchAll(new RegExp(EXPORT, 'g'))]
        const getters = exported.map(([, name, value]) => `${name}:()=>${value}`)
        const all = `Object.entries({${getters}}).map(([n,g])=>[n,{enumerable:!0,get:g}])`
        return `Object.defineProperties(exports,Object.fromEntries(${all}))`
      })
    }
  },
}

// Where a line may start without a change of meaning. No expression may: `return` and `throw` would end before it.
const STARTS = /(Statement|Declaration|Definition|VariableDeclarator|^Property)$/

function starts(node, found = []) {
  if (STARTS.test(node.type)) found.push(node.start)
  for (const child of Object.values(node).flat()) if (typeof child?.type === 'string') starts(child, found)
  return found
}

/** Node shows the line that threw above an error that nobody caught: a chunk of one line would fill the terminal. */
const lines = {
  name: 'lines',
  generateBundle(_options, bundle) {
    for (const chunk of Object.values(bundle)) {
      if (chunk.type !== 'chunk') continue
      const { code } = chunk
      const cuts = [0]
      for (const start of starts(this.parse(code)).sort((a, b) => a - b))
        if (start - cuts.at(-1) > 150) cuts.push(start)
      chunk.code = cuts.map((cut, index) => code.slice(cut, cuts[index + 1])).join('\n')
    }
  },
}

// Minified, as half of it is documentation. The names of functions and classes are part of what users see.
const output = {
  dir: at('dist'),
  format: 'cjs',
  chunkFileNames: '[name].js',
  minify: { compress: true, mangle: { keepNames: true } },
  plugins: [brief, lines],
}

export default [
  {
    input: Object.fromEntries(['index', ...parts].map((entry) => [entry, at(`src/${entry}.ts`)])),
    platform: 'node',
    external: ['../index.js'],
    output: { ...output, codeSplitting: { groups: [{ name: 'core', minShareCount: 2 }] } },
  },
  {
    input: { kysely: at('src/kysely.ts') },
    platform: 'node',
    external: ['kysely', './index.js'],
    output: { ...output, keepNames: true },
  },
]
