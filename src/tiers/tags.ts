/** Entries in memory by their tags. */

interface Tagged {
  readonly extras: { readonly tags: readonly string[] } | undefined
}

export class TagIndex<E extends Tagged> {
  readonly #entries = new Map<string, Set<E>>()

  add(entry: E): void {
    if (entry.extras === undefined) return
    for (const tag of entry.extras.tags) {
      const known = this.#entries.get(tag)
      if (known === undefined) this.#entries.set(tag, new Set([entry]))
      else known.add(entry)
    }
  }

  remove(entry: E): void {
    if (entry.extras === undefined) return
    for (const tag of entry.extras.tags) {
      const known = this.#entries.get(tag)
      known?.delete(entry)
      if (known?.size === 0) this.#entries.delete(tag)
    }
  }

  /** The entries that have one of these tags, each once. */
  with(tags: readonly string[]): Set<E> {
    const found = new Set<E>()
    for (const tag of tags) for (const entry of this.#entries.get(tag) ?? []) found.add(entry)
    return found
  }

  clear(): void {
    this.#entries.clear()
  }
}
