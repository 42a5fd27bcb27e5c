// A store of experiments: each result is kept with what is known about it, and found again by that.
//
//   node examples/experiments.mjs
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { boolean, Cache, ConstraintError, date, double, integer, json, text, timestamp } from 'tierce'
import { kysely } from 'tierce/kysely'
import { printTable } from './lib/terminal.mjs'

const home = mkdtempSync(join(tmpdir(), 'tierce-experiments-'))
const meta = {
  experiments: {
    name: text().unique().notNull(),
    model: text().notNull().index(),
    accuracy: double().index(),
    depth: integer(),
    isPublished: boolean(),
    day: date().index(),
    finishedAt: timestamp(),
    parameters: json(),
  },
}

/** Fits `depth` rounds of a line through noisy points, which is all the training that an example needs. */
function train(depth, rate) {
  const points = Array.from({ length: 200 }, (_, i) => [i / 200, 3 * (i / 200) + Math.sin(i * 12.9898) / 4])
  let [slope, offset] = [0, 0]
  for (let round = 0; round < depth * 50; round++) {
    for (const [x, y] of points) {
      const error = slope * x + offset - y
      slope -= rate * error * x
      offset -= rate * error
    }
  }
  const spread = points.reduce((sum, [x, y]) => sum + (slope * x + offset - y) ** 2, 0) / points.length
  return { weights: Float64Array.of(slope, offset), accuracy: 1 / (1 + spread) }
}

try {
  const cache = new Cache({ dir: join(home, 'cache'), meta })
  let trained = 0
  for (const model of ['line', 'slow-line']) {
    for (const depth of [1, 2, 4, 8]) {
      const rate = model === 'line' ? 0.01 : 0.0005
      const { weights, accuracy } = train(depth, rate)
      trained += 1
      const experiments = {
        name: `${model} ${depth}`,
        model,
        accuracy,
        depth,
        isPublished: depth === 8,
        day: `2024-03-${String(10 + trained).padStart(2, '0')}`,
        finishedAt: new Date(Date.UTC(2024, 2, 10 + trained, 12)),
        parameters: { rate, rounds: depth * 50 },
      }
      // The key says what was computed; what it turned out to be is metadata.
      await cache.set({ model, depth, rate }, weights, { meta: { experiments }, tags: [model] })
    }
  }

  console.log('The best three:')
  const best = await cache.find('experiments', { orderBy: { accuracy: 'desc' }, limit: 3, values: true })
  printTable(
    ['name', 'accuracy', 'slope', 'finished'],
    best.map(({ meta: { name, accuracy, finishedAt }, value }) => [
      name,
      accuracy.toFixed(4),
      value[0].toFixed(3),
      finishedAt.toISOString().slice(0, 10),
    ]),
  )
  if (best.length !== 3 || best[0].meta.model !== 'line') throw new Error('the best is another one')
  if (!((await cache.get(best[0].key)) instanceof Float64Array)) throw new Error('its key does not find it')

  // SQL, typed by the declaration.
  const db = kysely(cache)
  const models = await db
    .selectFrom('experiments')
    .select(['model', ({ fn }) => fn.max('accuracy').as('best'), sql`count(*)`.as('runs')])
    .where('day', '>=', '2024-03-12')
    .groupBy('model')
    .orderBy('best', 'desc')
    .execute()
  console.log('\nSince March 12th:')
  printTable(
    ['model', 'best', 'runs'],
    models.map(({ model, best, runs }) => [model, best.toFixed(4), runs]),
  )
  if (models.map(({ runs }) => runs).join() !== '3,4') throw new Error('the counts are wrong')

  // A name is unique: a second experiment of that name is refused, and nothing of it is stored.
  const twice = await cache
    .set('copy', 1, { meta: { experiments: { name: 'line 8', model: 'copy' } } })
    .catch((error) => error)
  if (!(twice instanceof ConstraintError) || (await cache.has('copy')))
    throw new Error('the name was taken twice')
  console.log(`\nRefused: ${twice.message}`)

  // What goes takes its metadata along.
  await cache.invalidateTags('slow-line')
  const left = await cache.find('experiments', { where: { isPublished: true } })
  if (left.map(({ meta: { name } }) => name).join() !== 'line 8')
    throw new Error('metadata outlived its entries')
  await cache.close()
} finally {
  rmSync(home, { recursive: true, force: true })
}
