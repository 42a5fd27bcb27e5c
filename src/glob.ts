/** Patterns of string keys: `*` any characters, `?` one, `[a-z]` and `[!a-z]` one of a set; a backslash takes the next as it is. */
import { makeError } from './errors.js'
import { describe } from './refusal.js'

/** One character, as its code point: a literal, any, or one of ranges. */
type Token = number | 'one' | 'star' | { ranges: readonly (readonly [number, number])[]; isNegated: boolean }

export class Glob {
  /** What every match starts with. */
  readonly prefix: string
  readonly #tokens: readonly Token[]

  /** @throws InvalidOptionError `E_INVALID_OPTION` */
  constructor(pattern: unknown) {
    if (typeof pattern !== 'string') throw refused(pattern, 'it is no string')
    this.#tokens = parse(pattern)
    const literals = this.#tokens.findIndex((token) => typeof token !== 'number')
    const start = literals < 0 ? this.#tokens : this.#tokens.slice(0, literals)
    this.prefix = (start as number[]).map((point) => String.fromCodePoint(point)).join('')
  }

  /** Whether the whole text matches. Steps back to the last star only, so that no pattern takes longer than the product of the lengths. */
  matches(text: string): boolean {
    const points = Array.from(text, (character) => character.codePointAt(0) as number)
    const tokens = this.#tokens
    let at = 0
    let token = 0
    let star = -1
    let resume = 0
    while (at < points.length) {
      if (tokens[token] === 'star') {
        star = token++
        resume = at
      } else if (token < tokens.length && takes(tokens[token]!, points[at]!)) {
        token++
        at++
      } else if (star < 0) {
        return false
      } else {
        token = star + 1
        at = ++resume
      }
    }
    while (tokens[token] === 'star') token++
    return token === tokens.length
  }
}

function takes(token: Token, point: number): boolean {
  if (typeof token === 'number') return token === point
  if (typeof token === 'string') return token === 'one'
  return token.ranges.some(([from, to]) => from <= point && point <= to) !== token.isNegated
}

function parse(pattern: string): Token[] {
  const points = Array.from(pattern)
  const tokens: Token[] = []
  for (let at = 0; at < points.length; at++) {
    const point = points[at]!
    if (point === '*') {
      if (tokens.at(-1) !== 'star') tokens.push('star')
    } else if (point === '?') tokens.push('one')
    else if (point === '[') {
      const { token, end } = parseSet(pattern, points, at + 1)
      tokens.push(token)
      at = end
    } else {
      if (point === '\\' && ++at === points.length) throw refused(pattern, 'it ends with a backslash')
      tokens.push(points[at]!.codePointAt(0) as number)
    }
  }
  return tokens
}

/** What is between brackets. A `]` that comes first is one of the set. */
function parseSet(pattern: string, points: readonly string[], start: number): { token: Token; end: number } {
  const isNegated = points[start] === '!' || points[start] === '^'
  const first = isNegated ? start + 1 : start
  const ranges: [number, number][] = []
  let at = first
  const next = (): number => {
    if (points[at] === '\\') at++
    const point = points[at++]?.codePointAt(0)
    if (point === undefined) throw refused(pattern, 'a [ has no ]')
    return point
  }
  while (at === first || points[at] !== ']') {
    const from = next()
    const isRange = points[at] === '-' && points[at + 1] !== ']'
    if (isRange) at++
    const to = isRange ? next() : from
    if (to < from) throw refused(pattern, 'a range ends before it begins')
    ranges.push([from, to])
  }
  return { token: { ranges, isNegated }, end: at }
}

function refused(pattern: unknown, why: string): Error {
  return makeError(
    'E_INVALID_OPTION',
    `Invalid match: got ${describe(pattern)}, and ${why}. Give a pattern such as 'user:*', 'page-?' or 'log-[0-9]*'; ` +
      'a backslash takes the next character as it is.',
    { name: 'match' },
  )
}
