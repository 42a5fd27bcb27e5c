import { mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as arrow from 'apache-arrow'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { codeOf } from '../helpers/errors.js'
import { tempDir } from '../helpers/temp.js'
import { openTables, type PolarsFrame, polars, rowsOf } from './helpers.js'

/** What SQL gives for each type: as a cell of a row, and as a column. */
const FROM_SQL: [sql: string, cell: unknown, column: unknown][] = [
  ['true', true, [true]],
  ['42::TINYINT', 42, Int8Array.of(42)],
  ['42::SMALLINT', 42, Int16Array.of(42)],
  ['42::INTEGER', 42, Int32Array.of(42)],
  ['-9007199254740993::BIGINT', -9007199254740993n, BigInt64Array.of(-9007199254740993n)],
  ['42::UTINYINT', 42, Uint8Array.of(42)],
  ['42::USMALLINT', 42, Uint16Array.of(42)],
  ['42::UINTEGER', 42, Uint32Array.of(42)],
  ['18446744073709551615::UBIGINT', 2n ** 64n - 1n, BigUint64Array.of(2n ** 64n - 1n)],
  ['-170141183460469231731::HUGEINT', -170141183460469231731n, [-170141183460469231731n]],
  ['1.5::FLOAT', 1.5, Float32Array.of(1.5)],
  ["'-Infinity'::DOUBLE", -Infinity, Float64Array.of(-Infinity)],
  ['-0.05::DECIMAL(10,2)', '-0.05', ['-0.05']],
  ['12345678901234567890.12::DECIMAL(30,2)', '12345678901234567890.12', ['12345678901234567890.12']],
  ["'wörld'", 'wörld', ['wörld']],
  ["'\\x00\\xFF'::BLOB", Uint8Array.of(0, 255), [Uint8Array.of(0, 255)]],
  ["DATE '2024-02-29'", '2024-02-29', Int32Array.of(19782)],
  ["DATE 'infinity'", 'infinity', Int32Array.of(2147483647)],
  [
    "TIMESTAMP '2024-02-29 12:00:00.123456'",
    new Date('2024-02-29T12:00:00.123Z'),
    BigInt64Array.of(1709208000123456n),
  ],
  ["TIMESTAMP '1969-12-31 23:59:59.999999'", new Date(-1), BigInt64Array.of(-1n)],
  [
    "TIMESTAMPTZ '2024-02-29 12:00:00+02'",
    new Date('2024-02-29T10:00:00Z'),
    BigInt64Array.of(1709200800000000n),
  ],
  [
    "TIMESTAMP_NS '2024-02-29 12:00:00.123456789'",
    new Date('2024-02-29T12:00:00.123Z'),
    BigInt64Array.of(1709208000123456789n),
  ],
  ["TIME '10:11:12.5'", '10:11:12.500000', BigInt64Array.of(36672500000n)],
  [
    "INTERVAL '2 months 3 days 4 seconds'",
    { months: 2, days: 3, microseconds: 4e6 },
    [{ months: 2, days: 3, microseconds: 4e6 }],
  ],
  ["'b'::ENUM('a','b')", 'b', ['b']],
  [
    "'d5b8a7e0-0000-4000-8000-000000000001'::UUID",
    'd5b8a7e0-0000-4000-8000-000000000001',
    ['d5b8a7e0-0000-4000-8000-000000000001'],
  ],
  ['\'{"a": 1}\'::JSON', '{"a": 1}', ['{"a": 1}']],
  ['[1, NULL, 3]', [1, null, 3], [[1, null, 3]]],
  ['[[1], []]', [[1], []], [[[1], []]]],
  ['array_value(1.5::FLOAT, 2.5::FLOAT)', [1.5, 2.5], [[1.5, 2.5]]],
  ["{'a': 1, 'b': {'c': 'x'}}", { a: 1, b: { c: 'x' } }, [{ a: 1, b: { c: 'x' } }]],
  [
    "MAP {'k': 1, 'l': NULL}",
    new Map([
      ['k', 1],
      ['l', null],
    ]),
    [
      new Map([
        ['k', 1],
        ['l', null],
      ]),
    ],
  ],
  ["union_value(a := 'x')", 'x', ['x']],
  ['NULL', null, [null]],
]

describe('from SQL to JavaScript', () => {
  it.each(FROM_SQL)('%s', async (sql, cell, column) => {
    const tables = openTables()
    await using db = await tables.connect()
    expect(await db.query(`SELECT ${sql} AS x`)).toStrictEqual([{ x: cell }])
    expect((await db.query(`SELECT ${sql} AS x`).columns()).x).toStrictEqual(column)
    // Beside a null, columns are arrays of the same elements.
    const both = await db
      .query(`SELECT x FROM (SELECT 1 AS n, ${sql} AS x UNION ALL SELECT 2, NULL) ORDER BY n`)
      .columns()
    expect(both.x).toStrictEqual([...(column as unknown[]), null])
  })

  it('an empty result has its columns', async () => {
    const tables = openTables()
    await using db = await tables.connect()
    const columns = await db.query("SELECT 1::DOUBLE a, 'x' b, [1] c WHERE false").columns()
    expect(columns).toStrictEqual({ a: new Float64Array(0), b: [], c: [] })
    expect(await db.query('SELECT 1 a WHERE false')).toEqual([])
  })
})

const scalar = (): fc.Arbitrary<fc.Arbitrary<unknown>> =>
  fc.constantFrom<fc.Arbitrary<unknown>>(
    fc.double({ noNaN: false }),
    fc.boolean(),
    fc.string({ unit: 'grapheme' }),
    fc.bigInt({ min: -(10n ** 37n), max: 10n ** 37n }),
    fc.date({ noInvalidDate: true, min: new Date('0001-01-01'), max: new Date('9999-12-31') }),
    fc.uint8Array({ maxLength: 9 }),
  )

const nullable = (of: fc.Arbitrary<unknown>) => fc.option(of, { nil: null, freq: 4 })

/** A column's values: one kind, perhaps nested, with nulls. */
const column = scalar().chain((of) =>
  fc.oneof(
    fc.array(nullable(of), { minLength: 3, maxLength: 3 }),
    fc.array(nullable(fc.array(nullable(of), { maxLength: 4 })), { minLength: 3, maxLength: 3 }),
    fc.array(
      nullable(fc.record({ a: nullable(of), 'b"c': nullable(fc.string()) }, { noNullPrototype: true })),
      {
        minLength: 3,
        maxLength: 3,
      },
    ),
    fc.array(
      nullable(
        fc.array(fc.tuple(fc.string(), nullable(of)), { maxLength: 3 }).map((pairs) => new Map(pairs)),
      ),
      { minLength: 3, maxLength: 3 },
    ),
  ),
)

describe('from JavaScript and back', () => {
  it('rows and columns of any values come back as they were', async () => {
    const tables = openTables()
    await using db = await tables.connect()
    await fc.assert(
      fc.asyncProperty(column, column, async (a, b) => {
        const rows = a.map((value, at) => ({ a: value, b: b[at] }))
        await tables.update('rows', rows)
        expect(await db.query('FROM rows')).toStrictEqual(rows)
        await tables.update('columns', { a, b })
        expect(await db.query('FROM columns')).toStrictEqual(rows)
        expect(await db.query('SELECT ? AS a, ? AS b', [a[0], b[0]])).toHaveLength(1)
      }),
      { numRuns: 40 },
    )
  })

  it('parameters keep their values, nested ones too', async () => {
    const tables = openTables()
    await using db = await tables.connect()
    const values = [
      true,
      1,
      -1.5,
      2n ** 60n,
      2n ** 100n,
      'text',
      new Date(5),
      Uint8Array.of(1),
      [1.5, null],
      { a: 'x' },
      new Map([['k', 2.5]]),
      null,
    ]
    for (const value of values) expect(await db.query('SELECT ? AS x', [value])).toStrictEqual([{ x: value }])
  })

  it('typed arrays keep their type, and views and lists of them too', async () => {
    const tables = openTables()
    await using db = await tables.connect()
    const whole = Float32Array.from({ length: 20 }, (_, at) => at)
    const columns = { v: whole.subarray(3, 5), i: Int16Array.of(-1, 2), u: BigUint64Array.of(2n ** 63n, 0n) }
    await tables.update('t', columns)
    expect(await db.query('FROM t').columns()).toStrictEqual({ ...columns, v: Float32Array.of(3, 4) })
    await tables.update('vectors', [{ v: Float32Array.of(1, 2) }, { v: new Float32Array(0) }, { v: null }])
    expect(await db.query('SELECT v, typeof(v) t FROM vectors')).toEqual([
      { v: [1, 2], t: 'FLOAT[]' },
      { v: [], t: 'FLOAT[]' },
      { v: null, t: 'FLOAT[]' },
    ])
  })

  it('what fits into no column is named', async () => {
    const tables = openTables()
    const bad: [unknown, string][] = [
      [[{ a: 1 }, { a: 'x' }], 'rows[1]["a"]'],
      [[{ a: [1, 'x'] }], 'rows[0]["a"][1]'],
      [[{ a: { b: Symbol('s') } }], 'rows[0]["a"]["b"]'],
      [[{ a: new Date(Number.NaN) }], 'rows[0]["a"]'],
      [[{ a: 1 }, 5], 'rows[1]'],
      [{ a: [1], b: [1, 2] }, 'columns["b"]'],
      [[{ a: 10n ** 40n }], 'rows[0]["a"]'],
      [[{ a: {} }], 'rows[0]["a"]'],
    ]
    for (const [source, path] of bad) {
      await expect(tables.update('t', source as never)).rejects.toMatchObject({
        code: 'E_UNSERIALIZABLE',
        context: { path },
      })
    }
    expect(await tables.listTables()).toEqual([])
  })
})

describe('Arrow', () => {
  const types: [string, arrow.Vector][] = [
    ['bool', arrow.vectorFromArray([true, null, false], new arrow.Bool())],
    ['i64', arrow.vectorFromArray([1n, null, -3n], new arrow.Int64())],
    ['f32', arrow.vectorFromArray([1.5, null, 3], new arrow.Float32())],
    ['utf8', arrow.vectorFromArray(['a', null, 'ü'], new arrow.Utf8())],
    ['dict', arrow.vectorFromArray(['x', null, 'x'])],
    ['day', arrow.vectorFromArray([new Date('2024-01-31'), null, new Date(0)], new arrow.DateDay())],
    ['at', arrow.vectorFromArray([new Date(5), null, new Date(0)], new arrow.TimestampMillisecond('UTC'))],
    [
      'list',
      arrow.vectorFromArray([[1, 2], null, []], new arrow.List(new arrow.Field('item', new arrow.Int32()))),
    ],
    [
      'struct',
      arrow.vectorFromArray(
        [{ a: 1 }, null, { a: 3 }],
        new arrow.Struct([new arrow.Field('a', new arrow.Int32())]),
      ),
    ],
    ['bytes', arrow.vectorFromArray([Uint8Array.of(1), null, Uint8Array.of(2, 3)], new arrow.Binary())],
  ]
  const table = new arrow.Table(Object.fromEntries(types))
  const EXPECTED = [
    {
      bool: true,
      i64: 1n,
      f32: 1.5,
      utf8: 'a',
      dict: 'x',
      day: '2024-01-31',
      at: new Date(5),
      list: [1, 2],
      struct: { a: 1 },
      bytes: Uint8Array.of(1),
    },
    Object.fromEntries(types.map(([name]) => [name, null])),
    {
      bool: false,
      i64: -3n,
      f32: 3,
      utf8: 'ü',
      dict: 'x',
      day: '1970-01-01',
      at: new Date(0),
      list: [],
      struct: { a: 3 },
      bytes: Uint8Array.of(2, 3),
    },
  ]

  it('a table goes in without IPC, a slice and several batches too', async () => {
    const tables = openTables()
    await tables.update('t', table)
    expect(await rowsOf(tables, 'FROM t')).toStrictEqual(EXPECTED)
    await tables.update('t', table.slice(1, 3))
    expect(await rowsOf(tables, 'FROM t')).toStrictEqual(EXPECTED.slice(1))
    await tables.update('t', table.concat(table))
    expect(await rowsOf(tables, 'FROM t')).toStrictEqual([...EXPECTED, ...EXPECTED])
  })

  it.each(['stream', 'file'] as const)('IPC bytes in the form of a %s go in', async (form) => {
    const tables = openTables()
    await tables.update('t', arrow.tableToIPC(table, form))
    expect(await rowsOf(tables, 'FROM t')).toStrictEqual(EXPECTED)
  })

  it('a result comes out as a table', async () => {
    const tables = openTables()
    await tables.update('t', table)
    await using db = await tables.connect()
    const out = (await db.query('FROM t').arrow()) as arrow.Table
    expect(out).toBeInstanceOf(arrow.Table)
    expect(out.numRows).toBe(3)
    expect([...out.getChild('i64')!]).toEqual([1n, null, -3n])
    await tables.update('again', out)
    expect(await rowsOf(tables, 'FROM again')).toStrictEqual(EXPECTED)
    expect(((await db.query('FROM t WHERE false').arrow()) as arrow.Table).numCols).toBe(types.length)
  })

  it('damaged IPC bytes are refused, cut anywhere', async () => {
    const tables = openTables()
    const ipc = arrow.tableToIPC(table, 'file')
    for (let length = 1; length < ipc.length; length += 97) {
      expect(await codeOf(tables.update('t', ipc.slice(0, length)))).toMatch(/E_INVALID_OPTION|E_INTERNAL/)
    }
    expect(await tables.listTables()).toEqual([])
  })
})

describe('Polars and files', () => {
  const ROWS = [
    { id: 1, name: 'a', at: new Date('2024-01-01T00:00:00Z') },
    { id: 2.5, name: null, at: new Date('2024-01-02T00:00:00Z') },
  ]

  it('frames go in and come out', async () => {
    const tables = openTables()
    await tables.update('t', polars.DataFrame({ id: [1, 2.5], name: ['a', null], tags: [['x'], ['y', 'z']] }))
    expect(await rowsOf(tables, 'FROM t')).toEqual([
      { id: 1, name: 'a', tags: ['x'] },
      { id: 2.5, name: null, tags: ['y', 'z'] },
    ])
    await using db = await tables.connect()
    const frame = (await db.query('SELECT id, name FROM t').polars()) as PolarsFrame
    expect(frame.toRecords()).toEqual([
      { id: 1, name: 'a' },
      { id: 2.5, name: null },
    ])
  })

  it('Parquet, CSV and JSON files go in, and a query is written as Parquet', async () => {
    const dir = tempDir()
    const tables = openTables({ dir })
    await tables.update('t', ROWS)
    await using db = await tables.connect()
    const parquet = join(dir, `it's.parquet`)
    expect(await db.query('FROM t WHERE id < $max', { max: 9 }).parquet(parquet)).toBe(2)
    await tables.update('parquet', parquet)
    expect(await rowsOf(tables, 'FROM parquet')).toStrictEqual(ROWS)
    const files = mkdtempSync(join(dir, 'files-'))
    writeFileSync(join(files, 'a.csv'), 'id,name\n1,a\n2,\n')
    writeFileSync(join(files, 'a.json'), '[{"id":1,"name":"a"},{"id":2,"name":null}]')
    writeFileSync(join(files, 'a.ndjson'), '{"id":1,"name":"a"}\n{"id":2,"name":null}\n')
    writeFileSync(join(files, 'plain'), 'id,name\n1,a\n2,\n')
    for (const source of [
      join(files, 'a.csv'),
      join(files, 'a.json'),
      join(files, 'a.ndjson'),
      { file: join(files, 'plain'), format: 'csv' as const },
    ]) {
      await tables.update('file', source)
      expect(await rowsOf(tables, 'FROM file')).toEqual([
        { id: 1n, name: 'a' },
        { id: 2n, name: null },
      ])
    }
    expect(await codeOf(db.query('SELECT nothing').parquet(join(dir, 'no.parquet')))).toBe('E_QUERY')
    expect((await import('node:fs')).readdirSync(dir).filter((name) => name.endsWith('.tmp'))).toEqual([])
  })

  it('rows of a query are the source of a table', async () => {
    const tables = openTables()
    await tables.update('t', ROWS)
    await using db = await tables.connect()
    await tables.update('u', db.query('SELECT id FROM store.t WHERE id > ?', [1]))
    expect(await rowsOf(tables, 'FROM u')).toEqual([{ id: 2.5 }])
  })
})
