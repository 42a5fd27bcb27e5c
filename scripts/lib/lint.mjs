import { linkEnvironment } from './columnar.mjs'
import { checkLayers } from './layers.mjs'
import { output, run, say, tool } from './run.mjs'

/** What is checked without running the library; each is a name and a function that gives an exit code. */
const checks = [
  ['rustfmt', () => run('cargo', ['fmt', '--all', '--check'])],
  [
    'clippy',
    () =>
      run('cargo', ['clippy', '--release', '--workspace', '--all-targets', '--', '-D', 'warnings'], {
        env: linkEnvironment(),
      }),
  ],
  ['the Rust crate without its disk tier', () => memoryAlone()],
  [
    'rustdoc',
    () =>
      run('cargo', ['doc', '--release', '--no-deps', '--package', 'tierce'], {
        env: { RUSTDOCFLAGS: '-D warnings' },
      }),
  ],
  [
    'biome',
    () => tool('@biomejs/biome', 'biome', ['ci', '--colors', process.stdout.isTTY ? 'force' : 'off', '.']),
  ],
  ['layers', () => checkLayers()],
  ['types of the tests', () => tool('typescript', 'tsc', ['--project', 'tsconfig.test.json'])],
  ['generated binding is committed', () => generatedIsCommitted()],
]

/** A user of the memory tier alone compiles no SQLite and no codec. */
function memoryAlone() {
  const crate = ['--package', 'tierce', '--no-default-features']
  const names = ['--edges', 'normal', '--prefix', 'none', '--format', '{lib}']
  const tree = output('cargo', ['tree', ...crate, ...names])
  if (tree?.trim().split(/\s+/).sort().join(' ') !== 'foldhash hashbrown tierce') {
    process.stdout.write(`Without features, tierce depends on more than hashbrown:\n${tree}\n`)
    return 1
  }
  return run('cargo', ['clippy', '--release', ...crate, '--lib', '--', '-D', 'warnings'])
}

// Outside a git work tree there is nothing to compare with: a source archive is linted all the same.
function generatedIsCommitted() {
  const generated = ['index.js', 'index.d.ts', 'packages/columnar/index.js', 'packages/columnar/index.d.ts']
  if (!output('git', ['ls-files', '--error-unmatch', ...generated])) {
    if (!output('git', ['rev-parse', '--is-inside-work-tree'])) return 0
    process.stdout.write(`Not all of ${generated.join(', ')} are committed\n`)
    return 1
  }
  return run('git', ['diff', '--exit-code', '--stat', '--patch', 'HEAD', '--', ...generated])
}

/** @returns {Promise<boolean>} whether all checks passed */
export async function lint() {
  const failed = []
  for (const [name, check] of checks) {
    say(`Lint: ${name}`)
    if ((await check()) !== 0) failed.push(name)
  }
  say('Summary')
  process.stdout.write(`lint: ${checks.length - failed.length} passed, ${failed.length} failed\n`)
  for (const name of failed) process.stdout.write(`FAILED ${name}\n`)
  return failed.length === 0
}
