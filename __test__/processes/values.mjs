// Values that describe themselves: whoever reads one can tell whether it is whole and whose it is.
import { createHash } from 'node:crypto'

/** How a directory that processes share is kept: encrypted, where they are told the key. */
export const KEPT = process.env.TIERCE_TEST_KEY ? { encryption: { key: process.env.TIERCE_TEST_KEY } } : {}

/** Bytes of a value: in a row, at the edge, in a file. */
export const SIZES = [60, 3000, 32_768, 32_769, 70_000]

/** A value of `size` bytes that starts with its key and number and goes on with a stream that only they give. */
export function make(key, number, size) {
  const head = Buffer.from(`${key} ${number} ${size} `)
  const body = Buffer.alloc(size)
  head.copy(body)
  let block = createHash('sha256').update(head).digest()
  for (let at = head.length; at < size; at += block.length) {
    block.copy(body, at)
    if (at % 4096 < block.length) block = createHash('sha256').update(block).digest()
  }
  return body
}

/** The number of a value, which must be whole and belong to `key`. */
export function check(key, value) {
  const [owner, number, size] = value.subarray(0, 100).toString('latin1').split(' ')
  if (owner !== key) throw new Error(`${key} holds a value of ${owner}`)
  if (!make(key, Number(number), Number(size)).equals(value))
    throw new Error(`${key} holds a torn value, number ${number}`)
  return Number(number)
}
