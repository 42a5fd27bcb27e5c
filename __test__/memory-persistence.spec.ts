import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import {
  CorruptError,
  defineSerializer,
  FormatError,
  InvalidOptionError,
  MemoryCache,
  UnserializableError,
} from 'tierce'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import * as files from '../build/memory/files.js'
import { fakeClock } from './helpers/clock.js'
import { codeOf, codeOfSync } from './helpers/errors.js'
import { POLICIES } from './helpers/policies.js'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'tierce-memory-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

describe('save and load', () => {
  it('bring back values of every kind, and the types of the keys', async () => {
    const cache = new MemoryCache<string | number | bigint, unknown>({ max: 100, dir })
    const loop: Record<string, unknown> = { name: 'loop' }
    loop.self = loop
    const values = [
      null,
      0,
      -0,
      Number.NaN,
      '',
      'text',
      42n,
      new Date(7),
      new Map([[1, { a: new Set([2]) }]]),
      new Uint8Array([1, 2]),
      Array(3),
      /a/g,
      { a: undefined },
      loop,
    ]
    for (const [index, value] of values.entries()) cache.set(index, value)
    cache.set('1', 'a text as key').set(1n, 'a bigint as key')
    const path = await cache.save()
    expect(path).toBe(join(dir, 'cache.tierce'))
    const back = await MemoryCache.from<string | number | bigint, unknown>(path)
    for (const [index, value] of values.entries()) expect(back.get(index)).toEqual(value)
    expect((back.get(values.length - 1) as typeof loop).self).toBe(back.get(values.length - 1))
    expect([back.get('1'), back.get(1n), back.size]).toEqual([
      'a text as key',
      'a bigint as key',
      values.length + 2,
    ])
  })

  it.each(POLICIES)(
    '%s: keep all entries, and the order of eviction where the policy is nothing but an order',
    (policy) => {
      const cache = new MemoryCache<number, number>({ max: 100, policy, dir })
      for (let step = 0; step < 400; step++) {
        cache.set((step * 17) % 130, step)
        cache.get((step * 31) % 130)
      }
      cache.saveSync()
      const order = [...cache.entries()]
      const back = new MemoryCache<number, number>({ max: 100, policy, dir })
      expect(back.loadSync()).toBe(order.length)
      if (['s3-fifo', 'w-tinylfu', 'auto'].includes(policy))
        expect([...back.keys()].sort()).toEqual(order.map(([key]) => key).sort())
      else expect([...back.entries()]).toEqual(order)
      for (let key = 1000; key < 2000; key++) back.set(key, key)
      expect(back.check()).toBe('')
      expect(back.size).toBe(100)
    },
  )

  it('lfu: keep how often each entry was used', () => {
    const run = (cache: MemoryCache<string, number>) => {
      const left: string[] = []
      for (let step = 0; step < 40; step++) {
        cache.set(`new${step}`, step)
        if (step % 3 === 0) cache.get('rare')
        left.push([...cache.keys()].toSorted().join())
      }
      return left
    }
    const make = () => new MemoryCache<string, number>({ max: 4, policy: 'lfu', dir, filename: 'uses' })
    const cache = make()
    for (const [key, uses] of Object.entries({ often: 30, rare: 2, some: 7, once: 0 })) {
      cache.set(key, uses)
      for (let use = 0; use < uses; use++) cache.get(key)
    }
    cache.saveSync()
    const back = make()
    back.loadSync()
    expect([...back.keys()]).toEqual([...cache.keys()])
    expect(back.check()).toBe('')
    expect(run(back)).toEqual(run(cache))
    // One that was loaded into a cache in use keeps to the order, too.
    const merged = make().set('x', 1)
    merged.loadSync(undefined, { merge: true })
    expect([...merged.keys()]).toEqual([...make().keys(), 'once', 'rare', 'some', 'often'])
  })

  it('keep the rest of each TTL; what expires in the file is left out', () => {
    const clock = fakeClock()
    const cache = new MemoryCache<string, number>({ max: 10, dir, clock })
    cache
      .set('short', 1, { ttl: 100 })
      .set('long', 2, { ttl: 1000 })
      .set('never', 3)
      .set('slides', 4, { ttl: 500, sliding: true })
    clock.advance(40)
    cache.saveSync()
    clock.advance(60)
    const back = MemoryCache.fromSync<string, number>('cache.tierce', {
      max: 10,
      dir,
      clock: clock,
      ttl: 5,
    })
    expect(['short', 'long', 'never', 'slides'].map((key) => back.ttl(key))).toEqual([
      undefined,
      900,
      Infinity,
      400,
    ])
    back.get('slides')
    expect(back.ttl('slides')).toBe(500)
  })

  it('by a clock that was set back meanwhile leave each TTL as it was', () => {
    const clock = fakeClock()
    const cache = new MemoryCache<string, number>({ max: 10, dir, clock }).set('a', 1, { ttl: 1000 })
    clock.advance(400)
    cache.saveSync()
    clock.advance(-10_000)
    cache.loadSync()
    expect(cache.ttl('a')).toBe(600)
  })

  it('from makes a cache of a file, with options of its own, or none where the file is none', async () => {
    const path = new MemoryCache<number, string>({ max: 10, dir, policy: 'lru' })
      .set(1, 'one', { ttl: '1h' })
      .set(2, 'two')
      .saveSync()
    for (const cache of [
      await MemoryCache.from<number, string>(path, { max: 1, policy: 'lru' }),
      MemoryCache.fromSync<number, string>(path, { max: 1, policy: 'lru' }),
    ]) {
      expect([...cache]).toEqual([[2, 'two']])
      expect(cache.set(3, 'three').size).toBe(1)
    }
    const all = await MemoryCache.from<number, string>('cache.tierce', { dir })
    expect(all.ttl(1)).toBeGreaterThan(0)
    expect([all.size, all.ttl(2)]).toEqual([2, Infinity])
    await expect(MemoryCache.from('nothing', { dir })).rejects.toMatchObject({ code: 'E_UNAVAILABLE' })
    expect(codeOfSync(() => MemoryCache.fromSync('nothing', { dir }))).toBe('E_UNAVAILABLE')
  })

  it('leave out what has expired already', () => {
    const clock = fakeClock()
    const cache = new MemoryCache<string, number>({ max: 10, dir, clock })
    cache.set('a', 1, { ttl: 10 }).set('b', 2)
    clock.advance(10)
    cache.saveSync()
    expect(cache.loadSync()).toBe(1)
    expect([...cache]).toEqual([['b', 2]])
  })

  it('load replaces, and merges on demand with the file counting for keys in both', () => {
    const cache = new MemoryCache<string, number>({ max: 10, dir }).set('a', 1).set('b', 1)
    cache.saveSync('there.tierce')
    const other = new MemoryCache<string, number>({ max: 10, dir }).set('b', 2).set('c', 2)
    expect(other.loadSync('there.tierce', { merge: true })).toBe(2)
    expect(Object.fromEntries(other)).toEqual({ a: 1, b: 1, c: 2 })
    expect(other.loadSync('there.tierce')).toBe(2)
    expect(Object.fromEntries(other)).toEqual({ a: 1, b: 1 })
  })

  it('a smaller cache keeps what would have been evicted last', () => {
    const cache = new MemoryCache<number, number>({ max: 10, policy: 'lru', dir })
    for (let key = 0; key < 10; key++) cache.set(key, key)
    cache.saveSync()
    const back = MemoryCache.fromSync<number, number>('cache.tierce', { max: 3, policy: 'lru', dir })
    expect([...back.keys()]).toEqual([7, 8, 9])
    const light = MemoryCache.fromSync<number, number>('cache.tierce', {
      maxSize: 12,
      weigher: (value) => value + 1,
      policy: 'lru',
      dir,
    })
    expect([...light.keys()]).toEqual([9])
  })

  it('what is saved is what was there when save was called', async () => {
    const cache = new MemoryCache<string, number>({ max: 10, dir }).set('a', 1)
    const saved = cache.save()
    cache.set('a', 2).clear()
    await saved
    await cache.load()
    expect(cache.get('a')).toBe(1)
  })

  it('many saves at one time leave one whole file and nothing else', async () => {
    const cache = new MemoryCache<number, string>({ max: 100, dir })
    await Promise.all(Array.from({ length: 20 }, (_, key) => cache.set(key, 'x'.repeat(1000)).save()))
    expect(readdirSync(dir)).toEqual(['cache.tierce'])
    expect(await cache.load()).toBeGreaterThan(0)
  })

  it.skipIf(process.platform === 'win32')(
    'a link stays one, and the file behind it keeps its rights',
    async () => {
      const cache = new MemoryCache<string, number>({ max: 10, dir }).set('a', 1)
      mkdirSync(join(dir, 'behind'))
      const file = cache.saveSync('behind/file')
      chmodSync(file, 0o600)
      symlinkSync(file, join(dir, 'link'))
      cache.set('b', 2).saveSync('link')
      expect(cache.loadSync(file)).toBe(2)
      await cache.set('c', 3).save('link')
      expect(cache.loadSync(file)).toBe(3)
      expect(lstatSync(join(dir, 'link')).isSymbolicLink()).toBe(true)
      expect(statSync(file).mode & 0o777).toBe(0o600)
      expect(readdirSync(join(dir, 'behind'))).toEqual(['file'])
    },
  )

  it('a dated name replaces no file', () => {
    const clock = fakeClock(Date.UTC(2026, 0, 31, 23, 59, 59, 123))
    const cache = new MemoryCache<string, number>({ max: 10, dir, filename: 'users', clock })
    expect(basename(cache.saveSync(undefined, { timestamp: true }))).toBe('users-20260131T235959123Z.tierce')
    expect(basename(cache.saveSync('own.bin', { timestamp: true }))).toBe('own-20260131T235959123Z.bin')
  })
})

