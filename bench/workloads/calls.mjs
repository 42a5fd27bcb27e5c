import { callContenders, keyContenders } from '../contenders/calls.mjs'
import { keysFor } from '../lib/data.mjs'
import { measure } from '../lib/measure.mjs'
import { zipf } from '../lib/random.mjs'

const KEYS = 1000

/** Warm hits: each call is awaited, as a program would. */
async function hit({ contender, scale }) {
  const call = await callContenders[contender]()
  const keys = keysFor(KEYS)
  for (const key of [...keys, ...keys]) {
    const value = await call(key)
    if (value.key !== key) throw new Error(`${contender}: the value of another key`)
  }
  const order = zipf(KEYS, 1, 1_000_000 * scale, 1)
  const run = async (steps) => {
    for (let at = 0; at < steps; at += 1) await call(keys[order[at]])
  }
  await run(order.length / 5)
  return { hit: { ...(await measure(() => run(order.length))), ops: order.length } }
}

/** The key of an object of five fields, a new one each time. */
async function key({ contender, scale }) {
  const make = await keyContenders[contender]()
  const count = 400_000 * scale
  const objectOf = (at) => ({
    model: 'xgboost',
    version: '1.0',
    depth: at & 7,
    seed: at,
    data: `set ${at & 63}`,
  })
  let length = 0
  const run = async (steps) => {
    for (let at = 0; at < steps; at += 1) length += make(objectOf(at)).length
  }
  await run(count / 5)
  const result = { key: { ...(await measure(() => run(count))), ops: count } }
  if (length === 0) throw new Error('no keys')
  return result
}

export const workloads = [
  {
    id: 'calls-hit',
    group: 'calls',
    contenders: Object.keys(callContenders),
    run: hit,
    rows: { hit: 'a wrapped function, warm hit, awaited' },
  },
  {
    id: 'calls-key',
    group: 'calls',
    contenders: Object.keys(keyContenders),
    run: key,
    rows: { key: 'key of an object of five fields' },
  },
]
