import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeEach, describe, expect, it } from 'vitest'
import type * as Binding from '../index.js'
import { runScript } from './helpers/child.js'
import { tempDir } from './helpers/temp.js'

// The raw binding, as src/native.ts loads it.
const binding = createRequire(import.meta.url)('../index.js') as typeof Binding

// A panic writes to stderr; its backtrace would bury everything else.
process.env.RUST_BACKTRACE = '0'

const NOW = 1_700_000_000_000
const BUFFER = 64 * 1024 + 80
const KEY = 'key'
const CONTENT = { path: fileURLToPath(import.meta.url), isDirectory: false, hash: 'blake3' }

interface Opened {
  disk: Binding.NativeDisk
  inbox: Buffer
  outbox: Buffer
  ledger: Binding.NativeLedger
  shared: Binding.NativeShared
}

const RULES = { low: 0, high: 100 }
const PIECES = Float64Array.of(1, 5, NOW)

let table: Binding.NativeDatabase
let cancel: Binding.NativeCancel
beforeEach(async () => {
  table = await openDatabase()
  cancel = new binding.NativeCancel()
})

function openDatabase(): Promise<Binding.NativeDatabase> {
  return binding.openDatabase(join(tempDir(), 'table.db'), 1000)
}

function ledger(): Binding.NativeLedger {
  return new binding.NativeLedger('lru', 10, new Uint32Array(64), new Uint32Array(64))
}

function shared(): Binding.NativeShared {
  return new binding.NativeShared('binding', 1e6, 'lru', Number.POSITIVE_INFINITY, new Uint8Array(64))
}

function open(dir = join(tempDir(), 'cache')): Opened {
  const [inbox, outbox] = [Buffer.alloc(BUFFER), Buffer.alloc(BUFFER)]
  return {
    disk: new binding.NativeDisk(dir, {}, inbox, outbox, NOW),
    inbox,
    outbox,
    ledger: ledger(),
    shared: shared(),
  }
}

/** One packed write (crates/tierce-node/src/wire.rs). */
function packed(key: string, value: string): Buffer {
  const bytes = Buffer.alloc(40 + key.length + value.length)
  bytes[0] = 1
  bytes.writeUInt32LE(key.length, 4)
  bytes.writeUInt32LE(value.length, 8)
  bytes.writeDoubleLE(Number.POSITIVE_INFINITY, 16)
  bytes.writeDoubleLE(Number.POSITIVE_INFINITY, 24)
  bytes.write(key + value, 40, 'latin1')
  return bytes
}

const SNAPSHOT = await (async () => {
  const path = join(tempDir(), 'saved')
  await binding.saveWrites(path, Buffer.alloc(0), [], NOW)
  return readFileSync(path)
})()

/** A snapshot file without entries. */
function saved(): string {
  const path = join(tempDir(), 'saved')
  writeFileSync(path, SNAPSHOT)
  return path
}

function packedKeys(...keys: string[]): Buffer {
  return Buffer.concat(
    keys.map((key) => {
      const length = Buffer.alloc(4)
      length.writeUInt32LE(key.length)
      return Buffer.concat([length, Buffer.from(key)])
    }),
  )
}

