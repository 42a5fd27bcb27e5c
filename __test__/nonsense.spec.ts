/** Nonsense for every option and every argument of what is public: each is accepted, or refused in words by a typed error. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  Cache,
  type CacheOptions,
  cached,
  cachedSync,
  controls,
  defineHandler,
  definePolicy,
  defineSerializer,
  defineTable,
  directory,
  double,
  duckdb,
  file,
  keyOf,
  lock,
  MemoryCache,
  type MemoryCacheOptions,
  Namespace,
  ndarray,
  once,
  onceKey,
  openTelemetry,
  type PolicyHooks,
  postgres,
  prometheus,
  pullThrough,
  rateLimiter,
  SharedMemoryCache,
  type SharedMemoryOptions,
  series,
  sqlite,
  TableCache,
  text,
  wrap,
  wrapGenerator,
  wrapMany,
  wrapSync,
} from 'tierce'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { expectTypedRefusals } from './helpers/nonsense.js'
import { openCache } from './helpers/temp.js'

// biome-ignore lint/suspicious/noExplicitAny: nonsense has no type
type Any = any

// Thousands of directories are made.
vi.setConfig({ testTimeout: 120_000 })

const home = process.cwd()
let counter = 0
const unique = (start: string) => `${start}${++counter}`
/** A folder of its own, in the one that is removed at the end. */
const folder = () => mkdtempSync(join(process.cwd(), 'c-'))

beforeAll(() => process.chdir(mkdtempSync(join(tmpdir(), 'tierce-test-'))))
afterAll(() => {
  const root = process.cwd()
  process.chdir(home)
  rmSync(root, { recursive: true, force: true })
})

/** Each of these options, one at a time. */
const options = async (name: string, names: string, call: (given: Any) => unknown, isAsync = false) => {
  for (const option of names.split(' ')) {
    await expectTypedRefusals(`${name}{ ${option} }`, (value) => call({ [option]: value }), isAsync, isTrap)
  }
}
/** Of a getter of the caller, where one reads the value before all is checked. */
const isTrap = (error: unknown) => error instanceof Error && error.message === 'a trap threw'
const opened = (given: CacheOptions) => new Cache(given).close()
const LOAD =
  'ttl sliding jitter staleWhileRevalidate staleIfError timeout early tags singleFlight lockTimeout shouldCache cacheErrors ' +
  'validate schema signal meta description codec level'
const ENTRY = 'ttl codec level tags description meta'
const victim = (cache: { keys(): Iterator<unknown> }) => cache.keys().next().value

