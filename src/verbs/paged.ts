/** Pages, item by item. */

/**
 * Behaves as an async generator that yields `make` of the items of each page in turn, but an item of a page that is at hand costs one
 * promise and no turn of a generator. Each is made when it is asked for, so that it is young when it is garbage.
 */
export class Paged<I, T> implements AsyncGenerator<T, void, undefined> {
  readonly #pages: AsyncGenerator<readonly I[], void, undefined>
  readonly #make: (item: I) => T
  #page: readonly I[] = []
  #at = 0
  /** The last call that had to wait; later ones go behind it. */
  #tail: Promise<unknown> | undefined

  constructor(pages: AsyncGenerator<readonly I[], void, undefined>, make: (item: I) => T) {
    this.#pages = pages
    this.#make = make
  }

  next(): Promise<IteratorResult<T, void>> {
    if (this.#tail === undefined && this.#at < this.#page.length) {
      try {
        return Promise.resolve(this.#take())
      } catch (error) {
        return this.throw(error)
      }
    }
    return this.#behind(() => this.#advance())
  }

  return(): Promise<IteratorResult<T, void>> {
    return this.#behind(() => this.#end(() => this.#pages.return()))
  }

  throw(error: unknown): Promise<IteratorResult<T, void>> {
    return this.#behind(() => this.#end(() => this.#pages.throw(error)))
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }

  async #advance(): Promise<IteratorResult<T, void>> {
    while (this.#at >= this.#page.length) {
      const { done, value } = await this.#pages.next()
      if (done) return { done, value: undefined }
      this.#page = value
      this.#at = 0
    }
    try {
      return this.#take()
    } catch (error) {
      return this.#end(() => this.#pages.throw(error))
    }
  }

  #take(): IteratorResult<T, void> {
    return { done: false, value: this.#make(this.#page[this.#at++]!) }
  }

  async #end(end: () => Promise<unknown>): Promise<IteratorResult<T, void>> {
    this.#page = []
    await end()
    return { done: true, value: undefined }
  }

  #behind<R>(run: () => Promise<R>): Promise<R> {
    const done = this.#tail === undefined ? run() : this.#tail.then(run, run)
    this.#tail = done
    const leave = (): void => {
      if (this.#tail === done) this.#tail = undefined
    }
    done.then(leave, leave)
    return done
  }
}
