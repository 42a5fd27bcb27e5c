/** Values whose stored form is made on the thread pool, by key. What changes a key meanwhile came later, and stays. */
export class Later {
  readonly #under = new Map<string, symbol>()

  /** The stored form once it is there; undefined where the key was changed since. */
  async made<T>(text: string, form: Promise<T>): Promise<T | undefined> {
    const own = Symbol()
    this.#under.set(text, own)
    try {
      const made = await form
      return this.#under.get(text) === own ? made : undefined
    } finally {
      if (this.#under.get(text) === own) this.#under.delete(text)
    }
  }

  outdate(text: string): void {
    if (this.#under.size > 0) this.#under.delete(text)
  }

  outdateAll(): void {
    this.#under.clear()
  }
}
