/** Numbers that a seed gives again. */
export interface Random {
  /** From 0 to 1. */
  (): number
  /** Whole, below a bound. */
  below(bound: number): number
  pick<T>(of: readonly T[]): T
  chance(probability: number): boolean
}

/** Xorshift of 32 bits. */
export function randomOf(seed: number): Random {
  let state = Math.imul(seed, 0x9e3779b1) >>> 0 || 1
  const random = (() => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }) as Random
  random.below = (bound) => Math.floor(random() * bound)
  random.pick = (of) => of[random.below(of.length)]!
  random.chance = (probability) => random() < probability
  return random
}
