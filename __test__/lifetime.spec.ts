import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, vi } from 'vitest'
import { runScript } from './helpers/child.js'
import { openFiles } from './helpers/open-files.js'
import { openCache, tempDir } from './helpers/temp.js'
import { PATIENTLY } from './helpers/wait.js'

const entry = new URL('../dist/index.mjs', import.meta.url).href
const commonJs = fileURLToPath(new URL('../dist/index.js', import.meta.url))

/** Runs lines of a module in a process of its own; `dir` is its first argument. Gives what it printed. */
async function runModule(code: string, dir = '', env: NodeJS.ProcessEnv = {}): Promise<string[]> {
  const file = join(tempDir(), 'script.mjs')
  writeFileSync(
    file,
    `import { Cache, wrap } from ${JSON.stringify(entry)}\nconst dir = process.argv[2]\n${code}`,
  )
  return runScript(file, [dir], env).done
}

describe('the life of a process', () => {
  it('an_open_cache_does_not_keep_a_finished_process_alive', async () => {
    const dir = join(tempDir(), 'cache')
    const lines = await runModule(
      `globalThis.cache = new Cache({ dir })
       await cache.set('a', Buffer.alloc(100_000))
       await cache.get('a')
       globalThis.memory = new Cache({ ttl: '1h' })
       await memory.set('a', 1)
       console.log('finished')`,
      dir,
    )
    expect(lines).toEqual(['finished'])
  })

  it('loads_behind_that_hang_or_fail_keep_no_finished_process_alive_and_reject_unhandled_nowhere', async () => {
    const lines = await runModule(
      `process.on('unhandledRejection', (error) => console.log('unhandled', error))
       const options = { ttl: 1, staleWhileRevalidate: '1h', staleIfError: '2h', timeout: { soft: 1, hard: '1h' }, singleFlight: 'machine' }
       globalThis.cache = new Cache({ dir })
       cache.on('error', ({ code }) => console.log(code))
       await cache.getOrSet('hangs', () => 1, options)
       await cache.getOrSet('fails', () => 2, options)
       await new Promise((resolve) => setTimeout(resolve, 5))
       console.log(await cache.getOrSet('hangs', () => new Promise(() => {}), options))
       console.log(await cache.getOrSet('fails', () => Promise.reject(new Error('down')), options))
       const controller = new AbortController()
       const waiting = cache.getOrSet('new', () => new Promise(() => {}), { signal: controller.signal, timeout: '1h' })
       controller.abort()
       await waiting.catch(({ name }) => console.log(name))
       await new Promise(setImmediate)
       console.log('finished')`,
      join(tempDir(), 'cache'),
    )
    expect(lines.slice(0, -1).toSorted()).toEqual(['1', '2', 'AbortError', 'E_UNAVAILABLE'])
    expect(lines.at(-1)).toBe('finished')
  })

  it.each([
    ['by itself', ''],
    ['by process.exit', 'process.exit(0)'],
    [
      'by an uncaught error',
      "process.on('uncaughtException', () => process.exit(0)); setImmediate(() => { throw 1 })",
    ],
  ])('a process that ends %s without close loses nothing acknowledged', async (_, end) => {
    const dir = join(tempDir(), 'cache')
    await runModule(
      `const cache = new Cache({ dir, codec: 'none' })
       for (let index = 0; index < 50; index++) await cache.set('k' + index, Buffer.alloc(index * 1000, index))
       await cache.setMany([['many', 1]])
       cache.setSync('sync', 2)
       await cache.getOrSet('loaded', () => 3)
       ${end}`,
      dir,
    )
    const cache = openCache({ dir })
    for (let index = 0; index < 50; index++) {
      expect(
        (await cache.get<Buffer>(`k${index}`))?.equals(Buffer.alloc(index * 1000, index)),
        `k${index}`,
      ).toBe(true)
    }
    expect(await cache.getMany(['many', 'sync', 'loaded'])).toEqual([1, 2, 3])
  })

  it('what_was_not_awaited_is_stored_before_a_process_ends_by_itself', async () => {
    const dir = join(tempDir(), 'cache')
    await runModule(
      `const cache = new Cache({ dir })
       for (let index = 0; index < 200; index++) cache.set('k' + index, { index })
       cache.set('large', Buffer.alloc(500_000, 7))`,
      dir,
    )
    const cache = openCache({ dir })
    expect(await cache.size()).toBe(201)
    expect(await cache.get<Buffer>('large')).toHaveLength(500_000)
  })

  it('caches_that_are_dropped_without_close_are_freed', async () => {
    const dir = join(tempDir(), 'cache')
    const file = join(tempDir(), 'script.cjs')
    writeFileSync(
      file,
      `const { Cache } = require(${JSON.stringify(commonJs)})
       const { readdirSync } = require('node:fs')
       require('node:v8').setFlagsFromString('--expose-gc')
       const gc = require('node:vm').runInNewContext('gc')
       const files = () => readdirSync('/proc/self/fd').length
       ;(async () => {
         const before = files()
         for (let round = 0; round < 60; round++) {
           await new Cache({ dir: process.argv[2] }).set('k', round)
           gc()
           await new Promise(setImmediate)
         }
         gc()
         await new Promise(setImmediate)
         console.log(files() - before)
       })()`,
    )
    if (process.platform !== 'linux') return
    const lines = await runScript(file, [dir]).done
    expect(Number(lines[0])).toBeLessThan(30)
  })
})

