// The main job: a compiler behind the cache. Compiles the JavaScript and TypeScript files of this project's installed
// dependencies down to minified ES5, three times, each in a process of its own: cold, warm, and after a change to one file.
//
//   node examples/compile.mjs [--files 600]
import { fork } from 'node:child_process'
import { createHash } from 'node:crypto'
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { transform } from '@swc/core'
import { Cache, wrap } from 'tierce'
import { copySources } from './lib/sources.mjs'
import { printTable, progress } from './lib/terminal.mjs'

const AT_ONCE = 8
const OPTIONS = {
  configFile: false,
  swcrc: false,
  isModule: 'unknown',
  minify: true,
  jsc: { target: 'es5', minify: { compress: true, mangle: true } },
}

const sha256 = (text) => createHash('sha256').update(text).digest('hex')

/** What the result depends on besides the arguments: a new compiler or another setting must not find old results. */
function version() {
  const { version: swc } = createRequire(import.meta.url)('@swc/core/package.json')
  return `${swc}-${sha256(JSON.stringify(OPTIONS)).slice(0, 16)}`
}

/** The costly function. All it reads is in its arguments, so the cache's key covers all that the result depends on. */
async function compile(source, extension) {
  const syntax = /^\.[mc]?ts$/.test(extension) ? 'typescript' : 'ecmascript'
  const { code } = await transform(source, { ...OPTIONS, jsc: { ...OPTIONS.jsc, parser: { syntax } } })
  return code
}

/** One run over all files; what a build tool's process would do. */
async function compileAll({ dir, files }) {
  const run = { calls: files.length, compiled: 0, refused: 0, digests: [], faults: [] }
  const cache = new Cache({ dir })
  // A fault of the cache breaks no call, so without a listener it would only be seen as a call that is compiled again.
  cache.on('error', (fault) => run.faults.push(fault.message))
  const counted = (...args) => {
    run.compiled += 1
    return compile(...args)
  }
  const cached = wrap(cache, counted, { name: 'compile', version: version() })

  const bar = progress(files.length)
  const todo = files.entries()
  const worker = async () => {
    for (const [index, file] of todo) {
      const code = await cached(readFileSync(file, 'utf8'), extname(file)).catch(() => undefined)
      // Not every file of a package is in a syntax that the compiler knows. A failure is not cached: it is tried again.
      if (code === undefined) run.refused += 1
      run.digests[index] = code === undefined ? null : sha256(code)
      bar.step()
    }
  }
  const start = performance.now()
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  run.ms = performance.now() - start
  bar.end()
  run.stats = await cache.stats()
  await cache.close()
  return run
}

/** A run in a new process, so that nothing but the directory carries anything over. */
function inProcess(name, job) {
  process.stdout.write(`\n${name}\n`)
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(import.meta.url))
    let run
    child.on('message', (message) => {
      run = message
    })
    child.on('error', reject)
    child.on('exit', (code, signal) => {
      if (code === 0 && run) resolve({ name, ...run })
      else reject(new Error(`The ${name} run ended with ${signal ?? `exit code ${code}`}`))
    })
    child.send(job)
  })
}

function report(runs) {
  const rows = runs.map(({ name, calls, compiled, ms, stats }) => [
    name,
    calls,
    calls - compiled,
    `${(ms / 1000).toFixed(2)} s`,
    `${(runs[0].ms / ms).toFixed(1)} x`,
    `${Math.round(stats.storedSize / 1000).toLocaleString('en')} kB`,
    (stats.size / stats.storedSize).toFixed(2),
  ])
  printTable(['run', 'calls', 'hits', 'time', 'speed-up', 'stored', 'raw / stored'], rows)
}

function verify([cold, warm, touched], changed) {
  const differing = (run) =>
    run.digests.flatMap((digest, index) => (digest === cold.digests[index] ? [] : [index]))
  const claims = [
    ['the cache reported no fault', cold.faults.length + warm.faults.length + touched.faults.length === 0],
    ['the cold run compiled every file', cold.compiled === cold.calls],
    ['nearly every file was one for the compiler', cold.refused < cold.calls / 20],
    ['the warm run compiled nothing again', warm.compiled === cold.refused],
    ['warm output equals cold output, bit for bit', differing(warm).length === 0],
    [
      'after a change to one file that file was compiled, and no other',
      touched.compiled === cold.refused + 1,
    ],
    ['and only its output is another', String(differing(touched)) === String([changed])],
  ]
  process.stdout.write('\n')
  for (const [claim, holds] of claims) {
    process.stdout.write(`${holds ? 'ok    ' : 'FAILED'} ${claim}\n`)
    if (!holds) process.exitCode = 1
  }
  const [fault] = [cold, warm, touched].flatMap(({ faults }) => faults)
  if (fault) process.stdout.write(`The first fault: ${fault}\n`)
}

async function main(limit) {
  const home = mkdtempSync(join(tmpdir(), 'tierce-compile-'))
  try {
    const { files, bytes } = copySources(limit, join(home, 'sources'))
    process.stdout.write(`${files.length} files, ${(bytes / 1e6).toFixed(1)} MB, to minified ES5\n`)
    const job = { dir: join(home, 'cache'), files }
    const runs = [await inProcess('cold', job), await inProcess('warm', job)]
    const changed = runs[0].digests.findIndex((digest) => digest !== null)
    appendFileSync(files[changed], '\nglobalThis.changed = true;\n')
    runs.push(await inProcess('one file changed', job))
    report(runs)
    verify(runs, changed)
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
}

if (process.send) {
  process.once('message', async (job) => {
    process.send(await compileAll(job))
    process.disconnect()
  })
} else {
  const { values } = parseArgs({ options: { files: { type: 'string', default: '600' } } })
  await main(Number(values.files))
}
