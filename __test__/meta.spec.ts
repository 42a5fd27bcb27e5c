import { existsSync } from 'node:fs'
import { join } from 'node:path'
import {
  boolean,
  Cache,
  CallKey,
  date,
  double,
  file,
  integer,
  json,
  keyOf,
  type SetOptions,
  type Transaction,
  text,
  timestamp,
} from 'tierce'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { codeOf, failure } from './helpers/errors.js'
import { tempDir } from './helpers/temp.js'

const TABLES = {
  experiments: {
    accuracy: double().index(),
    modelType: text().index(),
    name: text().unique(),
    epochs: integer().notNull(),
    isFinal: boolean(),
    day: date(),
    startedAt: timestamp().index(),
    config: json(),
  },
  datasets: { rows: integer() },
}

const dir = () => join(tempDir(), 'cache')

function open(path = dir()) {
  return new Cache({ dir: path, meta: TABLES })
}

const FULL = {
  accuracy: 0.94,
  modelType: 'xgboost',
  name: 'first',
  epochs: 10,
  isFinal: true,
  day: '2024-02-29',
  startedAt: new Date('2024-02-29T12:30:00.123Z'),
  config: { depth: 3, layers: [1, null, 'ü'] },
}
const BARE = {
  accuracy: null,
  modelType: null,
  name: null,
  isFinal: null,
  day: null,
  startedAt: null,
  config: null,
}

