import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { InvalidOptionError, InvalidTtlError } from '../build/errors.js'
import {
  boolean,
  callback,
  checkOptions,
  oneOf,
  parseDuration,
  parseSize,
  positiveInteger,
} from '../build/options.js'

const labelled = (value: unknown): [string, unknown] => [inspect(value), value]

describe('parseDuration', () => {
  it.each<[unknown, number]>([
    [1, 1],
    [1500, 1500],
    ['500ms', 500],
    ['90s', 90_000],
    ['2m', 120_000],
    ['1h', 3_600_000],
    ['7d', 604_800_000],
    ['1w', 604_800_000],
    ['1.5h', 5_400_000],
    ['.5s', 500],
    [' 2 s ', 2000],
    ['4.35s', 4350],
    [Infinity, Infinity],
    ['never', Infinity],
  ])('reads %o as %d ms', (given, ms) => {
    expect(parseDuration(given, 'ttl')).toBe(ms)
  })

  it('a_fraction_is_rounded_and_never_becomes_zero', () => {
    expect(parseDuration(0.5, 'ttl')).toBe(1)
    expect(parseDuration(0.001, 'ttl')).toBe(1)
    expect(parseDuration(1.9, 'ttl')).toBe(2)
    expect(parseDuration('1.9s', 'ttl')).toBe(1900)
  })

  it('what_no_date_can_hold_is_never', () => {
    expect(parseDuration(Number.MAX_VALUE, 'ttl')).toBe(Infinity)
    expect(parseDuration(Number.MAX_SAFE_INTEGER, 'ttl')).toBe(Infinity)
    expect(parseDuration('99999999999999999w', 'ttl')).toBe(Infinity)
    const longest = parseDuration(8e15, 'ttl')
    expect(new Date(Date.now() + longest).getTime()).not.toBeNaN()
  })

  it.each(
    [
      0,
      -1,
      -0,
      NaN,
      -Infinity,
      '',
      '1',
      '1y',
      '-1s',
      '0s',
      '1s2m',
      '1e3s',
      's',
      '1 H',
      null,
      undefined,
      5n,
      {},
      [],
      true,
    ].map(labelled),
  )('refuses %s, says what is accepted and how to say never', (_label, given) => {
    let error: unknown
    try {
      parseDuration(given, 'ttl')
    } catch (thrown) {
      error = thrown
    }
    expect(error).toBeInstanceOf(InvalidTtlError)
    expect((error as Error).message).toMatch(/^Invalid ttl: got .*'7d'.*Infinity or 'never'/)
  })
})

describe('parseSize', () => {
  it.each<[unknown, number]>([
    [1, 1],
    ['1B', 1],
    ['1KB', 1000],
    ['1kB', 1000],
    ['1KiB', 1024],
    ['512MB', 512e6],
    ['1GiB', 2 ** 30],
    ['1GB', 1e9],
    ['1TB', 1e12],
    ['2TiB', 2 ** 41],
    ['1.5KiB', 1536],
    ['64mb', 64e6],
    [' 1 MB ', 1e6],
  ])('reads %o as %d bytes', (given, bytes) => {
    expect(parseSize(given, 'maxSize')).toBe(bytes)
  })

  it.each(
    [
      0,
      -1,
      1.5,
      NaN,
      Infinity,
      2 ** 53,
      '0B',
      '0.1B',
      '1',
      '1XB',
      '9999999999TB',
      '-1MB',
      null,
      undefined,
      {},
      1n,
    ].map(labelled),
  )('refuses %s', (_label, given) => {
    expect(() => parseSize(given, 'maxSize')).toThrow(InvalidOptionError)
    expect(() => parseSize(given, 'maxSize')).toThrow(/^Invalid maxSize: got .*'1GiB'/)
  })
})

describe('checkOptions', () => {
  it.each<[string, readonly string[], unknown, string]>([
    ['a TTL in their place', ['ttl', 'tags'], '5m', 'ttl, tags; for ttl that is { ttl: "5m" }.'],
    ['milliseconds in their place', ['ttl'], 5000, 'ttl; for ttl that is { ttl: 5000 }.'],
    ['a path in their place', ['dir', 'ttl'], '.cache', 'dir, ttl; for dir that is { dir: ".cache" }.'],
    ['a count in their place', ['dir', 'max', 'ttl'], 500, 'dir, max, ttl; for max that is { max: 500 }.'],
    ['null in their place', ['dir'], null, 'Give an object with any of: dir.'],
    ['what lru-cache calls its bound of age', ['ttl', 'max'], { maxAge: 5 }, `Did you mean 'ttl'?`],
    ['what bentocache calls it', ['staleIfError'], { grace: '1h' }, `Did you mean 'staleIfError'?`],
    [
      'a name of a class',
      ['max'],
      { constructor: 1 },
      'Unknown option "constructor" of Cache. Accepted: max.',
    ],
  ])('%s is answered with what is meant', (_what, allowed, given, answer) => {
    expect(() => checkOptions(given, allowed, 'Cache')).toThrow(answer)
  })

  const check = (given: unknown) => checkOptions(given, ['ttl', 'maxSize', 'policy'], 'Cache')

  it('accepts known names and no options', () => {
    check(undefined)
    check({})
    check({ ttl: 1, policy: undefined })
  })

  it('a_misspelt_option_is_an_error_that_names_the_right_one', () => {
    expect(() => check({ maxsize: 1 })).toThrow(
      `Unknown option "maxsize" of Cache. Did you mean 'maxSize'? Accepted: ttl, maxSize, policy.`,
    )
    expect(() => check({ tll: 1 })).toThrow(/'ttl'\?/)
    expect(() => check({ somethingElse: 1 })).toThrow(InvalidOptionError)
    expect(() => check({ somethingElse: 1 })).not.toThrow(/Did you mean/)
    expect(() => check({ ['x'.repeat(100_000)]: 1 })).toThrow(InvalidOptionError)
  })

  it.each([null, 1, 'lru', [], true])('refuses %j', (given) => {
    expect(() => check(given)).toThrow(InvalidOptionError)
  })
})

describe('the small checkers', () => {
  it('give back what is right', () => {
    const fn = () => 1
    expect(oneOf('lru', 'policy', ['lru', 'lfu'])).toBe('lru')
    expect(positiveInteger(5, 'max')).toBe(5)
    expect(boolean(false, 'fix')).toBe(false)
    expect(callback(fn, 'onEvict')).toBe(fn)
  })

  it('refuse the rest with what was given and what is accepted', () => {
    expect(() => oneOf('lri', 'policy', ['lru', 'fifo'])).toThrow(
      `Invalid policy: got "lri". Give one of 'lru', 'fifo' (did you mean 'lru'?).`,
    )
    for (const bad of [0, -1, 1.5, '1', NaN, Infinity]) {
      expect(() => positiveInteger(bad, 'max')).toThrow(InvalidOptionError)
    }
    expect(() => boolean(1, 'fix')).toThrow('Invalid fix: got 1. Give true or false.')
    expect(() => callback({}, 'onEvict')).toThrow('Invalid onEvict: got a plain object. Give a function.')
  })
})
