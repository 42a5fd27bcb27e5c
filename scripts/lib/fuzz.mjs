// libFuzzer on the targets of fuzz/, with a plain `cargo build` on stable Rust: what cargo-fuzz would add is one more program to compile.
import { spawn } from 'node:child_process'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { at, targetDir } from './paths.mjs'
import { must, output, say } from './run.mjs'

/** Not in the folder of the other builds: other flags, and each would have the other compile everything again. */
const folder = `${targetDir}-fuzz`

/** Tells libFuzzer which branches an input takes and what is compared with what. */
const INSTRUMENTED = [
  '--cfg fuzzing',
  '-Cpasses=sancov-module',
  '-Ccodegen-units=1',
  '-Cdebug-assertions',
  ...['level=4', 'inline-8bit-counters', 'pc-table', 'trace-compares'].map(
    (what) => `-Cllvm-args=-sanitizer-coverage-${what}`,
  ),
].join(' ')

/** The longest input in bytes, the most memory in MB, and the most seconds that one input may take. */
const LIMITS = ['-max_len=8192', '-rss_limit_mb=2048', '-malloc_limit_mb=512', '-timeout=120']
const AT_ONCE = 2

export const targets = readdirSync(at('fuzz', 'src', 'bin')).map((file) => file.replace(/\.rs$/, ''))

/** Why the targets cannot be built here, if they cannot. */
export function cannotFuzz() {
  if (process.platform !== 'linux') return 'it runs on Linux'
  if (output('c++', ['--version']) === undefined) return 'there is no C++ compiler'
  return undefined
}

/** Builds the targets. @returns {Promise<(target: string) => string>} where the program of a target is */
async function buildTargets() {
  const host = /^host: (.*)$/m.exec(output('rustc', ['-vV']))[1]
  // With a target named, the flags are not those of build scripts.
  const args = ['build', '--release', '--bins', '--target', host, '--manifest-path', at('fuzz', 'Cargo.toml')]
  await must('cargo', args, { env: { CARGO_TARGET_DIR: folder, RUSTFLAGS: INSTRUMENTED } })
  return (target) => join(folder, host, 'release', target)
}

/**
 * Runs targets, two at a time, each for some seconds, from the inputs that earlier runs found.
 * @returns {Promise<string[]>} those that failed
 */
export async function fuzz(seconds, names = targets) {
  const program = await buildTargets()
  const waiting = [...names]
  const failed = []
  const worker = async () => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      if (!(await runTarget(name, program(name), seconds))) failed.push(name)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return failed
}

/** One line where all is well; else what libFuzzer says, with the file of the input. */
function runTarget(name, program, seconds) {
  const corpus = join(folder, 'corpus', name)
  mkdirSync(corpus, { recursive: true })
  const args = [
    ...LIMITS,
    `-max_total_time=${seconds}`,
    `-artifact_prefix=${join(folder, `${name}-`)}`,
    '-print_final_stats=1',
  ]
  return new Promise((resolve) => {
    const child = spawn(program, [...args, corpus], { stdio: ['ignore', 'ignore', 'pipe'] })
    let said = ''
    child.stderr.on('data', (chunk) => {
      said = (said + chunk).slice(-20_000)
    })
    child.on('error', (error) => {
      said += error.message
    })
    child.on('close', (code) => {
      const runs = /number_of_executed_units: (\d+)/.exec(said)?.[1]
      if (code !== 0) process.stdout.write(`${said}\n`)
      say(
        `Fuzz ${name}: ${code === 0 ? `${runs} inputs in ${seconds} s` : `FAILED; run ${program} with the file named above`}`,
      )
      resolve(code === 0)
    })
  })
}
