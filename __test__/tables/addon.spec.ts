import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { runScript } from '../helpers/child.js'
import { codeOf, failure } from '../helpers/errors.js'
import { tempDir } from '../helpers/temp.js'
import { openTables } from './helpers.js'

process.env.RUST_BACKTRACE = '0' // a panic writes to stderr

const binding = createRequire(import.meta.url)('@tierce/columnar') as typeof import('@tierce/columnar')
const LONG = 'SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b'

interface Opened {
  database: InstanceType<typeof binding.NativeDatabase>
  connection: InstanceType<typeof binding.NativeConnection>
  tables: InstanceType<typeof binding.NativeTables>
  result: InstanceType<typeof binding.NativeResult>
  stream: InstanceType<typeof binding.NativeStream>
  dir: string
}

async function open(): Promise<Opened> {
  const database = await binding.NativeDatabase.open(undefined, {})
  const connection = database.connect()
  const tables = await binding.NativeTables.open(database, {})
  const result = await connection.query('SELECT 1 a')
  const stream = await database.connect().stream('SELECT 1 a')
  return { database, connection, tables, result, stream, dir: tempDir() }
}

const wire = { schema: '{"fields":[],"metadata":{}}', rows: 0, lengths: [], buffers: [] }
const spec = { mode: 'replace', names: [], types: [], key: [], renew: false }

/** A call of each function; whether it succeeds says nothing here. `null` is no function of its own. */
const CALLS: Record<string, ((opened: Opened) => unknown) | null> = {
  __napiBindingTarget: null,
  duckdbVersion: () => binding.duckdbVersion(),
  forcePanic: () => binding.forcePanic(),
  eraseBackup: ({ dir }) => binding.eraseBackup(dir),
  eraseDatabase: ({ dir }) => binding.eraseDatabase(join(dir, 'none')),
  version: () => binding.version(),
  frameToParquet: () => binding.frameToParquet({ batches: [wire] }),
  frameToParquetSync: () => binding.frameToParquetSync({ batches: [wire] }),
  frameToIpc: () => binding.frameToIpc(new Uint8Array(9)),
  frameToIpcSync: () => binding.frameToIpcSync(new Uint8Array(9)),
  scanFrame: () => binding.scanFrame(new Uint8Array(9), { filters: [] }),
  NativeDatabase: null,
  'NativeDatabase.open': () => binding.NativeDatabase.open(undefined, {}),
  'NativeDatabase.prototype.connect': ({ database }) => database.connect(),
  'NativeDatabase.prototype.close': ({ database }) => database.close(),
  NativeConnection: null,
  'NativeConnection.prototype.query': ({ connection }) => connection.query('SELECT 1'),
  'NativeConnection.prototype.stream': ({ connection }) => connection.stream('SELECT 1'),
  'NativeConnection.prototype.interrupt': ({ connection }) => connection.interrupt(),
  'NativeConnection.prototype.progress': ({ connection }) => connection.progress(),
  'NativeConnection.prototype.close': ({ connection }) => connection.close(),
  NativeResult: null,
  'NativeResult.prototype.changed': ({ result }) => result.changed(),
  'NativeResult.prototype.columns': ({ result }) => result.columns(),
  'NativeResult.prototype.ipc': ({ result }) => result.ipc(),
  NativeStream: null,
  'NativeStream.prototype.next': ({ stream }) => stream.next(10),
  'NativeStream.prototype.close': ({ stream }) => stream.close(),
  NativeTables: null,
  'NativeTables.open': ({ database }) => binding.NativeTables.open(database, {}),
  'NativeTables.prototype.write': ({ tables }) => tables.write('s', 't', { sql: 'SELECT 1 a' }, spec, 1),
  'NativeTables.prototype.interrupt': ({ tables }) => tables.interrupt(),
  'NativeTables.prototype.progress': ({ tables }) => tables.progress(),
  'NativeTables.prototype.reading': ({ tables }) => tables.reading('SELECT 1', 's', 1),
  'NativeTables.prototype.has': ({ tables }) => tables.has('s', 't', 1),
  'NativeTables.prototype.list': ({ tables }) => tables.list(true, 1),
  'NativeTables.prototype.size': ({ tables }) => tables.size(),
  'NativeTables.prototype.clear': ({ tables }) => tables.clear(),
  'NativeTables.prototype.cleanup': ({ tables }) => tables.cleanup(1),
  'NativeTables.prototype.backup': ({ tables, dir }) => tables.backup(dir),
  'NativeTables.prototype.restore': ({ tables, dir }) => tables.restore(dir),
  'NativeTables.prototype.close': ({ tables }) => tables.close(),
}

function exported(): string[] {
  return Object.entries(binding).flatMap(([name, value]) => {
    if (typeof value !== 'function' || value.prototype === undefined) return [name]
    const methods = Object.getOwnPropertyNames(value.prototype).filter((method) => method !== 'constructor')
    const statics = Object.getOwnPropertyNames(value).filter(
      (key) => !['length', 'name', 'prototype', 'arguments', 'caller'].includes(key),
    )
    return [
      name,
      ...statics.map((key) => `${name}.${key}`),
      ...methods.map((key) => `${name}.prototype.${key}`),
    ]
  })
}

