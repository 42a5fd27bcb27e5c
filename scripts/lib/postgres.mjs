// A private PostgreSQL server for tests and benchmarks: its files in a temporary folder, on a Unix socket and nothing else, ended by
// its process id.
import { execFileSync, spawn } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { delimiter, join } from 'node:path'

/** Where the programs are: in PATH, or where Debian's packages put them, the newest version first. */
function findPrograms() {
  const debian = '/usr/lib/postgresql'
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : []
  const folders = [
    ...versions.map((version) => join(debian, version, 'bin')),
    ...(process.env.PATH ?? '').split(delimiter),
  ]
  return folders.find((folder) => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres')))
}

/** The user that runs the server: PostgreSQL refuses root. `undefined` where there is none. */
function findUser() {
  if (process.getuid() !== 0) return { name: userInfo().username }
  for (const name of ['postgres', 'nobody']) {
    try {
      const id = (flag) =>
        Number(execFileSync('id', [flag, name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }))
      return { name, uid: id('-u'), gid: id('-g') }
    } catch {}
  }
  return undefined
}

/** Why no server can be started here, or `undefined`. */
export function whyNoPostgres() {
  if (process.platform === 'win32') return 'PostgreSQL is not started on Windows'
  if (findPrograms() === undefined)
    return 'PostgreSQL is not installed (on Debian: apt-get install postgresql)'
  if (findUser() === undefined) return 'there is no user beside root to run PostgreSQL'
  return undefined
}

/**
 * Starts a server.
 * @returns {Promise<{ url: string, pid: number, stop: () => Promise<void> }>} `stop` ends it and removes its files
 */
export async function startPostgres() {
  const why = whyNoPostgres()
  if (why !== undefined) throw new Error(why)
  const [bin, { name, ...ids }] = [findPrograms(), findUser()]
  const home = mkdtempSync(join(tmpdir(), 'tierce-pg-'))
  const data = join(home, 'data')
  mkdirSync(data)
  chmodSync(home, 0o755)
  if (ids.uid !== undefined) for (const folder of [home, data]) chownSync(folder, ids.uid, ids.gid)
  const options = { ...ids, cwd: home, env: { PATH: process.env.PATH, LC_ALL: 'C.UTF-8', HOME: home } }
  const remove = () => rmSync(home, { recursive: true, force: true })
  try {
    const settings = ['--auth=trust', '--no-sync', '--username=tierce', '--encoding=UTF8', '--no-locale']
    execFileSync(join(bin, 'initdb'), ['-D', data, ...settings], { ...options, stdio: 'pipe' })
  } catch (error) {
    remove()
    throw new Error(`initdb failed as ${name}: ${error.stderr ?? error.message}`)
  }
  const args = [
    '-D',
    data,
    '-k',
    home,
    '-c',
    'listen_addresses=',
    '-c',
    'fsync=off',
    '-c',
    'shared_buffers=32MB',
  ]
  const server = spawn(join(bin, 'postgres'), args, { ...options, stdio: ['ignore', 'ignore', 'pipe'] })
  const ended = new Promise((resolve) => server.once('exit', resolve))
  const stop = async () => {
    process.off('exit', kill)
    server.kill('SIGINT') // fast shutdown: connections are ended
    await ended
    remove()
  }
  // Whatever ends this process: no server stays behind.
  const kill = () => server.kill('SIGQUIT')
  process.on('exit', kill)
  try {
    await ready(server)
  } catch (error) {
    await stop()
    throw error
  }
  server.stderr.resume()
  server.stderr.unref?.()
  server.unref()
  return {
    url: `postgresql://tierce@localhost/postgres?host=${encodeURIComponent(home)}`,
    pid: server.pid,
    stop,
  }
}

/** Resolves when the server takes connections. */
function ready(server) {
  return new Promise((resolve, reject) => {
    let log = ''
    const fail = () => reject(new Error(`PostgreSQL did not start:\n${log}`))
    const late = setTimeout(fail, 60_000)
    server.once('exit', fail)
    server.once('error', reject)
    server.stderr.on('data', (chunk) => {
      log += chunk
      if (!log.includes('ready to accept connections')) return
      clearTimeout(late)
      server.off('exit', fail)
      resolve()
    })
  })
}
