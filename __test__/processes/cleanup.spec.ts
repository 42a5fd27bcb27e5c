import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { runScript } from '../helpers/child.js'
import { openCache, tempDir } from '../helpers/temp.js'

const EXPIRED = 10_000
const refresher = fileURLToPath(new URL('refresher.mjs', import.meta.url))

it('a_cleanup_of_ten_thousand_beside_a_writer_removes_nothing_live_and_fails_no_write', async () => {
  const dir = join(tempDir(), 'cache')
  const cache = openCache({ dir, memory: false })
  const keys = Array.from({ length: EXPIRED }, (_, at) => at)
  await cache.setMany(
    keys.map((at) => [`expired:${at}`, `old ${at}`]),
    { ttl: 1 },
  )
  const left = Array.from({ length: 1000 }, (_, at) => [`left:${at}`, at] as const) // the writer does not
  await cache.setMany(left, { ttl: 1 })
  await cache.setMany(Array.from({ length: 100 }, (_, at) => [`live:${at}`, at] as const))
  await sleep(5)

  const writer = runScript(refresher, [dir, EXPIRED])
  await writer.said('writing')
  let removed = 0
  for (let round = 0; round < 5; round++) removed += await cache.cleanup()
  writer.process.stdin.end('stop\n')
  const report = await writer.done // fails where one of its writes did
  expect(Number.parseInt(report.at(-1) ?? '', 10)).toBeGreaterThan(0)
  expect(removed).toBeGreaterThanOrEqual(left.length)

  await cache.cleanup()
  const found = await cache.getMany(keys.map((at) => `expired:${at}`))
  for (const [at, value] of found.entries()) expect([undefined, `again ${at}`]).toContain(value)
  expect(await cache.expiredCount()).toBe(0)
  expect(await cache.getMany(keys.slice(0, 100).map((at) => `live:${at}`))).toEqual(keys.slice(0, 100))
  const wrote = Number.parseInt(report.at(-1) ?? '', 10) / 22
  const rewritten = Math.min(wrote * 20, EXPIRED)
  expect(found.filter((value) => value !== undefined)).toHaveLength(rewritten)
  const added = await cache.getMany(Array.from({ length: wrote }, (_, at) => `new:${at}`))
  expect(added).toEqual(Array.from({ length: wrote }, (_, at) => at))
  expect((await cache.check()).problems).toEqual([])
})
