/**
 * How keys, values and options say no: what was given, where it was, what to do. Nothing here runs on a success path.
 */
import { types } from 'node:util'

/** As `Array.isArray`, which throws at a Proxy that was revoked. */
export function isList(value: unknown): value is unknown[] {
  return !isUnreadable(value) && Array.isArray(value)
}

/** A value in a few words, for a message. Runs no getters and never throws. */
export function describe(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value)
    case 'number':
      return Object.is(value, -0) ? '-0' : String(value)
    case 'bigint':
      return 'a bigint'
    case 'function':
      return nameOf(value) === '' ? 'a function' : `a function (${nameOf(value)})`
    case 'symbol':
      return `a symbol (${String(value)})`
    case 'object':
      return value === null ? 'null' : describeObject(value)
    default:
      return String(value)
  }
}

/**
 * Whether it is a promise, where only a plain value will do. Whoever asks refuses it: its rejection is nobody's any more, and must
 * not end the process.
 */
export function isPromise(value: unknown): value is Promise<unknown> {
  if (!types.isPromise(value)) return false
  try {
    Promise.prototype.then.call(value, undefined, () => {})
  } catch {} // one of a class whose constructor throws
  return true
}

/** What an object is that has members and shows none of them, such as `Math`; `undefined` of others. `symbols` are its own. */
export function hiddenMembers(value: object, symbols: readonly symbol[]): string | undefined {
  if (!symbols.includes(Symbol.toStringTag) || Object.keys(value).length > 0) return undefined
  const name: unknown = Object.getOwnPropertyDescriptor(value, Symbol.toStringTag)?.value
  return `an object whose members are hidden${typeof name === 'string' ? ` (${name})` : ''}`
}

/** Whether looking at it throws, as at a Proxy that was revoked. */
export function isUnreadable(value: unknown): boolean {
  if ((typeof value !== 'object' && typeof value !== 'function') || !types.isProxy(value)) return false
  try {
    const proxy = value as object
    Reflect.getPrototypeOf(proxy)
    Reflect.ownKeys(proxy)
    Reflect.get(proxy, 'constructor')
    return false
  } catch {
    return true
  }
}

function describeObject(value: object): string {
  if (types.isProxy(value)) return 'a Proxy'
  if (isPromise(value)) return 'a promise'
  if (Array.isArray(value)) return 'an array'
  const proto: unknown = Object.getPrototypeOf(value)
  if (proto === null || proto === Object.prototype) return 'a plain object'
  for (let at = proto as object | null; at !== null && !types.isProxy(at); at = Object.getPrototypeOf(at)) {
    const maker: unknown = Object.getOwnPropertyDescriptor(at, 'constructor')?.value
    const name = typeof maker === 'function' ? nameOf(maker) : ''
    // All objects are instances of `Object`, which says nothing.
    if (name !== '' && Object.getPrototypeOf(at) !== null) return `an instance of ${name}`
  }
  return 'an object with a prototype of its own'
}

function nameOf(maker: object): string {
  const name: unknown = types.isProxy(maker) ? '' : Object.getOwnPropertyDescriptor(maker, 'name')?.value
  return typeof name === 'string' ? name : ''
}

/**
 * Thrown deep inside a key or a value. Each container on the way out adds where it stood (`at`), so that a path exists
 * only where there is a failure.
 */
export class Refusal extends Error {
  /** Innermost first. */
  private readonly steps: { segment: string; owner: object }[] = []

  /** `what` completes "X is ..."; `advice` is a sentence; `deep` marks a nesting limit, which a cycle meets too. */
  constructor(
    readonly what: string,
    readonly advice: string,
    readonly options: { cause?: unknown; deep?: boolean } = {},
  ) {
    super(what)
  }

  /** Wraps whatever was thrown inside a container and adds the step that led there. */
  static at(error: unknown, owner: object, segment: string): Refusal {
    const refusal = Refusal.from(error)
    refusal.steps.push({ segment, owner })
    return refusal
  }

  static from(error: unknown): Refusal {
    if (error instanceof Refusal) return error
    return new Refusal('not readable (reading it threw)', 'Give plain data.', { cause: error })
  }

  /** The whole sentence, and the path for the error's context. */
  explain(root: string): { path: string; message: string } {
    const steps = this.steps.toReversed()
    const again = this.options.deep ? firstRepeat(steps.map((step) => step.owner)) : undefined
    const pathTo = (count: number) =>
      root +
      steps
        .slice(0, count)
        .map((step) => step.segment)
        .join('')
    if (again === undefined) {
      const path = abridge(pathTo(steps.length))
      return { path, message: `${path} is ${this.what}. ${this.advice}` }
    }
    const path = abridge(pathTo(again.second))
    return { path, message: `${path} is a cycle, back to ${abridge(pathTo(again.first))}. ${this.advice}` }
  }
}

function firstRepeat(owners: object[]): { first: number; second: number } | undefined {
  const seen = new Map<object, number>()
  for (const [second, owner] of owners.entries()) {
    const first = seen.get(owner)
    if (first !== undefined) return { first, second }
    seen.set(owner, second)
  }
  return undefined
}

function abridge(path: string): string {
  return path.length > 300 ? `${path.slice(0, 150)} ... ${path.slice(-145)}` : path
}

/** The step to a property: `.name`, or `["any text"]`. */
export function property(name: string): string {
  return /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`
}
