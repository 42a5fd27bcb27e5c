// A service class whose methods are cached by decorators, with keys, tags and controls.
//
//   node examples/decorated-service.mjs
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { transform } from 'esbuild'
import { controls } from 'tierce'
import { printTable } from './lib/terminal.mjs'

const folder = mkdtempSync(join(tmpdir(), 'tierce-service-'))
const source = readFileSync(new URL('lib/service.ts', import.meta.url), 'utf8')
const { code } = await transform(source, { loader: 'ts', target: 'es2022' })
const entry = import.meta.resolve('tierce')
writeFileSync(join(folder, 'service.mjs'), code.replace('"tierce"', JSON.stringify(entry)))

try {
  const { Shop, cache, ran } = await import(pathToFileURL(join(folder, 'service.mjs')).href)
  const [de, fr] = [new Shop('de'), new Shop('fr')]
  await Promise.all([de.article(1), de.article(1), fr.article(1)])
  await de.articles({ name: 'books', open: true })
  await de.articles({ name: 'books', open: false })
  de.gross(100)
  fr.gross(100)
  const removed = await cache.invalidateTags('article:1')
  await de.article(1)
  await controls(de.gross).invalidate(100)
  de.gross(100)
  printTable(
    ['ran'],
    ran.map((line) => [line]),
  )
  const expected = [
    'article de 1',
    'article fr 1',
    'articles books',
    'gross 100',
    'article de 1',
    'gross 100',
  ]
  if (removed !== 2 || JSON.stringify(ran) !== JSON.stringify(expected)) {
    console.log(`FAILED: expected ${expected.join(', ')}`)
    process.exitCode = 1
  }
  await cache.close()
} finally {
  rmSync(folder, { recursive: true, force: true })
}
