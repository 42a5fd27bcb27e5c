/** Values whose stored form is made on the thread pool, by key. What changes a key meanwhile came later, and stays. */
interface Making {
  readonly tags: readonly string[]
}

export class Later {
  readonly #under = new Map<string, Making>()
  /** Settles when nothing is under way that replaces all entries, if it succeeds. */
  #replacing: Promise<unknown> | undefined

  /** The stored form once it is there; undefined where the key was changed since. `tags` are those of the entry. */
  async made<T>(text: string, form: Promise<T>, tags: readonly string[] = []): Promise<T | undefined> {
    const own = { tags }
    this.#under.set(text, own)
    try {
      const made = await form
      await this.#replacing
      return this.#under.get(text) === own ? made : undefined
    } finally {
      if (this.#under.get(text) === own) this.#under.delete(text)
    }
  }

  outdate(text: string): void {
    if (this.#under.size > 0) this.#under.delete(text)
  }

  /** Of what has one of these tags. */
  outdateTags(tags: readonly string[]): void {
    for (const [text, making] of this.#under)
      if (making.tags.some((tag) => tags.includes(tag))) this.#under.delete(text)
  }

  outdateAll(): void {
    this.#under.clear()
  }

  /** As `outdateAll`, if `replacing` succeeds: of what is under way now. */
  outdateAfter(replacing: Promise<unknown>): void {
    const before = [...this.#under]
    const settled = replacing.then(
      () => {
        for (const [text, making] of before) if (this.#under.get(text) === making) this.#under.delete(text)
      },
      () => {},
    )
    const earlier = this.#replacing
    this.#replacing = settled.then(() => earlier)
  }
}
