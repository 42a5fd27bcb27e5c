#!/usr/bin/env node
// The tasks of package.json's scripts. Each does all its set-up on a machine that has Node, npm and a Rust toolchain, so nothing
// here may import a package: this runs before any is installed.
import { build, buildAddon, buildColumnar, buildTypeScript } from './lib/build.mjs'
import { fuzz, targets } from './lib/fuzz.mjs'
import { lint } from './lib/lint.mjs'
import { at } from './lib/paths.mjs'
import { createPlatformFolders, PACKAGES } from './lib/platforms.mjs'
import { must, TaskError } from './lib/run.mjs'
import { checkToolchain, installPackages } from './lib/setup.mjs'
import { runners, runTests } from './lib/tests.mjs'

const tasks = {
  start: {
    help: 'build, then run the main job on real input: a compiler behind the cache',
    async run(args) {
      await build()
      await must(process.execPath, [at('examples', 'compile.mjs'), ...args])
    },
  },
  test: {
    help: `build, then run every test, or the named runners: ${Object.keys(runners).join(' ')}`,
    async run(args) {
      const unknown = args.find((name) => !(name in runners))
      if (unknown)
        throw new TaskError(`No runner '${unknown}'. There are: ${Object.keys(runners).join(', ')}`)
      await build()
      if (!(await runTests(args))) process.exitCode = 1
    },
  },
  build: {
    help: 'the addons and the TypeScript layer; --profile dist for what gets published, --target TRIPLE [napi flags] for one addon of a platform, --columnar for that of @tierce/columnar',
    run: buildTask,
  },
  platforms: {
    help: 'the platform packages without their binaries, anew from the manifests: npm/ and packages/columnar/npm',
    async run() {
      await installPackages()
      for (const folder of PACKAGES) createPlatformFolders(folder, at(folder, 'npm'))
    },
  },
  fuzz: {
    help: `fuzz the decoders of the Rust crate: [seconds of each] [targets]; targets: ${targets.join(', ')}`,
    async run([seconds = '30', ...names]) {
      const unknown = names.find((name) => !targets.includes(name))
      if (unknown || !(Number(seconds) > 0))
        throw new TaskError(`Give seconds and targets, of which there are: ${targets.join(', ')}`)
      checkToolchain()
      const failed = await fuzz(Number(seconds), names.length > 0 ? names : targets)
      if (failed.length > 0) throw new TaskError(failed.join(', '))
    },
  },
  lint: {
    help: 'build, then formatting, lints, types and the staleness of the generated binding',
    async run() {
      await build()
      if (!(await lint())) process.exitCode = 1
    },
  },
  bench: {
    help: 'build, then print the table of ratios against peers; options as in bench/README.md',
    async run(args) {
      await build()
      await installPackages(at('bench'))
      await must(process.execPath, [at('bench', 'run.mjs'), ...args])
    },
  },
}

/** Another platform's addon cannot be loaded here, so the TypeScript layer is left out then. */
async function buildTask(args) {
  const columnar = args.includes('--columnar')
  const options = { flags: args.filter((flag) => flag !== '--columnar') }
  for (const name of ['profile', 'target']) {
    const index = options.flags.indexOf(`--${name}`)
    if (index >= 0) options[name] = options.flags.splice(index, 2)[1]
  }
  checkToolchain()
  await installPackages()
  if (!columnar) await buildAddon(options)
  if (columnar || !options.target) await buildColumnar(options)
  if (columnar || options.target) return
  await buildTypeScript()
}

const [name, ...args] = process.argv.slice(2)
const task = Object.hasOwn(tasks, name ?? '') ? tasks[name] : undefined
if (!task) {
  const lines = Object.entries(tasks).map(([key, { help }]) => `  ${key.padEnd(6)} ${help}`)
  process.stdout.write(`node scripts/task.mjs <task>\n\n${lines.join('\n')}\n`)
  process.exit(name === undefined ? 0 : 2)
}
try {
  await task.run(args)
} catch (error) {
  process.stderr.write(`\n${error instanceof TaskError ? `FAILED ${name}: ${error.message}` : error.stack}\n`)
  process.exitCode = 1
}
