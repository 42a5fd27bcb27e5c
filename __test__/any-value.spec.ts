/** Any value through any tiers: what comes out is what went in, or it was refused. */
import fc from 'fast-check'
import type { Cache, CacheOptions, Codec } from 'tierce'
import { expect, it } from 'vitest'
import { anyKind, unstorable } from './helpers/any-value.js'
import { codeOf } from './helpers/errors.js'
import { expectSame } from './helpers/same.js'
import { openCache, tempDir } from './helpers/temp.js'

const CODECS: Codec[] = ['auto', 'fast', 'none', 'lz4', 'zstd', 'pco']
const storable = anyKind().filter((value) => value !== undefined)

it.each<[string, () => CacheOptions]>([
  ['memory', () => ({})],
  ['memory that gives copies', () => ({ values: 'copy' })],
  ['disk', () => ({ dir: tempDir(), memory: false })],
  ['memory and disk', () => ({ dir: tempDir() })],
])('any_value_comes_back_equal_in_type_and_content: %s', async (_name, options) => {
  const property = fc.asyncProperty(fc.array(storable, { minLength: 1, maxLength: 20 }), async (values) => {
    const given = options()
    const cache = openCache(given)
    await cache.setMany(values.map((value, index) => [index, value]))
    for (const [index, value] of values.entries()) {
      cache.setSync(`sync ${index}`, value, { codec: CODECS[index % CODECS.length] })
    }
    const check = async (one: Cache) => {
      expectSame(await one.getMany(values.keys()), values)
      for (const [index, value] of values.entries()) {
        expectSame(await one.get(`sync ${index}`), value)
        expectSame(one.getSync(index), value)
      }
    }
    await check(cache)
    await cache.close()
    if (given.dir !== undefined) await check(openCache(given))
  })
  await fc.assert(property, { numRuns: 40 })
})

it('what_has_no_stored_form_is_refused_at_set_and_the_old_value_stays', async () => {
  const caches = [
    openCache({ dir: tempDir() }),
    openCache({ dir: tempDir(), memory: false }),
    openCache({ values: 'copy' }),
  ]
  for (const cache of caches) await cache.set('key', 'old')
  const property = fc.asyncProperty(unstorable(), async (value) => {
    for (const cache of caches) {
      expect(await codeOf(cache.set('key', value))).toBe('E_UNSERIALIZABLE')
      expect(await codeOf(() => cache.setSync('key', value))).toBe('E_UNSERIALIZABLE')
      expect(await cache.get('key')).toBe('old')
    }
  })
  await fc.assert(property, { numRuns: 200 })
})
