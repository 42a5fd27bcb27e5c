/** Transactions of a synchronous function: what those that may wait do, on one thread. */
import type { CacheOptions, SyncTransaction } from 'tierce'
import { describe, expect, it } from 'vitest'
import { fakeClock } from '../helpers/clock.js'
import { codeOf, failure } from '../helpers/errors.js'
import { openCache } from '../helpers/temp.js'
import { optionsFor, type Tiers } from './cache-suite.js'

export function transactionSyncSuite(tiers: Tiers): void {
  const make = (more: CacheOptions = {}) => openCache(optionsFor(tiers, more))

  describe('synchronous transactions', () => {
    it('what_it_does_is_seen_by_itself_at_once_and_by_others_at_its_end', async () => {
      const cache = make()
      cache.setSync('a', 1)
      cache.setSync('b', 'x')
      cache.setSync('gone', 1)
      const result = cache.transactionSync((tx) => {
        expect(tx.get('a')).toBe(1)
        tx.set('a', { n: 2 })
        expect(tx.get('a')).toEqual({ n: 2 })
        expect([tx.delete('gone'), tx.delete('gone'), tx.has('gone')]).toEqual([true, false, false])
        expect([tx.add('b', 'y'), tx.add('new', 'y')]).toEqual([false, true])
        expect([tx.update('nothing', 1), tx.update('new', 'z')]).toEqual([false, true])
        expect([tx.increment('n', 5), tx.increment('n'), tx.increment('big', 3n)]).toEqual([5, 6, 3n])
        expect([tx.expire('b', 1000), tx.expire('nothing', 1000)]).toEqual([true, false])
        expect(tx.ttl('b')).toBeGreaterThan(900)
        tx.setMany({ m: 1, o: 1 })
        tx.setMany([[{ k: 1 }, 2]])
        expect(tx.deleteMany(['o', 'nothing'])).toBe(1)
        expect(tx.getMany(['a', 'gone', 'new', 'n', { k: 1 }])).toEqual([{ n: 2 }, undefined, 'z', 6, 2])
        expect(cache.getSync('a')).toBe(1)
        expect(cache.getSync('n')).toBeUndefined()
        return 'done'
      })
      expect(result).toBe('done')
      const keys = ['a', 'b', 'gone', 'new', 'n', 'big', 'm', 'o', { k: 1 }]
      const stored = [{ n: 2 }, 'x', undefined, 'z', 6, 3n, 1, undefined, 2]
      expect(keys.map((key) => cache.getSync(key))).toEqual(stored)
      expect(await cache.getMany(keys)).toEqual(stored)
      expect(cache.ttlSync('b')).toBeLessThanOrEqual(1000)
    })

    it('what_it_throws_passes_through_and_nothing_is_changed', () => {
      const cache = make()
      cache.setSync('a', 1)
      const thrown = new Error('mine')
      const run = () =>
        cache.transactionSync((tx) => {
          tx.set('a', 2)
          tx.set('b', 2)
          throw thrown
        })
      expect(run).toThrow(thrown)
      expect([cache.getSync('a'), cache.getSync('b')]).toEqual([1, undefined])
    })

    it('a_function_that_gives_a_promise_is_E_TRANSACTION_and_nothing_is_stored', async () => {
      const cache = make()
      let kept: SyncTransaction<never> | undefined
      const error = await failure(() =>
        cache.transactionSync(async (tx) => {
          kept = tx as never
          tx.set('a', 1)
          await undefined
          throw new Error('nobody hears of it')
        }),
      )
      expect(error.code).toBe('E_TRANSACTION')
      expect(error.message).toContain('transaction')
      expect(await cache.get('a')).toBeUndefined()
      expect(await codeOf(() => kept?.get('a'))).toBe('E_TRANSACTION')
    })

    it('a_conflict_is_E_TRANSACTION_and_nothing_is_changed', async () => {
      const cache = make()
      for (const key of ['a', 'n', 't']) cache.setSync(key, 1)
      const others: [string, () => unknown][] = [
        ['a', () => cache.setSync('a', 1)],
        ['a', () => cache.deleteSync('a')],
        ['a', () => cache.addSync('a', 1)],
        ['n', () => cache.incrementSync('n')],
        ['t', () => cache.expireSync('t', 100_000)],
        ['missing', () => cache.setSync('missing', 1)],
      ]
      for (const [key, other] of others) {
        const run = () =>
          cache.transactionSync((tx) => {
            tx.get(key)
            tx.set('out', 1)
            other()
          })
        expect(await codeOf(run), String(other)).toBe('E_TRANSACTION')
        expect(cache.getSync('out'), String(other)).toBeUndefined()
      }
      const between = () =>
        cache.transactionSync((tx) => {
          tx.get('a')
          cache.setSync('a', 5)
          tx.get('n') // 1 and 5 were never there together
        })
      expect(await codeOf(between)).toBe('E_TRANSACTION')
    })

    it('retries_run_it_again_from_the_start', async () => {
      const cache = make()
      let runs = 0
      const result = cache.transactionSync(
        (tx) => {
          const n = tx.get<number>('n') ?? 0
          if (++runs < 3) cache.setSync('n', 10 * runs)
          tx.set('n', n + 1)
          return n
        },
        { retries: 5 },
      )
      expect([runs, result, cache.getSync('n')]).toEqual([3, 20, 21])
      const never = () =>
        cache.transactionSync(
          (tx) => {
            tx.get('n')
            cache.setSync('n', ++runs)
            tx.set('n', -1)
          },
          { retries: 2 },
        )
      expect(await codeOf(never)).toBe('E_TRANSACTION')
      expect([runs, cache.getSync('n')]).toEqual([6, 6])
    })

    it('what_is_on_its_way_to_the_disk_comes_before_it_or_is_a_conflict', async () => {
      const cache = make()
      for (let round = 1; round <= 5; round++) {
        const large = cache.set('large', Buffer.alloc(300_000, round)) // takes the thread pool
        const small = cache.set('small', round)
        const sizes = cache.transactionSync(
          (tx) => {
            const found = tx.get<Buffer>('large')
            tx.set('large', Buffer.alloc(10, round))
            return [found?.length, tx.get('small')]
          },
          { retries: 50 },
        )
        await Promise.all([large, small])
        expect((await cache.get<Buffer>('large'))?.length, `${sizes}`).toBe(10)
        expect(await cache.get('small')).toBe(round)
      }
    })

    it('one_in_another_and_one_after_its_end_are_refused', async () => {
      const cache = make()
      const other = make()
      let kept: SyncTransaction<never> | undefined
      await cache.transaction(async (tx) => {
        await tx.set('a', 1)
        expect(await codeOf(() => cache.transactionSync(() => 1))).toBe('E_TRANSACTION')
        expect(other.transactionSync((inner) => inner.increment('n'))).toBe(1)
      })
      cache.transactionSync((tx) => {
        kept = tx as never
        expect(() => cache.transactionSync(() => 1)).toThrow(/running here already/)
      })
      expect(await codeOf(() => kept?.set('a', 2))).toBe('E_TRANSACTION')
      expect(cache.transactionSync((tx) => tx.get('a'))).toBe(1)
    })

    it('bad_input_is_refused_where_it_is_given', async () => {
      const cache = make()
      expect(await codeOf(() => cache.transactionSync(5 as never))).toBe('E_INVALID_OPTION')
      expect(await codeOf(() => cache.transactionSync(() => 1, { retries: -1 }))).toBe('E_INVALID_OPTION')
      cache.setSync('text', 'x')
      cache.transactionSync((tx) => {
        expect(() => tx.set('a', undefined)).toThrow(/undefined/)
        expect(() => tx.set('a', 1, { ttl: -1 })).toThrow(/ttl/)
        expect(() => tx.increment('text')).toThrow(/number/)
        expect(() => tx.get((() => 1) as never)).toThrow()
        tx.set('b', 1) // it goes on
      })
      expect([cache.getSync('a'), cache.getSync('b')]).toEqual([undefined, 1])
      await cache.close()
      expect(await codeOf(() => cache.transactionSync(() => 1))).toBe('E_CLOSED')
    })

    it('times_and_values_are_those_of_the_moment', () => {
      const clock = fakeClock()
      const cache = make({ clock, ttl: 1000 })
      cache.setSync('a', 1, { ttl: 10 })
      const value = Buffer.from('before')
      cache.transactionSync((tx) => {
        tx.set('b', value, { ttl: 20 })
        value.write('after!')
        tx.set('large', Buffer.alloc(200_000, 7))
        expect(tx.increment('a')).toBe(2)
        expect(tx.increment('c')).toBe(1)
      })
      if (tiers.disk || tiers.values === 'copy') expect(String(cache.getSync('b'))).toBe('before')
      expect([cache.ttlSync('a'), cache.ttlSync('b'), cache.ttlSync('c')]).toEqual([10, 20, 1000])
      expect(cache.getSync<Buffer>('large')?.[199_999]).toBe(7)
    })
  })
}
