// The package as users get it: packed, installed into an empty folder, used from ESM, CommonJS and TypeScript.
// Wants a finished build (`npm run build`).
import assert from 'node:assert/strict'
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { buildSync } from 'esbuild'
import { at } from '../../scripts/lib/paths.mjs'
import { createPlatformFolders, PACKAGES } from '../../scripts/lib/platforms.mjs'
import { nodeOf } from './nodes.mjs'
import { command, compilerOptions, installInto, packBoth, tool } from './stage.mjs'

const MAX_UNPACKED = 6_000_000
/** What an ES module has to have for the CommonJS in it. */
const REQUIRE = `import{createRequire}from'node:module';const require=createRequire(import.meta.url)`

const temporary = mkdtempSync(join(tmpdir(), 'tierce-package-'))
const consumer = join(temporary, 'consumer')
let packed

before(() => {
  packed = packBoth(temporary)
  installInto(consumer, [packed.main.file, packed.platform.file])
})
after(() => rmSync(temporary, { recursive: true, force: true }))

function passes({ status, text }) {
  assert.equal(status, 0, text)
}

function use(node, script) {
  const dir = join(temporary, `cache-${Math.random().toString(36).slice(2)}`)
  return command(node, [script, dir], { cwd: consumer })
}

for (const folder of PACKAGES) {
  test(`${join(folder, 'npm')} is what \`task.mjs platforms\` makes of package.json`, () => {
    const fresh = join(temporary, 'fresh', folder)
    createPlatformFolders(folder, fresh)
    const list = (folder) =>
      readdirSync(folder, { recursive: true })
        .filter((name) => /\.(json|md)$/.test(name))
        .sort()
    const committed = at(folder, 'npm')
    assert.deepEqual(list(committed), list(fresh))
    for (const name of list(fresh))
      assert.equal(readFileSync(join(committed, name), 'utf8'), readFileSync(join(fresh, name), 'utf8'), name)
  })
}

test('the packages hold what runs and nothing else', () => {
  const allowed =
    /^(dist\/.*\.(js|mjs|d\.ts|d\.mts)|kysely\/package\.json|index\.(js|d\.ts)|package\.json|README\.md|LICENSE-(MIT|APACHE))$/
  assert.deepEqual(
    packed.main.files.filter((path) => !allowed.test(path)),
    [],
  )
  const binaries = packed.platform.files.filter((path) => path.endsWith('.node'))
  assert.deepEqual([binaries.length, packed.platform.files.length], [1, 3])
})

test('main and platform package stay under 6 MB unpacked', (t) => {
  const { main, platform, asPublished } = packed
  const total = main.unpackedSize + platform.unpackedSize
  const kind = asPublished ? 'as published' : "the tests' profile, which is larger than what is published"
  t.diagnostic(`unpacked: ${main.unpackedSize} + ${platform.unpackedSize} = ${total} bytes (${kind})`)
  if (!asPublished) return t.skip('the binary is not the published one: CI measures that')
  assert.ok(total < MAX_UNPACKED, `${total} bytes`)
})

test('import gives the very classes that require gives, and they work', () =>
  passes(use(process.execPath, 'use.mjs')))
test('require works', () => passes(use(process.execPath, 'use.cjs')))

test('each part that is loaded later loads, and names are kept', () => {
  const script = `
    const assert = require('node:assert/strict')
    const { join } = require('node:path')
    const dist = join(require.resolve('tierce'), '..')
    for (const file of require('node:fs').readdirSync(join(dist, 'parts')).filter((name) => name.endsWith('.js')))
      assert.notEqual(Object.keys(require(join(dist, 'parts', file))).length, 0, file)
    for (const [name, value] of Object.entries(require('tierce')))
      if (typeof value === 'function' && name !== 'keyOf') assert.equal(value.name, name)`
  passes(command(process.execPath, ['-e', script], { cwd: consumer }))
})

test('importing reads two files of less than 225 KB, and none of the parts', () => {
  const script = `
    require('tierce')
    const { basename, sep } = require('node:path')
    const read = Object.keys(require.cache).filter((path) => path.includes(sep + 'dist' + sep))
    const bytes = read.reduce((sum, path) => sum + require('node:fs').statSync(path).size, 0)
    console.log(JSON.stringify({ read: read.map((path) => basename(path)).sort(), bytes }))`
  const { read, bytes } = JSON.parse(command(process.execPath, ['-e', script], { cwd: consumer }).stdout)
  assert.deepEqual(read, ['core.js', 'index.js'])
  // A module of a part that index.js imports, other than as a type, moves into one of them: see src/parts.ts.
  assert.ok(bytes < 225_000, `${bytes} bytes`)
})

