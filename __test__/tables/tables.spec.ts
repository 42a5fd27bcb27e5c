import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { boolean, date, double, integer, json, TableCache, text, timestamp } from 'tierce'
import { describe, expect, it } from 'vitest'
import { codeOf, failure } from '../helpers/errors.js'
import { tempDir } from '../helpers/temp.js'
import { openTables, rowsOf } from './helpers.js'

const ROWS = [
  { id: 1, name: 'one' },
  { id: 2, name: null },
]

describe('writing tables', () => {
  it('replaces a table as a whole, columns too', async () => {
    const tables = openTables()
    expect(await tables.update('t', ROWS)).toBe(2)
    expect(await tables.update('t', [{ other: true }])).toBe(1)
    expect(await rowsOf(tables, 'FROM t')).toEqual([{ other: true }])
  })

  it('readers see the old or the new table, never a part', async () => {
    const tables = openTables()
    const rows = (round: number) => Array.from({ length: 5000 }, (_, id) => ({ id, round }))
    await tables.update('t', rows(0))
    let writing = true
    const writes = (async () => {
      for (let round = 1; round <= 12; round++) await tables.update('t', rows(round))
      writing = false
    })()
    await using db = await tables.connect()
    let last = 0
    while (writing) {
      const [seen] = await db.query<{ n: bigint; low: number; high: number }>(
        'SELECT count(*) n, min(round) low, max(round) high FROM t',
      )
      expect([seen.n, seen.low]).toEqual([5000n, seen.high])
      expect(seen.low).toBeGreaterThanOrEqual(last)
      last = seen.low
      const rounds = new Set<unknown>()
      for await (const batch of db.query('SELECT round FROM t').batches(1000))
        for (const round of batch.round) rounds.add(round)
      expect(rounds.size).toBe(1)
    }
    await writes
  })

  it('appends by the names of columns, and refuses those it does not have', async () => {
    const tables = openTables()
    await tables.append('t', ROWS)
    await tables.append('t', [{ name: 'three', id: 3 }])
    await tables.append('t', [{ id: 4 }])
    expect(await rowsOf(tables, 'FROM t ORDER BY id')).toEqual([
      ...ROWS,
      { id: 3, name: 'three' },
      { id: 4, name: null },
    ])
    const error = await failure(tables.append('t', [{ id: 5, nam: 'five' }]))
    expect(error.code).toBe('E_QUERY')
    expect(error.message).toContain('nam')
    expect(error.message).toContain('name')
  })

  it('upserts by key: the last of equal keys counts, and what a row lacks stays', async () => {
    const tables = openTables()
    await tables.upsert(
      't',
      [
        { id: 1, a: 'x', b: 'y' },
        { id: 1, a: 'z', b: 'y' },
      ],
      { key: ['id'] },
    )
    await tables.upsert('t', [
      { id: 1, a: 'changed' },
      { id: 2, a: 'first' },
      { id: 2, a: 'new' },
    ])
    expect(await rowsOf(tables, 'FROM t ORDER BY id')).toEqual([
      { id: 1, a: 'changed', b: 'y' },
      { id: 2, a: 'new', b: null },
    ])
    expect(await codeOf(tables.upsert('t', [{ id: null, a: 'q' }]))).toBe('E_QUERY')
    expect(await codeOf(tables.upsert('t', [{ a: 'q' }]))).toBe('E_QUERY')
    await tables.update('keyless', ROWS)
    expect((await failure(tables.upsert('keyless', ROWS))).message).toContain('key')
  })

  it('takes types and constraints of the column vocabulary', async () => {
    const tables = openTables()
    const columns = {
      id: integer().primaryKey(),
      day: date(),
      at: timestamp(),
      price: double().notNull(),
      ok: boolean(),
      note: text(),
      extra: json(),
    }
    const row = { id: 1, day: '2024-02-29', at: new Date(7), price: 1, ok: true, note: 'n', extra: '{"a":1}' }
    await tables.update('t', [row], { columns })
    expect(await rowsOf(tables, 'FROM t')).toEqual([{ ...row, id: 1n }])
    const [facts] = (await tables.info()).tables
    expect(facts.columns.map(({ type }) => type)).toEqual([
      'BIGINT',
      'DATE',
      'TIMESTAMP WITH TIME ZONE',
      'DOUBLE',
      'BOOLEAN',
      'VARCHAR',
      'JSON',
    ])
    expect(await codeOf(tables.append('t', [row]))).toBe('E_QUERY')
    expect(await codeOf(tables.append('t', [{ ...row, id: 2, price: null }]))).toBe('E_QUERY')
    const rounded = await failure(tables.append('t', [{ ...row, id: 2.5 }]))
    expect(rounded.message).toContain('whole numbers')
    expect(await rowsOf(tables, 'FROM t')).toHaveLength(1)
  })

  it('a write that fails leaves the table as it was', async () => {
    const tables = openTables()
    await tables.update('t', ROWS)
    const mixed = await failure(tables.update('t', [{ id: 1 }, { id: 'two' }]))
    expect([mixed.code, mixed.context?.path]).toEqual(['E_UNSERIALIZABLE', 'rows[1]["id"]'])
    const csv = join(tempDir(), 'bad.parquet')
    writeFileSync(csv, 'not parquet')
    expect(await codeOf(tables.update('t', csv))).toBe('E_QUERY')
    expect(await codeOf(tables.update('t', join(tempDir(), 'none.csv')))).toBe('E_UNAVAILABLE')
    expect(await codeOf(tables.update('t', []))).toBe('E_INVALID_OPTION')
    expect(await codeOf(tables.update('t', 'no-format'))).toBe('E_INVALID_OPTION')
    expect(await codeOf(tables.update('t', new Uint8Array([1, 2, 3])))).toBe('E_INVALID_OPTION')
    expect(await codeOf(tables.update('t', 5 as never))).toBe('E_INVALID_OPTION')
    expect(await rowsOf(tables, 'FROM t')).toEqual(ROWS)
  })
})