describe('rows of metadata', () => {
  it('come back as they went in, with the entry and in queries, also after reopening', async () => {
    const path = dir()
    const first = open(path)
    await first.set('full', 1, { meta: { experiments: FULL, datasets: { rows: 7 } }, tags: ['t'] })
    first.setSync('bare', 2, { meta: { experiments: { epochs: 0 } } })
    await first.close()
    await using cache = open(path)
    expect((await cache.entry('full'))?.meta).toEqual({ experiments: FULL, datasets: { rows: 7 } })
    expect((await cache.entry('bare'))?.meta).toEqual({ experiments: { ...BARE, epochs: 0 } })
    expect(await cache.find('experiments', { orderBy: 'accuracy' })).toEqual([
      { key: 'bare', meta: { ...BARE, epochs: 0 } },
      { key: 'full', meta: FULL },
    ])
    expect(await cache.query('SELECT * FROM experiments WHERE name = ?', ['first'])).toEqual([
      { key: 'full', ...FULL },
    ])
  })

  it.each([
    ['double', 'accuracy', [0, -1.5, 1e300, -1e300, 5e-324, 2 ** 60, Number.POSITIVE_INFINITY, 1]],
    ['integer', 'epochs', [0, -1, 2 ** 53 - 1, -(2 ** 53 - 1)]],
    ['text', 'modelType', ['', "'; DROP TABLE entries; --", '123', '1e5', 'ü🎉', ' x ']],
    ['boolean', 'isFinal', [true, false]],
    ['date', 'day', ['0001-01-01', '9999-12-31', '2024-02-29']],
    ['timestamp', 'startedAt', [new Date(0), new Date(-1), new Date('9999-12-31T23:59:59.999Z')]],
    ['json', 'config', [0, 'x', '123', true, [], {}, { a: [{ b: null }] }, [[1.5]]]],
  ])('%s: what is stored is found and given back', async (_, column, values) => {
    await using cache = open()
    for (const [index, value] of values.entries()) {
      await cache.set(`k${index}`, index, {
        meta: { experiments: { epochs: 1, [column]: value } as { epochs: number } },
      })
      expect((await cache.entry(`k${index}`))?.meta?.experiments).toMatchObject({ [column]: value })
      if (column === 'config') continue
      const [row] = await cache.query<Record<string, unknown>>(
        `SELECT ${column} FROM experiments WHERE key = ?`,
        [`k${index}`],
      )
      expect(row).toEqual({ [column]: value })
      const found = await cache.find('experiments', { where: { [column]: value } as { epochs: number } })
      expect(found.map(({ key }) => key)).toContain(`k${index}`)
    }
  })

  it('go with their entry', async () => {
    let now = 1000
    await using cache = new Cache({ dir: dir(), meta: TABLES, clock: () => now })
    const meta = { experiments: { epochs: 1, name: 'x' } }
    const keys = async () => (await cache.find('experiments')).map(({ key }) => key)
    await cache.set('deleted', 1, { meta })
    await cache.delete('deleted')
    await cache.set('replaced', 1, { meta })
    await cache.set('replaced', 2)
    await cache.set('expired', 1, { meta, ttl: 10 })
    expect(await keys()).toEqual(['expired'])
    now += 10
    expect(await keys()).toEqual([])
    await cache.set('kept', 1, { meta }) // the unique name is free
    expect(await keys()).toEqual(['kept'])
    await cache.clear()
    expect(await keys()).toEqual([])
  })

  it('that violate a constraint store nothing of their call', async () => {
    await using cache = open()
    await cache.set('a', 1, { meta: { experiments: { epochs: 1, name: 'taken' } } })
    const meta = { experiments: { epochs: 2, name: 'taken' } }
    for (const run of [
      () => cache.set('b', 2, { meta, tags: ['t'] }),
      () => cache.setSync('b', 2, { meta }),
      () => cache.setMany([['b', 2]], { meta }),
      () =>
        cache.setMany(
          [
            ['b', 2],
            ['c', 3],
          ],
          { meta: { experiments: { epochs: 1, name: 'both' } } },
        ),
    ]) {
      const fault = await failure(run)
      expect(fault).toMatchObject({ code: 'E_CONSTRAINT', name: 'ConstraintError' })
      expect(fault.context).toMatchObject({ table: 'experiments', column: 'name', value: expect.any(String) })
    }
    expect(await cache.query('SELECT key FROM entries')).toEqual([{ key: 'a' }])
    expect(await cache.query('SELECT key FROM tags')).toEqual([])
    expect(await cache.has('b')).toBe(false)
    // @ts-expect-error: epochs needs a value
    const fault = await failure(() => cache.set('b', 2, { meta: { experiments: { name: 'y' } } }))
    expect(fault).toMatchObject({ code: 'E_CONSTRAINT', context: { table: 'experiments', column: 'epochs' } })
  })

  const named = (name: string | null) => ({ meta: { experiments: { epochs: 1, name } } })
  const names = (cache: Cache<typeof TABLES>) =>
    cache.query('SELECT key, name FROM experiments ORDER BY key').then((rows) => rows.map(Object.values))

  it.each<[string, (tx: Transaction<SetOptions<typeof TABLES>>) => Promise<void>, [string, string | null][]]>(
    [
      [
        'swapped',
        async (tx) => {
          await tx.set('a', 1, named('2'))
          await tx.set('b', 1, named('1'))
        },
        [
          ['a', '2'],
          ['b', '1'],
          ['c', '3'],
        ],
      ],
      [
        'passed round',
        async (tx) => {
          await tx.set('a', 1, named('2'))
          await tx.set('b', 1, named('3'))
          await tx.set('c', 1, named('1'))
          await tx.set('a', 2, named('2'))
        },
        [
          ['a', '2'],
          ['b', '3'],
          ['c', '1'],
        ],
      ],
      [
        'taken from what is deleted, or has no rows, later',
        async (tx) => {
          await tx.set('c', 1, named('1'))
          await tx.set('d', 1, named('2'))
          await tx.delete('a')
          await tx.set('b', 1)
        },
        [
          ['c', '1'],
          ['d', '2'],
        ],
      ],
    ],
  )('unique values may be %s in one transaction', async (_, run, left) => {
    const path = dir()
    const cache = open(path)
    for (const [index, key] of ['a', 'b', 'c'].entries()) await cache.set(key, 1, named(`${index + 1}`))
    await cache.transaction(run)
    expect(await names(cache)).toEqual(left)
    expect((await cache.check()).ok).toBe(true)
    await cache.close()
    await using again = open(path)
    expect(await names(again)).toEqual(left)
    for (const [key, name] of left)
      expect((await again.entry(key))?.meta).toMatchObject({ experiments: { name } })
  })

  it.each<[string, (tx: Transaction<SetOptions<typeof TABLES>>) => Promise<unknown>]>([
    ['stays', (tx) => tx.set('a', 1, named('2'))],
    ['is only prolonged', (tx) => tx.set('a', 1, named('2')).then(() => tx.expire('b', '1h'))],
    [
      'is replaced by another that has it',
      (tx) => tx.set('a', 1, named('2')).then(() => tx.set('b', 1, named('2'))),
    ],
    ['is of the third of a round', (tx) => tx.set('a', 1, named('2')).then(() => tx.set('b', 1, named('3')))],
  ])('a unique value that %s is a violation, and nothing is stored', async (_, run) => {
    await using cache = open()
    for (const [index, key] of ['a', 'b', 'c'].entries()) await cache.set(key, 1, named(`${index + 1}`))
    const before = await cache.query('SELECT * FROM experiments ORDER BY key')
    const fault = await failure(() =>
      cache.transaction(async (tx) => {
        await run(tx)
        await tx.set('other', 1)
      }),
    )
    expect(fault).toMatchObject({ code: 'E_CONSTRAINT', context: { table: 'experiments', column: 'name' } })
    expect(await cache.query('SELECT * FROM experiments ORDER BY key')).toEqual(before)
    expect(await cache.getMany(['a', 'b', 'c', 'other'])).toEqual([1, 1, 1, undefined])
    expect((await cache.check()).ok).toBe(true)
  })

  it('of sets of one tick: each fails alone, and values that are swapped do not', async () => {
    await using cache = open()
    await cache.set('a', 1, named('1'))
    await cache.set('b', 1, named('2'))
    await Promise.all([cache.set('a', 2, named('2')), cache.set('b', 2, named('1'))])
    expect(await names(cache)).toEqual([
      ['a', '2'],
      ['b', '1'],
    ])
    const done = await Promise.allSettled([cache.set('c', 3, named('2')), cache.set('d', 3, named('4'))])
    expect(done.map(({ status }) => status)).toEqual(['rejected', 'fulfilled'])
    expect(await names(cache)).toEqual([
      ['a', '2'],
      ['b', '1'],
      ['d', '4'],
    ])
  })

  it('that fail leave the other calls of their tick alone', async () => {
    await using cache = open()
    const set = (key: string, name: string) =>
      cache.set(key, key, { meta: { experiments: { epochs: 1, name } } })
    const outcomes = await Promise.allSettled([set('a', 'x'), set('b', 'x'), set('c', 'y')])
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect((await cache.find('experiments')).length).toBe(2)
  })

  it.each([
    [{ other: {} }],
    [{ experiments: { epochs: 1, other: 2 } }],
    [{ experiments: { epochs: 1, constructor: 2 } }],
    [{ experiments: { epochs: 1.5 } }],
    [{ experiments: { epochs: '1' } }],
    [{ experiments: { epochs: 2 ** 53 } }],
    [{ experiments: { epochs: 1, accuracy: Number.NaN } }],
    [{ experiments: { epochs: 1, accuracy: '0.5' } }],
    [{ experiments: { epochs: 1, isFinal: 1 } }],
    [{ experiments: { epochs: 1, day: '2023-02-29' } }],
    [{ experiments: { epochs: 1, startedAt: new Date(Number.NaN) } }],
    [{ experiments: { epochs: 1, config: new Map() } }],
    [{ experiments: { epochs: 1, name: '\ud800' } }],
    [{ experiments: 7 }],
    [{ experiments: new Map([['epochs', 1]]) }],
    [new Map([['experiments', { epochs: 1 }]])],
    [[{ epochs: 1 }]],
    [7],
    [{ toString: {} }],
  ])('%j is refused', async (meta) => {
    await using cache = open()
    expect(await codeOf(() => cache.set('a', 1, { meta: meta as object }))).toBe('E_INVALID_OPTION')
    expect(await cache.size()).toBe(0)
  })
})