/** A valid call of each method; `null` is no function. */
const CALLS: Record<string, ((opened: Opened) => unknown) | null> = {
  __napiBindingTarget: null,
  codecNames: () => binding.codecNames(),
  storedKeyText: () => binding.storedKeyText('text'),
  forcePanic: () => binding.forcePanic(),
  knownContent: () => binding.knownContent(CONTENT.path, 'xxh3'),
  hashContent: () => binding.hashContent([CONTENT]),
  hashContentSync: () => binding.hashContentSync([CONTENT]),
  planFetches: () => binding.planFetches(PIECES, Float64Array.of(7, 8), 0, 9, NOW, RULES),
  coveredRanges: () => binding.coveredRanges(PIECES, NOW, RULES),
  compactCoverage: () => binding.compactCoverage(PIECES, RULES),
  openDatabase,
  NativeDatabase: openDatabase,
  'NativeDatabase.prototype.write': () => table.write([{ sql: 'CREATE TABLE IF NOT EXISTS t (a)' }]),
  'NativeDatabase.prototype.query': () => table.query('SELECT ?', [1]),
  'NativeDatabase.prototype.close': () => table.close(),
  NativeCancel: () => new binding.NativeCancel(),
  'NativeCancel.prototype.cancel': () => cancel.cancel(),
  NativeDisk: () => open(),
  'NativeDisk.prototype.fetcher': ({ disk, inbox }) => disk.fetcher()(inbox.write(KEY), false, NOW),
  'NativeDisk.prototype.state': ({ disk, inbox }) => disk.state(inbox.write(KEY), true, NOW),
  'NativeDisk.prototype.readSync': ({ disk }) => disk.readSync(Buffer.from(KEY), NOW),
  'NativeDisk.prototype.read': ({ disk }) => disk.read(Buffer.from(KEY), NOW),
  'NativeDisk.prototype.fetchMany': ({ disk, inbox }) =>
    disk.fetchMany(packedKeys(KEY, 'other').copy(inbox), true, NOW),
  'NativeDisk.prototype.readMany': ({ disk }) => disk.readMany(packedKeys(KEY, 'other'), true, NOW),
  'NativeDisk.prototype.apply': ({ disk, outbox }) => disk.apply(packed(KEY, 'v').copy(outbox), NOW),
  'NativeDisk.prototype.write': ({ disk }) => disk.write(packed(KEY, 'v'), [], NOW),
  'NativeDisk.prototype.writeSync': ({ disk }) => disk.writeSync(packed(KEY, 'v'), [], NOW),
  'NativeDisk.prototype.touch': ({ disk, inbox }) => disk.touch(inbox.fill(0, 0, 12) && 1, NOW),
  'NativeDisk.prototype.map': ({ disk }) => disk.map(Buffer.from(KEY), NOW),
  'NativeDisk.prototype.asker': ({ disk }) => disk.asker()('SELECT 1', 0, 0, NOW),
  'NativeDisk.prototype.query': ({ disk }) => disk.query('SELECT 1', Buffer.alloc(0), NOW),
  'NativeDisk.prototype.page': ({ disk }) => disk.page({ limit: 10, expiring: false }, NOW),
  'NativeDisk.prototype.cleanup': ({ disk }) => disk.cleanup(10, NOW),
  'NativeDisk.prototype.validity': ({ disk }) => disk.validity(NOW),
  'NativeDisk.prototype.pageNow': ({ disk }) => disk.pageNow({ limit: 10, expiring: false }, NOW),
  'NativeDisk.prototype.stats': ({ disk }) => disk.stats(NOW),
  'NativeDisk.prototype.statsNow': ({ disk }) => disk.statsNow(NOW),
  saveWrites: () => binding.saveWrites(join(tempDir(), 'saved'), packed(KEY, 'v'), [], NOW),
  NativeSnapshot: () => new binding.NativeSnapshot(saved()),
  'NativeSnapshot.prototype.verify': () => new binding.NativeSnapshot(saved()).verify(),
  'NativeSnapshot.prototype.next': () => new binding.NativeSnapshot(saved()).next(1000),
  'NativeDisk.prototype.writeStream': ({ disk }) => disk.writeStream(packed(KEY, ''), NOW),
  'NativeDisk.prototype.readStream': ({ disk }) => disk.readStream(Buffer.from(KEY), NOW),
  NativeWriter: ({ disk }) => disk.writeStream(packed(KEY, ''), NOW),
  'NativeWriter.prototype.write': ({ disk }) =>
    disk.writeStream(packed('s', ''), NOW).write(Buffer.from('x')),
  'NativeWriter.prototype.finish': ({ disk }) => disk.writeStream(packed('s', ''), NOW).finish(),
  'NativeWriter.prototype.abort': ({ disk }) => disk.writeStream(packed('s', ''), NOW).abort(),
  NativeReader: ({ disk }) => disk.readStream(Buffer.from(KEY), NOW),
  'NativeReader.prototype.next': async ({ disk }) => (await disk.readStream(Buffer.from(KEY), NOW))?.next(),
  'NativeReader.prototype.close': async ({ disk }) => (await disk.readStream(Buffer.from(KEY), NOW))?.close(),
  'NativeReader.prototype.kind': async ({ disk }) => (await disk.readStream(Buffer.from(KEY), NOW))?.kind,
  'NativeDisk.prototype.backup': ({ disk }) => disk.backup(join(tempDir(), 'backup'), NOW),
  'NativeDisk.prototype.save': ({ disk }) => disk.save(join(tempDir(), 'saved'), NOW),
  'NativeDisk.prototype.load': ({ disk }) => disk.load(saved(), true, undefined, NOW),
  'NativeDisk.prototype.check': ({ disk }) => disk.check(false, NOW),
  'NativeDisk.prototype.epochs': ({ disk }) => disk.epochs(),
  'NativeDisk.prototype.detach': ({ disk }) => disk.detach(disk.epochs().buffer as ArrayBuffer),
  'NativeDisk.prototype.sharesEpochs': ({ disk }) => disk.sharesEpochs(new Uint32Array(1)),
  'NativeDisk.prototype.slotOf': ({ disk }) => disk.slotOf(Buffer.from(KEY)),
  'NativeDisk.prototype.epochAt': ({ disk }) => disk.epochAt(0),
  'NativeDisk.prototype.isJson': ({ disk }) => disk.isJson(),
  'NativeDisk.prototype.isCurrent': ({ disk }) => disk.isCurrent(1, 0, 0),
  'NativeDisk.prototype.release': ({ disk }) => disk.release(),
  'NativeDisk.prototype.takeFaults': ({ disk }) => disk.takeFaults(),
  'NativeDisk.prototype.close': ({ disk }) => disk.close(),
  coarseClock: () => binding.coarseClock(),
  isClock: () => binding.isClock(new Float64Array(2)),
  wakeClock: () => binding.wakeClock(),
  NativeShared: () => shared(),
  'NativeShared.prototype.useScratch': ({ shared }) => shared.useScratch(new Uint8Array(64)),
  'NativeShared.prototype.find': ({ shared }) => shared.find(1, false),
  'NativeShared.prototype.take': ({ shared }) => shared.take(),
  'NativeShared.prototype.put': ({ shared }) => shared.put(1, 1, 0, 1000, 0),
  'NativeShared.prototype.putLarge': ({ shared }) => shared.putLarge(1, new Uint8Array(9), 0, 1000, 0),
  'NativeShared.prototype.checkSize': ({ shared }) => shared.checkSize(1, 1),
  'NativeShared.prototype.remove': ({ shared }) => shared.remove(1),
  'NativeShared.prototype.ttl': ({ shared }) => shared.ttl(1),
  'NativeShared.prototype.expire': ({ shared }) => shared.expire(1, 1000),
  'NativeShared.prototype.touch': ({ shared }) => shared.touch(1),
  'NativeShared.prototype.liveSize': ({ shared }) => shared.liveSize(),
  'NativeShared.prototype.keys': ({ shared }) => shared.keys(0),
  'NativeShared.prototype.clear': ({ shared }) => shared.clear(),
  'NativeShared.prototype.cleanup': ({ shared }) => shared.cleanup(),
  'NativeShared.prototype.figures': ({ shared }) => shared.figures(),
  'NativeShared.prototype.resetFigures': ({ shared }) => shared.resetFigures(),
  'NativeShared.prototype.check': ({ shared }) => shared.check(),
  'NativeShared.prototype.close': ({ shared }) => shared.close(),
  NativeTurns: () => new binding.NativeTurns(tempDir()),
  'NativeTurns.prototype.tryTake': () => new binding.NativeTurns(tempDir()).tryTake(KEY),
  'NativeTurns.prototype.giveBack': () => new binding.NativeTurns(tempDir()).giveBack(KEY),
  'NativeTurns.prototype.close': () => new binding.NativeTurns(tempDir()).close(),
  NativeLedger: () => ledger(),
  'NativeLedger.prototype.drain': ({ ledger }) => ledger.drain(0),
  'NativeLedger.prototype.rest': ({ ledger }) => ledger.rest(),
  'NativeLedger.prototype.refill': ({ ledger }) => ledger.refill(1),
  'NativeLedger.prototype.resize': ({ ledger }) => ledger.resize(5),
  'NativeLedger.prototype.usesOf': ({ ledger }) => ledger.usesOf(1),
  'NativeLedger.prototype.restoreUses': ({ ledger }) => ledger.restoreUses(1, 2),
  'NativeLedger.prototype.order': ({ ledger }) => ledger.order(),
  'NativeLedger.prototype.clear': ({ ledger }) => ledger.clear(),
  'NativeLedger.prototype.account': ({ ledger }) => ledger.account(),
  'NativeLedger.prototype.check': ({ ledger }) => ledger.check(),
}

