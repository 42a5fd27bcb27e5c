import { Cache, TierceError, wrap } from 'tierce'

const cache: Cache = new Cache({ dir: 'unused', memory: { maxSize: '1MB' }, maxSize: '1GB', ttl: '1h' })

export async function program(): Promise<string> {
  await cache.set('key', { a: 1 }, { ttl: 1000 })
  const found: unknown = await cache.get('key')
  const length = wrap(cache, async (text: string) => text.length, { name: 'length' })
  const answer: number = await length('abc')
  // @ts-expect-error The wrapped function takes a string.
  await length(1)
  try {
    await using other = new Cache()
    return await other.getOrSet('key', () => `${found} ${answer}`)
  } catch (error) {
    return error instanceof TierceError ? error.code : 'a loader’s own error'
  }
}