describe('declaring tables', () => {
  it.each([
    [{ experiments: { key: text() } }],
    [{ experiments: { Key: text() } }],
    [{ entries: { a: text() } }],
    [{ TAGS: { a: text() } }],
    [{ sqlite_master: { a: text() } }],
    [{ '': { a: text() } }],
    [{ a: {} }],
    [{ a: { x: 'text' } }],
    [{ a: { x: text(), X: text() } }],
    [{ a: { x: text().primaryKey() } }],
    [{ a: { x: text() }, A: { x: text() } }],
    [{ ['x'.repeat(64)]: { a: text() } }],
    [7],
  ])('%j is refused', async (meta) => {
    expect(await codeOf(() => new Cache({ dir: dir(), meta: meta as never }))).toBe('E_INVALID_OPTION')
  })

  it('needs a directory', async () => {
    expect(await codeOf(() => new Cache({ meta: TABLES }))).toBe('E_INVALID_OPTION')
    await using cache = new Cache()
    expect(await codeOf(() => cache.query('SELECT 1'))).toBe('E_UNAVAILABLE')
    expect(await codeOf(() => cache.set('a', 1, { meta: { experiments: {} } as object }))).toBe(
      'E_INVALID_OPTION',
    )
  })

  it('adds what is new to what an earlier cache declared, and refuses what differs', async () => {
    const path = dir()
    const first = new Cache({ dir: path, meta: { runs: { score: double() } } })
    await first.set('a', 1, { meta: { runs: { score: 1 } } })
    await first.close()
    const wider = new Cache({
      dir: path,
      meta: { runs: { note: text().index(), score: double().index() }, more: { x: text() } },
    })
    expect(await wider.find('runs')).toEqual([{ key: 'a', meta: { note: null, score: 1 } }])
    await wider.close()
    for (const runs of [
      { score: text() },
      { score: double().unique() },
      { score: double().notNull() },
      { must: text().notNull() },
    ]) {
      const fault = await failure(() => new Cache({ dir: path, meta: { runs } as never }))
      expect(fault).toMatchObject({
        code: 'E_INVALID_OPTION',
        context: { table: 'runs', column: Object.keys(runs)[0] },
      })
    }
    await using narrow = new Cache({ dir: path })
    expect((await narrow.entry('a'))?.meta).toEqual({ runs: { score: 1 } })
  })
})

