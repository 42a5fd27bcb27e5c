import { spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { at, root, targetDir } from './paths.mjs'

const environment = { ...process.env, CARGO_TARGET_DIR: targetDir }

/** A failure that is said in one sentence, with no stack. */
export class TaskError extends Error {}

export function say(text) {
  process.stdout.write(`\n\u25b8 ${text}\n`)
}

/**
 * Runs a command and shows its output as it comes.
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, shell?: boolean, onOutput?: (text: string) => void }} [options] `onOutput` is
 *   given standard output too, for the counts in it
 * @returns {Promise<number>} the exit code; 1 where it was ended by a signal or could not start
 */
export function run(command, args, { cwd = root, env, shell = false, onOutput } = {}) {
  return new Promise((resolve) => {
    const stdio = ['inherit', onOutput ? 'pipe' : 'inherit', 'inherit']
    const child = spawn(command, args, { cwd, env: { ...environment, ...env }, shell, stdio })
    child.stdout?.on('data', (chunk) => {
      process.stdout.write(chunk)
      onOutput(chunk.toString())
    })
    child.on('error', (error) => {
      process.stderr.write(`${command}: ${error.message}\n`)
      resolve(1)
    })
    child.on('close', (code, signal) => {
      if (signal) process.stderr.write(`${command} was ended by ${signal}\n`)
      resolve(code ?? 1)
    })
  })
}

/** Runs a command that has to succeed. */
export async function must(command, args, options) {
  const code = await run(command, args, options)
  if (code !== 0) throw new TaskError(`\`${[command, ...args].join(' ')}\` failed with exit code ${code}`)
}

/** What a command prints, or undefined where it fails or does not exist. */
export function output(command, args) {
  const { status, stdout } = spawnSync(command, args, { cwd: root, encoding: 'utf8', env: environment })
  return status === 0 ? stdout : undefined
}

/** Runs npm: by way of the JavaScript that runs this task, because on Windows `npm` itself is a shell script. */
export function npm(args, options) {
  const script = process.env.npm_execpath
  if (script?.endsWith('.js')) return must(process.execPath, [script, ...args], options)
  return must('npm', args, { ...options, shell: process.platform === 'win32' })
}

/** The command line of a development dependency's program, without a shell in between. */
export function bin(packageName, program) {
  const manifest = at('node_modules', packageName, 'package.json')
  const { bin: programs } = JSON.parse(readFileSync(manifest, 'utf8'))
  const script = typeof programs === 'string' ? programs : programs[program]
  return [process.execPath, join(dirname(manifest), script)]
}

/** Runs a development dependency's program. */
export function tool(packageName, program, args, options) {
  const [node, script] = bin(packageName, program)
  return run(node, [script, ...args], options)
}

export async function mustTool(packageName, program, args, options) {
  const code = await tool(packageName, program, args, options)
  if (code !== 0) throw new TaskError(`\`${program} ${args.join(' ')}\` failed with exit code ${code}`)
}
