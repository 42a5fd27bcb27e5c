/** Many keys in one read: on this thread where the values are small, over the thread pool where they are not. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Cache, defineHandler, type TierceError } from 'tierce'
import { describe, expect, it } from 'vitest'
import { countCalls } from './helpers/failing.js'
import { openCache, tempDir } from './helpers/temp.js'

class Point {
  constructor(readonly x: number) {}
}

let meanwhile: () => unknown = () => {}
defineHandler<Point>({
  name: 'point-of-many-reads',
  test: (value): value is Point => value instanceof Point,
  encode: ({ x }) => x,
  decode: (x) => {
    meanwhile()
    return new Point(x as number)
  },
})

/** To be compared at once: a Buffer is compared byte by byte. */
const plain = (values: readonly unknown[]) =>
  values.map((value) => (Buffer.isBuffer(value) ? value.toString('latin1') : value))

const KEYS = Array.from({ length: 300 }, (_, at) => `key ${at}`)

describe.each([{ memory: false }, {}, { memory: false, journal: true }] as const)(
  'many reads, %o',
  (options) => {
    async function reopened(values: readonly unknown[]): Promise<Cache> {
      const dir = tempDir()
      const first = openCache({ dir, ...options })
      await first.setMany(values.map((value, at) => [KEYS[at]!, value]))
      await first.close()
      return openCache({ dir, ...options })
    }

    it.each([
      ['small', (at: number) => `value ${at}`, ['fetchMany']],
      ['long', (at: number) => Buffer.alloc(3000, at), ['fetchMany', 'readMany']],
      ['apart', (at: number) => Buffer.alloc(5000, at), ['fetchMany', 'readMany']],
      [
        'mixed',
        (at: number) => [at, 'text', null, Buffer.alloc(at * 40, at), { at }][at % 5],
        ['fetchMany', 'readMany'],
      ],
    ] as const)('%s values come back as they are, in the order of their keys', async (_, make, calls) => {
      const values = KEYS.map((_key, at) => make(at))
      const count = countCalls()
      const cache = await reopened(values)
      count()
      const asked = ['none', ...KEYS, 'none', KEYS[7]!]
      expect(plain(await cache.getMany(asked))).toEqual(plain([undefined, ...values, undefined, values[7]]))
      expect(count().filter((name) => name !== 'release')).toEqual(calls)
      expect(await cache.stats()).toMatchObject({ hits: 301, misses: 2 })
      const again = await reopened(values)
      expect(plain(again.getManySync(asked))).toEqual(plain([undefined, ...values, undefined, values[7]]))
      expect(await again.stats()).toMatchObject({ hits: 301, misses: 2 })
    })

    it('a value may be kept and changed by whoever asked: no other read sees it', async () => {
      const cache = await reopened([Buffer.from('abc'), Buffer.from('def')])
      const [first] = (await cache.getMany([KEYS[0]!])) as Buffer[]
      if (options.memory === false) first!.fill(0)
      await cache.getMany([KEYS[1]!, KEYS[1]!])
      expect(first!.toString()).toBe(options.memory === false ? '\0\0\0' : 'abc')
      expect(String(await cache.get(KEYS[0]!))).toBe('abc')
    })

    it('handlers and listeners of the user may read while many are decoded', async () => {
      const cache = await reopened([new Point(1), 'second', new Point(3), 'fourth'])
      const seen: unknown[] = []
      meanwhile = () => seen.push(cache.getManySync([KEYS[3]!, KEYS[1]!, 'none'])[0])
      try {
        const found = await cache.getMany(KEYS.slice(0, 5))
        expect(found).toEqual([new Point(1), 'second', new Point(3), 'fourth', undefined])
        expect(seen).toEqual(['fourth', 'fourth'])
      } finally {
        meanwhile = () => {}
      }
    })
  },
)

it('damage among many costs the damaged entry alone, and its event may read', async () => {
  const dir = tempDir()
  const first = openCache({ dir, codec: 'none' })
  const values = KEYS.map((_, at) => `the value of number ${at}.`)
  await first.setMany(KEYS.map((key, at) => [key, values[at]]))
  await first.close()
  const database = readFileSync(join(dir, 'tierce.db'))
  for (let at = database.indexOf(values[1]!); at >= 0; at = database.indexOf(values[1]!)) database[at]! ^= 1
  writeFileSync(join(dir, 'tierce.db'), database)
  const cache = openCache({ dir, memory: false })
  const faults: TierceError[] = []
  cache.on('error', (error) => {
    faults.push(error)
    cache.getManySync(KEYS.slice(100))
  })
  const found = await cache.getMany(KEYS)
  expect(found).toEqual(values.map((value, at) => (at === 1 ? undefined : value)))
  expect(faults.map(({ code }) => code)).toEqual(['E_CORRUPT'])
})
