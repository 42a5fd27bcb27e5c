// Makes each asynchronous call of the binding panic on the thread pool, and prints "name code".
//
// The pool has one thread. It hangs in opening a pipe while a call is queued and the panic armed, so that the panic meets the
// call's work and not its checks on the JavaScript thread.
import { execFileSync } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const { NativeDisk, forcePanic, hashContent, openDatabase } = createRequire(import.meta.url)('../../index.js')
const folder = process.argv[2]
const now = Date.now()
const write = Buffer.alloc(24)
write[0] = 3 // clear

const CALLS = {
  read: (disk) => disk.read(Buffer.from('key'), now),
  readMany: (disk) => disk.readMany(Buffer.alloc(0), true, now),
  write: (disk) => disk.write(write, [], now),
  map: (disk) => disk.map(Buffer.from('key'), now),
  page: (disk) => disk.page({ limit: 10, expiring: false }, now),
  readStream: (disk) => disk.readStream(Buffer.from('key'), now),
  backup: (disk) => disk.backup(join(folder, 'copy'), now),
  save: (disk) => disk.save(join(folder, 'saved'), now),
  load: (disk) => disk.load(join(folder, 'saved'), true, undefined, now),
  check: (disk) => disk.check(false, now),
  stats: (disk) => disk.stats(now),
  cleanup: (disk) => disk.cleanup(10, now),
  query: (disk) => disk.query('SELECT 1', Buffer.alloc(0), now),
  validity: (disk) => disk.validity(now),
  hashContent: () => hashContent([{ path: folder, isDirectory: true, hash: 'xxh3' }]),
  openDatabase: () => openDatabase(join(folder, 'other.db'), 1000),
  databaseWrite: () => database.write([{ sql: 'CREATE TABLE t (a)' }]),
  databaseQuery: () => database.query('SELECT 1', []),
  databaseClose: () => database.close(),
  close: (disk) => disk.close(),
}
const database = await openDatabase(join(folder, 'table.db'), 1000)

for (const [name, call] of Object.entries(CALLS)) {
  const disk = new NativeDisk(join(folder, name), {}, Buffer.alloc(1000), Buffer.alloc(1000), now)
  const pipe = join(folder, `${name}.pipe`)
  execFileSync('mkfifo', [pipe])
  const reader = open(pipe, 'r') // takes the thread until somebody writes
  const done = call(disk).then(
    () => 'no-error',
    (error) => (error instanceof Error ? error.code : typeof error),
  )
  forcePanic()
  const writer = openSync(pipe, 'w')
  await (await reader).close()
  closeSync(writer)
  console.log(`${name} ${await done}`)
  // The object goes on.
  if (name !== 'close' && (await disk.stats(now)).entries !== 0) throw new Error(`${name} broke the object`)
}
