import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Cache, type CacheOptions } from 'tierce'
import { afterEach } from 'vitest'

const folders: string[] = []
const open: Cache[] = []

afterEach(async () => {
  for (const cache of open.splice(0)) await cache.close().catch(() => {})
  // Tried again where a cache that was dropped without a close is still at work.
  const options = { recursive: true, force: true, maxRetries: 20 }
  for (const folder of folders.splice(0)) rmSync(folder, options)
})

/** A new folder, removed after the test. */
export function tempDir(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tierce-test-'))
  folders.push(folder)
  return folder
}

/** Removes the log of a closed cache, all of which is in the database by then: what is changed there counts. */
export function dropLog(dir: string): void {
  for (const suffix of ['-wal', '-shm']) rmSync(join(dir, `tierce.db${suffix}`), { force: true })
}

/** A cache that is closed after the test. */
export function openCache(options?: CacheOptions): Cache {
  const cache = new Cache(options)
  open.push(cache)
  return cache
}
