import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Glob } from '../build/glob.js'

const ALPHABET = ['a', 'b', '*', '?', 'é', '😀', '-']

/** The same pattern as a regular expression: right, though not quick. */
function regular(pattern: readonly string[]): RegExp {
  const parts = pattern.map((part) =>
    part === '*' ? '[^]*' : part === '?' ? '[^]' : part.replace(/[\\^$.|?*+()[\]{}]/g, '\\$&'),
  )
  return new RegExp(`^${parts.join('')}$`, 'u')
}

it('a_pattern_matches_what_its_regular_expression_does', () => {
  const word = fc.array(fc.constantFrom(...ALPHABET), { maxLength: 8 })
  fc.assert(
    fc.property(word, word, (pattern, text) => {
      expect(new Glob(pattern.join('')).matches(text.join(''))).toBe(regular(pattern).test(text.join('')))
    }),
    { numRuns: 2000 },
  )
})

it('every_match_starts_with_the_prefix', () => {
  const word = fc.array(fc.constantFrom(...ALPHABET), { maxLength: 8 })
  fc.assert(
    fc.property(word, word, (pattern, text) => {
      const glob = new Glob(pattern.join(''))
      if (glob.matches(text.join(''))) expect(text.join('').startsWith(glob.prefix)).toBe(true)
    }),
  )
  expect(new Glob('user:*').prefix).toBe('user:')
  expect(new Glob('a\\*b[c]').prefix).toBe('a*b')
})

it('many_stars_take_no_more_steps_than_the_lengths_multiplied', () => {
  // One that backtracks would not end.
  expect(new Glob(`${'*a'.repeat(200)}b`).matches('a'.repeat(1000))).toBe(false)
})

it.each([
  ['[]]', ']', true],
  ['[!]]', ']', false],
  ['[^a]', 'b', true],
  ['[a-]', '-', true],
  ['[\\]]', ']', true],
  ['[a-c-]x', '-x', true],
  ['\\?', '?', true],
  ['\\?', 'a', false],
  ['[а-я]', 'ж', true],
])('%s on %s is %o', (pattern, text, matches) => {
  expect(new Glob(pattern).matches(text)).toBe(matches)
})