describe('what caches are made of', () => {
  it('Cache', async () => {
    await expectTypedRefusals('new Cache', (value) => opened(value as CacheOptions))
    const names =
      'maxSize max policy ttl codec level codecs durability metadata lockTimeout cleanupOnOpen memory values meta ' +
      'encryption storeKeys integrity journal defaults clock'
    await options('new Cache', `dir ${names}`, opened)
    await options('new Cache', names, (given) => opened({ dir: folder(), ...given }))
    await options('memory', 'max maxSize policy', (memory) => opened({ memory }))
    await options('encryption', 'key', (encryption) => opened({ dir: folder(), encryption }))
    await options('codecs', 'json nothing', (codecs) => opened({ dir: folder(), codecs }))
    await options('codecs.json', 'codec level', (json) => opened({ dir: folder(), codecs: { json } }))
    await options('meta', 'runs', (meta) => opened({ dir: folder(), meta }))
    await options('meta.runs', 'accuracy key', (runs) => opened({ dir: folder(), meta: { runs } }))
    await options('defaults', LOAD, (defaults) => opened({ defaults }))
  })

  it('MemoryCache', async () => {
    const use = (given: MemoryCacheOptions<string, number>) => {
      using cache = new MemoryCache(given)
      cache.set('a', 1, { ttl: 5 }).set('b', 2).get('a')
      cache.cleanup()
    }
    await expectTypedRefusals('new MemoryCache', (value) => use(value as object))
    const names = 'max maxSize weigher ttl sliding policy metrics cleanupInterval dir filename serializer'
    await options('new MemoryCache', names, use)
    await options('new MemoryCache', 'onEvict clock', (given) => {
      if (typeof Object.values(given)[0] !== 'function') use(given)
    })
  })

  it('SharedMemoryCache', async () => {
    const use = (given: Any) => new SharedMemoryCache(given).close()
    await expectTypedRefusals('new SharedMemoryCache', use)
    const base = (): SharedMemoryOptions => ({ name: unique('n'), maxSize: '1MB' })
    await options('SharedMemoryCache', 'name maxSize policy ttl sliding', (given) =>
      use({ ...base(), ...given }),
    )
  })

  it('what a clock, a weigher, a policy and a serializer give back', async () => {
    await expectTypedRefusals('clock', (value) => {
      using cache = new MemoryCache({ clock: () => value as number })
      cache.set('a', 1, { ttl: 5 }).get('a')
      cache.cleanup()
    })
    await expectTypedRefusals('clock', (value) => {
      const cache = openCache({ dir: folder(), clock: () => value as number })
      cache.setSync('a', 1, { ttl: 5 })
      return cache.getSync('a')
    })
    await expectTypedRefusals('weigher', (value) => {
      new MemoryCache({ maxSize: 100, weigher: () => value as number }).set('a', 1)
    })
    const policy = (hooks: PolicyHooks | (() => PolicyHooks)) => {
      const name = unique('policy')
      definePolicy(name, hooks)
      const memory = new MemoryCache({ max: 1, policy: name }).set('a', 1).set('b', 1)
      return [...memory.keys()]
    }
    await expectTypedRefusals('policy', (value) => policy(() => value as PolicyHooks))
    await expectTypedRefusals('victim', (value) => policy({ victim: () => value }))
    await expectTypedRefusals('order', (value) => policy({ victim, order: () => value as [] }))
    const stored = (serializer: Any) => {
      const name = unique('serializer')
      defineSerializer(name, {
        extension: 'x',
        serialize: () => 'text',
        deserialize: () => ({}),
        ...serializer,
      })
      const memory = new MemoryCache({ dir: folder(), serializer: name })
      memory.set('a', 1).saveSync()
      memory.loadSync()
    }
    await expectTypedRefusals('serialize', (value) => stored({ serialize: () => value }))
    await expectTypedRefusals('deserialize', (value) => stored({ deserialize: () => value }))
  })
})

describe('what is defined by name', () => {
  it('policies, serializers and handlers', async () => {
    await expectTypedRefusals('definePolicy', (value) => definePolicy(value as Any, { victim }))
    await expectTypedRefusals('definePolicy', (value) => definePolicy(unique('p'), value as Any))
    await options('definePolicy', 'onAdd onUpdate onAccess onDelete onClear victim order other', (given) =>
      definePolicy(unique('p'), { victim, ...given }),
    )
    const serializer = { extension: 'x', serialize: () => '', deserialize: () => ({}) }
    await expectTypedRefusals('defineSerializer', (value) => defineSerializer(value as Any, serializer))
    await expectTypedRefusals('defineSerializer', (value) => defineSerializer(unique('s'), value as Any))
    await options('defineSerializer', 'extension serialize deserialize', (given) =>
      defineSerializer(unique('s'), { ...serializer, ...given }),
    )
    const handler = () => ({ name: unique('h'), test: () => false, encode: () => null, decode: () => null })
    await expectTypedRefusals('defineHandler', (value) => defineHandler(value as Any))
    await options('defineHandler', 'name encode decode other', (given) =>
      defineHandler({ ...handler(), ...given }),
    )
    await expectTypedRefusals('defineHandler{ test }', (value) => {
      if (typeof value !== 'function') defineHandler({ ...handler(), test: value as Any })
    })
  })

  it('keys, arrays, columns and tables', async () => {
    for (const content of [file, directory]) {
      await expectTypedRefusals(content.name, (value) => openCache().get({ key: content(value as Any) }))
      await expectTypedRefusals(content.name, (value) => content('/', value as Any))
      await options(content.name, 'hash other', (given) => content('/', given))
    }
    await expectTypedRefusals('keyOf', (value) => keyOf(value as Any))
    await expectTypedRefusals('onceKey', (value) => onceKey(value as Any))
    await expectTypedRefusals('ndarray', (value) => ndarray(value as Any))
    await expectTypedRefusals('ndarray', (value) => ndarray(new Float64Array(1), value as Any))
    await expectTypedRefusals('series', (value) => series(value as Any))
    await expectTypedRefusals('series', (value) => series(new Float64Array(1), value as Any))
    await options('series', 'name index other', (given) => series(new Float64Array(1), given))
    await expectTypedRefusals('defineTable', (value) => defineTable(value as Any, { a: text().primaryKey() }))
    await expectTypedRefusals('defineTable', (value) => defineTable('a', value as Any))
    await options('defineTable', 'a', (columns) => defineTable('a', columns))
    for (const engine of [sqlite, duckdb, postgres]) {
      await expectTypedRefusals(engine.name, (value) => void engine(value as Any))
    }
    await expectTypedRefusals('pullThrough', (value) => pullThrough(value as Any))
    await expectTypedRefusals('new TableCache', (value) => new TableCache(value as Any).close())
  })
})

