import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import * as tierce from 'tierce'
import { expect } from 'vitest'
import { numbered } from '../processes/pulled.mjs'
import { runScript } from './child.js'

const ROUNDS = Number(process.env.TIERCE_KILL_ROUNDS ?? 20)
const puller = fileURLToPath(new URL('../processes/puller.mjs', import.meta.url))

/** Kills processes that fetch, and looks each time whether rows and coverage are those of whole fetches. */
export async function surviveKills(
  kind: string,
  target: string,
  open: () => tierce.PullEngine,
): Promise<void> {
  let covered = 0
  for (let round = 0; round < ROUNDS; round++) {
    const child = runScript(puller, [kind, target, round])
    await child.said('ready')
    await new Promise((resolve) => setTimeout(resolve, 30 + ((round * 37) % 160)))
    child.process.kill('SIGKILL')
    await once(child.process, 'close')
    await child.done.catch(() => {})
    covered += await verify(open())
  }
  expect(covered, 'something was stored before the kills').toBeGreaterThan(0)
}

/** In one snapshot: a killed client's last commit may still be under way in its server. */
const COUNTS = `SELECT (SELECT count(*) FROM numbered) AS rows,
  (SELECT CAST(coalesce(sum(range_end - range_start), 0) AS bigint) FROM tierce_coverage) AS covered,
  (SELECT count(*) FROM (
    SELECT 1 FROM tierce_coverage c
    LEFT JOIN numbered n ON '["' || n.name || '"]' = c.key_cells AND n.at >= c.range_start AND n.at < c.range_end
    GROUP BY c.key_cells, c.range_start, c.range_end
    HAVING count(n.at) <> c.range_end - c.range_start OR count(DISTINCT n.fetch) <> 1
  ) AS wrong) AS broken`

/** Every stored fetch has all its rows and those of no other, and there is no row without one. */
async function verify(engine: tierce.PullEngine): Promise<number> {
  const never = () => {
    throw new Error('nothing is to be fetched')
  }
  await using cache = tierce.pullThrough({
    engine,
    table: numbered(tierce) as never,
    range: 'at' as never,
    fetch: never,
  })
  const found = await cache.query<{ rows: number; covered: number; broken: number }>(COUNTS)
  const [{ rows, covered, broken }] = found.rows() as [{ rows: number; covered: number; broken: number }]
  expect({ rows, broken }).toEqual({ rows: covered, broken: 0 })
  return covered
}
