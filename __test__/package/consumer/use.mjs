import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import * as esm from 'tierce'
import { exercise } from './exercise.cjs'

const cjs = createRequire(import.meta.url)('tierce')
const exported = Object.entries(esm)
assert.deepEqual(exported.map(([name]) => name).sort(), Object.keys(cjs).sort())
for (const [name, value] of exported) {
  assert.equal(value, cjs[name], `${name} differs between import and require`)
}
await exercise(esm, process.argv[2])