/** Methods with arguments that are right: each of them is replaced in turn. */
type Table = Record<string, unknown[]>

const CACHE: Table = {
  add: ['a', 1, {}],
  addSync: ['a', 1, {}],
  backup: ['backup'],
  check: [{}],
  cleanup: [],
  clear: [],
  clearSync: [],
  close: [],
  delete: ['a'],
  deleteMany: [['a']],
  deleteManySync: [['a']],
  deleteSync: ['a'],
  entries: [{}],
  entry: ['a'],
  expire: ['a', 1000],
  expireSync: ['a', 1000],
  expiredCount: [],
  find: ['runs', {}],
  get: ['a', {}],
  getMany: [['a']],
  getManySync: [['a']],
  getOrSet: ['a', () => 1, {}],
  getOrSetSync: ['a', () => 1, {}],
  getOrThrow: ['a'],
  getOrThrowSync: ['a'],
  getStream: ['a'],
  getSync: ['a'],
  has: ['a'],
  hasSync: ['a'],
  increment: ['number', 1, {}],
  incrementSync: ['number', 1, {}],
  invalidateTags: [['tag']],
  invalidateTagsSync: [['tag']],
  keys: [{}],
  keysWithExpiry: [{}],
  load: ['saved', {}],
  metrics: [],
  namespace: ['name', {}],
  off: ['evict', () => {}],
  on: ['evict', () => {}],
  query: ['SELECT 1', []],
  refresh: ['a', () => 1, {}],
  refreshSync: ['a', () => 1, {}],
  resetMetrics: [],
  save: ['saved'],
  scan: ['a'],
  set: ['a', 1, {}],
  setMany: [[['a', 1]], {}],
  setManySync: [[['a', 1]], {}],
  setStream: ['stream', [Buffer.from('x')], {}],
  setSync: ['a', 1, {}],
  size: [],
  startCleanup: [1000],
  stats: [],
  stopCleanup: [],
  touch: ['a'],
  touchSync: ['a'],
  transaction: [async () => 1, {}],
  transactionSync: [() => 1, {}],
  ttl: ['a'],
  ttlSync: ['a'],
  update: ['a', 1, {}],
  updateSync: ['a', 1, {}],
  validSize: [],
}
const CACHE_OPTIONS: Record<string, string> = {
  get: 'map other',
  set: ENTRY,
  setSync: ENTRY,
  getOrSet: LOAD,
  getOrSetSync: LOAD,
  namespace: LOAD,
  keys: 'prefix match limit after',
  entries: 'prefix match limit after values',
  find: 'where orderBy limit offset values',
  check: 'fix',
  load: 'merge encryption',
  increment: 'ttl other',
  transaction: 'retries',
}
const MEMORY: Table = {
  add: ['a', 1, {}],
  bytes: [],
  check: [],
  cleanup: [],
  clear: [],
  close: [],
  delete: ['a'],
  deleteMany: [['a']],
  entries: [],
  expire: ['a', 1000],
  expiredCount: [],
  get: ['a'],
  getMany: [['a']],
  getOrSet: ['a', () => 1, {}],
  getOrThrow: ['a'],
  has: ['a'],
  keys: [],
  keysWithExpiry: [],
  load: ['saved', {}],
  loadSync: ['saved', {}],
  metrics: [],
  peek: ['a'],
  resetMetrics: [],
  save: ['saved', {}],
  saveMetrics: ['metrics', {}],
  saveMetricsSync: ['metrics', {}],
  saveSync: ['saved', {}],
  set: ['a', 1, {}],
  setMany: [[['a', 1]], {}],
  size: [],
  startCleanup: [1000],
  stop: [],
  stopCleanup: [],
  touch: ['a'],
  ttl: ['a'],
  update: ['a', 1, {}],
  validSize: [],
  values: [],
}
const MEMORY_ALONE = [
  'load',
  'loadSync',
  'save',
  'saveMetrics',
  'saveMetricsSync',
  'saveSync',
  'startCleanup',
  'stop',
  'stopCleanup',
]
const SHARED: Table = Object.fromEntries(
  Object.entries(MEMORY).filter(([name]) => !MEMORY_ALONE.includes(name)),
)
/** What a namespace leaves to its cache, and what it has alone. */
const WHOLE = ['backup', 'check', 'cleanup', 'close', 'expiredCount', 'find', 'load', 'metrics'].concat([
  'namespace',
  'off',
  'on',
  'query',
  'resetMetrics',
  'save',
  'scan',
  'startCleanup',
  'stopCleanup',
  'validSize',
])
const NAMESPACE: Table = Object.fromEntries(Object.entries(CACHE).filter(([name]) => !WHOLE.includes(name)))

