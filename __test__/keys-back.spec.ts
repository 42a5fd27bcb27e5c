/** Keys as listings give them back, made of their texts. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CorruptError, InvalidKeyError, TierceError } from '../build/errors.js'
import { CallKey, callText, HashedKey, keyFromText, keyText } from '../build/keys.js'
import { anyKey } from './helpers/any-key.js'

type AnyKey = Parameters<typeof keyText>[0]

const text = (key: unknown) => keyText(key as AnyKey)

describe('keys that come back from disk', () => {
  it('a_hashed_key_can_be_given_again', () => {
    const stored = `\0#${'ab'.repeat(32)}`
    const key = keyFromText(stored)
    expect(key).toBeInstanceOf(HashedKey)
    expect((key as HashedKey).hash).toBe('ab'.repeat(32))
    expect(text(key)).toBe(stored)
    expect(() => new HashedKey('AB')).toThrow(InvalidKeyError)
  })

  it('a_call_key_can_be_given_again', () => {
    const stored = callText('user', '1', ['a', { b: 1 }])
    const key = keyFromText(stored) as CallKey
    expect(key).toBeInstanceOf(CallKey)
    expect([key.name, key.version, key.args]).toEqual(['user', '1', ['a', { b: 1 }]])
    expect(text(key)).toBe(stored)
  })

  it('a_property_named___proto___comes_back_as_a_property', () => {
    const back = keyFromText(text(JSON.parse('{"__proto__":{"x":1}}'))) as object
    expect(Object.getPrototypeOf(back)).toBe(Object.prototype)
    expect(Object.keys(back)).toEqual(['__proto__'])
    expect(({} as { x?: number }).x).toBeUndefined()
  })

  it.each([
    ['\0'],
    ['\0i1'],
    ['\0i01;'],
    ['\0i-0;'],
    ['\0i;'],
    ['\0s5:ab'],
    ['\0s1:ab'],
    ['\0s-1:'],
    ['\0s1e1:0123456789'],
    ['\0['],
    ['\0{s1:bi1;s1:ai1;}'],
    ['\0{s1:au}'],
    ['\0{i1;i1;}'],
    ['\0S'],
    ['\0Ss1:as1:a;'],
    ['\0d7ff8000000000001'],
    ['\0dxyz'],
    ['\0#12'],
    ['\0c'],
    ['\0cs1:as1:b[u]'],
    ['\0[cs1:as0:[]]'],
    ['\0bFoo:1:a'],
    ['\0bUint16Array:1:a'],
    ['\0bUint8Array:1:\u0100'],
    ['\0D[]'],
    ['\0Ls3:???'],
    ['\0s1:a'],
    ['\0Ix;'],
    ['\0w1:d80'],
    ['\0w1:0061'],
    ['\ud800'],
    ['\0z'],
    ['\0M{}'],
    ['\0u;'],
  ])('damaged text %j is E_CORRUPT', (damaged) => {
    expect(() => keyFromText(damaged)).toThrow(CorruptError)
  })

  it.each(['[', '{', 'D', 'M', 'S'])(
    'a text of 100,000 openings %s is E_CORRUPT and not a stack overflow',
    (opening) => {
      expect(() => keyFromText(`\0${opening.repeat(100_000)}`)).toThrow(CorruptError)
    },
  )

  it.each(['\0s4000000000:a', '\0w4000000000:0061', '\0bUint8Array:4000000000:a', '\0bArrayBuffer:1e9:a'])(
    'a length beyond the text takes no memory: %j',
    (damaged) => {
      const memory = () => process.memoryUsage().heapTotal + process.memoryUsage().arrayBuffers
      const before = memory()
      expect(() => keyFromText(damaged)).toThrow(CorruptError)
      expect(memory() - before).toBeLessThan(64e6)
    },
  )

  it('any_text_gives_a_key_that_has_this_text_or_a_typed_error', () => {
    const alphabet = fc.constantFrom(
      ...'\0untfiIdswDRLb[]{}MS;:c#0123456789aZ-é\ud800'.split(''),
      's1:a',
      'i1;',
      'Uint8Array:',
    )
    const soup = fc.array(alphabet, { maxLength: 30 }).map((parts) => `\0${parts.join('')}`)
    const check = (candidate: string) => {
      try {
        expect(text(keyFromText(candidate))).toBe(candidate)
      } catch (error) {
        if (!(error instanceof TierceError)) throw error
        expect(['E_CORRUPT', 'E_UNAVAILABLE']).toContain(error.code)
      }
    }
    fc.assert(fc.property(soup, check), { numRuns: 1500 })
    fc.assert(fc.property(fc.string({ unit: 'binary' }), check), { numRuns: 500 })
  })

  it('a_text_with_one_character_changed_is_another_key_or_damage', () => {
    const change = fc.tuple(anyKey(), fc.nat(), fc.constantFrom(...'0i;:[]{}suD'.split('')))
    fc.assert(
      fc.property(change, ([key, at, character]) => {
        const whole = text(key)
        const changed = whole.slice(0, at % whole.length) + character + whole.slice((at % whole.length) + 1)
        try {
          expect(text(keyFromText(changed))).toBe(changed)
        } catch (error) {
          if (!(error instanceof TierceError)) throw error
        }
      }),
      { numRuns: 1000 },
    )
  })
})
