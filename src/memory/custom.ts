/** Policies written in TypeScript. */
import { makeError } from '../errors.js'
import { iterated } from '../many.js'
import { callback, checkOptions } from '../options.js'
import { describe, isPromise, isUnreadable } from '../refusal.js'
import type { Evictor, Host } from './evictor.js'
import { addPolicy, hasPolicy } from './policies.js'

/** What a custom policy may look at. */
export interface PolicyView<K> {
  /** Entries held. */
  readonly size: number
  /** Whether there is an entry of this key. */
  has(key: K): boolean
  /** The keys in the order of their insertion. */
  keys(): IterableIterator<K>
}

/**
 * A policy of one cache. All but `victim` may be left out. A hook must not write to the cache, and is done when it returns; what it throws
 * reaches whoever called the cache.
 */
export interface PolicyHooks<K = unknown> {
  /** A new entry is in. */
  onAdd?(key: K, cache: PolicyView<K>): void
  /** An entry has another value. */
  onUpdate?(key: K, cache: PolicyView<K>): void
  /** An entry was read. */
  onAccess?(key: K, cache: PolicyView<K>): void
  /** An entry is about to leave, for whatever reason: also the one that `victim` named. */
  onDelete?(key: K, cache: PolicyView<K>): void
  /** All entries have left. Without it `onDelete` is called for each. */
  onClear?(cache: PolicyView<K>): void
  /** The key of the entry to evict: one that is in the cache. */
  victim(cache: PolicyView<K>): K
  /** The keys from the next victim to the last one. Without it the order of insertion counts. */
  order?(cache: PolicyView<K>): Iterable<K>
}

const HOOKS = ['onAdd', 'onUpdate', 'onAccess', 'onDelete', 'onClear', 'victim', 'order'] as const

/**
 * Defines an eviction policy that `new MemoryCache({ policy: name })` and `new Cache({ memory: { policy: name } })` use; the
 * keys of a `Cache` are given as their texts. Give a function that makes the hooks where they keep state: each cache gets its
 * own; an object is shared by all caches with this policy.
 * @throws InvalidOptionError `E_INVALID_OPTION` for a name that is taken, or hooks that are none
 */
export function definePolicy<K = unknown>(
  name: string,
  hooks: PolicyHooks<K> | (() => PolicyHooks<K>),
): void {
  if (typeof name !== 'string' || name === '')
    throw refuse('name', `the name of a policy is ${describe(name)}; give a text`)
  if (hasPolicy(name)) throw refuse('name', `there is a policy '${name}' already; give another name`)
  if (typeof hooks === 'function') {
    addPolicy(name, (host) => new CustomEvictor(host, name, checked(hooks() as PolicyHooks<never>, name)))
    return
  }
  const shared = checked(hooks as PolicyHooks<never>, name)
  addPolicy(name, (host) => new CustomEvictor(host, name, shared))
}

function checked(hooks: PolicyHooks<never>, name: string): PolicyHooks<never> {
  // Hooks may be methods of a class, which are not own properties.
  if (typeof hooks !== 'object' || hooks === null || isUnreadable(hooks))
    throw refuse(name, `the hooks of policy '${name}' are ${describe(hooks)}; give an object`)
  if (Object.getPrototypeOf(hooks) === Object.prototype) checkOptions(hooks, HOOKS, `policy '${name}'`)
  for (const hook of HOOKS) {
    if (hook === 'victim' || hooks[hook] !== undefined) callback(hooks[hook], `${hook} of policy '${name}'`)
  }
  return hooks
}

function refuse(option: string, message: string): Error {
  return makeError('E_INVALID_OPTION', `Invalid policy: ${message}.`, { name: option })
}

/** Calls the hooks of a custom policy with keys. */
class CustomEvictor<K> implements Evictor<K> {
  readonly newestFirst = false
  readonly #host: Host<K>
  readonly #name: string
  readonly #hooks: PolicyHooks<K>
  readonly #view: PolicyView<K>

  constructor(host: Host<K>, name: string, hooks: PolicyHooks<never>) {
    this.#host = host
    this.#name = name
    this.#hooks = hooks as PolicyHooks<K>
    this.#view = {
      get size() {
        return host.count()
      },
      has: (key) => host.slotOf(key) !== undefined,
      keys: () => host.insertionOrder(),
    }
  }

  hit(slot: number): void {
    this.#done(this.#hooks.onAccess?.(this.#host.keyAt(slot) as K, this.#view))
  }

  makeRoom(weight: number): void {
    while (this.#host.lacksRoom(weight)) {
      const slot = this.#victim()
      this.remove(slot)
      this.#host.evicted(slot)
    }
  }

  replace(): number {
    return -1
  }

  insert(): void {}

  inserted(slot: number): void {
    this.#done(this.#hooks.onAdd?.(this.#host.keyAt(slot) as K, this.#view))
  }

  reweigh(slot: number): boolean {
    while (this.#host.isOver()) {
      const victim = this.#victim()
      this.remove(victim)
      if (victim === slot) return false
      this.#host.evicted(victim)
    }
    return true
  }

  updated(slot: number): void {
    this.#done(this.#hooks.onUpdate?.(this.#host.keyAt(slot) as K, this.#view))
  }

  remove(slot: number): void {
    this.#done(this.#hooks.onDelete?.(this.#host.keyAt(slot) as K, this.#view))
  }

  order(): ArrayLike<number> {
    const order = this.#hooks.order?.(this.#view) ?? this.#host.insertionOrder()
    const slots = new Set<number>()
    for (const key of iterated(order, `what order of policy '${this.#name}' gave`)) {
      const slot = this.#host.slotOf(key)
      if (slot !== undefined) slots.add(slot)
    }
    // What the policy forgot to name comes last.
    for (const key of this.#host.insertionOrder()) slots.add(this.#host.slotOf(key)!)
    return [...slots]
  }

  grow(): void {}

  clear(): void {
    if (this.#hooks.onClear !== undefined) this.#done(this.#hooks.onClear(this.#view))
  }

  /** Before all entries leave. */
  clearing(): void {
    if (this.#hooks.onClear !== undefined || this.#hooks.onDelete === undefined) return
    for (const key of [...this.#host.insertionOrder()]) this.#done(this.#hooks.onDelete(key, this.#view))
  }

  check(): string {
    return ''
  }

  /** What a hook gives is of no use, but a promise tells that it is not done. */
  #done(given: unknown): void {
    if (!isPromise(given)) return
    throw makeError(
      'E_INVALID_OPTION',
      `A hook of policy '${this.#name}' gave a promise: hooks have to be done when they return, so that the next one finds things in order.`,
      { policy: this.#name },
    )
  }

  #victim(): number {
    const key = this.#hooks.victim(this.#view)
    const slot = this.#host.slotOf(key)
    if (slot !== undefined) return slot
    throw makeError(
      'E_INVALID_OPTION',
      `Policy '${this.#name}' named ${describe(key)} as its victim, which is not in the cache. Name a key that was added and not deleted since.`,
      { policy: this.#name },
    )
  }
}
