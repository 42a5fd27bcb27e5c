/** Numbers in [0, 1) from a seed (mulberry32): every contender gets the same ones. */
export function randomFrom(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** `length` ranks in 0…n-1, rank r with a probability in proportion to 1 / (r + 1) ** exponent. */
export function zipf(n, exponent, length, seed) {
  const random = randomFrom(seed)
  const upTo = new Float64Array(n)
  let sum = 0
  for (let rank = 0; rank < n; rank += 1) {
    sum += 1 / (rank + 1) ** exponent
    upTo[rank] = sum
  }
  return Uint32Array.from({ length }, () => firstAbove(upTo, random() * sum))
}

function firstAbove(ascending, value) {
  let low = 0
  let high = ascending.length - 1
  while (low < high) {
    const middle = (low + high) >>> 1
    if (ascending[middle] > value) high = middle
    else low = middle + 1
  }
  return low
}

/** 0…n-1 in a random order. */
export function permutation(n, seed) {
  const random = randomFrom(seed)
  const order = Uint32Array.from({ length: n }, (_, index) => index)
  for (let index = n - 1; index > 0; index -= 1) {
    const other = Math.floor(random() * (index + 1))
    const held = order[index]
    order[index] = order[other]
    order[other] = held
  }
  return order
}
