import { TierceError } from 'tierce'
import { expect } from 'vitest'

class Stranger {}

const revoked = (target: object) => {
  const { proxy, revoke } = Proxy.revocable(target, {})
  revoke()
  return proxy
}
const trap = () => {
  throw new Error('a trap threw')
}
const getter = (name: string) => Object.defineProperty({}, name, { enumerable: true, get: trap })

/** What no caller means. Of functions only those that do no harm: what they throw is their own. */
export const NONSENSE: readonly (readonly [string, unknown])[] = Object.entries({
  undefined,
  null: null,
  NaN: Number.NaN,
  'minus one': -1,
  zero: 0,
  fraction: 1.5,
  infinity: Infinity,
  'an unsafe integer': 2 ** 53,
  'the largest number': Number.MAX_VALUE,
  text: 'x',
  'no text': '',
  'a text with U+0000': 'a\0b',
  'a lone surrogate': '\ud800',
  'a long text': 'y'.repeat(10_000),
  'no folder': '/nonexistent/a/b',
  true: true,
  bigint: 1n,
  'a huge bigint': 1n << 5000n,
  symbol: Symbol('x'),
  function: () => {},
  class: Stranger,
  object: {},
  'an object of names': { x: 1 },
  'no prototype': Object.create(null),
  array: [],
  holes: [undefined, [null]],
  date: new Date(Number.NaN),
  instance: new Stranger(),
  buffer: Buffer.alloc(3),
  map: new Map(),
  regexp: /x/,
  'a weak map': new WeakMap(),
  promise: Promise.resolve(1),
  generator: (function* () {})(),
  'no iterator': { [Symbol.iterator]: () => 5 },
  'a revoked Proxy': revoked({}),
  'a revoked Proxy of an array': revoked([]),
  'a Proxy that throws': new Proxy({}, { get: trap, has: trap, ownKeys: trap, getPrototypeOf: trap }),
  'a getter that throws': getter('ttl'),
})

/**
 * Whatever is given, a call works, or ends with an error of the library that says why; of an asynchronous verb by rejecting.
 * @param isOwn what passes through untouched, since it is the caller's own
 */
export async function expectTypedRefusals(
  name: string,
  call: (value: unknown) => unknown,
  isAsync = false,
  isOwn: (error: unknown) => boolean = () => false,
): Promise<void> {
  const wrong: string[] = []
  for (const [what, value] of NONSENSE) {
    const judge = (error: unknown) => {
      const isTyped = error instanceof TierceError && error.code !== 'E_INTERNAL'
      // A sentence: what was given, or what is missing.
      const isCall = error instanceof TypeError && error.message.startsWith('Class constructor') // of what they gave
      if (isCall || isOwn(error) || (isTyped && /^.{12,}$/su.test(error.message))) return
      wrong.push(`${name}(${what}): ${error instanceof Error ? error.stack : String(error)}`)
    }
    let result: unknown
    try {
      result = call(value)
    } catch (error) {
      if (isAsync) wrong.push(`${name}(${what}) throws instead of rejecting`)
      judge(error)
    }
    try {
      await settled(result)
    } catch (error) {
      judge(error)
    }
  }
  expect(wrong).toEqual([])
}

async function settled(result: unknown): Promise<void> {
  if (result instanceof Promise) await settled(await result)
  else if (typeof (result as AsyncGenerator | undefined)?.next === 'function') {
    for (;;) if ((await (result as AsyncGenerator).next()).done) return
  }
}
