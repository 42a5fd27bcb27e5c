import { join } from 'node:path'
import { sqlite } from 'tierce'
import { it } from 'vitest'
import { surviveKills } from '../helpers/pull-kill.js'
import { tempDir } from '../helpers/temp.js'

it('a_kill_during_a_fetch_or_its_commit_leaves_the_old_state_or_the_new_one', async () => {
  const path = join(tempDir(), 'numbered.db')
  await surviveKills('sqlite', path, () => sqlite(path))
})
