// A service class with decorated methods; examples/decorated-service.mjs compiles and uses it.
import { Cache, cached, cachedSync } from 'tierce'

export const cache = new Cache({ ttl: '1h' })
export const ran: string[] = []

export class Shop {
  constructor(readonly country: string) {}

  /** What it gives depends on the shop: its country is part of the key. */
  @cached({
    cache,
    keyThis: (self: Shop) => self.country,
    ttl: '10m',
    tags: (_, id: number) => [`article:${id}`],
  })
  async article(id: number): Promise<{ id: number; country: string }> {
    ran.push(`article ${this.country} ${id}`)
    return { id, country: this.country }
  }

  /** Only the name of the category matters. */
  @cached({ cache, key: (category: { name: string; open: boolean }) => category.name })
  async articles(category: { name: string; open: boolean }): Promise<number[]> {
    ran.push(`articles ${category.name}`)
    return [1, 2, 3]
  }

  @cachedSync({ cache })
  gross(net: number): number {
    ran.push(`gross ${net}`)
    return net * 1.19
  }
}
