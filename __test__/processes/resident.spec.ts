import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { runScript } from '../helpers/child.js'
import { tempDir } from '../helpers/temp.js'

const script = fileURLToPath(new URL('resident.mjs', import.meta.url))
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
