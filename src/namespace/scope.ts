/** What makes a namespace of a name: how its keys, tags and options are written in the whole cache. */

import { makeError } from '../errors.js'
import { type CallKey, type Key, NamespacedKey, namespacePrefix } from '../keys.js'
import { type AnyGetOrSetOptions, LOAD_OPTIONS } from '../load/options.js'
import { type Entries, entriesOf, keysOf } from '../many.js'
import { checkOptions } from '../options.js'
import { describe, isList } from '../refusal.js'
import type { SetOptions } from '../set-options.js'
import { SET_OPTIONS } from '../set-options.js'

/** A key, or what a listing gives as the key of a call. */
export type AnyKey = Key | CallKey

/** Bytes of a name, at most: it is in each key and each tag. */
const LONGEST_NAME = 256

export class Scope {
  readonly name: string
  /** What the text of each of its keys starts with. */
  readonly prefix: string
  /** The tag of all its entries; with more behind it, one of its tags. */
  readonly tag: string
  readonly #defaults: AnyGetOrSetOptions
  /** What of the defaults is about an entry. */
  readonly #setDefaults: SetOptions

  /** @throws InvalidOptionError `E_INVALID_OPTION` */
  constructor(name: unknown, defaults: AnyGetOrSetOptions) {
    if (!isName(name)) {
      throw makeError(
        'E_INVALID_OPTION',
        `The name of a namespace is ${describe(name)}; accepted is well-formed text of 1 to ${LONGEST_NAME} bytes without U+0000.`,
        { name: 'name' },
      )
    }
    checkOptions(defaults, LOAD_OPTIONS, 'a namespace')
    this.name = name
    this.prefix = namespacePrefix(name)
    this.tag = `\0N${name}\0`
    this.#defaults = defaults
    const entry = SET_OPTIONS.map((option) => [option, defaults[option as keyof AnyGetOrSetOptions]] as const)
    this.#setDefaults = Object.fromEntries(
      entry.filter(([, value]) => value !== undefined && typeof value !== 'function'),
    )
  }

  key(key: AnyKey): NamespacedKey {
    return new NamespacedKey(this.name, key)
  }

  keys(keys: Iterable<AnyKey>): NamespacedKey[] {
    return Array.from(keysOf(keys), (key) => this.key(key))
  }

  entries(entries: Entries<AnyKey, unknown>): (readonly [NamespacedKey, unknown])[] {
    return entriesOf(entries).map(([key, value]) => [this.key(key), value] as const)
  }

  /** @throws InvalidOptionError `E_INVALID_OPTION` */
  tags(tags: unknown): string[] {
    if (isList(tags) && tags.every((tag) => typeof tag === 'string' && tag !== '')) {
      return tags.map((tag) => this.tag + tag)
    }
    throw makeError('E_INVALID_OPTION', `Invalid tags: got ${describe(tags)}. Give an array of texts.`, {
      name: 'tags',
    })
  }

  /** Those of an entry, as they were given here. */
  ownTags(tags: readonly string[]): string[] {
    const own = tags.filter((tag) => tag.startsWith(this.tag) && tag !== this.tag)
    return own.map((tag) => tag.slice(this.tag.length))
  }

  setOptions(options: SetOptions = {}): SetOptions {
    const all = { ...this.#setDefaults, ...options }
    return { ...all, tags: [this.tag, ...this.tags(all.tags ?? [])] }
  }

  loadOptions(options: AnyGetOrSetOptions = {}): AnyGetOrSetOptions {
    const all = { ...this.#defaults, ...options }
    const { tags } = all
    if (typeof tags !== 'function') return { ...all, tags: [this.tag, ...this.tags(tags ?? [])] }
    return { ...all, tags: (...args) => [this.tag, ...this.tags(tags(...args))] }
  }
}

function isName(name: unknown): name is string {
  if (typeof name !== 'string' || name === '' || name.includes('\0')) return false
  return name.isWellFormed() && Buffer.byteLength(name) <= LONGEST_NAME
}
