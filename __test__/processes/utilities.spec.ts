import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { runScript } from '../helpers/child.js'
import { openCache, tempDir } from '../helpers/temp.js'

const script = fileURLToPath(new URL('limited.mjs', import.meta.url))

it.each(['token-bucket', 'sliding-window'])(
  'a_limit_a_lock_and_what_is_done_once_hold_over_processes (%s)',
  async (algorithm) => {
    const dir = join(tempDir(), 'cache')
    const children = Array.from({ length: 4 }, () => runScript(script, [dir, 60, algorithm]))
    await Promise.all(children.map((child) => child.said('ready')))
    for (const child of children) child.process.stdin.end('go\n')
    const got = (await Promise.all(children.map((child) => child.done))).map((said) =>
      said.at(-1)!.split(' ').map(Number),
    )
    const allowed = got.reduce((sum, [count]) => sum + count!, 0)
    expect(allowed).toBe(100)
    expect(new Set(got.map(([, id]) => id)).size).toBe(1)
    expect(await openCache({ dir }).get('count')).toBe(40)
  },
)
