/** A clock that stands still until it is told otherwise. Milliseconds. */
export interface FakeClock {
  (): number
  advance(ms: number): void
}

export function fakeClock(start = 1_700_000_000_000): FakeClock {
  let now = start
  const clock = (() => now) as FakeClock
  clock.advance = (ms) => {
    now += ms
  }
  return clock
}