describe('the addon', () => {
  it('has a row here for each export', () => {
    expect(Object.keys(CALLS).sort()).toEqual(exported().sort())
  })

  const guarded = Object.entries(CALLS).filter(([name, call]) => call !== null && name !== 'forcePanic')
  it.each(guarded)('a panic in %s is an error with the code E_INTERNAL', async (_, call) => {
    const opened = await open()
    binding.forcePanic()
    const error = await (async () => call!(opened))().catch((failed: unknown) => failed)
    expect(error).toMatchObject({ code: 'E_INTERNAL' })
    await opened.connection.close().catch(() => {})
    expect((await open()).tables).toBeDefined()
  })

  it('is needed by nobody who has no tables, and named where it is missing', async () => {
    const script = fileURLToPath(new URL('missing.mjs', import.meta.url))
    const { code, message, loaded } = JSON.parse((await runScript(script).done).at(-1)!)
    expect([code, loaded]).toEqual(['E_COLUMNAR_MISSING', false])
    expect(message).toContain('npm install @tierce/columnar')
  })

  it('refuses columns whose parts do not fit together', async () => {
    const connection = (await open()).connection
    const schema = JSON.stringify({
      fields: [
        { name: '1', data_type: 'Utf8', nullable: true, dict_id: 0, dict_is_ordered: false, metadata: {} },
      ],
      metadata: {},
    })
    const bytes = (array: ArrayBufferView) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
    const bad = [
      { lengths: [], buffers: [] },
      { lengths: [1], buffers: [undefined] },
      { lengths: [1], buffers: [undefined, bytes(Int32Array.of(0, 99)), new Uint8Array(3)] },
      { lengths: [1], buffers: [undefined, bytes(Int32Array.of(-5, 2)), new Uint8Array(3)] },
      { lengths: [1], buffers: [undefined, bytes(Int32Array.of(0, 2)), Uint8Array.of(0xff, 0xfe)] },
      { lengths: [1e9], buffers: [undefined, bytes(Int32Array.of(0, 2)), new Uint8Array(3)] },
      {
        lengths: [1],
        buffers: [undefined, bytes(Int32Array.of(0, 2)), new Uint8Array(3), new Uint8Array(1)],
      },
    ]
    for (const parts of bad) {
      await expect(connection.query('SELECT ?', { schema, rows: 1, ...parts })).rejects.toMatchObject({
        code: 'E_INVALID_OPTION',
      })
    }
    await expect(connection.query('SELECT ?', { ...wire, schema: '{' })).rejects.toMatchObject({
      code: 'E_INVALID_OPTION',
    })
  })
})

describe('long statements', () => {
  it('end with the reason of their signal, and the connection goes on', async () => {
    const tables = openTables()
    await using db = await tables.connect()
    const reason = new Error('enough')
    for (const delay of [0, 1, 60]) {
      const controller = new AbortController()
      const running = db.query(LONG, [], { signal: controller.signal }).rows()
      setTimeout(() => controller.abort(reason), delay)
      await expect(running).rejects.toBe(reason)
      expect(await db.query('SELECT 1 a')).toEqual([{ a: 1 }])
    }
    await expect(db.query('SELECT 1', [], { signal: AbortSignal.abort(reason) }).rows()).rejects.toBe(reason)
    const controller = new AbortController()
    const writing = tables.update('t', db.query(LONG), { signal: controller.signal })
    setTimeout(() => controller.abort(reason), 60)
    await expect(writing).rejects.toBe(reason)
    expect(await tables.update('t', [{ a: 1 }])).toBe(1)
  })

  it('leave the event loop alone, and tell how far they are', async () => {
    const tables = openTables()
    await using db = await tables.connect()
    const controller = new AbortController()
    const told: number[] = []
    const onProgress = ({ percentage }: { percentage: number }) => {
      told.push(percentage)
      if (told.length === 3) controller.abort()
    }
    expect(await codeOfAbort(db.query(LONG, [], { signal: controller.signal, onProgress }).rows())).toBe(
      'AbortError',
    )
    expect(told.length).toBeGreaterThanOrEqual(3)
  })

  it('a connection that is closed ends what runs, and says so afterwards', async () => {
    const tables = openTables()
    const db = await tables.connect()
    const running = db.query(LONG).rows()
    const ended = failure(running)
    await new Promise((resolve) => setTimeout(resolve, 50))
    await db.close()
    expect((await ended).code).toBe('E_QUERY')
    expect(await codeOf(db.query('SELECT 1').rows())).toBe('E_CLOSED')
    await tables.close()
    expect(await codeOf(() => tables.listTables())).toBe('E_CLOSED')
  })
})

async function codeOfAbort(run: Promise<unknown>): Promise<string> {
  return run.then(
    () => 'none',
    (error: Error) => error.name,
  )
}