test('import time of a fresh process', (t) => {
  const script = `const start = performance.now(); await import('tierce'); console.log(performance.now() - start)`
  const times = Array.from({ length: 9 }, () =>
    Number(command(process.execPath, ['--input-type=module', '-e', script], { cwd: consumer }).stdout),
  )
  t.diagnostic(`import 'tierce': median ${times.sort((a, b) => a - b)[4].toFixed(1)} ms of 9`)
})

test('an error that nobody caught is shown with a line, not with a chunk', () => {
  const script = `new (require('tierce').Cache)({ values: 'copy' }).set('key', () => 1)`
  const { status, text } = command(process.execPath, ['-e', script], { cwd: consumer })
  assert.equal(status, 1)
  assert.match(text, /UnserializableError: Cannot store this value: value is a function/)
  assert.ok(text.length < 4000, text)
})

describe('a bundle of esbuild', () => {
  /** By its interface: what its command is, a script or a binary, depends on the npm that installed it. */
  const bundle = (file, options) => {
    const common = { bundle: true, platform: 'node', absWorkingDir: consumer, logLevel: 'silent' }
    return buildSync({ ...common, entryPoints: [file], ...options })
  }
  const kinds = [
    ['in which tierce is, but for its addon', 'cjs', '@tierce/*'],
    ['in which all is but the addon, as an ES module', 'esm', '@tierce/*'],
    ['without tierce', 'esm', 'tierce'],
  ]
  for (const [title, format, external] of kinds) {
    test(title, () => {
      const outfile = join(consumer, `bundled.${format === 'cjs' ? 'cjs' : 'mjs'}`)
      const banner = format === 'cjs' ? {} : { js: REQUIRE }
      bundle('bundle.mjs', { outfile, format, banner, external: [external] })
      passes(use(process.execPath, outfile))
    })
  }

  test('of types, or of what is not used, has nothing of tierce', () => {
    const types = `import type { Cache } from 'tierce'\nexport const size = (cache: Cache) => cache.size()\n`
    const unused = `import { Cache } from 'tierce'\nimport * as all from 'tierce'\nconsole.log(1)\n`
    for (const [index, source] of [types, unused].entries()) {
      writeFileSync(join(consumer, `nothing-${index}.ts`), source)
      const { outputFiles } = bundle(`nothing-${index}.ts`, { write: false, external: ['@tierce/*'] })
      assert.ok(outputFiles[0].text.length < 2000, outputFiles[0].text.slice(0, 2000))
    }
  })
})

describe('other releases of Node', () => {
  for (const major of [22, 24, 26]) {
    test(`Node ${major}`, (t) => {
      const node = nodeOf(major)
      if (node.missing) {
        // Where the platform has such a package, its absence is a failure: a skip would hide a broken release.
        if (process.platform === 'linux' && process.arch === 'x64') assert.fail(node.missing)
        return t.skip(node.missing)
      }
      passes(use(node.path, 'use.mjs'))
      passes(use(node.path, 'use.cjs'))
    })
  }
})

describe('types', () => {
  const kinds = [
    ['an ES module, nodenext', 'esm.mts', { module: 'nodenext' }],
    ['a CommonJS module, nodenext', 'cjs.cts', { module: 'nodenext' }],
    ['an ES module, node16', 'esm16.mts', { module: 'node16' }],
    ['a CommonJS module, node16', 'cjs16.cts', { module: 'node16' }],
    ['a bundler', 'bundled.ts', { module: 'esnext', moduleResolution: 'bundler' }],
  ]
  for (const [title, file, options] of kinds) {
    test(title, () => {
      copyFileSync(join(consumer, 'program.ts'), join(consumer, file))
      const config = join(consumer, `tsconfig.${file}.json`)
      writeFileSync(
        config,
        JSON.stringify({ compilerOptions: { ...compilerOptions, ...options }, files: [file] }),
      )
      passes(tool('typescript', 'tsc', ['--project', config], { cwd: consumer }))
    })
  }

  test('publint finds nothing', () =>
    passes(tool('publint', 'publint', ['run', packed.main.file, '--strict'])))
  test('attw finds nothing', () => {
    passes(
      tool('@arethetypeswrong/cli', 'attw', [
        packed.main.file,
        '--no-definitely-typed',
        '--no-emoji',
        '--format',
        'ascii',
      ]),
    )
  })
})