describe('names and parameters', () => {
  const NAMES = [
    'a-b',
    '1st',
    'select',
    'with space',
    'Ünï',
    'a"b',
    `x'; DROP TABLE "t"; --`,
    '../../escape',
    'a.b',
    '__proto__',
  ]

  it.each(NAMES)('a table, a schema and a column can be called %j', async (name) => {
    const dir = tempDir()
    const tables = openTables({ dir, schema: name })
    await tables.update('t', ROWS)
    await tables.update(name, { [name]: [1, 2], plain: [3, 4] })
    expect(await tables.check(name)).toBe(true)
    expect(await tables.listSchemaTables()).toContainEqual({ schema: name, table: name })
    const [found] = (await tables.info()).tables.filter(({ table }) => table === name)
    expect(found.columns.map((column) => column.name)).toEqual([name, 'plain'])
    expect(await tables.clear({ table: name })).toBe(1)
    expect(await tables.listTables()).toEqual(['t'])
    expect(readdirSync(dir).every((file) => file.startsWith('tables.duckdb'))).toBe(true)
  })

  it('an empty name, a NUL and the schema of the library are refused', async () => {
    const tables = openTables()
    for (const name of ['', 'a\0b', 5 as never])
      expect(await codeOf(tables.update(name, ROWS))).toBe('E_INVALID_OPTION')
    expect(await codeOf(tables.update('t', ROWS, { schema: '__tierce' }))).toBe('E_INVALID_OPTION')
  })

  it('a parameter is a value, whatever is in it', async () => {
    const tables = openTables()
    await tables.update('t', ROWS)
    const evil = "1'; DROP TABLE t; --"
    expect(await rowsOf(tables, 'SELECT ? AS x FROM t LIMIT 1', [evil])).toEqual([{ x: evil }])
    await using db = await tables.connect()
    expect(await db.query('SELECT $a AS a, $b AS b', { b: 2, a: 1 })).toEqual([{ a: 1, b: 2 }])
    expect(await codeOf(db.query('SELECT ? + ?', [1]).rows())).toBe('E_QUERY')
    expect(await codeOf(db.query('SELECT $a', { b: 1 }).rows())).toBe('E_QUERY')
    expect(await codeOf(() => db.query('SELECT ?', [Symbol('no')]))).toBe('E_UNSERIALIZABLE')
    expect(await tables.check('t')).toBe(true)
  })

  it('extensions are neither installed nor loaded by a query', async () => {
    const tables = openTables()
    const settings = await rowsOf(
      tables,
      "SELECT name, value FROM duckdb_settings() WHERE name IN ('autoinstall_known_extensions', 'autoload_known_extensions', 'allow_unsigned_extensions', 'allow_community_extensions')",
    )
    expect(settings).toHaveLength(4)
    for (const { value } of settings as { value: string }[]) expect(value).toBe('false')
    expect(
      await rowsOf(
        tables,
        "SELECT extension_name n FROM duckdb_extensions() WHERE loaded AND n IN ('json', 'parquet', 'icu') ORDER BY n",
      ),
    ).toEqual([{ n: 'icu' }, { n: 'json' }, { n: 'parquet' }])
    expect(await codeOf(rowsOf(tables, "FROM 'https://127.0.0.1:9/x.parquet'"))).toBe('E_QUERY')
  })
})

