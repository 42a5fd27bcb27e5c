import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

const product = new URL('../../dist/index.mjs', import.meta.url).href
const resolved = (name) => import.meta.resolve(name)

// What a program's start costs.
const imports = {
  tierce: () => `await import('${product}')`,
  'an empty module': () => `await import('data:text/javascript,')`,
  'lru-cache': () => `await import('${resolved('lru-cache')}')`,
}

// tierce loads its addon when a directory is opened, better-sqlite3 likewise: the import alone would say too little.
const openings = {
  tierce: (folder) =>
    `const { Cache } = await import('${product}'); new Cache({ dir: ${JSON.stringify(join(folder, 'cache'))} })`,
  'better-sqlite3': (folder) =>
    `const { default: Database } = await import('${resolved('better-sqlite3')}'); new Database(${JSON.stringify(join(folder, 'db'))})`,
  lmdb: (folder) =>
    `const { open } = await import('${resolved('lmdb')}'); open({ path: ${JSON.stringify(join(folder, 'db'))} })`,
}

/** One fresh process: the time in it from before the import to after the last statement. */
function timeOf(program) {
  const script = `const cpu = process.cpuUsage(); const start = process.hrtime.bigint(); ${program}
    const wall = Number(process.hrtime.bigint() - start); const { user, system } = process.cpuUsage(cpu)
    process.stdout.write(JSON.stringify({ wall, cpu: (user + system) * 1000, ops: 1 })); process.exit(0)`
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(stderr)
  return JSON.parse(stdout)
}

const describe = (id, programs, title) => ({
  id,
  group: 'import',
  contenders: Object.keys(programs),
  run: ({ contender, folder }) => ({ time: timeOf(programs[contender](folder)) }),
  rows: { time: title },
  // One short process says little: many of them do.
  roundsFactor: 4,
})

export const workloads = [
  describe('import', imports, 'import'),
  describe('import-open', openings, 'import, and open a store in an empty folder'),
]
