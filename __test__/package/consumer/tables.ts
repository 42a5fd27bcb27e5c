import { TableCache } from 'tierce'

export async function tables(): Promise<number> {
  await using cache = new TableCache({ ttl: '1h' })
  await cache.update('t', [{ a: 1 }])
  await using db = await cache.connect()
  const rows = await db.query<{ a: number }>('SELECT a FROM t').rows()
  // @ts-expect-error A table has a name.
  await cache.update(1, rows)
  return rows[0]!.a
}
