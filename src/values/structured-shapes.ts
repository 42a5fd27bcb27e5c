/** Shapes: the names of objects, which most values of a program share with the ones before. */
import { Part } from './structured-format.js'

const KEPT = 64
/** More names than this are those of a dictionary, of which no two are alike. */
const NAMES_MAX = 32

export class Shape {
  readonly names: readonly string[]
  /** All names, one behind the other, and the tag of each; empty where they are not to be written at once. */
  readonly text: string
  readonly tags: Uint8Array
  /** What the names of one object take in JSON text. */
  readonly textSize: number
  /** Its number in the value of this stamp. */
  number = 0
  stamp = 0
  /** The shape that came next last time. */
  next: Shape | undefined

  constructor(names: readonly string[]) {
    const isPlain = names.length <= NAMES_MAX && names.every((name) => name.length <= Part.max)
    this.names = names
    let textSize = 0
    for (const name of names) textSize += name.length + 4
    this.textSize = textSize
    this.text = isPlain ? names.join('') : ''
    this.tags = Uint8Array.from(isPlain ? names : [], (name) => Part.of + name.length)
  }

  /** Whether these are the own names of an object; no prototype may have enumerable ones. */
  isOf(value: object): boolean {
    const { names } = this
    let count = 0
    for (const name in value) if (name !== names[count++]) return false
    return count === names.length
  }
}

/** The shapes met lately, in whatever value. */
export class Shapes {
  private readonly list: Shape[] = []
  private oldest = 0
  /** What came last; of what follows it is the guess. */
  last = new Shape([])

  /** The shape of these names. Most are compared by pointer, and only a fixed number of shapes is looked at. */
  find(names: readonly string[]): Shape {
    next: for (const shape of this.list) {
      const { names: known } = shape
      if (known.length !== names.length) continue
      for (let i = 0; i < names.length; i++) if (known[i] !== names[i]) continue next
      return shape
    }
    const shape = new Shape(names)
    if (names.length <= NAMES_MAX) this.keep(shape)
    return shape
  }

  private keep(shape: Shape): void {
    this.list[this.oldest] = shape
    this.oldest = (this.oldest + 1) % KEPT
  }
}