describe('a file that cannot be read changes nothing', () => {
  const filled = () => new MemoryCache<string, number>({ max: 10, dir }).set('live', 1)

  it('missing', async () => {
    const cache = filled()
    await expect(cache.load('nowhere')).rejects.toMatchObject({ code: 'E_UNAVAILABLE' })
    expect(codeOfSync(() => cache.loadSync())).toBe('E_UNAVAILABLE')
    expect(Object.fromEntries(cache)).toEqual({ live: 1 })
  })

  it('foreign', () => {
    const cache = filled()
    for (const text of [
      '',
      '\n',
      'hello',
      '{"entries":[]}',
      'tierce-memory\n',
      'tierce-memory 9 structured 0 x\n',
    ]) {
      writeFileSync(join(dir, 'foreign'), text)
      expect(() => cache.loadSync('foreign')).toThrow(FormatError)
    }
    writeFileSync(join(dir, 'foreign'), Buffer.alloc(1000))
    expect(() => cache.loadSync('foreign')).toThrow(FormatError)
    expect(Object.fromEntries(cache)).toEqual({ live: 1 })
  })

  it('cut off anywhere, or with any byte changed', () => {
    const path = new MemoryCache<string, unknown>({ max: 10, dir }).set('saved', { a: [1, 'two'] }).saveSync()
    const whole = readFileSync(path)
    const cache = filled()
    for (let length = whole.length - 1; length >= 0; length--) {
      truncateSync(path, length)
      expect(['E_CORRUPT', 'E_FORMAT']).toContain(codeOfSync(() => cache.loadSync()))
    }
    const start = whole.indexOf('\n') + 1
    for (let at = start; at < whole.length; at++) {
      const damaged = Buffer.from(whole)
      damaged[at]! ^= 1
      writeFileSync(path, damaged)
      expect(() => cache.loadSync()).toThrow(CorruptError)
    }
    expect(Object.fromEntries(cache)).toEqual({ live: 1 })
  })

  it('whole, but with entries that are none', () => {
    const cache = new MemoryCache<string, number>({ max: 10, dir }).set('mine', 1)
    const rows: unknown[] = [
      null,
      [],
      ['a', 1],
      ['a', 1, -1, 0, 0],
      ['a', 1, null, 0, 0],
      ['a', 1, true, 0, 0],
    ]
    rows.push(['a', 1, 0, '5', 0], ['a', 1, 0, 0, []], [null, 1, 0, 0, 0])
    for (const [at, row] of rows.entries()) {
      const name = `rows ${at}`
      defineSerializer(name, {
        extension: 'rows',
        serialize: () => 'x',
        deserialize: () => ({ savedAt: 0, entries: [['whole', 1, 0, 0, 0], row] }),
      })
      const file = new MemoryCache({ dir, serializer: name }).saveSync()
      expect(() => cache.loadSync(file)).toThrow(CorruptError)
      expect([...cache]).toEqual([['mine', 1]])
    }
  })

  it('of a serializer that is not defined here', () => {
    const path = filled().saveSync()
    writeFileSync(path, readFileSync(path, 'latin1').replace('structured', 'unheard-of'), 'latin1')
    expect(() => filled().loadSync()).toThrow(/unheard-of/)
  })
})