/** Every function, method, getter, setter and static of the binding, by name. */
function walk(): string[] {
  const names: string[] = []
  for (const [name, exported] of Object.entries(binding)) {
    names.push(name)
    if (typeof exported !== 'function') continue
    for (const [owner, prefix] of [
      [exported, name],
      [exported.prototype, `${name}.prototype`],
    ] as const) {
      for (const member of Object.getOwnPropertyNames(owner ?? {})) {
        if (['length', 'name', 'prototype', 'constructor', 'arguments', 'caller'].includes(member)) continue
        names.push(`${prefix}.${member}`)
      }
    }
  }
  return names
}

const names = walk()
const callable = names.filter((name) => CALLS[name] !== null)

describe('the generated binding', () => {
  it('has_a_row_in_the_table_for_each_export_and_no_row_too_many', () => {
    expect(names.toSorted()).toEqual(Object.keys(CALLS).toSorted())
    for (const name of names.filter((one) => CALLS[one] === null)) {
      expect(typeof binding[name as keyof typeof Binding]).not.toBe('function')
    }
  })

  it.each(callable)('%s works', async (name) => {
    const opened = open()
    await opened.disk.write(packed(KEY, 'value'), [], NOW)
    await CALLS[name]?.(opened)
    if (name === 'forcePanic') expect(() => binding.codecNames()).toThrow()
  })

  it.each(callable)(
    'a panic in %s is an Error with code E_INTERNAL, and everything works afterwards',
    async (name) => {
      const opened = open()
      await opened.disk.write(packed(KEY, 'value'), [], NOW)
      binding.forcePanic()
      const outcome = await Promise.resolve()
        .then(() => CALLS[name]?.(opened))
        .catch((error) => error)
      expect(outcome).toBeInstanceOf(Error)
      expect(outcome).toMatchObject({ code: 'E_INTERNAL', message: expect.stringContaining('report it') })
      expect(binding.codecNames()).toContain('zstd')
      expect((await opened.disk.read(Buffer.from(KEY), NOW))?.value.toString()).toBe('value')
      await opened.disk.write(packed(KEY, 'new'), [], NOW)
      expect(opened.disk.readSync(Buffer.from(KEY), NOW)?.value.toString()).toBe('new')
      await opened.disk.close()
    },
  )

  it('a_panic_on_the_thread_pool_rejects_with_E_INTERNAL_in_every_asynchronous_call', async () => {
    const script = fileURLToPath(new URL('./helpers/pool-panic.mjs', import.meta.url))
    // One thread, which the script keeps busy until the panic is armed.
    const { done } = runScript(script, [tempDir()], { UV_THREADPOOL_SIZE: '1' })
    const outcomes = Object.fromEntries((await done).map((line) => line.split(' ')))
    const isAsync = (name: string) => outcomes[name] !== undefined
    expect(Object.keys(outcomes).toSorted()).toEqual([
      'backup',
      'check',
      'cleanup',
      'close',
      'databaseClose',
      'databaseQuery',
      'databaseWrite',
      'hashContent',
      'load',
      'map',
      'openDatabase',
      'page',
      'query',
      'read',
      'readMany',
      'readStream',
      'save',
      'stats',
      'validity',
      'write',
    ])
    expect(new Set(Object.values(outcomes))).toEqual(new Set(['E_INTERNAL']))
    // The list above is complete: whatever else returns a promise is missing in it.
    for (const name of callable.filter((one) => one.startsWith('NativeDisk.prototype.'))) {
      const result = CALLS[name]?.(open())
      expect(result instanceof Promise, name).toBe(isAsync(name.slice('NativeDisk.prototype.'.length)))
      await result
    }
  })

  it('malformed_buffers_and_closed_objects_are_errors', async () => {
    const { disk, outbox } = open()
    const fetch = disk.fetcher()
    const calls: (() => unknown)[] = [
      () => disk.apply(outbox.fill(0xff).length, NOW),
      () => disk.apply(0xffffffff, NOW),
      () => fetch(0xffffffff, false, NOW),
      () => disk.state(BUFFER + 1, false, NOW),
      () => disk.touch(0xffffffff, NOW),
      () => disk.writeSync(packed(KEY, 'v').subarray(0, -1), [], NOW),
      () => disk.write(Buffer.from([1, 0, 1, 0]), [], NOW),
      () => disk.readMany(Buffer.from([255, 255, 255, 255]), true, NOW),
      () => disk.fetchMany(0xffffffff, true, NOW),
      () => disk.page({ cursor: Buffer.from([1]), limit: 10, expiring: false }, NOW),
    ]
    for (const call of calls) {
      const outcome = await Promise.resolve()
        .then(call)
        .catch((error) => error)
      expect(outcome, String(call)).toBeInstanceOf(Error)
      expect(outcome, String(call)).toMatchObject({ code: 'E_INTERNAL' })
    }
    await disk.close()
    expect(() => fetch(1, false, NOW)).toThrow(expect.objectContaining({ code: 'E_CLOSED' }))
    await disk.close()
  })
})
