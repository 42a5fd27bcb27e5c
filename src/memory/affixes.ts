/** What all keys begin and end with: it tells none of them apart, so their hashes can do without it. */

/** Characters of both together that are worth leaving out. */
const LEAST = 4

/** Characters at the beginning and at the end of keys. */
export interface Affixes {
  readonly head: number
  readonly tail: number
}

export const NO_AFFIXES: Affixes = { head: 0, tail: 0 }

/** What the keys share, of two keys at least; of less than `LEAST` characters none. Time in proportion to what they share. */
export function affixesOf(keys: Iterable<string>): Affixes {
  let model: string | undefined
  let [head, tail] = [0, 0]
  for (const key of keys) {
    if (model === undefined) {
      model = key
      head = tail = key.length
      continue
    }
    head = sharedHead(model, key, head)
    tail = sharedTail(model, key, tail)
    if (head + tail < LEAST) return NO_AFFIXES
  }
  return { head, tail }
}

function sharedHead(one: string, other: string, most: number): number {
  let count = 0
  while (count < most && one.charCodeAt(count) === other.charCodeAt(count)) count++
  return count
}

function sharedTail(one: string, other: string, most: number): number {
  let count = 0
  while (
    count < most &&
    one.charCodeAt(one.length - 1 - count) === other.charCodeAt(other.length - 1 - count)
  ) {
    count++
  }
  return count
}