describe('a save that fails', () => {
  it('leaves the last file as it was, and no other', () => {
    const cache = new MemoryCache<string, unknown>({ max: 10, dir }).set('a', 1)
    const path = cache.saveSync()
    const before = readFileSync(path)
    cache.set('b', () => 1)
    expect(() => cache.saveSync()).toThrow(UnserializableError)
    expect(readFileSync(path)).toEqual(before)
    expect(codeOfSync(() => cache.delete('b') && cache.saveSync(join(dir, 'no', 'such', 'folder')))).toBe(
      'E_UNAVAILABLE',
    )
    expect(readdirSync(dir)).toEqual(['cache.tierce'])
  })

  it('in the middle of writing leaves nothing behind', async () => {
    const path = join(dir, 'file')
    writeFileSync(path, 'before')
    // What follows the first piece can't be written.
    const pieces = [Buffer.from('half'), { length: 4 } as never]
    expect(codeOfSync(() => files.writeFileSync(path, pieces))).toBe('E_UNAVAILABLE')
    expect(await codeOf(files.writeFile(path, pieces))).toBe('E_UNAVAILABLE')
    expect([readdirSync(dir), readFileSync(path, 'utf8')]).toEqual([['file'], 'before'])
  })

  it.skipIf(process.platform === 'win32')('replaces nothing that is no file', async () => {
    const cache = new MemoryCache<string, number>({ max: 10, dir }).set('a', 1)
    execFileSync('mkfifo', [join(dir, 'pipe')])
    mkdirSync(join(dir, 'folder'))
    for (const name of ['pipe', 'folder']) {
      expect(codeOfSync(() => cache.saveSync(name))).toBe('E_UNAVAILABLE')
      await expect(cache.save(name)).rejects.toThrow(/there is/)
    }
    expect(readdirSync(dir)).toEqual(['folder', 'pipe'])
    expect([statSync(join(dir, 'folder')).isDirectory(), statSync(join(dir, 'pipe')).isFIFO()]).toEqual([
      true,
      true,
    ])
  })

  it('refuses keys that are objects', () => {
    const cache = new MemoryCache<object, number>({ max: 10, dir }).set({}, 1)
    expect(() => cache.saveSync()).toThrow(UnserializableError)
    expect(readdirSync(dir)).toEqual([])
  })
})

