/** Pages of listings, as they come from the addon: see `wire.ts`. */
import { type Facts, META, readFacts, viewOf } from './wire.js'

/** One entry of a listing: its facts are read from its page when they are asked for. */
export class Listed {
  readonly text: string
  readonly #page: Buffer
  readonly #view: DataView
  readonly #at: number

  constructor(text: string, page: Buffer, view: DataView, at: number) {
    this.text = text
    this.#page = page
    this.#view = view
    this.#at = at
  }

  get facts(): Facts {
    return readFacts(this.#view, this.#at)
  }

  get size(): number {
    return this.#view.getFloat64(this.#at, true)
  }

  get storedSize(): number {
    return this.#view.getFloat64(this.#at + 8, true)
  }

  get createdAt(): number {
    return this.#view.getFloat64(this.#at + 16, true)
  }

  /** `Infinity` never expires. */
  get expiresAt(): number {
    return this.#view.getFloat64(this.#at + 24, true)
  }

  /** `Infinity` where it is fresh as long as it lives. */
  get freshUntil(): number {
    return this.#view.getFloat64(this.#at + 72, true)
  }

  get accessedAt(): number {
    return this.#view.getFloat64(this.#at + 32, true)
  }

  get hits(): number {
    return this.#view.getFloat64(this.#at + 40, true)
  }

  get kind(): number {
    return this.#view.getUint32(this.#at + 56, true)
  }

  get codec(): number {
    return this.#view.getUint16(this.#at + 60, true)
  }

  /** Packed. */
  get extras(): Buffer | undefined {
    const start = this.#at + META + 8 + this.#view.getUint32(this.#at + META, true)
    const length = this.#view.getUint32(this.#at + META + 4, true)
    return length === 0 ? undefined : this.#page.subarray(start, start + length)
  }
}

/** A page of a listing, and where the next one starts. */
export interface Page {
  entries: Listed[]
  next: Buffer | undefined
}

export function readPage(page: Buffer): Page {
  const view = viewOf(page)
  const entries: Listed[] = []
  for (let at = 12; at < page.length; ) {
    const key = at + META + 8
    const end = key + view.getUint32(at + META, true)
    entries.push(new Listed(page.toString('utf8', key, end), page, view, at))
    at = end + view.getUint32(at + META + 4, true)
  }
  return { entries, next: view.getUint32(8, true) === 0 ? undefined : page.subarray(0, 8) }
}
