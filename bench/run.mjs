#!/usr/bin/env node
// One harness for all comparisons. It only measures and prints: nothing here, and no workload, is chosen by who wins.
import { fork } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { describeMachine } from './lib/machine.mjs'
import { markdown, summarize } from './lib/report.mjs'
import { workloads } from './workloads/index.mjs'

const here = (path) => fileURLToPath(new URL(path, import.meta.url))

const { values: given } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    rounds: { type: 'string' },
    quick: { type: 'boolean', default: false },
    output: { type: 'string', default: here('results/latest.md') },
    help: { type: 'boolean', default: false },
  },
})

const HELP = `node bench/run.mjs [options]

  --only PART     workloads with PART in their id; may be given more than once. Ids:
                  ${workloads.map(({ id }) => id).join(' ')}
  --rounds N      rounds (default 5)
  --quick         a tenth of the length, 2 rounds: to see that it works, not to compare
  --output FILE   where the Markdown goes (default bench/results/latest.md)
`

/** One contender on one workload, in a fresh process and a fresh folder. */
function measureOnce(workload, contender, scale) {
  const folder = mkdtempSync(join(tmpdir(), 'tierce-bench-'))
  return new Promise((resolve, reject) => {
    const child = fork(here('child.mjs'), { execArgv: ['--expose-gc'] })
    let result
    child.on('message', (message) => {
      result = message
    })
    child.on('error', reject)
    child.on('exit', (code, signal) => {
      if (code === 0 && result) resolve(result)
      else reject(new Error(`${contender} on ${workload.id} ended with ${signal ?? `exit code ${code}`}`))
    })
    child.send({ group: workload.group, id: workload.id, contender, scale, folder })
  }).finally(() => rmSync(folder, { recursive: true, force: true }))
}

/** All contenders in turn, round after round: A B C A B C, so that a slow minute of the machine hits all of them. */
async function measureWorkload(workload, rounds, scale) {
  const results = new Map(workload.contenders.map((contender) => [contender, []]))
  for (let round = 0; round < rounds * (workload.roundsFactor ?? 1); round += 1) {
    for (const [contender, found] of results) found.push(await measureOnce(workload, contender, scale))
  }
  return Object.entries(workload.rows).map(([key, title]) => {
    const figures = new Map(
      [...results].map(([contender, found]) => [contender, summarize(found.map((one) => one[key]))]),
    )
    return { group: workload.group, title, figures }
  })
}

async function main() {
  const scale = given.quick ? 0.1 : 1
  const rounds = Number(given.rounds ?? (given.quick ? 2 : 5))
  const chosen = workloads.filter(
    ({ id }) => given.only.length === 0 || given.only.some((part) => id.includes(part)),
  )
  if (chosen.length === 0 || !(rounds >= 1)) throw new Error(HELP)
  const machine = describeMachine([
    'lru-cache',
    'tiny-lru',
    'mnemonist',
    'flru',
    'better-sqlite3',
    'lmdb',
    'keyv',
    'cache-manager',
    'bentocache',
  ])
  const rows = []
  for (const workload of chosen) {
    process.stderr.write(`${workload.id} …\n`)
    rows.push(...(await measureWorkload(workload, rounds, scale)))
  }
  const text = markdown(rows, { machine, rounds, scale })
  process.stdout.write(text)
  mkdirSync(join(given.output, '..'), { recursive: true })
  writeFileSync(given.output, text)
}

if (given.help) process.stdout.write(HELP)
else await main()
