/** A string as an item of a key's text; see keys.ts. */
export function stringItem(text: string): string {
  if (text.isWellFormed()) return `s${text.length}:${text}`
  let hex = ''
  for (let i = 0; i < text.length; i++) hex += text.charCodeAt(i).toString(16).padStart(4, '0')
  return `w${text.length}:${hex}`
}

/** The names of an object, ready to be written. */
export interface Names {
  /** As `Object.keys` gave them. */
  readonly given: readonly string[]
  /** By UTF-16 code units. */
  readonly sorted: readonly string[]
  /** The item of each sorted name. */
  readonly items: readonly string[]
}

const SLOTS = 64
const MAX_KEPT = 16
const MAX_KEPT_LENGTH = 64

// A program's keys have few shapes, and sorting the names is half of the work on a small object.
const kept = new Array<Names | undefined>(SLOTS).fill(undefined)

/** Sorts the names of an object; those of lately met objects are known. */
export function sortedNames(given: readonly string[]): Names {
  const count = given.length
  if (count === 0 || count > MAX_KEPT) return sort(given)
  const first = given[0] as string
  const last = given[count - 1] as string
  const slot =
    (count * 5 + first.length * 3 + last.length * 7 + first.charCodeAt(0) + last.charCodeAt(0)) % SLOTS || 0
  const known = kept[slot]
  if (known !== undefined && isSame(known.given, given)) return known
  const names = sort(given)
  if (given.every((name) => name.length <= MAX_KEPT_LENGTH)) kept[slot] = names
  return names
}

function sort(given: readonly string[]): Names {
  const sorted = [...given].sort()
  return { given, sorted, items: sorted.map(stringItem) }
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