/** What a class and its parents call a public method. */
function methodsOf(type: { prototype: object }): string[] {
  const names = new Set<string>()
  for (let at = type.prototype; at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    for (const name of Object.getOwnPropertyNames(at)) names.add(name)
  }
  for (const hidden of ['constructor', 'counted', 'filed', 'restored']) names.delete(hidden)
  return [...names].sort()
}

/** What JavaScript itself throws: a getter of a value of the caller, or who awaits or iterates what cannot be. */
const isOwn = (error: unknown) =>
  error instanceof Error &&
  /a trap threw|that has been revoked|is not an object|Class constructor/.test(error.message)

async function attack(make: () => object, table: Table, isAsync: (name: string) => boolean): Promise<void> {
  const target = make() as Record<string, (...args: unknown[]) => unknown>
  for (const [name, good] of Object.entries(table)) {
    for (const [place] of good.entries()) {
      const call = (value: unknown) => target[name]!(...good.with(place, value))
      const place_ = `${name}, argument ${place}`
      // Values of memory are the live ones: that one cannot be looked at shows where somebody looks.
      await expectTypedRefusals(place_, call, isAsync(name), isOwn)
    }
  }
}

describe('methods', () => {
  const TELLS_AT_ONCE = [
    'namespace',
    'off',
    'on',
    'scan',
    'startCleanup',
    'stopCleanup',
    'metrics',
    'resetMetrics',
  ]
  const LISTS = ['entries', 'keys', 'keysWithExpiry']
  const isAsync = (name: string) =>
    !name.endsWith('Sync') && !TELLS_AT_ONCE.includes(name) && !LISTS.includes(name)
  const meta = { runs: { accuracy: double().index(), name: text().unique() } }

  it('each_has_a_row_here', () => {
    expect(methodsOf(Cache)).toEqual(Object.keys(CACHE).sort())
    expect(methodsOf(MemoryCache)).toEqual(Object.keys(MEMORY).sort())
    expect(methodsOf(SharedMemoryCache)).toEqual(Object.keys(SHARED).sort())
    expect(methodsOf(Namespace)).toEqual(Object.keys(NAMESPACE).sort())
  })

  it.each<[string, () => CacheOptions]>([
    ['in memory', () => ({})],
    ['on disk', () => ({ dir: folder(), meta })],
    ['in files', () => ({ dir: folder(), metadata: 'json' })],
  ])(
    'of a Cache %s',
    async (_name, given) => {
      const make = () => {
        const cache = openCache(given())
        cache.on('error', () => {})
        return cache
      }
      const cache = make()
      await attack(() => cache, CACHE, isAsync)
      await cache.clear()
      for (const [name, names] of Object.entries(CACHE_OPTIONS)) {
        const good = CACHE[name]!
        const call = (value: unknown) => (cache as Any)[name](...good.with(-1, value))
        await options(name, names, call, isAsync(name))
      }
      await options('tag', '0', ({ 0: tag }) => cache.set('a', 1, { tags: [tag] }), true)
      await options(
        'meta.runs',
        'accuracy name other',
        (runs) => cache.set('a', 1, { meta: { runs } } as Any),
        true,
      )
      await options(
        'where',
        'accuracy name other',
        (where) => cache.find('runs' as never, { where } as Any),
        true,
      )
      for (const operator of ['eq', 'gt', 'in', 'like', 'between', 'isNull']) {
        const find = (accuracy: Any) => cache.find('runs' as never, { where: { accuracy } } as Any)
        await options('where.accuracy', operator, find, true)
      }
      await attack(() => cache.namespace('part'), NAMESPACE, isAsync)
      await cache.set('still', 'here')
      expect(await cache.get('still')).toBe('here')
    },
    120_000,
  )

  it('of a MemoryCache and a SharedMemoryCache', async () => {
    const memory = new MemoryCache<string, unknown>({ max: 100, ttl: '1h' })
    await attack(
      () => memory,
      MEMORY,
      (name) => ['load', 'save', 'saveMetrics'].includes(name),
    )
    await attack(
      () => new SharedMemoryCache({ name: unique('n'), maxSize: '1MB' }),
      SHARED,
      () => false,
    )
    await expectTypedRefusals('from', (value) => MemoryCache.from(value as Any), true)
    await expectTypedRefusals('fromSync', (value) => MemoryCache.fromSync(value as Any))
    expect(memory.check()).toBe('')
  })
})

