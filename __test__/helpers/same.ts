import { isDeepStrictEqual } from 'node:util'
import { expect } from 'vitest'

/** Fails unless both are the same to the last byte: `toStrictEqual` takes seconds for long buffers. */
export function expectSame(actual: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(actual, expected)) expect(actual).toStrictEqual(expected)
}
