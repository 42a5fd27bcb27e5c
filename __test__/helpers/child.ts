import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

/** A script in a process of its own. */
export interface Child {
  process: ChildProcessWithoutNullStreams
  /** Whole lines of its output so far. */
  lines: string[]
  /** Resolves with the lines when it ends as it should, rejects with what it wrote to stderr if not. */
  done: Promise<string[]>
  /** Resolves when it has written this line. */
  said(line: string): Promise<void>
}

/** Runs a script of this folder's neighbours. No `--loader`s of the test runner are handed down. */
export function runScript(script: string, args: readonly unknown[] = [], env: NodeJS.ProcessEnv = {}): Child {
  const { NODE_OPTIONS: _, ...rest } = process.env
  const child = spawn(process.execPath, [script, ...args.map(String)], { env: { ...rest, ...env } })
  return watch(child)
}

export function watch(child: ChildProcessWithoutNullStreams): Child {
  const lines: string[] = []
  const waiting = new Map<string, () => void>()
  let errors = ''
  child.stderr.on('data', (chunk) => {
    errors += chunk
  })
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line)
    waiting.get(line)?.()
  })
  const done = new Promise<string[]>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      if (code === 0) resolve(lines)
      else
        reject(
          new Error(`the child ended with ${signal ?? code}:\n${errors}\n${lines.slice(-20).join('\n')}`),
        )
    })
  })
  done.catch(() => {}) // whoever kills it expects that
  const said = (line: string) => {
    if (lines.includes(line)) return Promise.resolve()
    return new Promise<void>((resolve, reject) => {
      waiting.set(line, resolve)
      done.then(
        () => (lines.includes(line) ? resolve() : reject(new Error(`the child never said ${line}`))),
        reject,
      )
    })
  }
  return { process: child, lines, done, said }
}
