/** What many keys hold, as it comes from the addon: `crates/tierce-node/src/disk/many.rs` has the layout. */
import { Kind } from '../../values/handler.js'
import { META, viewOf } from '../wire.js'

const HEAD = 8
const MISSING = 0xffffffff
const KIND = 0xff
const APART = 0x100

/** An answer, and the values that are buffers of their own. */
export interface ManyAnswer {
  bytes: Buffer
  /** Whether the next read overwrites it. */
  isShared: boolean
  apart: readonly Buffer[]
  /** Whether there are faults to be told. */
  hasFaults: boolean
}

/** A value of an answer. */
export interface Placed {
  kind: number
  buffer: Buffer
  start: number
  end: number
  /** Whether nothing else has the memory. */
  owned: boolean
  /** Where its facts are, where it comes with them. */
  facts: number
  view: DataView
}

/** Hands the value of each key to `take`; a miss is `undefined`. */
export function takeMany<T>(
  count: number,
  isWhole: boolean,
  { bytes, isShared, apart }: ManyAnswer,
  take: (placed: Placed) => T | undefined,
): (T | undefined)[] {
  const found: (T | undefined)[] = []
  const head = HEAD + (isWhole ? META : 0)
  let [buffer, view, mayChange] = [bytes, viewOf(bytes), isShared]
  let at = 0
  let next = 0
  while (found.length < count) {
    const length = view.getUint32(at, true)
    const flags = view.getUint32(at + 4, true)
    const kind = flags & KIND
    const facts = at + HEAD
    at += head
    if (mayChange && kind === Kind.custom) {
      buffer = Buffer.from(bytes) // a handler of the user's may read meanwhile
      view = viewOf(buffer)
      mayChange = false
    }
    if (length === MISSING) {
      found.push(undefined)
    } else if (flags & APART) {
      const value = apart[next++]!
      found.push(take({ kind, buffer: value, start: 0, end: length, owned: true, facts, view }))
    } else {
      const start = at
      at += length
      found.push(take({ kind, buffer, start, end: at, owned: false, facts, view }))
    }
  }
  return found
}