describe('what is known of tables', () => {
  it('says rows, bytes, age and columns', async () => {
    let now = 1000
    const tables = openTables({ dir: tempDir(), now: () => now })
    await tables.update('t', { id: Float64Array.from({ length: 300_000 }, (_, at) => at * 1.1) })
    now = 5000
    await rowsOf(tables, 'SELECT count(*) FROM t')
    const {
      size,
      path,
      tables: [facts],
    } = await tables.info()
    expect(facts).toMatchObject({
      schema: 'store',
      table: 't',
      rows: 300_000,
      age: 4000,
      createdAt: 1000,
      updatedAt: 1000,
    })
    expect(facts).toMatchObject({
      accessedAt: 5000,
      expiresAt: Infinity,
      hits: 1,
      columns: [{ name: 'id', type: 'DOUBLE', nullable: true }],
    })
    expect(facts.bytes).toBeGreaterThan(1_000_000)
    expect(size).toBeGreaterThanOrEqual(facts.bytes)
    expect(existsSync(path as string)).toBe(true)
  })

  it('clears a table, a schema, everything', async () => {
    const tables = openTables()
    for (const schema of ['store', 'other'])
      for (const table of ['a', 'b']) await tables.update(table, ROWS, { schema })
    expect(await tables.clear({ table: 'a' })).toBe(1)
    expect(await tables.check('a', { schema: 'other' })).toBe(true)
    expect(await tables.clear({ schema: 'other', table: 'b' })).toBe(1)
    expect(await tables.clear({ schema: 'other' })).toBe(1)
    expect(await tables.listSchemaTables()).toEqual([{ schema: 'store', table: 'b' }])
    expect(await tables.clear()).toBe(1)
    expect(await tables.listTables()).toEqual([])
  })

  it('a table lives as long as it was told, and then is gone for queries too', async () => {
    let now = 1000
    const tables = openTables({ ttl: '1m', now: () => now })
    await tables.update('short', ROWS)
    await tables.update('long', ROWS, { ttl: 'never' })
    await tables.append('long', ROWS)
    now += 59_999
    expect(await tables.check('short')).toBe(true)
    now += 1
    expect(await tables.check('short')).toBe(false)
    expect(await tables.listTables()).toEqual(['long'])
    const error = await failure(rowsOf(tables, 'SELECT * FROM long, "short"'))
    expect([error.code, error.context?.table]).toEqual(['E_KEY_EXPIRED', 'short'])
    expect(await codeOf(rowsOf(tables, 'FROM short'))).toBe('E_KEY_EXPIRED')
    await tables.update('other', ROWS) // any write removes it
    expect(await codeOf(rowsOf(tables, 'FROM short'))).toBe('E_KEY_NOT_FOUND')
    await tables.clear({ table: 'other' })
    await tables.update('short', ROWS)
    now += 60_000
    expect(await tables.cleanup()).toBe(1)
    await tables.update('short', ROWS)
    now += 30_000
    await tables.append('short', ROWS) // keeps its time
    now += 30_000
    expect(await tables.check('short')).toBe(false)
  })
})

