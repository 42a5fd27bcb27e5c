// Scenarios on a small file system of one's own: `node mounted.mjs <scenario> <mount point>` prints what happened as JSON.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Cache } from '../../dist/index.mjs'

const [scenario, mount] = process.argv.slice(2)
const dir = join(mount, 'cache')
const entry = new URL('../../dist/index.mjs', import.meta.url).href

async function outcome(run) {
  try {
    return { value: await run() }
  } catch ({ name, code, message, context }) {
    return { name, code, message, context }
  }
}

/** Bytes that do not compress and tell whose they are. */
const value = (index, size) =>
  Buffer.from(Array.from({ length: size }, (_, at) => (Math.imul(at + index, 2654435761) >>> 13) & 255))

/** Stores until something fails. */
async function fill(cache, size, store) {
  for (let index = 0; index < 10_000; index++) {
    const result = await outcome(() => store(cache, `${size}-${index}`, value(index, size)))
    if (result.code !== undefined) return { ...result, stored: index }
  }
  return { stored: 10_000 }
}

async function wrong(cache, size, count) {
  const bad = []
  for (let index = 0; index < count; index++) {
    const read = await outcome(() => cache.get(`${size}-${index}`))
    if (!read.value?.equals(value(index, size))) bad.push(`${size}-${index}: ${read.code ?? 'miss or wrong'}`)
  }
  return bad
}

const SCENARIOS = {
  async full() {
    writeFileSync(join(mount, 'hog'), Buffer.alloc(500_000))
    const cache = new Cache({ dir, memory: false, codec: 'none' })
    const faults = []
    cache.on('error', ({ code }) => faults.push(code))
    const files = await fill(cache, 100_000, (at, key, data) => at.set(key, data))
    const rows = await fill(cache, 2000, (at, key, data) => at.setSync(key, data))
    const lost = [...(await wrong(cache, 100_000, files.stored)), ...(await wrong(cache, 2000, rows.stored))]
    faults.length = 0
    const loaded = await outcome(() => cache.getOrSet('loaded', () => value(0, 100_000).length))
    const big = await outcome(async () => (await cache.getOrSet('big', () => value(0, 300_000))).length)
    const told = [...faults]
    rmSync(join(mount, 'hog'))
    const roomy = await outcome(() => cache.clear())
    const again = await outcome(async () => {
      await cache.set('again', value(1, 50_000))
      return (await cache.get('again')).equals(value(1, 50_000))
    })
    const closed = await outcome(() => cache.close())
    return { files, rows, lost, loaded, big, told, roomy, again, closed }
  },

  async clearOnFull() {
    const cache = new Cache({ dir, memory: false, codec: 'none' })
    await fill(cache, 100_000, (at, key, data) => at.set(key, data))
    await fill(cache, 2000, (at, key, data) => at.setSync(key, data))
    const cleared = await outcome(() => cache.clear())
    return { cleared, again: await outcome(() => cache.set('again', 1)) }
  },

  /** Sixty-four sets at once until some are refused; then what was stored is deleted. */
  async crowdOnFull() {
    const unhandled = []
    process.on('unhandledRejection', (why) => unhandled.push(String(why)))
    const found = {}
    for (const durability of ['process', 'relaxed']) {
      const cache = new Cache({ dir: join(mount, durability), codec: 'none', durability })
      const told = []
      cache.on('error', ({ code }) => told.push(code))
      const [stored, refused, wrong] = [[], [], []]
      for (let round = 0; round < 80 && refused.length === 0 && told.length === 0; round++) {
        const keys = Array.from({ length: 64 }, (_, index) => `${round}-${index}`)
        const outcomes = await Promise.all(
          keys.map((key, index) => outcome(() => cache.set(key, value(index, 1000)))),
        )
        await new Promise(setImmediate) // for what is told behind
        for (const [index, { value: _, ...why }] of outcomes.entries()) {
          if (why.code === undefined) stored.push(keys[index])
          else refused.push({ key: keys[index], ...why })
        }
      }
      for (const { key } of refused) if ((await cache.get(key)) !== undefined) wrong.push(key)
      for (const key of stored.filter((_, index) => durability === 'process' || index % 8 === 0)) {
        const held = await outcome(() => cache.has(key))
        // What is acknowledged early may be what the event told of.
        const gone = await outcome(() => cache.delete(key))
        if (gone.code !== undefined || (durability === 'process' && !(held.value && gone.value)))
          wrong.push([key, held, gone])
      }
      const again = await outcome(() => cache.set('again', 1))
      const closed = await outcome(() => cache.close())
      found[durability] = { stored: stored.length, refused, wrong, told: [...new Set(told)], again, closed }
      rmSync(join(mount, durability), { recursive: true })
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
    return { ...found, unhandled }
  },

  /** Nothing is free when the directory is opened. */
  async fullAtOpen() {
    const hog = join(mount, 'hog')
    mkdirSync(dir)
    const filled = await outcome(() => {
      for (let size = 1 << 20; size >= 512; size /= 2) {
        try {
          for (let count = 0; ; count++) writeFileSync(`${hog}-${size}-${count}`, Buffer.alloc(size))
        } catch (error) {
          if (error.code !== 'ENOSPC') throw error
        }
      }
    })
    const opened = await outcome(() => new Cache({ dir }))
    execFileSync('sh', ['-c', 'rm "$1"/hog-*', 'sh', mount])
    const later = await outcome(async () => {
      const cache = new Cache({ dir })
      await cache.set('a', 1)
      return cache.get('a')
    })
    return { filled, opened, later }
  },

  async readOnly() {
    // In a process of its own: what is mapped for writing here would keep the file system writable.
    const first = `import { Cache } from ${JSON.stringify(entry)}; new Cache({ dir: ${JSON.stringify(dir)} }).setSync('a', 1)`
    execFileSync(process.execPath, ['--input-type=module', '-e', first])
    execFileSync('mount', ['-o', 'remount,ro', mount])
    const existing = await outcome(() => new Cache({ dir }))
    const missing = await outcome(() => new Cache({ dir: join(mount, 'other') }))
    const inside = existsSync(join(mount, 'other'))
    execFileSync('mount', ['-o', 'remount,rw', mount])
    const later = await outcome(() => new Cache({ dir }).get('a'))
    return { existing, missing, inside, later }
  },

  /** The directory goes away under an open cache. */
  async removed() {
    const cache = new Cache({ dir, memory: false, codec: 'none' })
    cache.on('error', () => {})
    await cache.set('a', 1)
    rmSync(dir, { recursive: true })
    const set = await outcome(() => cache.set('b', value(0, 100_000)))
    const loaded = await outcome(() => cache.getOrSet('c', () => 'loaded'))
    const get = await outcome(() => cache.get('a'))
    await outcome(() => cache.close())
    const later = await outcome(async () => {
      const again = new Cache({ dir })
      await again.set('a', 2)
      return again.get('a')
    })
    return { set, loaded, get, later }
  },
}

console.log(JSON.stringify(await SCENARIOS[scenario]()))