describe('loading', () => {
  it('the_addon_is_loaded_when_a_directory_is_given_and_not_before', async () => {
    const lines = await runModule(
      `import { createRequire } from 'node:module'
       const { cache: loaded } = createRequire(import.meta.url)
       const has = () => Object.keys(loaded).some((name) => name.endsWith('.node'))
       const memory = new Cache()
       await memory.set({ a: 1n }, new Map([[1, 2]]))
       await wrap(memory, async () => 1, { name: 'f' })()
       console.log(has())
       new Cache({ dir })
       console.log(has())`,
      join(tempDir(), 'cache'),
    )
    expect(lines).toEqual(['false', 'true'])
  })

  it('import_and_require_give_the_same_classes', async () => {
    const lines = await runModule(
      `import { createRequire } from 'node:module'
       const required = createRequire(import.meta.url)(${JSON.stringify(commonJs)})
       console.log(required.Cache === Cache)`,
    )
    expect(lines).toEqual(['true'])
  })

  it('a_binary_that_does_not_load_is_E_UNAVAILABLE_and_memory_works', async () => {
    const folder = tempDir()
    cpSync(dirname(commonJs), join(folder, 'dist'), { recursive: true })
    cpSync(join(dirname(commonJs), '../index.js'), join(folder, 'index.js'))
    writeFileSync(
      join(folder, 'script.cjs'),
      `const { Cache } = require('./dist/index.js')
       const memory = new Cache({ memory: { max: 2 } })
       for (let key = 0; key < 9; key++) memory.setSync(key, key)
       if (memory.getSync(8) !== 8 || memory.getSync(6) !== undefined) console.log('not the least recently used')
       new Cache().getOrSet('k', () => 'memory').then(console.log)
       try { new Cache({ dir: 'cache' }) } catch ({ code, message, context }) {
         console.log(code, context.platform, message.includes('Install tierce again'))
       }`,
    )
    const lines = await runScript(join(folder, 'script.cjs')).done
    expect(lines).toEqual([`E_UNAVAILABLE ${process.platform}-${process.arch} true`, 'memory'])
  })

  it('a_binary_that_does_not_load_is_told_from_one_that_is_missing_and_from_a_platform_without_one', async () => {
    const folder = tempDir()
    cpSync(dirname(commonJs), join(folder, 'dist'), { recursive: true })
    const script = join(folder, 'script.cjs')
    const told = async (loader: string, platform = process.platform): Promise<string[]> => {
      writeFileSync(join(folder, 'index.js'), loader)
      writeFileSync(
        script,
        `Object.defineProperty(process, 'platform', { value: '${platform}' })
         try { new (require('./dist/index.js').Cache)({ dir: 'cache' }) } catch ({ message }) { console.log(message) }`,
      )
      return runScript(script).done
    }
    const loader = (...tried: string[]) =>
      `throw ${['Cannot find native binding.', ...tried].reduceRight((cause, text) => `new Error(${JSON.stringify(text)}, { cause: ${cause} })`, 'null')}`
    const absent = ["Cannot find module './x.node'\nRequire stack:", "Cannot find module '@tierce/core-x'"]
    expect(await told(loader(...absent))).toEqual([expect.stringContaining('without leaving out optional')])
    expect(await told(loader(absent[0]!, 'libc.so.6: version GLIBC_2.99 not found', absent[1]!))).toEqual([
      expect.stringMatching(/the system says: .*GLIBC_2\.99 not found\. Install/),
    ])
    const { targets } = JSON.parse(readFileSync(join(dirname(commonJs), '../package.json'), 'utf8')).napi
    const [message] = await told(loader('Unsupported OS: aix'), 'aix')
    for (const target of targets as string[]) {
      const [cpu, , os] = target.split('-')
      const name = `${os === 'windows' ? 'win32' : os}-${cpu === 'x86_64' ? 'x64' : 'arm64'}`
      expect(message).toContain(name)
    }
    expect(message).toContain('cannot be loaded on aix')
  })
})

