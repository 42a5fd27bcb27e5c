/** `query`: SQL over the metadata of a cache. */
import { types } from 'node:util'
import { type Cell, decoderOf } from './cells.js'
import { makeError } from './errors.js'
import { describe, isList } from './refusal.js'
import type { Answer } from './tiers/answer.js'
import type { TierStack } from './tiers/stack.js'

/** What may be bound to a parameter. A `Date` is compared with timestamps; a day is text. */
export type SqlValue = string | number | bigint | boolean | Date | null

/** Runs `query`. Errors as `Cache.query`. */
export async function query(tiers: TierStack, sql: string, params: readonly unknown[]): Promise<object[]> {
  if (typeof sql !== 'string') throw invalid(`sql is ${describe(sql)}: give the text of one query`)
  if (!isList(params)) throw invalid(`params is ${describe(params)}: give an array of values`)
  const answer = tiers.query(sql, params.map(bound))
  return rowsOf(answer instanceof Promise ? await answer : answer)
}

/** Rows by column; columns of declared tables have their values, what is computed its stored form. */
function rowsOf({ columns, rows, cells }: Answer): object[] {
  const known = columns.map(({ name, type }) => [name, type && decoderOf(type)] as const)
  return Array.from({ length: rows }, (_, row) => {
    const made: Record<string, unknown> = {}
    let at = row * known.length
    for (const [name, decoder] of known) {
      const cell = cells[at++] as Cell
      const value = cell === null || decoder === undefined ? cell : decoder(cell)
      if (name === '__proto__')
        Object.defineProperty(made, name, { value, enumerable: true, configurable: true, writable: true })
      else made[name] = value
    }
    return made
  })
}

const I64 = 2n ** 63n

function bound(value: unknown, index: number): Cell | bigint {
  switch (typeof value) {
    case 'string':
      if (value.isWellFormed()) return value
      break
    case 'number':
      if (!Number.isNaN(value)) return value
      break
    case 'boolean':
      return value ? 1 : 0
    case 'bigint':
      if (value >= -I64 && value < I64) return value
      break
    default: {
      if (value === null) return null
      const ms = types.isDate(value) ? value.getTime() : Number.NaN
      if (!Number.isNaN(ms)) return ms
    }
  }
  const accepted = 'text, a number, a bigint of 64 bits, a boolean, a Date or null'
  throw invalid(`params[${index}] is ${describe(value)}: give ${accepted}`)
}

function invalid(message: string): Error {
  return makeError('E_INVALID_OPTION', `${message}.`, { name: 'query' })
}
