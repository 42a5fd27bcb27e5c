// What rolldown makes of src/: `dist/index.js`, the parts that are loaded when they are first used (src/parts.ts), and `dist/core.js`,
// which these share. Few files, as each that Node looks up and loads costs 0.3 ms of every program's start; and not one, as it
// compiles all that it loads. Written by scripts/lib/build.mjs.
import { readdirSync } from 'node:fs'
import { at } from './paths.mjs'

const parts = readdirSync(at('src/parts')).map((file) => `parts/${file.replace(/\.ts$/, '')}`)

// Minified, as half of it is documentation. The names of functions and classes are part of what users see.
const output = {
  dir: at('dist'),
  format: 'cjs',
  chunkFileNames: '[name].js',
  minify: { compress: true, mangle: { keepNames: true } },
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
