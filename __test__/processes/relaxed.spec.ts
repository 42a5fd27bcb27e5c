/** `durability: 'relaxed'`: what its promise is, and what not. */
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { runScript } from '../helpers/child.js'
import { openCache, tempDir } from '../helpers/temp.js'
import { check } from './values.mjs'

const ROUNDS = Number(process.env.TIERCE_KILL_ROUNDS ?? 50)
const script = fileURLToPath(new URL('relaxed.mjs', import.meta.url))
const MANY = 1_000_000

it.each(['exit', 'close', 'nothing'])('everything_is_there_after_%s', async (end) => {
  const dir = tempDir()
  await runScript(script, [dir, 0, 777, end]).done
  const cache = openCache({ dir })
  expect((await cache.stats()).entries).toBe(777)
  for (let number = 0; number < 777; number++) {
    const key = `key-${number}`
    expect(check(key, await cache.get(key))).toBe(number)
  }
})

it('a_kill_may_lose_the_newest_sets_and_nothing_before_them', async () => {
  const dir = tempDir()
  let kept = 0
  for (let round = 0; round < ROUNDS; round++) {
    const child = runScript(script, [dir, kept, MANY, 'kill'])
    await child.said(`set ${100 * Math.ceil(kept / 100)}`)
    await new Promise((resolve) => setTimeout(resolve, 20 + ((round * 53) % 170)))
    child.process.kill('SIGKILL')
    await once(child.process, 'close')
    const cache = openCache({ dir })
    const before = kept
    while (await cache.has(`key-${kept}`)) kept++
    for (let number = before; number < kept; number++) {
      expect(check(`key-${number}`, await cache.get(`key-${number}`))).toBe(number)
    }
    expect((await cache.stats()).entries).toBe(kept) // none behind the first that is missing
    await cache.close()
  }
  expect(kept).toBeGreaterThan(0)
})

it('a_read_sees_what_was_set_before_it', async () => {
  const cache = openCache({ dir: tempDir(), durability: 'relaxed', memory: false })
  for (let number = 0; number < 200; number++) {
    await cache.set('key', number)
    expect(await cache.get('key')).toBe(number)
    await cache.set('other', number)
    expect(cache.getSync('other')).toBe(number)
    if (number % 5 === 0) expect(await cache.delete('other')).toBe(true)
  }
  await Promise.all(Array.from({ length: 300 }, (_, n) => cache.set(n, Buffer.alloc(1000, n % 256))))
  expect((await cache.stats()).entries).toBe(301 + ((await cache.has('other')) ? 1 : 0))
})

it('a_set_that_fails_later_is_an_event', async () => {
  const cache = openCache({ dir: tempDir(), durability: 'relaxed', maxSize: '1MiB', codec: 'none' })
  const told: string[] = []
  cache.on('error', (event: { code: string }) => told.push(event.code))
  await cache.set('large', Buffer.alloc(3 << 20))
  await cache.set('small', 1)
  await cache.close()
  expect(told).toContain('E_VALUE_TOO_LARGE')
})
