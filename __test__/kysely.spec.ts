import { join } from 'node:path'
import { type KyselyPlugin, sql } from 'kysely'
import { Cache, double, integer, text, timestamp } from 'tierce'
import { kysely } from 'tierce/kysely'
import { describe, expect, expectTypeOf, it, vi } from 'vitest'
import { codeOf } from './helpers/errors.js'
import { tempDir } from './helpers/temp.js'
import { PATIENTLY } from './helpers/wait.js'

async function filled() {
  const cache = new Cache({
    dir: join(tempDir(), 'cache'),
    meta: {
      experiments: {
        accuracy: double().index(),
        modelType: text().index(),
        epochs: integer().notNull(),
        startedAt: timestamp(),
      },
    },
  })
  for (let i = 0; i < 10; i++) {
    const startedAt = new Date(i * 1000)
    const experiments = {
      accuracy: i / 10,
      modelType: i % 2 === 0 ? 'xgboost' : 'forest',
      epochs: i,
      startedAt,
    }
    await cache.set(`k${i}`, i, { meta: { experiments }, tags: [`t${i % 3}`] })
  }
  return cache
}

describe('kysely', () => {
  it('asks as any Kysely does with plugins, with a signal, compiled once and on one connection', async () => {
    await using cache = await filled()
    const db = kysely(cache)
    const best = db.selectFrom('experiments').select('modelType').where('accuracy', '=', 0.9)
    const wanted = [{ modelType: 'forest' }]
    expect(await best.execute()).toEqual(wanted)
    expect(await best.execute({ signal: new AbortController().signal })).toEqual(wanted)
    await expect(best.execute({ signal: AbortSignal.abort(new Error('given up')) })).rejects.toThrow(
      'given up',
    )
    expect((await db.executeQuery({ ...best.compile(), parameters: [0.8] })).rows).toEqual([
      { modelType: 'xgboost' },
    ])
    expect(
      await db
        .connection()
        .execute((one) => one.selectFrom('experiments').select('epochs').where('epochs', '=', 3).execute()),
    ).toEqual([{ epochs: 3 }])
    const plugin: KyselyPlugin = {
      transformQuery: ({ node }) => node,
      transformResult: async ({ result }) => ({
        ...result,
        rows: result.rows.map((row) => ({ ...row, seen: true })),
      }),
    }
    const seen = db
      .withPlugin(plugin)
      .selectFrom('experiments')
      .select('modelType')
      .where('accuracy', '=', 0.9)
    expect(await seen.execute()).toEqual([{ modelType: 'forest', seen: true }])
    expect(await codeOf(sql`DELETE FROM experiments`.execute(db))).toBe('E_READ_ONLY')
  })

  it('gives typed rows of declared tables, entries and tags', async () => {
    await using cache = await filled()
    const db = kysely(cache)
    const rows = await db
      .selectFrom('experiments')
      .select(['key', 'accuracy', 'startedAt'])
      .where('accuracy', '>=', 0.7)
      .where('modelType', '=', 'xgboost')
      .orderBy('accuracy', 'desc')
      .execute()
    expect(rows).toEqual([{ key: 'k8', accuracy: 0.8, startedAt: new Date(8000) }])
    expectTypeOf(rows[0]!.accuracy).toEqualTypeOf<number | null>()
    expectTypeOf(rows[0]!.startedAt).toEqualTypeOf<Date | null>()
    const tagged = await db
      .selectFrom('experiments as x')
      .innerJoin('tags', 'tags.key', 'x.key')
      .innerJoin('entries', 'entries.key', 'x.key')
      .select(({ fn }) => [fn.max('x.epochs').as('most'), fn.countAll<number>().as('count')])
      .where('tags.tag', '=', 't0')
      .executeTakeFirstOrThrow()
    expect(tagged).toEqual({ most: 9, count: 4 })
    expect(
      (await sql<{ n: number }>`SELECT count(*) AS n FROM experiments WHERE epochs < ${3}`.execute(db)).rows,
    ).toEqual([{ n: 3 }])
    const streamed = []
    for await (const row of db.selectFrom('entries').select('size').stream()) streamed.push(row)
    expect(streamed.length).toBe(10)
    // @ts-expect-error: no such column
    expect(await codeOf(() => db.selectFrom('experiments').select('nothing').execute())).toBe(
      'E_INVALID_OPTION',
    )
  })

  it('writes nothing, and has no transactions', async () => {
    await using cache = await filled()
    const db = kysely(cache)
    for (const run of [
      () => db.deleteFrom('experiments').execute(),
      () => db.updateTable('entries').set({ hits: 1 }).execute(),
      () => db.insertInto('tags').values({ key: 'a', tag: 'b' }).execute(),
      () => db.schema.dropTable('experiments').execute(),
      () => db.transaction().execute(async () => {}),
    ]) {
      expect(await codeOf(run)).toBe('E_READ_ONLY')
    }
    const injected = "x' OR 1 = 1; DROP TABLE entries; --"
    expect(
      await db.selectFrom('experiments').select('key').where('modelType', '=', injected).execute(),
    ).toEqual([])
    expect(await cache.size()).toBe(10)
  })

  it('runs what was compiled once with other values', async () => {
    await using cache = await filled()
    const db = kysely(cache)
    const compiled = db.selectFrom('experiments').select(['key', 'epochs']).where('epochs', '=', 1).compile()
    for (const epochs of [1, 2, 7]) {
      const { rows } = await db.executeQuery({ ...compiled, parameters: [epochs] })
      expect(rows).toEqual([{ key: `k${epochs}`, epochs }])
    }
  })

  it('holds back no query until one before it is answered', async () => {
    const waiting: ((rows: object[]) => void)[] = []
    const query = () => new Promise<object[]>((answer) => waiting.push(answer))
    const db = kysely({ query } as unknown as Cache)
    const ask = () => db.selectFrom('entries').select('key').execute()
    const [first, second] = [ask(), ask()]
    await vi.waitFor(() => expect(waiting).toHaveLength(2), PATIENTLY)
    waiting[1]?.([{ key: 'b' }])
    expect(await second).toEqual([{ key: 'b' }])
    waiting[0]?.([{ key: 'a' }])
    expect(await first).toEqual([{ key: 'a' }])
  })

  it('takes a cache and nothing else', async () => {
    const get = () => {
      throw new Error('a trap')
    }
    for (const bad of [undefined, null, {}, 5, new Proxy({}, { get })])
      expect(await codeOf(async () => kysely(bad as never))).toBe('E_INVALID_OPTION')
  })

  it('ends with its cache', async () => {
    const cache = await filled()
    const db = kysely(cache)
    await cache.close()
    expect(await codeOf(() => db.selectFrom('entries').selectAll().execute())).toBe('E_CLOSED')
    await db.destroy()
  })
})
