// Each opens a store in a folder. All of them keep what was acknowledged when the process is killed, and none waits for the disk on
// a commit. `reads` and `writes` say 'sync' where the verb is done when it returns, 'async' where it gives a promise.
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { open } from 'lmdb'
import { Cache } from '../../dist/index.mjs'

/** tierce as it comes, but for the memory tier, which would answer the reads. */
const tierceWith = (options) => (folder) => {
  const cache = new Cache({ dir: join(folder, 'cache'), memory: false, ...options })
  return {
    reads: 'async',
    writes: 'async',
    get: (key) => cache.get(key),
    set: (key, value) => cache.set(key, value),
    getMany: (keys) => cache.getMany(keys),
    setMany: (entries) => cache.setMany(entries),
    deleteMany: (keys) => cache.deleteMany(keys),
    close: () => cache.close(),
  }
}

const tierceSyncWith = (options) => (folder) => {
  const cache = new Cache({ dir: join(folder, 'cache'), memory: false, ...options })
  return {
    reads: 'sync',
    writes: 'sync',
    get: (key) => cache.getSync(key),
    set: (key, value) => cache.setSync(key, value),
    close: () => cache.close(),
  }
}

/** The table that people write by hand: a key and a value, no expiry, no bound, no checksum. */
function betterSqlite(folder) {
  const db = new Database(join(folder, 'data.sqlite'))
  db.pragma('journal_mode = WAL')
  db.pragma('synchronous = NORMAL')
  db.exec('CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID')
  const select = db.prepare('SELECT value FROM entries WHERE key = ?').pluck()
  const upsert = db.prepare(
    'INSERT INTO entries VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
  )
  const setMany = db.transaction((entries) => {
    for (const [key, value] of entries) upsert.run(key, value)
  })
  const getMany = db.transaction((keys) => keys.map((key) => select.get(key)))
  const remove = db.prepare('DELETE FROM entries WHERE key = ?')
  const deleteMany = db.transaction((keys) => {
    for (const key of keys) remove.run(key)
  })
  return {
    reads: 'sync',
    writes: 'sync',
    get: (key) => select.get(key),
    set: (key, value) => upsert.run(key, value),
    getMany,
    setMany,
    deleteMany,
    close: () => db.close(),
  }
}

/** lmdb as it comes: a put is acknowledged when committed, and flushed in the background. Values are bytes for it too. */
function lmdb(folder) {
  const db = open({ path: join(folder, 'data.mdb'), encoding: 'binary' })
  const setMany = (entries) =>
    db.batch(() => {
      for (const [key, value] of entries) db.put(key, value)
    })
  const deleteMany = (keys) =>
    db.batch(() => {
      for (const key of keys) db.remove(key)
    })
  return {
    reads: 'sync',
    writes: 'async',
    get: (key) => db.getBinary(key),
    set: (key, value) => db.put(key, value),
    getMany: (keys) => db.getMany(keys),
    setMany,
    deleteMany,
    close: () => db.close(),
  }
}

const plain = { journal: false }

export const diskContenders = {
  tierce: tierceWith({}),
  'tierce sync': tierceSyncWith({}),
  'tierce without a journal': tierceWith(plain),
  'tierce sync without a journal': tierceSyncWith(plain),
  'better-sqlite3': betterSqlite,
  lmdb,
}
