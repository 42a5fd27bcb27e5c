import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import {
  ERROR_CLASSES,
  type ErrorCode,
  fromNative,
  KeyExpiredError,
  KeyNotFoundError,
  makeError,
  StorageFullError,
  TierceError,
} from '../build/errors.js'

const codes = Object.keys(ERROR_CLASSES) as ErrorCode[]

describe('errors', () => {
  it.each(codes)('%s has a class of its own that is named after it', (code) => {
    const error = makeError(code, 'what happened', { file: 'x' }, new Error('why'))
    expect(error).toBeInstanceOf(TierceError)
    expect(error).toBeInstanceOf(Error)
    expect(error.constructor).toBe(ERROR_CLASSES[code])
    expect(error.code).toBe(code)
    expect(error.message).toBe('what happened')
    expect(error.context).toEqual({ file: 'x' })
    expect((error.cause as Error).message).toBe('why')
    const words = code
      .slice(2)
      .split('_')
      .map((word) => word[0] + word.slice(1).toLowerCase())
    const expected = code === 'E_CORRUPT' ? 'CorruptError' : `${words.join('')}Error`
    expect(error.name).toBe(expected)
    expect(error.stack).toMatch(new RegExp(`^${expected}: what happened\\n.*errors\\.spec`))
  })

  it('every_code_has_another_class', () => {
    expect(new Set(Object.values(ERROR_CLASSES)).size).toBe(codes.length)
    expect(codes).toHaveLength(22)
  })

  it('an_expired_key_is_a_key_that_is_not_found', () => {
    expect(makeError('E_KEY_EXPIRED', '')).toBeInstanceOf(KeyNotFoundError)
    expect(makeError('E_KEY_NOT_FOUND', '')).not.toBeInstanceOf(KeyExpiredError)
  })

  it('without_context_or_cause_there_is_no_such_property', () => {
    const error = makeError('E_CLOSED', 'closed')
    expect('cause' in error).toBe(false)
    expect('context' in error).toBe(false)
    expect(Object.keys(error)).toEqual(['code'])
  })
})

describe('fromNative', () => {
  it('gives_a_coded_error_its_class_and_keeps_context_and_cause', () => {
    const cause = new Error('disk')
    const native = Object.assign(new Error('no room', { cause }), {
      code: 'E_STORAGE_FULL',
      context: { bytes: 5 },
    })
    const error = fromNative(native) as TierceError
    expect(error).toBeInstanceOf(StorageFullError)
    expect([error.message, error.code, error.context, error.cause]).toEqual([
      'no room',
      'E_STORAGE_FULL',
      { bytes: 5 },
      cause,
    ])
  })

  it('works_for_errors_of_another_realm', () => {
    const native = runInNewContext(`Object.assign(new Error('x'), { code: 'E_CLOSED' })`)
    expect((fromNative(native) as TierceError).code).toBe('E_CLOSED')
    expect(fromNative(native)).toBeInstanceOf(TierceError)
  })

  it('passes_anything_else_untouched', () => {
    const ours = makeError('E_CLOSED', 'closed')
    const system = Object.assign(new Error('x'), { code: 'ENOENT' })
    const tricky = Object.assign(new Error('x'), { code: 'constructor' })
    for (const thrown of [
      ours,
      system,
      tricky,
      new Error('plain'),
      'text',
      null,
      undefined,
      5,
      { code: 'E_CLOSED' },
    ]) {
      expect(fromNative(thrown)).toBe(thrown)
    }
  })
})
