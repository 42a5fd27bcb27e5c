// What a program without `@tierce/columnar` meets.
import Module, { createRequire } from 'node:module'

const resolve = Module._resolveFilename
Module._resolveFilename = (name, ...rest) => {
  if (name !== '@tierce/columnar') return resolve(name, ...rest)
  throw Object.assign(new Error(`Cannot find module '${name}'`), { code: 'MODULE_NOT_FOUND' })
}

const { TableCache } = createRequire(import.meta.url)('../../dist/index.js')
const loaded = Object.keys(createRequire(import.meta.url).cache).some((path) =>
  path.includes('/packages/columnar/'),
)
const { code, message } = await new TableCache().listTables().catch((error) => error)
process.stdout.write(`${JSON.stringify({ code, message, loaded })}\n`)