describe('the place of the directory', () => {
  it('a_relative_directory_stays_where_it_was_after_chdir', async () => {
    const folder = tempDir()
    mkdirSync(join(folder, 'elsewhere'))
    const lines = await runModule(
      `process.chdir(dir)
       const cache = new Cache({ dir: 'cache', memory: false, codec: 'none' })
       await cache.set('k', Buffer.alloc(50_000, 1))
       process.chdir('elsewhere')
       console.log((await cache.get('k')).length)
       await cache.set('l', Buffer.alloc(50_000, 2))
       console.log((await cache.stats()).entries, (await cache.getMany(['k', 'l'])).length)
       await cache.close()`,
      folder,
    )
    expect(lines).toEqual(['50000', '2 2'])
    expect(await openCache({ dir: join(folder, 'cache') }).size()).toBe(2)
  })

  it('a_directory_may_be_moved_between_runs', async () => {
    const folder = tempDir()
    const first = openCache({ dir: join(folder, 'before'), codec: 'none' })
    await first.set({ k: 1 }, 'small')
    await first.set('large', Buffer.alloc(60_000, 3))
    await first.close()
    renameSync(join(folder, 'before'), join(folder, 'after'))
    const again = openCache({ dir: join(folder, 'after'), codec: 'none' })
    expect(await again.get({ k: 1 })).toBe('small')
    expect((await again.get<Buffer>('large'))?.equals(Buffer.alloc(60_000, 3))).toBe(true)
  })

  it('keys_are_the_same_in_every_process', async () => {
    const dir = join(tempDir(), 'cache')
    const key = `{ z: 1, a: [new Date(5), 2n, { y: null, x: NaN }], m: new Map([[1, new Set(['b', 'a'])]]) }`
    await runModule(`await new Cache({ dir }).set(${key}, 'from another process')`, dir)
    const same = {
      m: new Map([[1, new Set(['a', 'b'])]]),
      a: [new Date(5), 2n, { x: Number.NaN, y: null }],
      z: 1,
    }
    expect(await openCache({ dir }).get(same)).toBe('from another process')
  })
})

describe('close', () => {
  it.runIf(process.platform === 'linux')('lets_go_of_the_memory_that_processes_share', async () => {
    const dir = join(tempDir(), 'cache')
    const isMapped = () => readFileSync('/proc/self/maps', 'utf8').includes(dir)
    const cache = openCache({ dir })
    await cache.set('key', 1)
    await cache.get('key')
    expect(isMapped()).toBe(true)
    await cache.close()
    await vi.waitFor(() => expect(isMapped()).toBe(false), PATIENTLY)
  })

  it.runIf(process.platform === 'linux')(
    'closes_every_file_also_that_of_turns_which_loads_hold',
    async () => {
      const dir = join(tempDir(), 'cache')
      const turns = () => openFiles(dir).filter((file) => file.endsWith('tierce.turns')).length
      const cache = openCache({ dir, defaults: { singleFlight: 'machine' } })
      cache.on('error', () => {}) // what is loaded cannot be stored any more
      let loaded: (value: number) => void = () => {}
      const loading = cache.getOrSet('key', () => new Promise<number>((resolve) => (loaded = resolve)))
      await vi.waitFor(() => expect(turns()).toBe(1), PATIENTLY)
      await cache.close()
      expect(openFiles(dir)).toEqual([])
      loaded(1)
      expect(await loading).toBe(1)
      expect(openFiles(dir)).toEqual([])
    },
  )

  it('a_load_that_ends_after_it_gets_its_value', async () => {
    const cache = openCache({ dir: join(tempDir(), 'cache') })
    await cache.set('key', 1)
    let loaded: (value: number) => void = () => {}
    const loading = cache.refresh('key', () => new Promise<number>((resolve) => (loaded = resolve)))
    cache.on('error', () => {})
    await cache.close()
    loaded(2)
    expect(await loading).toBe(2)
  })

  it.each([{ journal: false }, { journal: true }])(
    'a_directory_that_was_removed_is_an_event_and_no_error, %o',
    async (options) => {
      const dir = join(tempDir(), 'cache')
      const cache = openCache({ dir, memory: false, ...options })
      const told: string[] = []
      cache.on('error', ({ code, message }) => told.push(`${code} ${message}`))
      await cache.set('key', 1)
      await cache.get('key')
      rmSync(dir, { recursive: true })
      await cache.close()
      expect(told.at(-1)).toMatch(/^E_UNAVAILABLE the directory was removed or replaced/)
    },
  )
})
