/** Errors of loads that are given again for a while: in this process only, as errors are not data. */

/** So many at most; the oldest go first. */
const MOST = 10_000

export class Failures {
  readonly #failures = new Map<string, { error: unknown; until: number }>()

  get isEmpty(): boolean {
    return this.#failures.size === 0
  }

  get(text: string, now: number): { error: unknown } | undefined {
    const failure = this.#failures.get(text)
    if (failure === undefined || failure.until > now) return failure
    this.#failures.delete(text)
    return undefined
  }

  add(text: string, error: unknown, until: number): void {
    this.#failures.delete(text)
    this.#failures.set(text, { error, until })
    if (this.#failures.size > MOST) this.#failures.delete(this.#failures.keys().next().value!)
  }

  delete(text: string): void {
    if (this.#failures.size > 0) this.#failures.delete(text)
  }

  clear(): void {
    this.#failures.clear()
  }
}
