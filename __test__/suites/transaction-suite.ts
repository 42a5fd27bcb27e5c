/** Transactions: all or nothing, one state of the cache, and conflicts that are told. */
import type { CacheOptions, Transaction } from 'tierce'
import { describe, expect, it } from 'vitest'
import { fakeClock } from '../helpers/clock.js'
import { codeOf, failure } from '../helpers/errors.js'
import { openCache } from '../helpers/temp.js'
import { optionsFor, type Tiers } from './cache-suite.js'

export function transactionSuite(tiers: Tiers): void {
  const make = (more: CacheOptions = {}) => openCache(optionsFor(tiers, more))

  describe('transactions', () => {
    it('what_it_does_is_seen_by_itself_at_once_and_by_others_at_its_end', async () => {
      const cache = make()
      await cache.setMany([
        ['a', 1],
        ['b', 'x'],
        ['gone', 1],
      ])
      const result = await cache.transaction(async (tx) => {
        expect(await tx.get('a')).toBe(1)
        await tx.set('a', { n: 2 })
        expect(await tx.get('a')).toEqual({ n: 2 })
        expect(await tx.delete('gone')).toBe(true)
        expect(await tx.delete('gone')).toBe(false)
        expect(await tx.has('gone')).toBe(false)
        expect(await tx.add('b', 'y')).toBe(false)
        expect(await tx.add('new', 'y')).toBe(true)
        expect(await tx.update('nothing', 1)).toBe(false)
        expect(await tx.update('new', 'z')).toBe(true)
        expect(await tx.increment('n', 5)).toBe(5)
        expect(await tx.increment('n')).toBe(6)
        expect(await tx.increment('big', 3n)).toBe(3n)
        expect(await tx.expire('b', 1000)).toBe(true)
        expect(await tx.expire('nothing', 1000)).toBe(false)
        expect(await tx.ttl('b')).toBeGreaterThan(900)
        await tx.setMany([
          ['m', 1],
          [{ k: 1 }, 2],
        ])
        expect(await tx.getMany(['a', 'gone', 'new', 'n', { k: 1 }])).toEqual([
          { n: 2 },
          undefined,
          'z',
          6,
          2,
        ])
        expect(await cache.getMany(['a', 'gone', 'new', 'n', 'm'])).toEqual([
          1,
          1,
          undefined,
          undefined,
          undefined,
        ])
        return 'done'
      })
      expect(result).toBe('done')
      expect(await cache.getMany(['a', 'b', 'gone', 'new', 'n', 'big', 'm', { k: 1 }])).toEqual([
        { n: 2 },
        'x',
        undefined,
        'z',
        6,
        3n,
        1,
        2,
      ])
      expect(await cache.ttl('b')).toBeLessThanOrEqual(1000)
    })

    it('what_it_throws_passes_through_and_nothing_is_changed', async () => {
      const cache = make()
      await cache.set('a', 1)
      const thrown = new Error('mine')
      const outcome = cache.transaction(async (tx) => {
        await tx.set('a', 2)
        await tx.set('b', 2)
        await tx.delete('a')
        throw thrown
      })
      await expect(outcome).rejects.toBe(thrown)
      expect(await cache.getMany(['a', 'b'])).toEqual([1, undefined])
      const nothing = await cache
        .transaction(async () => Promise.reject(undefined))
        .catch((error) => ({ error }))
      expect(nothing).toEqual({ error: undefined })
    })

    it('a_conflict_is_E_TRANSACTION_and_nothing_is_changed', async () => {
      const cache = make()
      await cache.setMany([
        ['a', 1],
        ['n', 1],
        ['t', 1],
      ])
      const others: [string, () => Promise<unknown>][] = [
        ['a', () => cache.set('a', 1)],
        ['a', () => cache.delete('a')],
        ['a', () => cache.add('a', 1)],
        ['n', () => cache.increment('n')],
        ['t', () => cache.expire('t', 100_000)],
        ['missing', () => cache.set('missing', 1)],
        ['a', () => cache.clear()],
      ]
      for (const [key, other] of others) {
        const outcome = cache.transaction(async (tx) => {
          await tx.get(key)
          await tx.set('out', 1)
          await other()
        })
        expect(await codeOf(outcome), String(other)).toBe('E_TRANSACTION')
        expect(await cache.has('out'), String(other)).toBe(false)
      }
    })

    it('who_reads_nothing_meets_no_conflict', async () => {
      const cache = make()
      await cache.transaction(async (tx) => {
        await tx.set('a', 'tx')
        await cache.set('a', 'other')
      })
      expect(await cache.get('a')).toBe('tx')
    })

    it('reads_see_one_state', async () => {
      const cache = make()
      await cache.setMany([
        ['a', 1],
        ['b', 1],
      ])
      let seen: unknown
      const outcome = cache.transaction(async (tx) => {
        const a = await tx.get('a')
        await cache.setMany([
          ['a', 2],
          ['b', 2],
        ])
        seen = [a, await tx.get('b')]
      })
      expect(await codeOf(outcome)).toBe('E_TRANSACTION')
      expect(seen).toBeUndefined() // 1 and 2 were never there together
    })

    it('one_that_only_reads_commits_though_others_write_afterwards', async () => {
      const cache = make()
      await cache.set('a', 1)
      const result = await cache.transaction(async (tx) => {
        const a = await tx.get('a')
        await cache.set('a', 2)
        expect(await tx.get('a')).toBe(1) // the same as before
        return a
      })
      expect(result).toBe(1)
    })

    it('retries_run_it_again_from_the_start', async () => {
      const cache = make()
      await cache.set('n', 0)
      let runs = 0
      const result = await cache.transaction(
        async (tx) => {
          const n = (await tx.get<number>('n')) ?? 0
          if (++runs < 3) await cache.set('n', 10 * runs)
          await tx.set('n', n + 1)
          return n
        },
        { retries: 5 },
      )
      expect([runs, result]).toEqual([3, 20])
      expect(await cache.get('n')).toBe(21)
      runs = 0
      const never = cache.transaction(
        async (tx) => {
          await tx.get('n')
          await cache.set('n', ++runs)
          await tx.set('n', -1)
        },
        { retries: 2 },
      )
      expect(await codeOf(never)).toBe('E_TRANSACTION')
      expect(runs).toBe(3)
      expect(await cache.get('n')).toBe(3)
    })

    it('many_at_once_lose_nothing', async () => {
      const cache = make()
      await cache.setMany([
        ['from', 100],
        ['to', 0],
      ])
      const move = async (tx: Transaction<never>) => {
        const from = (await tx.get<number>('from')) ?? 0
        const to = (await tx.get<number>('to')) ?? 0
        expect(from + to).toBe(100)
        await tx.set('from', from - 1)
        await new Promise(setImmediate)
        await tx.set('to', to + 1)
      }
      await Promise.all(
        Array.from({ length: 20 }, () => cache.transaction(move, { retries: Number.POSITIVE_INFINITY })),
      )
      expect(await cache.getMany(['from', 'to'])).toEqual([80, 20])
    })

    it('what_is_not_awaited_is_a_part_of_it_in_the_order_of_the_program', async () => {
      const cache = make()
      const value = Buffer.from('before')
      await cache.transaction((tx) => {
        tx.set('b', value)
        tx.increment('n')
        tx.increment('n')
        tx.delete('n')
        tx.increment('n', 5)
        value.write('after!')
      })
      expect(await cache.get('n')).toBe(5)
      if (tiers.disk || tiers.values === 'copy') expect(String(await cache.get('b'))).toBe('before')
      const sums = await cache.transaction((tx) =>
        Promise.all([tx.increment('m'), tx.increment('m'), tx.increment('m')]),
      )
      expect(sums).toEqual([1, 2, 3])
    })

    it('one_after_its_end_and_one_in_another_are_refused', async () => {
      const cache = make()
      const other = make()
      let kept: Transaction<never> | undefined
      await cache.transaction(async (tx) => {
        kept = tx as never
        expect(await codeOf(cache.transaction(() => 1))).toBe('E_TRANSACTION')
        expect(await other.transaction(async (inner) => inner.increment('n'))).toBe(1)
        await tx.set('a', 1)
      })
      const late = kept as unknown as Transaction<never>
      for (const use of [() => late.get('a'), () => late.set('a', 2), () => late.increment('a')]) {
        expect(await codeOf(use())).toBe('E_TRANSACTION')
      }
      expect(await cache.transaction((tx) => tx.get('a'))).toBe(1)
    })

    it('bad_input_is_refused_where_it_is_given', async () => {
      const cache = make()
      expect(await codeOf(cache.transaction(5 as never))).toBe('E_INVALID_OPTION')
      expect(await codeOf(cache.transaction(() => 1, { retries: -1 }))).toBe('E_INVALID_OPTION')
      expect(await codeOf(cache.transaction(() => 1, { tries: 1 } as object))).toBe('E_INVALID_OPTION')
      await cache.set('text', 'x')
      await cache.transaction(async (tx) => {
        expect(await codeOf(async () => tx.set('a', undefined))).toBe('E_UNSERIALIZABLE')
        expect(await codeOf(async () => tx.set('a', 1, { ttl: -1 }))).toBe('E_INVALID_TTL')
        expect(await codeOf(async () => tx.increment('text'))).toBe('E_INVALID_OPTION')
        expect(await codeOf(async () => tx.get((() => 1) as never))).toBe('E_INVALID_KEY')
        await tx.set('b', 1) // it goes on
      })
      expect(await cache.getMany(['a', 'b', 'text'])).toEqual([undefined, 1, 'x'])
    })

    it('a_value_that_does_not_fit_fails_it_as_a_whole', async () => {
      const cache = tiers.disk
        ? make({ maxSize: '1MiB', codec: 'none' })
        : make({ memory: { maxSize: 100_000 } })
      await cache.set('a', 1)
      const outcome = cache.transaction(async (tx) => {
        await tx.set('a', 2)
        await tx.set('large', Buffer.alloc(5 << 20))
      })
      expect(await codeOf(outcome)).toBe('E_VALUE_TOO_LARGE')
      expect(await cache.get('a')).toBe(1)
    })

    it('times_count_as_elsewhere', async () => {
      const clock = fakeClock()
      const cache = make({ clock, ttl: 1000 })
      await cache.set('a', 1, { ttl: 10 })
      const outcome = cache.transaction(async (tx) => {
        await tx.get('a')
        clock.advance(10) // what was read is gone
        await tx.set('b', 1)
      })
      expect(await codeOf(outcome)).toBe('E_TRANSACTION')
      await cache.transaction(async (tx) => {
        expect(await tx.get('a')).toBeUndefined()
        expect(await tx.increment('a')).toBe(1)
        await tx.set('b', 1, { ttl: 20, tags: ['t'] })
        await tx.increment('b')
      })
      expect(await cache.ttl('a')).toBe(1000)
      expect(await cache.ttl('b')).toBe(20)
      expect((await cache.entry('b'))?.tags).toEqual(['t'])
    })

    it('large_values_and_many_keys_commit_in_one_step', async () => {
      const cache = make()
      await cache.transaction(async (tx) => {
        for (let index = 0; index < 300; index++) await tx.set(`k${index}`, Buffer.alloc(2000, index))
        await tx.set('large', Buffer.alloc(200_000, 7))
        expect((await tx.get<Buffer>('large'))?.[199_999]).toBe(7)
      })
      expect(await cache.size()).toBe(301)
      expect((await cache.get<Buffer>('large'))?.[0]).toBe(7)
      expect((await cache.get<Buffer>('k299'))?.[0]).toBe(299 % 256)
    })

    it('a_closed_cache_has_none', async () => {
      const cache = make()
      const outcome = cache.transaction(async (tx) => {
        await tx.set('a', 1)
        await cache.close()
      })
      expect(await codeOf(outcome)).toBe('E_CLOSED')
      expect((await failure(cache.transaction(() => 1))).code).toBe('E_CLOSED')
    })
  })
}
