/** Arrays of numbers, and arrays of such rows: gathered, and the form in which they take least. */
import { Elements, EXPONENT_MAX } from './structured-format.js'

const ROOM = 4096
const FEWEST = 4
/** From here on the bytes that short decimals save are worth looking for them. */
const MANY = 128
const POWERS = Array.from({ length: EXPONENT_MAX + 1 }, (_, exponent) => 10 ** exponent)

/** How numbers are laid out: as `elements`, times ten to `exponent`. */
export interface Layout {
  elements: Elements
  exponent: number
}

const whole = (elements: Elements): Layout => ({ elements, exponent: 0 })
const [INT8, INT16, INT32, FLOAT64] = [
  whole(Elements.int8),
  whole(Elements.int16),
  whole(Elements.int32),
  whole(Elements.float64),
]

function ofBits(bits: number): Layout {
  return bits < 0x80 ? INT8 : bits < 0x8000 ? INT16 : INT32
}

/** Numbers that were read once, so that what is found out about them holds when they are written. */
export class Numbers {
  /** The first `count` of these. */
  all = new Float64Array(ROOM)
  count = 0

  /** Adds the numbers of a row; false where another item is met. */
  add(row: readonly unknown[]): boolean {
    const { length } = row
    if (this.count + length > this.all.length) this.grow(length)
    const { all } = this
    let { count } = this
    for (let i = 0; i < length; i++) {
      const item = row[i]
      if (typeof item !== 'number') return false
      all[count++] = item
    }
    this.count = count
    return true
  }

  clear(): void {
    this.count = 0
    if (this.all.length > ROOM) this.all = new Float64Array(ROOM)
  }

  private grow(needed: number): void {
    const { all } = this
    this.all = new Float64Array(2 * (all.length + needed))
    this.all.set(all)
  }

  /** How they are best laid out; undefined where they are smaller one by one. */
  layout(): Layout | undefined {
    const { all, count } = this
    if (count < FEWEST) return undefined
    let bits = 0
    let ints = 0
    for (let i = 0; i < count; i++) {
      const item = all[i] as number
      const int = item | 0
      if (int !== item || (int === 0 && 1 / item < 0)) continue
      ints += 1
      bits |= int ^ (int >> 31)
    }
    if (ints === count) return ofBits(bits)
    return (count < MANY ? undefined : this.decimal()) ?? (8 * ints > 7 * count ? undefined : FLOAT64)
  }

  /** As above where all of them are k / 10^e for one e and integers k of 32 bits. */
  private decimal(): Layout | undefined {
    const { all, count } = this
    let exponent = 1
    for (let i = 0; i < count; i++) {
      const item = all[i] as number
      while (Math.round(item * powerOf(exponent)) / powerOf(exponent) !== item)
        if (exponent++ === EXPONENT_MAX) return undefined
    }
    const power = powerOf(exponent)
    let bits = 0
    for (let i = 0; i < count; i++) {
      const item = all[i] as number
      const scaled = Math.round(item * power)
      const int = scaled | 0
      if (int !== scaled || int / power !== item || (int === 0 && 1 / item < 0)) return undefined
      bits |= int ^ (int >> 31)
    }
    return { elements: ofBits(bits).elements, exponent }
  }
}

/** Ten to the power of `exponent`, exactly. */
export function powerOf(exponent: number): number {
  return POWERS[exponent] as number
}

/** Makes integers of decimals of which the layout says so. */
export function scale(all: Float64Array, count: number, exponent: number): void {
  const power = powerOf(exponent)
  for (let i = 0; i < count; i++) all[i] = Math.round((all[i] as number) * power)
}
