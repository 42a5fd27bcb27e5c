import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { arch, cpus, loadavg, platform, release, tmpdir, totalmem } from 'node:os'

/** What the numbers were measured on, one fact a line. */
export function describeMachine(peers) {
  const processors = cpus()
  const facts = [
    `- ${new Date().toISOString().slice(0, 10)}, Node ${process.version}, ${platform()} ${release().split('.').slice(0, 2).join('.')} ${arch()}`,
    `- ${processors.length} x ${processors[0].model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB; temporary folder on ${fileSystem()}`,
    `- ${peers.map((name) => `${name} ${versionOf(name)}`).join(', ')}`,
  ]
  const [load] = loadavg()
  if (load > processors.length / 4)
    facts.push(`- **The machine was busy** (load ${load.toFixed(1)} at the start): measure again.`)
  return facts.join('\n')
}

function versionOf(name) {
  const url = new URL(`../node_modules/${name}/package.json`, import.meta.url)
  return JSON.parse(readFileSync(url, 'utf8')).version
}

function fileSystem() {
  const { status, stdout } = spawnSync('stat', ['-f', '-c', '%T', tmpdir()], { encoding: 'utf8' })
  return status === 0 ? stdout.trim() : 'an unknown file system'
}