describe('find', () => {
  it.each(['sqlite', 'json'] as const)(
    'takes lists of as many values as a statement does, and says so where there are more, %s',
    async (metadata) => {
      await using cache = new Cache({ dir: dir(), meta: { runs: { n: integer().index() } }, metadata })
      for (const n of [1, 2, 3]) await cache.set(n, n, { meta: { runs: { n } } })
      const list = (length: number) => ({ where: { n: { in: Array.from({ length }, (_, i) => 2 * i) } } })
      expect(await cache.find('runs', list(32_766))).toEqual([{ key: 2, meta: { n: 2 } }])
      for (const many of [32_767, 300_000]) {
        const fault = await failure(cache.find('runs', list(many)))
        expect(fault.code).toBe('E_INVALID_OPTION')
        expect(fault.message).toContain(`${many} values`)
      }
      expect(await codeOf(cache.find('runs', { ...list(32_765), limit: 1, offset: 1 }))).toBe(
        'E_INVALID_OPTION',
      )
    },
  )

  async function filled() {
    const cache = open()
    for (let i = 0; i < 20; i++) {
      const meta = {
        accuracy: i % 5 === 4 ? null : i / 20,
        modelType: i % 2 === 0 ? 'xgboost' : 'forest',
        name: `run ${i}`,
        epochs: i,
        isFinal: i > 10,
        day: `2024-01-${String(i + 1).padStart(2, '0')}`,
        startedAt: new Date(1_700_000_000_000 + i * 1000),
      }
      await cache.set(`k${i}`, { i }, { meta: { experiments: meta } })
    }
    return cache
  }
  type Options = NonNullable<Parameters<Awaited<ReturnType<typeof filled>>['find']>[1]>

  it.each<[Options, number[]]>([
    [
      { where: { accuracy: { gte: 0.8 }, modelType: 'xgboost' } as object, orderBy: 'epochs' as never },
      [16, 18],
    ],
    [{ where: { epochs: { in: [1, 3, 99] } } as object }, [1, 3]],
    [{ where: { epochs: { notIn: Array.from({ length: 18 }, (_, i) => i) } } as object }, [18, 19]],
    [{ where: { epochs: { in: [] } } as object }, []],
    [{ where: { epochs: { between: [3, 5] } } as object }, [3, 4, 5]],
    [{ where: { epochs: { gt: 3, lt: 6, ne: 4 } } as object }, [5]],
    [{ where: { accuracy: null } as object }, [4, 9, 14, 19]],
    [{ where: { accuracy: { isNull: true }, epochs: { gt: 10 } } as object }, [14, 19]],
    [{ where: { accuracy: { ne: null }, epochs: { lte: 5 } } as object }, [0, 1, 2, 3, 5]],
    [{ where: { isFinal: true, epochs: { lt: 13 } } as object }, [11, 12]],
    [{ where: { day: { lte: '2024-01-02' } } as object }, [0, 1]],
    [{ where: { startedAt: { gte: new Date(1_700_000_018_000) } } as object }, [18, 19]],
    [{ where: { startedAt: new Date(1_700_000_002_000) } as object }, [2]],
    [{ where: { name: { like: 'RUN 1_' }, epochs: { lt: 12 } } as object }, [10, 11]],
    [{ orderBy: { epochs: 'desc' } as object, limit: 2 }, [19, 18]],
    [{ orderBy: ['modelType', 'epochs'] as never, limit: 2, offset: 9 }, [19, 0]],
    [{ orderBy: 'epochs' as never, offset: 18 }, [18, 19]],
    [{ where: { name: undefined } as object, limit: 1, orderBy: 'epochs' as never }, [0]],
  ])('%j', async (options, expected) => {
    await using cache = await filled()
    const found = (await cache.find('experiments', options as object)).map(({ meta }) => meta.epochs)
    expect(options.orderBy === undefined ? found.sort((a, b) => a - b) : found).toEqual(expected)
  })

  it.each([
    [{ where: { other: 1 } }],
    [{ where: { epochs: 'x' } }],
    [{ where: { epochs: { about: 1 } } }],
    [{ where: { epochs: { gt: null } } }],
    [{ where: { epochs: { in: [null] } } }],
    [{ where: { epochs: { between: [1] } } }],
    [{ where: { epochs: { like: '1%' } } }],
    [{ where: { config: { a: 1 } } }],
    [{ where: { config: 'x' } }],
    [{ where: 7 }],
    [{ orderBy: 'other' }],
    [{ orderBy: 'epochs; DROP TABLE entries' }],
    [{ orderBy: { epochs: 'up' } }],
    [{ limit: 0 }],
    [{ limit: 1.5 }],
    [{ offset: -1 }],
    [{ values: 1 }],
    [null],
    [7],
    [{ orderBy: [1] }],
    [{ where: { 1: 1 } }],
    [{ whre: {} }],
  ])('refuses %j', async (options) => {
    await using cache = open()
    expect(await codeOf(() => cache.find('experiments', options as object))).toBe('E_INVALID_OPTION')
    expect(await codeOf(() => cache.find('nothing' as 'experiments'))).toBe('E_INVALID_OPTION')
  })

  it('refuses what cannot be read', async () => {
    await using cache = open()
    const get = () => {
      throw new Error('a trap')
    }
    for (const options of [
      new Proxy({}, { get }),
      Object.defineProperty({}, 'values', { enumerable: true, get }),
      { where: new Proxy({}, { get }) },
    ]) {
      expect(await codeOf(() => cache.find('experiments', options))).toBe('E_INVALID_OPTION')
    }
  })

  it('answers a question as it is asked, whichever like it were asked before', async () => {
    await using cache = await filled()
    type Row = (typeof rows)[number]
    const rows = (await cache.find('experiments')).map(({ meta }) => meta)
    const questions: ((n: number) => [object, (row: Row) => boolean])[] = [
      (n) => [{ epochs: n }, (row) => row.epochs === n],
      (n) => [{ epochs: { gt: n } }, (row) => row.epochs > n],
      (n) => [{ epochs: { lt: n } }, (row) => row.epochs < n],
      (n) => [{ epochs: { gt: n, lte: n + 5 } }, (row) => row.epochs > n && row.epochs <= n + 5],
      (n) => [{ epochs: { lte: n + 5, gt: n } }, (row) => row.epochs > n && row.epochs <= n + 5],
      (n) => [{ epochs: { gte: n, eq: n } }, (row) => row.epochs === n],
      (n) => [{ epochs: { in: n } }, (row) => row.epochs === n],
      (n) => [{ epochs: { in: [n] } }, (row) => row.epochs === n],
      (n) => [{ epochs: { in: [n, n + 1] } }, (row) => row.epochs === n || row.epochs === n + 1],
      (n) => [{ epochs: { ne: n }, isFinal: true }, (row) => row.epochs !== n && row.isFinal === true],
      (n) => [{ isFinal: n > 9, epochs: { ne: n } }, (row) => row.epochs !== n && row.isFinal === n > 9],
      (n) => [{ epochs: { isNull: false }, name: `run ${n}` }, (row) => row.name === `run ${n}`],
      (n) => [{ name: `run ${n}`, epochs: undefined }, (row) => row.name === `run ${n}`],
      (n) => [{ name: { like: `run ${n}` } }, (row) => row.name === `run ${n}`],
      () => [{ accuracy: null }, (row) => row.accuracy === null],
      (n) => [Object.create({ epochs: n }), () => true],
      (n) => [
        { startedAt: rows[n]!.startedAt! },
        (row) => row.startedAt?.getTime() === rows[n]!.startedAt?.getTime(),
      ],
    ]
    const asked = [0, 7, 12].flatMap((n) => questions.map((question) => question(n)))
    for (const [where, holds] of [...asked, ...asked.reverse()]) {
      const found = (await cache.find('experiments', { where })).map(({ meta }) => meta.epochs)
      const expected = rows.filter(holds).map(({ epochs }) => epochs)
      expect(
        found.sort((a, b) => a - b),
        JSON.stringify(where),
      ).toEqual(expected.sort((a, b) => a - b))
    }
    // A value that does not fit is refused also where the question is known.
    for (const where of [{ epochs: 'x' }, { epochs: { gt: Number.NaN } }, { name: { in: Symbol('s') } }]) {
      expect(await codeOf(() => cache.find('experiments', { where: where as object }))).toBe(
        'E_INVALID_OPTION',
      )
    }
  })

  it('gives the keys that were given, and values where asked for', async () => {
    await using cache = open()
    const keys = ['text', 7, { model: 'x', version: [1, 2] }, 'with "quotes"', 'ü'.repeat(50)]
    for (const [epochs, key] of keys.entries())
      await cache.set(key, { epochs }, { meta: { experiments: { epochs } } })
    const found = await cache.find('experiments', { orderBy: 'epochs', values: true })
    expect(found.map(({ key }) => key)).toEqual(keys)
    expect(found.map(({ value }) => value)).toEqual(keys.map((_, epochs) => ({ epochs })))
    const [row] = await cache.query<{ key: string }>('SELECT key FROM experiments WHERE epochs = 2')
    expect(keyOf(row!.key)).toEqual(keys[2])
    expect(CallKey).toBeDefined()
    await cache.set({ data: file(import.meta.filename) }, 1, { meta: { experiments: { epochs: 99 } } })
    const [{ key }] = await cache.find('experiments', { where: { epochs: 99 } })
    expect(await cache.get(key)).toBe(1)
  })

  it('gives rows typed by what was declared', async () => {
    await using cache = open()
    const found = await cache.find('experiments', { values: true })
    type Meta = (typeof found)[number]['meta']
    expectTypeOf<Meta['accuracy']>().toEqualTypeOf<number | null>()
    expectTypeOf<Meta['epochs']>().toEqualTypeOf<number>()
    expectTypeOf<Meta['startedAt']>().toEqualTypeOf<Date | null>()
    const tables = { runs: { config: json<{ rate: number }>().index(), any: json().notNull() } }
    type Runs = Awaited<ReturnType<Cache<typeof tables>['find']>>[number]['meta']
    expectTypeOf<Runs['config']>().toEqualTypeOf<{ rate: number } | null>()
    expectTypeOf<Runs['any']>().toEqualTypeOf<unknown>()
    // @ts-expect-error: no such table
    await codeOf(() => cache.find('nothing'))
    // @ts-expect-error: a text is no number
    await codeOf(() => cache.find('experiments', { where: { epochs: 'x' } }))
    const plain: Cache = new Cache()
    await plain.close()
  })
})

