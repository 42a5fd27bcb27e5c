/** Every example of the documents compiles under strict rules, and runs. */
import { execFile } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import * as tierce from 'tierce'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ERROR_CLASSES } from '../build/errors.js'
import { failure } from './helpers/errors.js'

const require = createRequire(import.meta.url)
const root = fileURLToPath(new URL('..', import.meta.url))
const run = promisify(execFile)
const folder = mkdtempSync(join(tmpdir(), 'tierce-docs-'))

const STUBS = ['api', 'cache', 'db', 'fetchPage', 'key', 'rows', 'table', 'user', 'User', 'weights']
const DOCUMENTS = [
  'README.md',
  'packages/columnar/README.md',
  ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`),
]

const OTHERS = ['ARCHITECTURE.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'bench/README.md', 'examples/README.md']

/** A name for each example, which says where it is, and its text. */
const snippets = DOCUMENTS.flatMap((document) => {
  const text = readFileSync(join(root, document), 'utf8')
  return [...text.matchAll(/^```(?:ts|js)\n([\s\S]*?)^```$/gm)].map((match) => {
    const line = text.slice(0, match.index).split('\n').length
    return { where: `${document}:${line}`, source: match[1] as string }
  })
})

/** The example as a module: names that it uses and does not declare are imported. */
function moduleOf(source: string): string {
  const uses = (name: string) => new RegExp(`(?<![.\\w'])${name}\\b(?!['\\w]|\\??:)`).test(source)
  const declares = (name: string) =>
    new RegExp(`(?:const|using|class|function) ${name}\\b|import [^;]*\\b${name}\\b[^;]* from`).test(source)
  const wanted = (names: string[]) => names.filter((name) => uses(name) && !declares(name))
  const library = wanted(Object.keys(tierce))
  const stubs = wanted(STUBS)
  return [
    library.length > 0 ? `import { ${library.join(', ')} } from 'tierce'` : '',
    stubs.length > 0 ? `import { ${stubs.join(', ')} } from './stubs.js'` : '',
    source.replaceAll("'/mnt/", `'${folder}/mnt/`),
    'export {}',
  ].join('\n')
}

beforeAll(async () => {
  mkdirSync(join(folder, 'node_modules/@types'), { recursive: true })
  mkdirSync(join(folder, 'node_modules/@tierce'))
  mkdirSync(join(folder, 'mnt/shared'), { recursive: true })
  mkdirSync(join(folder, 'data'))
  mkdirSync(join(folder, 'model'))
  writeFileSync(join(folder, 'train.csv'), 'a,b\n1,2\n')
  writeFileSync(join(folder, 'data/trades.csv'), 'symbol,price,quantity\nAAPL,1.5,3\n')
  const link = (name: string, to: string) =>
    symlinkSync(join(root, to), join(folder, 'node_modules', name), 'junction')
  link('tierce', '.')
  link('@tierce/columnar', 'packages/columnar')
  for (const name of ['@types/node', 'apache-arrow', 'kysely']) link(name, join('node_modules', name))
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  copyFileSync(join(root, '__test__/fixtures/docs-stubs.ts'), join(folder, 'stubs.ts'))
  for (const [index, { source }] of snippets.entries()) {
    writeFileSync(join(folder, `snippet-${index}.ts`), moduleOf(source))
  }
  const compilerOptions = {
    ...{ strict: true, target: 'es2022', lib: ['es2023', 'esnext.disposable'], types: ['node'] },
    ...{ module: 'nodenext', skipLibCheck: true, preserveSymlinks: true },
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }))
  const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin/tsc')
  await run(process.execPath, [tsc, '--project', folder]).catch(({ stdout }) => {
    const known = String(stdout).replaceAll(/snippet-(\d+)\.ts/g, (_, index) => snippets[index]!.where)
    throw new Error(`Examples of the documents do not compile:\n${known}`)
  })
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

it('the_README_has_every_error_code_and_every_option_of_a_cache', async () => {
  const { message } = await failure(() => new tierce.Cache({ nonsense: 1 } as never))
  const options = /Accepted: (.*)\.$/.exec(message)![1]!.split(', ')
  expect(options.length).toBeGreaterThan(15)
  const text = readFileSync(join(root, 'README.md'), 'utf8')
  const names = [...Object.keys(ERROR_CLASSES), ...options]
  expect(names.filter((name) => !new RegExp(`\\b${name}\\b`).test(text))).toEqual([])
})

it('the_figures_of_the_README_are_those_of_the_results', () => {
  const text = readFileSync(join(root, 'README.md'), 'utf8')
  const results = readFileSync(join(root, 'bench/results/latest.md'), 'utf8')
  const rows = new Set(results.split('\n'))
  const measured = text.slice(text.indexOf('<!-- bench -->'), text.indexOf('<!-- /bench -->')).split('\n')
  const shown = measured.filter((line) => line.startsWith('| '))
  expect(shown.length).toBeGreaterThan(30)
  expect(shown.filter((line) => !rows.has(line) && !line.startsWith('| ---'))).toEqual([])
  const head = text.slice(text.indexOf('| time of the peer'), text.indexOf('[How that was measured'))
  const figures = head.match(/\d+\.\d\d/g) ?? []
  expect(figures.length).toBeGreaterThan(10)
  expect(figures.filter((figure) => !shown.some((line) => line.includes(`| ${figure} (`)))).toEqual([])
})

it('every_link_of_the_documents_leads_to_a_file', () => {
  const broken: string[] = []
  for (const document of [...DOCUMENTS, ...OTHERS]) {
    const text = readFileSync(join(root, document), 'utf8')
    for (const [, target] of text.matchAll(/\]\(([^)\s#]+)[^)]*\)/g)) {
      const isLocal = !/^[a-z]+:/.test(target as string)
      if (isLocal && !existsSync(join(root, dirname(document), target as string)))
        broken.push(`${document}: ${target}`)
    }
  }
  expect(broken).toEqual([])
})

it('there_are_examples', () => expect(snippets.length).toBeGreaterThan(10))

it.each(snippets.map(({ where }, index) => [where, index] as const))('%s runs', async (_where, index) => {
  const { NODE_OPTIONS: _, ...env } = process.env
  const cwd = mkdtempSync(join(folder, 'run-'))
  for (const name of ['data', 'model', 'train.csv']) symlinkSync(join(folder, name), join(cwd, name))
  const given = { ...env, CACHE_KEY: Buffer.alloc(32, 7).toString('base64') }
  await run(process.execPath, [join(folder, `snippet-${index}.js`)], { cwd, env: given })
})
