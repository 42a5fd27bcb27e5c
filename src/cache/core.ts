/** What the verbs of a cache share: its tiers, its loads, what it tells, and whether it is open. */
import { type CacheOptions, type Duration, parseOptions } from '../cache-options.js'
import { gathered } from '../content.js'
import { makeError } from '../errors.js'
import { Events, Faults } from '../events.js'
import { isText, type Key, keyFromText, keyText, keyTextSoon } from '../keys.js'
import { Loading } from '../loading.js'
import { keysOf } from '../many.js'
import type { MetaTables } from '../meta.js'
import { parseDuration } from '../options.js'
import { parseSetOptions, type SetOptions } from '../set-options.js'
import { type Soon, then } from '../soon.js'
import type { Storing, Write } from '../tiers/entries.js'
import { TierStack, written } from '../tiers/stack.js'
import type { Times } from '../tiers/wire.js'
import type { Encoded } from '../values/handler.js'
import { BackgroundCleanup } from '../verbs/cleanup.js'
import { Later } from './later.js'

export class Core<M extends MetaTables> {
  readonly tiers: TierStack
  readonly loading: Loading
  readonly events: Events
  readonly cleanup: BackgroundCleanup
  readonly later = new Later()
  /** Undefined where the cache is in memory only. */
  readonly dir: string | undefined
  readonly #ttl: number
  /** Set by the first `close`. */
  #closing: Promise<void> | undefined

  /** Opens the directory, if there is one. Errors as `Cache`. */
  constructor(options: CacheOptions<M>) {
    const parsed = parseOptions(options)
    const faults = new Faults()
    this.dir = parsed.disk?.dir
    this.#ttl = parsed.ttl
    this.events = new Events(faults)
    this.tiers = new TierStack(parsed, {
      onChange: (text) => {
        this.later.outdate(text)
        this.loading.loads.outdate(text)
      },
      onFault: (code, message) => faults.tell(code, message),
      onLeave: (text, reason) => {
        if (!this.events.hears(reason)) return
        this.events.tell(reason, () => ({ key: keyFromText(text), tier: 'memory' }))
      },
    })
    this.cleanup = new BackgroundCleanup(this.tiers, {
      onFault: (fault) => faults.report(fault),
      onRemoved: (removed) => this.told(removed),
    })
    this.loading = new Loading(parsed, {
      tiers: this.tiers,
      faults,
      isClosed: () => this.isClosed,
      open: () => this.open(),
    })
  }

  /** @throws ClosedError `E_CLOSED` */
  open(): void {
    if (this.isClosed) throw closed()
  }

  get isClosed(): boolean {
    return this.#closing !== undefined
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.loading.loads.outdateAll()
    this.cleanup.stop()
    this.loading.turns?.close()
    await this.tiers.close()
  }

  /** Tells of entries that a cleanup removed. */
  told(removed: number): number {
    if (removed > 0) this.events.tell('cleanup', () => ({ removed }))
    return removed
  }

  /** The live value of a text in memory, before anything is made of the key; a miss is not counted. */
  peeked(key: Key): unknown {
    return isText(key) && !this.isClosed ? this.tiers.readMemory(key) : undefined
  }

  text(key: Key): string {
    this.open()
    return keyText(key)
  }

  /** As `text`, and only a promise where the key names content that has to be read. */
  textSoon(key: Key): string | Promise<string> {
    this.open()
    const text = keyTextSoon(key)
    if (typeof text === 'string') return text
    return text.then((read) => {
      this.open() // it may have been closed meanwhile
      return read
    })
  }

  /** Goes on with the text of a key. */
  async at<T>(key: Key, run: (text: string) => Soon<T>): Promise<T> {
    return then(this.textSoon(key), run)
  }

  /** The content of many keys is read in one call, in parallel. */
  textsSoon(keys: Iterable<Key>): readonly string[] | Promise<readonly string[]> {
    const given = keysOf(keys)
    const texts = gathered(() => Array.from(given, (key) => this.textSoon(key)))
    return texts.every((text) => typeof text === 'string') ? texts : Promise.all(texts)
  }

  texts(keys: Iterable<Key>): readonly string[] {
    return keysOf(keys).map((key) => this.text(key))
  }

  write(key: Key, value: unknown, options: SetOptions<M> | undefined): Write {
    return written(this.text(key), value, this.storing(options))
  }

  storing(options: SetOptions<M> | undefined): Storing {
    if (options === undefined) return this.#ttl === Infinity ? PLAIN : plain(this.tiers.now() + this.#ttl)
    return parseSetOptions(options, this.#ttl, this.tiers.now(), this.tiers.tables)
  }

  /** Stores a value whose stored form is made on the thread pool, unless the key is changed meanwhile. */
  async setLater(text: string, value: unknown, storing: Storing, form: Promise<Encoded>): Promise<void> {
    const encoded = await this.later.made(text, form, storing.extras?.tags)
    if (encoded === undefined) return
    this.open()
    await this.tiers.write([{ ...written(text, value, storing), encoded }])
  }

  /** The times of an entry that gets a time to live from now on. */
  times(ttl: Duration): Times {
    return {
      expiresAt: this.tiers.now() + parseDuration(ttl, 'ttl'),
      freshUntil: Number.POSITIVE_INFINITY,
    }
  }
}

/** What an entry gets that is given nothing. */
const plain = (expiresAt: number): Storing => ({
  expiresAt,
  freshUntil: Number.POSITIVE_INFINITY,
  cost: 0,
  coding: undefined,
  extras: undefined,
})
const PLAIN = plain(Number.POSITIVE_INFINITY)

function closed(): Error {
  return makeError('E_CLOSED', 'The cache is closed: open a new one.')
}
