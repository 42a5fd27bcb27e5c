/** Functions of the user's that give a promise where only a plain value will do: each is told, and its rejection ends no process. */
import { join } from 'node:path'
import {
  defineHandler,
  definePolicy,
  defineSerializer,
  type GetOrSetOptions,
  MemoryCache,
  type PolicyHooks,
  type Serializer,
  wrap,
  wrapGenerator,
  wrapSync,
} from 'tierce'
import { describe, expect, it } from 'vitest'
import { codeOf, codeOfSync } from './helpers/errors.js'
import { openCache, tempDir } from './helpers/temp.js'

const promises: [string, () => never][] = [
  ['resolves', (async () => 5) as never],
  ['rejects', (async () => { throw new Error('nobody waits for it') }) as never], // biome-ignore format: short
]

/** Vitest fails a run in which a rejection was nobody's; it comes a turn after the promise was made. */
const settled = () => new Promise((resolve) => setImmediate(resolve))

class Odd {}
let names = 0

describe.each(promises)('a promise that %s', (_, give) => {
  it.each(['ttl', 'tags'])('of_%s_of_a_load_is_an_event_and_the_value_is_given', async (option) => {
    for (const dir of [undefined, tempDir()]) {
      const cache = openCache(dir === undefined ? {} : { dir })
      const faults: string[] = []
      cache.on('error', ({ code }) => faults.push(code))
      const options = { [option]: give } as GetOrSetOptions<number>
      expect(await cache.getOrSet('k', () => 1, options)).toBe(1)
      expect(cache.getOrSetSync('s', () => 1, options as never)).toBe(1)
      const code = option === 'ttl' ? 'E_INVALID_TTL' : 'E_INVALID_OPTION'
      expect(faults).toEqual([code, code])
      expect(await cache.size()).toBe(0)
    }
    await settled()
  })

  it.each(['key', 'keyThis'])('of_%s_is_E_INVALID_KEY', async (option) => {
    const cache = openCache()
    expect(await codeOf(wrap(cache, async (a: number) => a, { name: 'a', [option]: give })(1))).toBe(
      'E_INVALID_KEY',
    )
    expect(await codeOf(() => wrapSync(cache, (a: number) => a, { name: 'b', [option]: give })(1))).toBe(
      'E_INVALID_KEY',
    )
    await settled()
  })

  it('of_a_function_that_is_to_be_synchronous_or_of_items_is_E_INVALID_OPTION', async () => {
    const cache = openCache()
    expect(await codeOf(() => wrapSync(cache, give, { name: 'sync' })())).toBe('E_INVALID_OPTION')
    const items = wrapGenerator(cache, give, { name: 'items' })()
    expect(await codeOf(items.next())).toBe('E_INVALID_OPTION')
    await settled()
  })

  it.each(['test', 'encode', 'decode'] as const)(
    'of_%s_of_a_handler_is_told_and_nothing_else_is_kept',
    async (part) => {
      class Own extends Odd {}
      const name = `promise-${++names}`
      defineHandler<Odd>({
        name,
        test: (value) => value instanceof Own && (part === 'test' ? give() : true),
        encode: part === 'encode' ? give : () => 'odd',
        decode: part === 'decode' ? give : () => new Own(),
      })
      const cache = openCache({ dir: tempDir(), memory: false })
      const faults: string[] = []
      cache.on('error', ({ code }) => faults.push(code))
      const code = { test: 'E_INVALID_OPTION', encode: 'E_UNSERIALIZABLE', decode: undefined }[part]
      expect(codeOfSync(() => cache.setSync('s', new Own()))).toBe(code)
      if (code === undefined) await cache.set('k', new Own())
      else expect(await codeOf(cache.set('k', new Own()))).toBe(code)
      expect([await cache.get('k'), cache.getSync('s')]).toEqual([undefined, undefined])
      expect(faults).toEqual(part === 'decode' ? ['E_UNAVAILABLE', 'E_UNAVAILABLE'] : [])
      await settled()
    },
  )

  it.each(['onAdd', 'onUpdate', 'onAccess', 'onDelete', 'onClear', 'victim', 'order'] as const)(
    'of_%s_of_a_policy_is_E_INVALID_OPTION',
    async (hook) => {
      const name = `promise-${++names}`
      const hooks: PolicyHooks = { victim: (view) => view.keys().next().value, [hook]: give }
      definePolicy(name, hooks)
      const cache = new MemoryCache<string, number>({ max: 2, policy: name })
      const steps = {
        onAdd: () => cache.set('a', 1),
        onUpdate: () => cache.set('a', 1).set('a', 2),
        onAccess: () => cache.set('a', 1).get('a'),
        onDelete: () => cache.set('a', 1).delete('a'),
        onClear: () => cache.set('a', 1).clear(),
        victim: () => cache.set('a', 1).set('b', 1).set('c', 1),
        order: () => [...cache.set('a', 1).keys()],
      }
      expect(await codeOf(steps[hook])).toBe('E_INVALID_OPTION')
      await settled()
    },
  )

  it.each(['weigher', 'clock'])('of_%s_is_E_INVALID_OPTION', async (option) => {
    const made = () =>
      new MemoryCache<string, number>({ maxSize: 1000, [option]: give }).set('a', 1, { ttl: 5 })
    expect(await codeOf(made)).toBe('E_INVALID_OPTION')
    await settled()
  })

  it.each(['serialize', 'deserialize'] as const)('of_%s_is_told_by_its_name', async (part) => {
    const name = `promise-${++names}`
    const plain: Serializer = {
      extension: 'x',
      serialize: (data) => JSON.stringify(data),
      deserialize: (bytes) => JSON.parse(String(bytes)) as unknown,
    }
    defineSerializer(name, { ...plain, [part]: give })
    const file = join(tempDir(), 'saved')
    const cache = new MemoryCache<string, number>({ max: 2, serializer: name }).set('a', 1)
    const isSaving = part === 'serialize'
    expect(codeOfSync(() => cache.saveSync(file))).toBe(isSaving ? 'E_UNSERIALIZABLE' : undefined)
    if (!isSaving) expect(codeOfSync(() => cache.loadSync(file))).toBe('E_INVALID_OPTION')
    expect(cache.get('a')).toBe(1)
    await settled()
  })
})
