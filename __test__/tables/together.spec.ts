import { fileURLToPath } from 'node:url'
import { DuckDBInstance } from '@duckdb/node-api'
import { describe, expect, it } from 'vitest'
import { runScript } from '../helpers/child.js'
import { failure } from '../helpers/errors.js'
import { tempDir } from '../helpers/temp.js'
import { openTables } from './helpers.js'

const SCRIPT = fileURLToPath(new URL('together.mjs', import.meta.url))

describe('other engines in the process', () => {
  // Not both releases of DuckDB's own package: those two share a library's name, and the second gets the first one's.
  it.each([
    ['tables same polars'],
    ['same polars tables'],
    ['tables older polars'],
    ['older tables polars'],
    ['polars older tables'],
  ])('%s: each is itself, and all work at once', async (order) => {
    const names = order.split(' ')
    const lines = await runScript(SCRIPT, names).done
    const versions: Record<string, string> = {
      tables: 'v1.5.6',
      same: 'v1.5.6',
      older: 'v1.5.5',
      polars: 'polars',
    }
    expect(lines.at(-1)).toBe(names.map((name) => versions[name]).join(' '))
  })

  it.runIf(process.platform === 'linux')(
    'a file that another DuckDB of this process has open is refused',
    async () => {
      const dir = tempDir()
      const tables = openTables({ dir })
      await tables.update('t', [{ a: 1 }])
      await tables.close()
      const instance = await DuckDBInstance.create(`${dir}/tables.duckdb`)
      const error = await failure(openTables({ dir }).listTables())
      expect(error.code).toBe('E_LOCK_TIMEOUT')
      expect(error.message).toContain('another DuckDB')
      instance.closeSync()
      expect(await openTables({ dir }).listTables()).toEqual(['t'])
    },
  )
})
