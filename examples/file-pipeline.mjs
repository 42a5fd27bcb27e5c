// A pipeline of which each step is keyed by the content of the files it reads: raw logs -> counts a day -> one report.
// A step runs again only where its input really changed: not for another name, another time or another folder.
//
//   node examples/file-pipeline.mjs
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Cache, directory, file } from 'tierce'
import { printTable } from './lib/terminal.mjs'

const home = mkdtempSync(join(tmpdir(), 'tierce-pipeline-'))
const logs = join(home, 'logs')
const ran = { count: 0, report: 0 }

/** Step 1, a file: how often each path was asked for. */
function count(path) {
  ran.count += 1
  const counts = new Map()
  for (const line of readFileSync(path, 'utf8').split('\n').filter(Boolean)) {
    const [, page] = line.split(' ')
    counts.set(page, (counts.get(page) ?? 0) + 1)
  }
  return counts
}

/** Step 2, the folder: the sum of all days. */
async function report(cache, folder) {
  ran.report += 1
  const total = new Map()
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    const counts = await cache.getOrSet({ step: 'count', log: file(path) }, () => count(path))
    for (const [page, hits] of counts) total.set(page, (total.get(page) ?? 0) + hits)
  }
  return [...total].sort(([, a], [, b]) => b - a)
}

/** The whole pipeline, in a cache that is opened anew: nothing but the directory carries anything over. */
async function run(name, folder) {
  Object.assign(ran, { count: 0, report: 0 })
  const cache = new Cache({ dir: join(home, 'cache') })
  const result = await cache.getOrSet({ step: 'report', logs: directory(folder) }, () =>
    report(cache, folder),
  )
  await cache.close()
  return { name, result: JSON.stringify(result), ...ran }
}

function makeLogs() {
  mkdirSync(logs)
  for (let day = 1; day <= 10; day += 1) {
    const lines = Array.from({ length: 2000 }, (_, hit) => `2024-01-${day} /page/${(hit * hit + day) % 17}`)
    writeFileSync(join(logs, `day-${day}.log`), lines.join('\n'))
  }
}

try {
  makeLogs()
  const runs = [await run('first', logs), await run('again', logs)]
  for (const name of readdirSync(logs)) utimesSync(join(logs, name), new Date(), new Date())
  runs.push(await run('files touched', logs))
  cpSync(logs, join(home, 'copy'), { recursive: true })
  runs.push(await run('a copy of the folder', join(home, 'copy')))
  renameSync(join(logs, 'day-3.log'), join(logs, 'day-three.log'))
  runs.push(await run('a file renamed', logs))
  writeFileSync(join(logs, 'day-3.log'), '2024-01-03 /page/new\n')
  runs.push(await run('a file added', logs))

  printTable(
    ['run', 'files counted', 'reports made'],
    runs.map((one) => [one.name, one.count, one.report]),
  )
  const expected = { first: [10, 1], again: [0, 0], 'files touched': [0, 0], 'a copy of the folder': [0, 0] }
  // A name is part of a folder's content, but not of a file's.
  Object.assign(expected, { 'a file renamed': [0, 1], 'a file added': [1, 1] })
  for (const one of runs) {
    const [counted, reported] = expected[one.name]
    const holds = one.count === counted && one.report === reported
    const same =
      one.name === 'a file added' ? one.result.includes('/page/new') : one.result === runs[0].result
    if (holds && same) continue
    console.log(`FAILED ${one.name}: expected ${counted} files and ${reported} reports`)
    process.exitCode = 1
  }
} finally {
  rmSync(home, { recursive: true, force: true })
}