describe('serializers', () => {
  it('json is readable, and refuses what it would change', () => {
    const cache = new MemoryCache<string, unknown>({ max: 10, dir, serializer: 'json' }).set('a', {
      b: [1, null, 'x'],
    })
    const path = cache.saveSync()
    expect(path).toBe(join(dir, 'cache.json'))
    expect(readFileSync(path, 'utf8')).toContain('["a",{"b":[1,null,"x"]}')
    expect(MemoryCache.fromSync(path).get('a')).toEqual({ b: [1, null, 'x'] })
    for (const value of [new Date(), 1n, new Map(), Number.NaN, { a: undefined }, new Uint8Array(2)]) {
      cache.set('a', value)
      expect(() => cache.saveSync()).toThrow(UnserializableError)
    }
  })

  it('a serializer of ones own has its extension, and is found by name on load', () => {
    defineSerializer('shouting', {
      extension: 'loud',
      serialize: (data) => Buffer.from(JSON.stringify(data).toUpperCase()),
      deserialize: (bytes) => {
        const { ENTRIES: entries, SAVEDAT: savedAt } = JSON.parse(bytes.toString())
        return { entries, savedAt }
      },
    })
    const cache = new MemoryCache<string, string>({ max: 10, dir, serializer: 'shouting' }).set('a', 'b')
    const path = cache.saveSync()
    expect(basename(path)).toBe('cache.loud')
    expect([...MemoryCache.fromSync(path)]).toEqual([['A', 'B']])
  })

  it('refuses taken names, unknown names and half of a serializer', () => {
    const whole = { extension: 'x', serialize: () => '', deserialize: () => undefined }
    expect(() => defineSerializer('json', whole)).toThrow(/already/)
    expect(() => defineSerializer('half', { ...whole, serialize: undefined as never })).toThrow(
      InvalidOptionError,
    )
    expect(() => defineSerializer('dotted', { ...whole, extension: '../x' })).toThrow(/extension/)
    expect(() => new MemoryCache({ serializer: 'none' })).toThrow(/structured/)
  })
})

describe('metrics', () => {
  it('can be saved, under the name of the cache', async () => {
    const cache = new MemoryCache<string, number>({ max: 10, dir, filename: 'users' }).set('a', 1)
    cache.get('a')
    const path = await cache.saveMetrics()
    expect(basename(path)).toBe('users-metrics.json')
    expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ hits: 1, sets: 1, size: 1 })
    expect(existsSync(cache.saveMetricsSync('other.json'))).toBe(true)
  })
})