describe('functions on a cache', () => {
  it('wrapping', async () => {
    const cache = openCache()
    for (const wrapping of [wrap, wrapSync, wrapGenerator, wrapMany] as Any[]) {
      const { name } = wrapping
      await expectTypedRefusals(name, (value) => void wrapping(value, async () => [], { name: unique('f') }))
      await expectTypedRefusals(name, (value) => void wrapping(cache, value, { name: unique('f') }))
      await expectTypedRefusals(name, (value) => void wrapping(cache, async function named() {}, value))
      await options(
        name,
        `${LOAD} name version key`,
        (given) => void wrapping(cache, async () => [], { name: unique('f'), ...given }),
      )
    }
    const wrapped = wrap(cache, async (value: unknown) => typeof value, { name: 'wrapped' }) as Any
    for (const call of [wrapped, wrapped.fresh, wrapped.invalidate, wrapped.peek]) {
      await expectTypedRefusals('wrapped', call, true)
    }
    await expectTypedRefusals('key', wrapped.key)
    await expectTypedRefusals('controls', (value) => controls(value as Any))
    for (const decorator of [cached, cachedSync] as Any[]) {
      await expectTypedRefusals(decorator.name, (value) => void decorator(value))
      await options(decorator.name, `cache name ${LOAD}`, (given) => void decorator({ cache, ...given }))
    }
  })

  it('limits, locks, once and counts', async () => {
    const cache = openCache()
    const limit = { name: 'limiter', limit: 2, per: 1000 }
    await expectTypedRefusals('rateLimiter', (value) => void rateLimiter(value as Any, limit))
    await expectTypedRefusals('rateLimiter', (value) => void rateLimiter(cache, value as Any))
    await options(
      'rateLimiter',
      'name limit per algorithm burst other',
      (given) => void rateLimiter(cache, { ...limit, ...given }),
    )
    const limiter = rateLimiter(cache, limit) as Any
    for (const name of ['tryTake', 'reset']) {
      await expectTypedRefusals(name, (value) => limiter[name](value))
      await expectTypedRefusals(name, (value) => limiter[name]('key', value))
    }
    const locked = (...args: Any[]) => (lock as Any)(...args).then((lease: Any) => lease.release())
    await expectTypedRefusals('lock', (value) => locked(value, 'name'), true)
    await expectTypedRefusals('lock', (value) => locked(cache, value), true)
    await expectTypedRefusals('lock', (value) => locked(cache, unique('l'), value), true)
    await options('lock', 'lease timeout signal', (given) => locked(cache, unique('l'), given), true)
    const only = once as Any
    await expectTypedRefusals('once', (value) => only(value, 'name', () => 1))
    await expectTypedRefusals('once', (value) => only(cache, value, () => 1))
    await expectTypedRefusals('once', (value) => only(cache, unique('o'), value))
    for (const shown of [openTelemetry, prometheus] as Any[]) {
      await expectTypedRefusals(shown.name, (value) => void shown(value, { name: unique('c') }))
      await expectTypedRefusals(shown.name, (value) => void shown(cache, value))
      await options(shown.name, 'name other', (given) => void shown(cache, given))
    }
    await options(
      'prometheus',
      'register',
      (given) => void prometheus(cache, { name: unique('c'), ...given }),
    )
  })
})
