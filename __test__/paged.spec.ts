import { describe, expect, it } from 'vitest'
import { Paged } from '../build/verbs/paged.js'

/** Pages of 1 to 5, and whether their generator was ended. */
function source() {
  const state = { ended: false }
  const pages = (async function* () {
    try {
      yield [1, 2]
      yield []
      yield [3, 4, 5]
    } finally {
      state.ended = true
    }
  })()
  return { state, pages }
}

describe('items of pages', () => {
  it('come_in_order_also_to_calls_that_do_not_wait_for_each_other', async () => {
    const { pages, state } = source()
    const paged = new Paged(pages, (item: number) => item * 10)
    const calls = await Promise.all(Array.from({ length: 7 }, () => paged.next()))
    expect(calls.map(({ value }) => value)).toEqual([10, 20, 30, 40, 50, undefined, undefined])
    expect(calls.map(({ done }) => done)).toEqual([false, false, false, false, false, true, true])
    expect(state.ended).toBe(true)
  })

  it('end_their_pages_when_the_loop_is_left', async () => {
    const { pages, state } = source()
    const paged = new Paged(pages, (item: number) => item)
    for await (const item of paged) if (item === 1) break
    expect(state.ended).toBe(true)
    expect(await paged.next()).toEqual({ done: true, value: undefined })
    const other = source()
    await new Paged(other.pages, (item: number) => item)[Symbol.asyncDispose]()
    expect((await other.pages.next()).done).toBe(true)
  })

  it('that_cannot_be_made_end_the_listing_with_their_error', async () => {
    for (const bad of [1, 2]) {
      const { pages, state } = source()
      const paged = new Paged(pages, (item: number) => {
        if (item === bad) throw new Error(`no ${item}`)
        return item
      })
      const seen: number[] = []
      const listing = (async () => {
        for await (const item of paged) seen.push(item)
      })()
      await expect(listing).rejects.toThrow(`no ${bad}`)
      expect(seen).toEqual(bad === 1 ? [] : [1])
      expect(state.ended).toBe(true)
      expect((await paged.next()).done).toBe(true)
    }
  })
})