describe('backups', () => {
  it('a backup is one moment, which restore brings back: rows, keys, times', async () => {
    const dir = tempDir()
    const tables = openTables({ dir })
    await tables.upsert('t', ROWS, { key: ['id'] })
    await rowsOf(tables, 'CREATE VIEW v AS SELECT * FROM store.t')
    expect(await tables.backup()).toBeGreaterThan(0)
    await tables.update('t', [{ other: 1 }])
    await tables.update('new', ROWS)
    await using db = await tables.connect()
    await tables.restore()
    expect(await tables.listTables()).toEqual(['t'])
    expect(await db.query('FROM t ORDER BY id')).toEqual(ROWS)
    expect(await db.query('FROM v ORDER BY id')).toEqual(ROWS)
    await tables.upsert('t', [{ id: 2, name: 'two' }])
    expect(await rowsOf(tables, 'FROM t ORDER BY id')).toEqual([ROWS[0], { id: 2, name: 'two' }])
  })

  it('the last backup can be read while the database is in use', async () => {
    const dir = tempDir()
    const tables = openTables({ dir })
    await tables.update('t', ROWS)
    expect(await codeOf(openTables({ dir, snapshot: true }).listTables())).toBe('E_UNAVAILABLE')
    await tables.backup()
    await tables.update('t', [{ id: 9 }])
    const snapshot = openTables({ dir, snapshot: true })
    expect(await rowsOf(snapshot, 'FROM t')).toEqual(ROWS)
    expect(await codeOf(snapshot.update('t', ROWS))).toBe('E_READ_ONLY')
    await tables.backup() // while the old one is read
    expect(await rowsOf(snapshot, 'FROM t')).toEqual(ROWS)
    expect(await rowsOf(openTables({ dir, snapshot: true }), 'FROM t')).toEqual([{ id: 9 }])
  })

  it('eraseBackup removes the backup and none of the user’s files, and says whether there was one', async () => {
    const dir = tempDir()
    const folder = join(dir, 'mine')
    const tables = openTables({ dir })
    await tables.update('t', ROWS)
    await tables.backup(folder)
    writeFileSync(join(folder, 'thesis.txt'), 'years of work')
    writeFileSync(join(folder, 'other.duckdb'), 'not ours')
    expect(await tables.eraseBackup(folder)).toBe(true)
    expect(readdirSync(folder).sort()).toEqual(['other.duckdb', 'thesis.txt'])
    expect(await tables.eraseBackup(folder)).toBe(false)
    await tables.backup()
    expect(await tables.eraseBackup()).toBe(true)
    expect(existsSync(join(dir, 'backup'))).toBe(false)
    expect(await codeOf(tables.restore())).toBe('E_UNAVAILABLE')
  })

  it('erase removes the database and nothing else', async () => {
    const dir = tempDir()
    const [tables, other] = [openTables({ dir }), openTables({ dir })]
    await tables.update('t', ROWS)
    await tables.backup()
    writeFileSync(join(dir, 'mine.txt'), 'x')
    expect(await other.listTables()).toEqual(['t'])
    expect(await codeOf(tables.erase())).toBe('E_LOCK_TIMEOUT')
    await other.close()
    await new TableCache({ dir }).erase()
    expect(readdirSync(dir).sort()).toEqual(['backup', 'mine.txt'])
    const again = openTables({ dir })
    await again.restore()
    expect(await again.listTables()).toEqual(['t'])
  })
})
