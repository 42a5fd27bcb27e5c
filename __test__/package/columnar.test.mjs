// `@tierce/columnar` as users get it: packed, installed beside `tierce` into an empty folder, used from ESM and CommonJS.
// Wants a finished build (`npm run build`).
import assert from 'node:assert/strict'
import { copyFileSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { ownName } from '../../scripts/lib/columnar.mjs'
import { platformName } from '../../scripts/lib/targets.mjs'
import { command, compilerOptions, installInto, packBoth, packColumnar, tool } from './stage.mjs'

const temporary = realpathSync(mkdtempSync(join(tmpdir(), 'tierce-columnar-')))
const [consumer, without] = [join(temporary, 'consumer'), join(temporary, 'without')]
const addon = `tierce-columnar.${platformName()}.node`
let packed

before(() => {
  const own = packBoth(temporary)
  packed = packColumnar(temporary)
  const tierce = [own.main.file, own.platform.file]
  installInto(without, tierce)
  installInto(consumer, [...tierce, packed.main.file, packed.platform.file])
})
after(() => rmSync(temporary, { recursive: true, force: true }))

function use(script, { cwd = consumer } = {}) {
  const dir = join(temporary, `data-${Math.random().toString(36).slice(2)}`)
  const result = command(process.execPath, [script, dir], { cwd })
  assert.equal(result.status, 0, result.text)
  return result.stdout
}

const refusal = (cwd) => JSON.parse(use('tables-refused.cjs', { cwd }))

test('the packages hold the addon, DuckDB under a name of its own, licences, and nothing else', () => {
  const licences = ['LICENSE-APACHE', 'LICENSE-MIT']
  assert.deepEqual(
    packed.main.files.toSorted(),
    ['index.d.ts', 'index.js', 'package.json', 'README.md', ...licences].sort(),
  )
  assert.deepEqual(
    packed.platform.files.toSorted(),
    [addon, ownName(process.platform), 'package.json', 'README.md', 'LICENSE-DUCKDB', ...licences].sort(),
  )
})

for (const script of ['tables-use.mjs', 'tables-use.cjs']) {
  test(`${script}: tables work, with the library beside the addon`, () => {
    const lines = use(script).trim().split('\n')
    assert.match(lines[0], /^ok /)
    if (process.platform !== 'linux') return
    const folder = join(consumer, 'node_modules', '@tierce', `columnar-${platformName()}`)
    assert.equal(lines[1], `library ${join(folder, ownName('linux'))}`)
  })
}

test('without the package the error says what to install', () => {
  const { code, message } = refusal(without)
  assert.equal(code, 'E_COLUMNAR_MISSING')
  assert.match(message, /npm install @tierce\/columnar/)
})

test('another release of it is refused, and the error names both', () => {
  const path = join(consumer, 'node_modules', 'tierce', 'package.json')
  const manifest = readFileSync(path, 'utf8')
  writeFileSync(path, JSON.stringify({ ...JSON.parse(manifest), version: '99.0.0' }))
  try {
    const { code, message } = refusal(consumer)
    assert.equal(code, 'E_COLUMNAR_MISSING')
    const own = JSON.parse(manifest).version
    assert.match(
      message,
      new RegExp(`tierce 99\\.0\\.0 needs .*${own} is installed.*@tierce/columnar@99\\.0\\.0`),
    )
  } finally {
    writeFileSync(path, manifest)
  }
})

test('types check without the package', () => {
  copyFileSync(join(without, 'tables.ts'), join(without, 'tables.mts'))
  const config = join(without, 'tsconfig.json')
  const options = { ...compilerOptions, module: 'nodenext' }
  writeFileSync(config, JSON.stringify({ compilerOptions: options, files: ['tables.mts'] }))
  const { status, text } = tool('typescript', 'tsc', ['--project', config], { cwd: without })
  assert.equal(status, 0, text)
})

for (const [name, program, args] of [
  ['publint', 'publint', ['run', '--strict']],
  ['@arethetypeswrong/cli', 'attw', ['--no-definitely-typed', '--no-emoji', '--format', 'ascii']],
]) {
  test(`${program} finds nothing`, () => {
    const [first, ...rest] = args
    const line = program === 'publint' ? [first, packed.main.file, ...rest] : [packed.main.file, ...args]
    const { status, text } = tool(name, program, line)
    assert.equal(status, 0, text)
  })
}
