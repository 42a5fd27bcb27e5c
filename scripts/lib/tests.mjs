import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { linkEnvironment } from './columnar.mjs'
import { cannotFuzz, fuzz, targets } from './fuzz.mjs'
import { at, targetDir } from './paths.mjs'
import { must, run, say, tool } from './run.mjs'

/**
 * What a runner found. `code` is its exit code: it can fail without a failed test, on a file that does not compile or load.
 * @typedef {{ name: string, code: number, passed: number, failed: number, skipped: number }} Outcome
 */

/** Every runner in turn, also after a failed one. @type {Record<string, () => Promise<Outcome>>} */
export const runners = {
  rust: () => rust(),
  vitest: () => vitest(),
  package: () => packageTest(),
  examples: () => examples(),
  memcheck: () => memcheck(),
  fuzz: () => fuzzing(),
}

async function rust() {
  const counts = { passed: 0, failed: 0, skipped: 0 }
  let rest = ''
  const onOutput = (text) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop()
    for (const line of lines) {
      const found = /^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored/.exec(line)
      if (!found) continue
      counts.passed += Number(found[1])
      counts.failed += Number(found[2])
      counts.skipped += Number(found[3])
    }
  }
  const code = await run('cargo', ['test', '--release', '--workspace', '--no-fail-fast'], {
    env: linkEnvironment(),
    onOutput,
  })
  return { name: 'rust', code, ...counts }
}

async function vitest() {
  const folder = mkdtempSync(join(tmpdir(), 'tierce-vitest-'))
  const report = join(folder, 'report.json')
  const args = ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
  const code = await tool('vitest', 'vitest', args)
  const counts = existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')) : {}
  rmSync(folder, { recursive: true })
  const { numPassedTests: passed = 0, numFailedTests: failed = 0 } = counts
  const skipped = (counts.numPendingTests ?? 0) + (counts.numTodoTests ?? 0)
  return { name: 'vitest', code, passed, failed, skipped }
}

/** The binary as it is published takes minutes to build, so only CI packs that one. */
async function publishedBinary() {
  await must('cargo', ['build', '--profile', 'dist', '--package', 'tierce-node'])
  const [prefix, suffix] = { darwin: ['lib', 'dylib'], win32: ['', 'dll'] }[process.platform] ?? ['lib', 'so']
  return { TIERCE_DIST_BINARY: join(targetDir, 'dist', `${prefix}tierce_node.${suffix}`) }
}

async function packageTest() {
  const counts = { pass: 0, fail: 0, skipped: 0 }
  let seen = ''
  const onOutput = (text) => {
    seen += text
  }
  const files = ['package', 'columnar'].map((name) => `__test__/package/${name}.test.mjs`)
  const args = ['--test', '--test-reporter=spec', '--test-concurrency=1', ...files]
  const env = process.env.CI ? await publishedBinary() : {}
  const code = await run(process.execPath, args, { onOutput, env })
  for (const [, name, count] of seen.matchAll(/^\S* ?(pass|fail|skipped) (\d+)$/gm))
    counts[name] = Number(count)
  return { name: 'package', code, passed: counts.pass, failed: counts.fail, skipped: counts.skipped }
}

/**
 * The unsafe code that the caches in memory rest on, under valgrind's memcheck: of the addon in a Node without a compiler to machine
 * code, of the Rust crate in its tests. Where there is no valgrind nothing is run, and it counts as skipped.
 */
async function memcheck() {
  const outcome = { name: 'memcheck', code: 0, passed: 0, failed: 0, skipped: 0 }
  if (spawnSync('valgrind', ['--version']).status !== 0) {
    say('memcheck is skipped: there is no valgrind')
    return { ...outcome, skipped: 2 }
  }
  const valgrind = ['-q', '--error-exitcode=9', '--smc-check=all-non-file']
  const host = /^host: (.*)$/m.exec(spawnSync('rustc', ['-vV'], { encoding: 'utf8' }).stdout)[1]
  const runner = `CARGO_TARGET_${host.toUpperCase().replaceAll('-', '_')}_RUNNER`
  const env = { ...process.env, [runner]: ['valgrind', ...valgrind].join(' '), TIERCE_SHARED_STEPS: '200' }
  const tests = ['test', '--release', '-p', 'tierce', '--test', 'memory', '--test', 'shared']
  const runs = [
    () => run('valgrind', [...valgrind, process.execPath, '--jitless', at('__test__', 'memcheck.cjs')]),
    () => run('cargo', tests, { env }),
  ]
  for (const one of runs) {
    const code = await one()
    outcome[code === 0 ? 'passed' : 'failed'] += 1
    if (code !== 0) outcome.code = code
  }
  return outcome
}

/** Each fuzz target for so many seconds as the environment says; without it, or where they cannot be built, they count as skipped. */
async function fuzzing() {
  const seconds = Number(process.env.TIERCE_FUZZ_SECONDS ?? 0)
  const why = seconds > 0 ? cannotFuzz() : 'set TIERCE_FUZZ_SECONDS to the seconds of each target'
  if (why !== undefined) {
    say(`fuzz is skipped: ${why}`)
    return { name: 'fuzz', code: 0, passed: 0, failed: 0, skipped: targets.length }
  }
  const { length: failed } = await fuzz(seconds)
  return { name: 'fuzz', code: 0, passed: targets.length - failed, failed, skipped: 0 }
}

/** Every program in examples/ and in a crate's examples/ runs, and ends well. */
async function examples() {
  const outcome = { name: 'examples', code: 0, passed: 0, failed: 0, skipped: 0 }
  for (const [title, command, args] of [...nodeExamples(), ...rustExamples()]) {
    say(`Example ${title}`)
    const code = await run(command, args, { env: linkEnvironment() })
    outcome[code === 0 ? 'passed' : 'failed'] += 1
    if (code !== 0) outcome.code = code
  }
  return outcome
}

function nodeExamples() {
  const files = readdirSync(at('examples')).filter((name) => name.endsWith('.mjs'))
  return files.sort().map((name) => [`examples/${name}`, process.execPath, [at('examples', name)]])
}

function rustExamples() {
  const found = []
  for (const crate of readdirSync(at('crates')).sort()) {
    const folder = at('crates', crate, 'examples')
    for (const file of existsSync(folder) ? readdirSync(folder).sort() : []) {
      const name = file.replace(/\.rs$/, '')
      const args = ['run', '--quiet', '--release', '--package', crate, '--example', name]
      found.push([`crates/${crate}/examples/${file}`, 'cargo', args])
    }
  }
  return found
}

/** Runs the named runners, all of them if none is named, and prints what each found. @returns {Promise<boolean>} */
export async function runTests(names) {
  const outcomes = []
  for (const name of names.length > 0 ? names : Object.keys(runners)) {
    say(`Tests: ${name}`)
    outcomes.push(await runners[name]())
  }
  say('Summary')
  for (const { name, passed, failed, skipped } of outcomes) {
    process.stdout.write(
      `${name}: ${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`,
    )
  }
  const broken = outcomes.filter(
    ({ code, passed, failed, skipped }) => code !== 0 || failed > 0 || passed + skipped === 0,
  )
  for (const { name, code, passed, failed } of broken) {
    const reason =
      failed > 0 ? `${failed} failed` : passed === 0 ? 'no test ran' : 'it ended with an error outside a test'
    process.stdout.write(`FAILED ${name}: ${reason} (exit code ${code})\n`)
  }
  return broken.length === 0
}
