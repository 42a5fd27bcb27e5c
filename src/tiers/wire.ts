/**
 * The layout of what crosses to the addon in buffers, little-endian. `crates/tierce-node/src/wire.rs` is the other end
 * and has the table.
 */

/** Bytes of an entry's facts. */
export const META = 96
/** Bytes of an outcome before its number. */
const OUTCOME = 24
const FLAG_EXISTED = 1
const FLAG_CACHEABLE = 2
/** A number follows the outcome. */
const FLAG_DOUBLE = 4
const FLAG_BIG = 8

/** When an entry goes, in milliseconds since the Unix epoch. */
export interface Times {
  /** `Infinity` never expires. */
  expiresAt: number
  /** `Infinity` where it is fresh as long as it lives: see `Facts`. */
  freshUntil: number
}

/** From when reads do not find it, but loads may: the time of its end that programs are told. */
export function staleAt({ expiresAt, freshUntil }: Times): number {
  return Math.min(freshUntil, expiresAt)
}

/** The same, and what its value cost. */
export interface SetTimes extends Times {
  cost: number
}

/** Of an entry: another one for each change. */
export interface Version {
  low: number
  high: number
}

/** What is known of an entry beside its value. Sizes in bytes, times in milliseconds since the Unix epoch. */
export interface Facts {
  size: number
  storedSize: number
  createdAt: number
  /** `Infinity` never expires. */
  expiresAt: number
  accessedAt: number
  hits: number
  idLow: number
  idHigh: number
  kind: number
  codec: number
  /** Whether it has tags, a description or metadata. */
  hasExtras: boolean
  slot: number
  epoch: number
  /** From then on it is stale: expired for all but a load. `Infinity` where it is fresh as long as it lives. */
  freshUntil: number
  /** Milliseconds that making the value took; 0 where that is not known. */
  cost: number
  version: Version
}

export function readFacts(view: DataView, at: number): Facts {
  return {
    size: view.getFloat64(at, true),
    storedSize: view.getFloat64(at + 8, true),
    createdAt: view.getFloat64(at + 16, true),
    expiresAt: view.getFloat64(at + 24, true),
    accessedAt: view.getFloat64(at + 32, true),
    hits: view.getFloat64(at + 40, true),
    idLow: view.getUint32(at + 48, true),
    idHigh: view.getUint32(at + 52, true),
    kind: view.getUint32(at + 56, true),
    codec: view.getUint16(at + 60, true),
    hasExtras: view.getUint16(at + 62, true) !== 0,
    slot: view.getUint32(at + 64, true),
    epoch: view.getUint32(at + 68, true),
    freshUntil: view.getFloat64(at + 72, true),
    cost: view.getUint32(at + 80, true),
    version: { low: view.getUint32(at + 88, true), high: view.getUint32(at + 92, true) },
  }
}

/** Of the facts at the front of a buffer: what a plain read looks at. */
export function kindOf(view: DataView): number {
  return view.getUint32(56, true)
}

/** The same: `Facts.freshUntil`. */
export function freshUntil(view: DataView): number {
  return view.getFloat64(72, true)
}

/** What became of one write. */
export interface Outcome {
  /** Whether the key had a live entry before. A set that is not conditional does not look. */
  existed: boolean
  /** The sum of an increment. */
  number: number | bigint | undefined
  /** False where another write came close to this one, so that its value may be stale already. */
  cacheable: boolean
  idLow: number
  idHigh: number
  slot: number
  epoch: number
  /** For tags: how many live entries were removed; for a clear, how many entries at all. */
  invalidated: number
}

/** The outcomes of the next `count` writes, from `at`; and where they end. */
export function readOutcomes(
  view: DataView,
  at: number,
  count: number,
): { outcomes: Outcome[]; end: number } {
  const outcomes: Outcome[] = []
  let end = at
  for (let index = 0; index < count; index++) {
    const flags = view.getUint32(end + 16, true)
    outcomes.push(readOutcome(view, end, flags))
    end += OUTCOME + (flags & FLAG_DOUBLE ? 8 : flags & FLAG_BIG ? 16 : 0)
  }
  return { outcomes, end }
}

function readOutcome(view: DataView, at: number, flags: number): Outcome {
  return {
    existed: (flags & FLAG_EXISTED) !== 0,
    cacheable: (flags & FLAG_CACHEABLE) !== 0,
    number: readNumber(view, at + OUTCOME, flags),
    invalidated: view.getUint32(at + 20, true),
    idLow: view.getUint32(at, true),
    idHigh: view.getUint32(at + 4, true),
    slot: view.getUint32(at + 8, true),
    epoch: view.getUint32(at + 12, true),
  }
}

function readNumber(view: DataView, at: number, flags: number): number | bigint | undefined {
  if (flags & FLAG_DOUBLE) return view.getFloat64(at, true)
  if (flags & FLAG_BIG) return (view.getBigInt64(at + 8, true) << 64n) | view.getBigUint64(at, true)
  return undefined
}

export function viewOf(buffer: Buffer): DataView {
  return new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength)
}
