/** What another release of Node wrote is read here: equal, or a miss that leaves the entry to those who can read it. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { runInThisContext } from 'node:vm'
import { defineHandler } from 'tierce'
import { expect, it } from 'vitest'
import { expectSame } from './helpers/same.js'
import { openCache, tempDir } from './helpers/temp.js'
import { nodeOf } from './package/nodes.mjs'

/** A program that both run: plain data, every structured kind, arrays. */
const MADE = `(() => {
  const shared = { at: new Date(5), none: undefined, minus: -0, pattern: /a/giu, link: new URL('https://example.org/') }
  const cycle = { name: 'cycle' }
  cycle.self = cycle
  return {
    json: { rows: [{ id: 1, name: 'é' }, { id: 2, name: null }] },
    columns: Array.from({ length: 9 }, (_, i) => ({ id: i, at: [i / 2, 'é'], tags: ['t' + i, null], of: { x: i, y: [] } })),
    text: 'half \\ud800',
    bytes: Buffer.from('bytes'),
    structured: new Map([[shared, new Set([shared, 2n ** 70n])], ['error', new RangeError('far', { cause: [1, , 3] })]]),
    cycle,
    named: JSON.parse('{"__proto__":{"a":1}}'),
    views: [new Uint16Array([1, 2, 3]).subarray(1), new DataView(new ArrayBuffer(3)), new BigInt64Array([-1n])],
    array: Float64Array.from({ length: 500 }, (_, i) => Math.sin(i)),
  }
})()`

class Point {
  constructor(readonly x: number) {}
}

const newest = nodeOf(26) as { path?: string; missing?: string }

it.skipIf(newest.missing !== undefined && process.platform !== 'linux')(
  'values_written_on_the_newest_Node_are_read_here',
  async () => {
    expect(newest.missing).toBeUndefined()
    const dir = tempDir()
    const script = `
      const { Cache, defineHandler } = require(${JSON.stringify(join(import.meta.dirname, '../build/index.js'))})
      class Point { constructor(x) { this.x = x } }
      defineHandler({ name: 'releases/point', test: (v) => v instanceof Point, encode: (v) => v.x, decode: (x) => new Point(x) })
      async function main() {
        const cache = new Cache({ dir: ${JSON.stringify(dir)} })
        const kinds = {}
        const set = async (key, value) => { await cache.set(key, value); kinds[key] = (await cache.entry(key)).kind }
        for (const [key, value] of Object.entries(${MADE})) await set(key, value)
        await set('half', new Float16Array([1.5, -2]))
        await set('half inside', { list: [new Float16Array([0.5])] })
        await set('point', new Point(7))
        await cache.close()
        process.stdout.write(JSON.stringify(kinds))
      }
      main()`
    const kinds = JSON.parse(execFileSync(newest.path as string, ['-e', script], { encoding: 'utf8' }))
    expect(kinds).toMatchObject({
      json: 'json',
      structured: 'structured',
      array: 'typed-array',
      half: 'typed-array',
      'half inside': 'structured',
      point: 'releases/point',
    })

    const cache = openCache({ dir, memory: false })
    const made = runInThisContext(MADE) as Record<string, unknown>
    for (const [key, value] of Object.entries(made)) {
      expectSame(await cache.get(key), value)
      expect((await cache.entry(key))?.kind).toBe(kinds[key])
    }

    const codes: unknown[] = []
    cache.on('error', (fault) => codes.push((fault as { code?: string }).code))
    const hasHalf = 'Float16Array' in globalThis
    for (const key of hasHalf ? ['point'] : ['half', 'half inside', 'point']) {
      expect(await cache.get(key)).toBeUndefined()
      expect(codes.splice(0)).toContain('E_UNAVAILABLE')
      expect(await cache.has(key)).toBe(true)
    }
    defineHandler<Point>({
      name: 'releases/point',
      test: (value) => value instanceof Point,
      encode: (point) => point.x,
      decode: (x) => new Point(x as number),
    })
    expectSame(await cache.get('point'), new Point(7))
  },
)
