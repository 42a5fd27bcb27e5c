import { median } from './measure.mjs'

/**
 * What one contender did in one row: medians over the rounds.
 * @typedef {{ wall: number, cpu: number, spread: number, hitRatio?: number }} Figure nanoseconds an operation
 */

/** @returns {Figure} */
export function summarize(results) {
  const walls = results.map(({ wall, ops }) => wall / ops)
  const wall = median(walls)
  const spread = (Math.max(...walls) - Math.min(...walls)) / wall
  return {
    wall,
    cpu: median(results.map(({ cpu, ops }) => cpu / ops)),
    spread,
    hitRatio: results[0].hitRatio,
  }
}

const TITLES = {
  memory: 'Memory tier of `Cache`',
  'memory-cache': '`MemoryCache`',
  calls: 'Call caching',
  shared: '`SharedMemoryCache`',
  disk: 'Disk',
  management: 'Looking after a cache',
  metadata: 'Queries of metadata',
  tables: 'Tables',
  import: 'Start',
}

/**
 * The ratios, then the figures that they come from.
 * @param {{ group: string, title: string, figures: Map<string, Figure> }[]} rows
 */
export function markdown(rows, { machine, rounds, scale }) {
  const groups = [...new Set(rows.map(({ group }) => group))]
  const sections = groups.map((group) =>
    section(
      group,
      rows.filter((row) => row.group === group),
    ),
  )
  return `# tierce against its peers

${machine}
- Each contender runs in a fresh process, in turn with the others; medians over ${rounds} rounds${scale === 1 ? '' : `, at ${scale} of the full length`}.

A ratio is the peer's time an operation divided by tierce's: 2.00 says that tierce takes half the time, 0.50 that it takes
twice the time. In parentheses is the same of CPU time, all threads together. What is measured is in \`bench/workloads\` and
\`bench/contenders\`.

${sections.join('\n\n')}
`
}

function section(group, rows) {
  const names = [...new Set(rows.flatMap(({ figures }) => [...figures.keys()]))]
  const own = names.filter((name) => name.startsWith('tierce'))
  const peers = names.filter((name) => !own.includes(name))
  const ratios = rows.flatMap(({ title, figures }) =>
    own
      .filter((name) => figures.has(name))
      .map((name) => [title, name, ...peers.map((peer) => ratio(figures.get(peer), figures.get(name)))]),
  )
  const details = rows.flatMap(({ title, figures }) =>
    [...figures].map(([name, figure]) => [title, name, ...cells(figure)]),
  )
  const tables = [
    `## ${TITLES[group]}`,
    table(['', 'form', ...peers.map((peer) => `against ${peer}`)], ratios),
    `<details><summary>Figures</summary>`,
    table(['', 'contender', 'time', 'CPU time', 'spread', 'hit ratio'], details),
    '</details>',
  ]
  return tables.join('\n\n')
}

function ratio(peer, own) {
  if (peer === undefined) return ''
  return `${(peer.wall / own.wall).toFixed(2)} (${(peer.cpu / own.cpu).toFixed(2)})`
}

function cells({ wall, cpu, spread, hitRatio }) {
  const hits = hitRatio === undefined ? '' : `${(hitRatio * 100).toFixed(1)} %`
  return [duration(wall), duration(cpu), `${Math.round(spread * 100)} %`, hits]
}

function duration(ns) {
  if (ns < 1000) return `${ns.toFixed(0)} ns`
  return ns < 1e6 ? `${(ns / 1000).toFixed(2)} µs` : `${(ns / 1e6).toFixed(2)} ms`
}

function table(heads, rows) {
  const lines = [heads, heads.map((_, column) => (column < 2 ? '---' : '---:')), ...rows]
  return lines.map((row) => `| ${row.join(' | ')} |`).join('\n')
}
