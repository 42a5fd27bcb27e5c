/**
 * The behaviour of a pull-through cache, for every engine. An engine passes it by giving, at each call of `open`, an engine on
 * the same database, which is empty at the start of each test.
 */
import { afterEach, beforeEach, describe, vi } from 'vitest'
import { failures } from './pull-through/failures.js'
import { fetching } from './pull-through/fetching.js'
import { type EngineUnderTest, Stage } from './pull-through/stage.js'
import { storing } from './pull-through/storing.js'

export type { EngineUnderTest }

export function pullThroughSuite(name: string, setUp: () => Promise<EngineUnderTest>, runs = 40): void {
  describe(`pull-through on ${name}`, () => {
    const stage = new Stage(setUp)
    beforeEach(() => stage.begin())
    afterEach(() => {
      vi.useRealTimers()
      return stage.end()
    })
    fetching(stage, runs)
    failures(stage)
    storing(stage)
  })
}