describe('query', () => {
  it('gives bytes that are computed as a Buffer of their own, beside texts', async () => {
    await using cache = open()
    await cache.set('ü', 1, { meta: { experiments: { epochs: 7, name: 'größe' } } })
    const sql = `SELECT CAST(name AS BLOB) AS a, name, x'' AS b, zeroblob(3) AS c, '🎉' AS t, epochs, x'ff00' AS d
      FROM experiments`
    const [row] = await cache.query(sql)
    const wanted = {
      a: Buffer.from('größe'),
      name: 'größe',
      b: Buffer.alloc(0),
      c: Buffer.alloc(3),
      t: '🎉',
      epochs: 7,
      d: Buffer.from([255, 0]),
    }
    await cache.query(`SELECT zeroblob(200), x'aa'`) // comes to the same place
    expect(row).toEqual(wanted)
    const [large] = await cache.query<{ b: Buffer; t: string }>('SELECT randomblob(100000) AS b, ? AS t', [
      'x'.repeat(100_000),
    ])
    expect([large!.b.length, large!.t.length]).toEqual([100_000, 100_000])
    const [long] = await cache.query<{ b: Buffer; n: number }>(
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) SELECT count(*) AS n, x'0102' AS b FROM n`,
    )
    expect(long).toEqual({ n: 200_000, b: Buffer.from([1, 2]) }) // on the thread pool
  })

  it.each([undefined, { key: Buffer.alloc(32, 7) }])(
    'joins by keys of every sort, encryption %j',
    async (encryption) => {
      const meta = encryption === undefined ? { meta: TABLES } : {}
      await using cache = new Cache({ dir: dir(), encryption, ...meta })
      const keys = ['a', 'ü🎉', '', 1, { a: [1, 'x'] }, 'x'.repeat(2000)]
      for (const [index, key] of keys.entries()) {
        const rows = encryption === undefined ? { meta: { experiments: { epochs: index } } } : {}
        await cache.set(key, index, { tags: [`t${index}`, 'all'], ...rows })
      }
      const count = `SELECT count(*) AS n FROM entries JOIN tags USING (key)`
      expect(await cache.query(`${count} WHERE tag = 'all'`)).toEqual([{ n: keys.length }])
      for (const { key } of await cache.query<{ key: string }>('SELECT key FROM entries')) {
        expect(await cache.query(`${count} WHERE key = ?`, [key])).toEqual([{ n: 2 }])
        expect(await cache.query('SELECT key FROM entries WHERE key IN (?, ?)', [key, 'none'])).toEqual([
          { key },
        ])
        const plan = await cache.query('EXPLAIN QUERY PLAN SELECT key FROM entries WHERE key = ?', [key])
        expect(plan.map(({ detail }) => String(detail)).join()).toContain(
          'SEARCH e USING INTEGER PRIMARY KEY',
        )
        if (encryption !== undefined) continue
        const joined =
          'SELECT epochs FROM experiments JOIN entries USING (key) JOIN tags USING (key) WHERE key = ? AND tag <> ?'
        const [row] = await cache.query(joined, [key, 'all'])
        expect(await cache.get(keyOf(key))).toBe(row?.epochs)
      }
    },
  )

  it('binds values of every sort', async () => {
    await using cache = open()
    const values = [
      "'; DROP TABLE entries; --",
      1.5,
      2,
      true,
      null,
      2n ** 62n,
      new Date(5),
      -0,
      Number.NEGATIVE_INFINITY,
    ]
    const [row] = await cache.query<Record<string, unknown>>(
      `SELECT ${values.map((_, i) => `? AS c${i}`).join(', ')}`,
      values,
    )
    expect(Object.values(row!)).toEqual([
      values[0],
      1.5,
      2,
      1,
      null,
      2n ** 62n,
      5,
      0,
      Number.NEGATIVE_INFINITY,
    ])
    for (const bad of [
      undefined,
      Number.NaN,
      {},
      [],
      2n ** 63n,
      Symbol('x'),
      '\ud800',
      new Date(Number.NaN),
    ]) {
      expect(await codeOf(() => cache.query('SELECT ?', [bad as string]))).toBe('E_INVALID_OPTION')
    }
    expect(await codeOf(() => cache.query('SELECT ?'))).toBe('E_INVALID_OPTION')
    expect(await codeOf(() => cache.query('SELECT 1', [1]))).toBe('E_INVALID_OPTION')
    expect(await codeOf(() => cache.query(7 as never))).toBe('E_INVALID_OPTION')
  })

  it('does not write, and runs one statement', async () => {
    await using cache = open()
    await cache.set('a', 1, { meta: { experiments: { epochs: 1 } } })
    const target = join(tempDir(), 'stolen.db')
    for (const sql of [
      'DELETE FROM experiments',
      'UPDATE entries SET key = 1',
      "INSERT INTO tags VALUES ('a', 'b')",
      'DROP VIEW experiments',
      `ATTACH '${target}' AS stolen`,
      `VACUUM INTO '${target}'`,
      'PRAGMA writable_schema = ON',
      'SELECT frame FROM main.entries',
      'WITH stolen AS (SELECT frame FROM main.entries) SELECT * FROM stolen',
      'BEGIN',
    ]) {
      expect(await codeOf(() => cache.query(sql)), sql).toBe('E_READ_ONLY')
    }
    expect(await codeOf(() => cache.query('SELECT 1; DELETE FROM experiments'))).toBe('E_READ_ONLY')
    for (const sql of ['SELECT 1; SELECT 2', 'SELECT 1 \0; SELECT 2', '', ';'])
      expect(await codeOf(() => cache.query(sql)), sql).toBe('E_INVALID_OPTION')
    expect((await failure(() => cache.query(''))).message).toContain('no statement')
    expect(existsSync(target)).toBe(false)
    expect(await cache.get('a')).toBe(1)
  })

  it('that takes long leaves the event loop alone', async () => {
    await using cache = open()
    const long =
      'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000000) SELECT count(*) AS n FROM n'
    let turns = 0
    const timer = setInterval(() => turns++, 1)
    expect(await cache.query(long)).toEqual([{ n: 3_000_000 }])
    clearInterval(timer)
    expect(turns).toBeGreaterThan(3)
  })

  it('gives as many rows as there are, of any text', async () => {
    await using cache = open()
    const sql =
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT i, 'ü🎉' || i AS text, NULL AS none FROM n"
    for (const count of [0, 1, 10_000]) {
      const rows = await cache.query(sql, [Math.max(count, 1)])
      expect(rows.length).toBe(Math.max(count, 1))
      expect(rows.at(-1)).toEqual({ i: rows.length, text: `ü🎉${rows.length}`, none: null })
    }
    expect(await cache.query('SELECT key FROM entries')).toEqual([])
  })

  it('sees the writes that were asked for before it, and is refused when the cache is closed', async () => {
    const cache = open()
    const written = cache.set('a', 1, { meta: { experiments: { epochs: 1 } } })
    expect((await cache.find('experiments')).length).toBe(1)
    await written
    await cache.close()
    expect(await codeOf(() => cache.find('experiments'))).toBe('E_CLOSED')
    expect(await codeOf(() => cache.query('SELECT 1'))).toBe('E_CLOSED')
  })
})
