// Downloads that are asked again only whether they changed: the server's ETag validates the copy that is kept on disk.
//
//   node examples/downloads.mjs
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Cache, notModified, wrap } from 'tierce'
import { printTable } from './lib/terminal.mjs'

const home = mkdtempSync(join(tmpdir(), 'tierce-downloads-'))
const files = new Map([['/train.csv', { etag: '"1"', body: Buffer.alloc(200_000, 'a,b,c\n') }]])
const sent = { bodies: 0, notModified: 0 }

const server = createServer((request, response) => {
  const { etag, body } = files.get(request.url)
  const isSame = request.headers['if-none-match'] === etag
  sent[isSame ? 'notModified' : 'bodies'] += 1
  response.writeHead(isSame ? 304 : 200, { etag }).end(isSame ? undefined : body)
})
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
const base = `http://127.0.0.1:${server.address().port}`

async function download(path, old) {
  const headers = new Headers(old && { 'if-none-match': old.value.etag })
  const response = await fetch(base + path, { headers })
  if (response.status === 304) return notModified
  return { etag: response.headers.get('etag'), body: Buffer.from(await response.arrayBuffer()) }
}

let now = Date.now()
/** Each time in a cache that is opened anew: nothing but the directory carries anything over. */
async function get(path) {
  const cache = new Cache({ dir: join(home, 'cache'), clock: () => now })
  const file = wrap(cache, (asked) => download(asked), {
    name: 'download',
    ttl: '5m',
    singleFlight: 'machine',
    validate: (old, asked) => download(asked, old),
  })
  const { body } = await file(path)
  await cache.close()
  return body
}

const rows = []
async function step(what, expected) {
  const body = await get('/train.csv')
  const isRight = body.equals(files.get('/train.csv').body)
  const seen = `${sent.bodies} ${sent.notModified}`
  if (seen !== expected || !isRight) process.exitCode = 1
  rows.push([what, sent.bodies, sent.notModified, seen === expected && isRight ? 'ok' : 'FAILED'])
}

try {
  await step('first', '1 0')
  await step('again within five minutes', '1 0')
  now += 300_000
  await step('later, unchanged', '1 1')
  await step('and again', '1 1')
  files.set('/train.csv', { etag: '"2"', body: Buffer.alloc(200_000, 'd,e,f\n') })
  now += 300_000
  await step('later, changed', '2 1')
  printTable(['download', 'bodies sent', 'not modified', ''], rows)
} finally {
  server.close()
  server.closeAllConnections()
  rmSync(home, { recursive: true, force: true })
}
