import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { runScript } from '../helpers/child.js'
import { tempDir } from '../helpers/temp.js'

const script = fileURLToPath(new URL('resident.mjs', import.meta.url))
const setMany = fileURLToPath(new URL('set-many.mjs', import.meta.url))
/** Four times what the page cache may hold; `crates/tierce/tests/resident.rs` has a million. */
const ENTRIES = 200_000
/** What is asked of a million, less Node's own. 15 to 19 were measured. */
const MEBIBYTES = 32

it.runIf(process.platform === 'linux')(
  'a_large_cache_in_steady_use_takes_little_beyond_node_and_its_heap',
  async () => {
    const dir = join(tempDir(), 'cache')
    await runScript(script, ['fill', dir, ENTRIES]).done
    const [used] = await runScript(script, ['use', dir, ENTRIES]).done
    expect(Number(used)).toBeGreaterThan(0)
    expect(Number(used)).toBeLessThan(MEBIBYTES)
  },
)

/** A copy of what is given, and so much: 6 to 41 were measured, and up to 223 before. */
const BEYOND_A_COPY = 90

it.runIf(process.platform === 'linux').each([
  { count: 10_000, size: 100 },
  { count: 10_000, size: 10_000 },
  { count: 500, size: 200_000 },
])('$count_values_of_$size_bytes_in_one_call_take_a_copy_and_little_more', async ({ count, size }) => {
  const [grown] = await runScript(setMany, [join(tempDir(), 'cache'), count, size]).done
  expect(Number(grown)).toBeLessThan((count * size) / 2 ** 20 + BEYOND_A_COPY)
})
