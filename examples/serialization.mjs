// How values are stored can be chosen: a codec for a cache, for a kind of value or for one entry, and a kind of one's own.
//
//   node examples/serialization.mjs
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Cache, defineHandler, series } from 'tierce'
import { printTable } from './lib/terminal.mjs'

/** A class of the program's: without a handler it is refused rather than turned into a plain object. */
class Polygon {
  constructor(points) {
    this.points = points
  }

  area() {
    const next = (i) => this.points[(i + 1) % this.points.length]
    return Math.abs(this.points.reduce((sum, [x, y], i) => sum + x * next(i)[1] - next(i)[0] * y, 0)) / 2
  }
}

const home = mkdtempSync(join(tmpdir(), 'tierce-serialization-'))
const open = () =>
  new Cache({
    dir: join(home, 'cache'),
    memory: false,
    codec: 'fast', // for all that says nothing else
    codecs: {
      json: 'zstd',
      string: { codec: 'zstd', level: 9 },
      'typed-array': { codec: 'pco', level: 4 },
      bytes: 'none',
    },
  })

try {
  const refused = await new Cache({ dir: join(home, 'other') })
    .set('p', new Polygon([]))
    .catch((error) => error)
  if (refused.code !== 'E_UNSERIALIZABLE') throw new Error('an instance was stored without a handler')
  console.log(`Without a handler: ${refused.message}\n`)

  defineHandler({
    name: 'polygon',
    test: (value) => value instanceof Polygon,
    encode: ({ points }) => Float64Array.from(points.flat()), // stored as numbers, in their own best form
    decode: (flat) =>
      new Polygon(Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i], flat[2 * i + 1]])),
  })

  const circle = Array.from({ length: 5000 }, (_, i) => [Math.cos(i / 795.8), Math.sin(i / 795.8)])
  const values = {
    settings: {
      users: Array.from({ length: 200 }, (_, id) => ({ id, name: `user ${id}`, roles: ['reader'] })),
    },
    log: 'GET /index.html 200\n'.repeat(5000),
    prices: Float64Array.from(
      { length: 20_000 },
      (_, i) => Math.round(100 + 10 * Math.sin(i / 50) * 100) / 100,
    ),
    named: series(
      Float32Array.from({ length: 100 }, (_, i) => i / 4),
      { name: 'quarters' },
    ),
    image: Buffer.from(Uint8Array.from({ length: 30_000 }, (_, i) => (i * 7919) >> 3)),
    shape: new Polygon(circle),
    event: { at: new Date(0), tags: new Set(['a', 'b']), counts: new Map([['x', 1n]]) },
  }
  const written = open()
  for (const [key, value] of Object.entries(values)) await written.set(key, value)
  await written.set('once', values.log, { codec: 'lz4' }) // one entry, another codec
  await written.close()

  const cache = open()
  const rows = []
  for (const key of [...Object.keys(values), 'once']) {
    const { kind, codec, size, storedSize } = await cache.entry(key)
    rows.push([key, kind, codec, size, storedSize])
  }
  printTable(['key', 'kind', 'codec', 'bytes', 'stored'], rows)
  const codecs = Object.fromEntries(rows.map(([key, , codec]) => [key, codec]))
  if (codecs.settings !== 'zstd' || codecs.image !== 'none' || codecs.once !== 'lz4')
    throw new Error('another codec was taken')
  const shape = await cache.get('shape')
  if (!(shape instanceof Polygon) || Math.abs(shape.area() - Math.PI) > 1e-3)
    throw new Error('the polygon came back as something else')
  if (!((await cache.get('event')).tags instanceof Set))
    throw new Error('the Set came back as something else')
  await cache.close()
} finally {
  rmSync(home, { recursive: true, force: true })
}
