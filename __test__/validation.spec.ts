/** Old values that are asked about before they are given or kept: `validate`, `notModified`, schemas. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type AnySchema, type GetOrSetOptions, notModified } from 'tierce'
import { describe, expect, it, vi } from 'vitest'
import { codeOf } from './helpers/errors.js'
import { faultsOf, holdTime, loader, pass, TIERS, turn } from './helpers/loads.js'
import { openCache, tempDir } from './helpers/temp.js'

holdTime()

const SCHEMA: AnySchema = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: (value) =>
      typeof (value as { v: unknown }).v === 'string'
        ? { value }
        : { issues: [{ message: 'v is no string' }] },
  },
}
const LATER: AnySchema = {
  '~standard': { ...SCHEMA['~standard'], validate: async (value) => SCHEMA['~standard'].validate(value) },
}

describe.each(TIERS)('validation in $tiers', ({ make }) => {
  it('validate_keeps_renews_replaces_or_leaves_it_to_the_load', async () => {
    const cache = make()
    const seen: unknown[] = []
    const answers: unknown[] = [notModified, 'newer', undefined]
    const load = vi.fn(async () => 'loaded')
    const options: GetOrSetOptions<string> = {
      ttl: 1000,
      validate: async (old) => {
        seen.push(old.value)
        return answers.shift() as string
      },
    }
    const made = Date.now()
    expect(await cache.getOrSet('k', load, options)).toBe('loaded')
    await pass(50_000)
    expect(await cache.getOrSet('k', load, options)).toBe('loaded')
    expect(await cache.entry('k')).toMatchObject({ value: 'loaded', createdAt: made })
    expect(load).toHaveBeenCalledTimes(1)
    expect(await cache.getOrSet('k', load, options)).toBe('loaded')
    await pass(1000)
    expect(await cache.getOrSet('k', load, options)).toBe('newer')
    await pass(1000)
    expect(await cache.getOrSet('k', load, options)).toBe('loaded')
    expect(load).toHaveBeenCalledTimes(2)
    expect(seen).toEqual(['loaded', 'loaded', 'newer'])
  })

  it('a_load_may_answer_notModified_where_it_was_given_an_old_value', async () => {
    const cache = make()
    const options = { ttl: 1000, staleIfError: '1h' }
    const load = vi.fn(async ({ old }: { old: { value: number } | undefined }) =>
      old === undefined ? 5 : notModified,
    )
    expect(await cache.getOrSet<number>('k', load, options)).toBe(5)
    await pass(1000)
    expect(await cache.getOrSet<number>('k', load, options)).toBe(5)
    expect(await cache.get('k')).toBe(5)
    await pass(999)
    expect(await cache.get('k')).toBe(5)
    await pass(1)
    expect(cache.getOrSetSync<number>('k', ({ old }) => (old ? notModified : 0), options)).toBe(5)
    expect(cache.getSync('k')).toBe(5)
    await cache.delete('k')
    expect(await codeOf(cache.getOrSet<number>('k', () => notModified))).toBe('E_INVALID_OPTION')
  })

  it('a_stored_value_that_does_not_pass_its_schema_is_a_miss_and_replaced', async () => {
    const cache = make()
    const faults = faultsOf(cache)
    await cache.set('k', { v: 1 })
    const load = vi.fn(() => ({ v: 'one' }))
    expect(await cache.getOrSet('k', load, { schema: SCHEMA })).toEqual({ v: 'one' })
    expect(await cache.getOrSet('k', load, { schema: SCHEMA })).toEqual({ v: 'one' })
    expect(load).toHaveBeenCalledTimes(1)
    await cache.set('k', { v: 1 })
    expect(cache.getOrSetSync('k', load, { schema: SCHEMA })).toEqual({ v: 'one' })
    expect(await cache.get('k')).toEqual({ v: 'one' })
    await cache.set('k', { v: 1 })
    expect(await cache.getOrSet('k', load, { schema: LATER })).toEqual({ v: 'one' })
    expect(faults).toEqual([])
    await cache.delete('k')
    const bad = () => ({ v: 2 }) as never
    expect(await cache.getOrSet('k', bad, { schema: SCHEMA })).toEqual({ v: 2 })
    expect(cache.getOrSetSync('k', bad, { schema: SCHEMA })).toEqual({ v: 2 })
    expect(await cache.has('k')).toBe(false)
    expect(faults.map(({ code }) => code)).toEqual(['E_UNSERIALIZABLE', 'E_UNSERIALIZABLE'])
    await cache.set('k', { v: 'x' })
    expect(await codeOf(() => cache.getOrSetSync('k', load, { schema: LATER }))).toBe('E_INVALID_OPTION')
  })

  it('what_is_invalidated_while_it_is_validated_stays_away', async () => {
    const cache = make()
    const options: GetOrSetOptions<string> = { ttl: 1000, staleIfError: '1h' }
    await cache.getOrSet('k', () => 'old', options)
    await pass(1000)
    const { load, waiting } = loader<string | typeof notModified>()
    const asked = cache.getOrSet<string>('k', load, options)
    await turn()
    await cache.delete('k')
    waiting[0]!.give(notModified)
    expect(await asked).toBe('old')
    await turn()
    expect(await cache.get('k')).toBeUndefined()
    const again = cache.getOrSet('k', () => Promise.reject(new Error('down')), options)
    await expect(again).rejects.toThrow('down')
  })
})

describe('validation', () => {
  it('a_value_that_was_evicted_while_it_was_validated_is_stored_again', async () => {
    const cache = openCache({ memory: { max: 1 } })
    const validate = async () => {
      await cache.set('another', 1)
      expect(await cache.size()).toBe(1)
      return notModified
    }
    const options: GetOrSetOptions<string> = { ttl: 1000, validate }
    await cache.getOrSet('k', () => 'value', options)
    await pass(1000)
    expect(await cache.getOrSet('k', () => 'other', options)).toBe('value')
    expect(await cache.get('k')).toBe('value')
  })

  it('a_download_is_validated_by_its_etag', async () => {
    vi.useRealTimers()
    let [bodies, version] = [0, 1]
    const server = createServer((request, response) => {
      const etag = `"v${version}"`
      const isSame = request.headers['if-none-match'] === etag
      if (!isSame) bodies++
      response.writeHead(isSame ? 304 : 200, { etag }).end(isSame ? undefined : `body ${version}`)
    }).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
    let now = Date.now()
    const cache = openCache({ dir: join(tempDir(), 'cache'), clock: () => now })
    const download = () =>
      cache.getOrSet<{ etag: string; body: string }>(
        url,
        async ({ old, signal }) => {
          const headers = new Headers(old && { 'if-none-match': old.value.etag })
          const response = await fetch(url, { headers, signal })
          if (response.status === 304) return notModified
          return { etag: response.headers.get('etag')!, body: await response.text() }
        },
        { ttl: '1m', staleIfError: '1d' },
      )
    try {
      for (let round = 0; round < 3; round++) {
        expect((await download()).body).toBe('body 1')
        now += 60_000
      }
      expect(bodies).toBe(1)
      version = 2
      expect((await download()).body).toBe('body 2')
      expect(bodies).toBe(2)
    } finally {
      server.close()
    }
  })
})
