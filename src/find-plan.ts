/** Statements of `find` that were made before: most programs ask the same few questions, each with other values. */
import type { Cell } from './cells.js'
import type { Column, Columns } from './columns.js'
import {
  COMPARE,
  type FindOptions,
  type Search,
  type Statement,
  searchOf,
  statementOf,
} from './find-search.js'
import { cellOf } from './meta.js'
import { isUnreadable } from './refusal.js'
import { memberOf } from './values/member.js'

/** Questions of a table that are kept. */
const KEPT = 16

/** One comparison: a column's name and the operator's, or no operator for a value that stands for itself. */
interface Step {
  name: string
  operator: string | undefined
  column: Column
}

/** A question whose answer is asked with nothing but comparisons with values that are not null. */
interface Plan {
  table: string
  steps: readonly Step[]
  sql: string
}

const plans = new WeakMap<Columns, Plan[]>()

/** As `statementOf(searchOf(...))`, and with its errors. */
export function plannedStatement(table: string, columns: Columns, options: FindOptions<Columns>): Statement {
  const where = plainWhere(options)
  if (where === undefined) return statementOf(searchOf(table, columns, options))
  const known = plans.get(columns) ?? []
  for (const plan of known) {
    const params = plan.table === table ? paramsOf(plan, where) : undefined
    if (params !== undefined) return { sql: plan.sql, params }
  }
  const search = searchOf(table, columns, options)
  const statement = statementOf(search)
  const steps = stepsOf(search, where)
  if (steps !== undefined)
    plans.set(columns, [{ table, steps, sql: statement.sql }, ...known.slice(0, KEPT - 1)])
  return statement
}

/** What is asked for where that is all there is, in an object literal. */
function plainWhere(options: FindOptions<Columns>): object | undefined {
  if (!isLiteral(options)) return undefined
  for (const name in options) if (name !== 'where' && name !== 'values') return undefined
  const { where } = options
  return isLiteral(where) ? where : undefined
}

function isLiteral(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || isUnreadable(value)) return false
  return Object.getPrototypeOf(value) === Object.prototype
}

const isValue = (value: unknown): boolean => typeof value !== 'object' && value !== undefined

/** The parameters, in the order of the steps; undefined where another question is asked. */
function paramsOf({ table, steps }: Plan, where: object): Cell[] | undefined {
  const params: Cell[] = []
  let at = 0
  for (const name in where) {
    const compared = memberOf(where, name)
    if (isValue(compared)) {
      const step = steps[at++]
      if (step?.name !== name || step.operator !== undefined) return undefined
      params.push(cellOf(step.column, compared, table, name))
    } else if (isLiteral(compared)) {
      for (const operator in compared) {
        const value = memberOf(compared, operator)
        const step = steps[at++]
        if (step?.name !== name || step.operator !== operator || !isValue(value)) return undefined
        params.push(cellOf(step.column, value, table, name))
      }
    } else return undefined
  }
  return at === steps.length ? params : undefined
}

/** The steps of what was asked, if each is one of the conditions that came of it. */
function stepsOf({ columns, conditions }: Search, where: object): Step[] | undefined {
  const steps: Step[] = []
  for (const [name, compared] of Object.entries(where)) {
    const operators = isValue(compared) ? [undefined] : isLiteral(compared) ? Object.keys(compared) : []
    for (const operator of operators) steps.push({ name, operator, column: columns[name] as Column })
  }
  const isSame = (step: Step, at: number): boolean => {
    const condition = conditions[at]
    const sign = step.operator === undefined ? '=' : COMPARE[step.operator as keyof typeof COMPARE]
    return condition?.name === step.name && condition.operator === sign && condition.cells.length === 1
  }
  const isAll = steps.length > 0 && steps.length === conditions.length && steps.every(isSame)
  return isAll ? steps : undefined
}
