/** What was read by columns, as rows again. */
import { ANYTHING, arrayOf } from './structured-arrays.js'

export interface ReadShape {
  names: string[]
  /** Whether a name is also one of Object.prototype (`__proto__`, `toString`): assigning might reach a setter there. */
  risky: boolean
}

/** Defined and not assigned: the name may be that of a setter on a prototype. */
export function define(object: object, name: string, value: unknown, enumerable: boolean): void {
  Object.defineProperty(object, name, { value, enumerable, configurable: true, writable: true })
}

/** Objects of these names, of which each has its column. */
export function objectsOf({ names, risky }: ReadShape, columns: readonly unknown[][]): object[] {
  const { length } = columns[0] as unknown[]
  const objects = arrayOf(ANYTHING, length) as object[]
  for (let i = 0; i < length; i++) {
    const object: Record<string, unknown> = {}
    for (let at = 0; at < names.length; at++) {
      const name = names[at] as string
      const item = (columns[at] as unknown[])[i]
      if (risky) define(object, name, item, true)
      else object[name] = item
    }
    objects[i] = object
  }
  return objects
}

/** Arrays of an item of each column. */
export function arraysOf(columns: readonly unknown[][]): unknown[][] {
  const [first, second] = columns as [unknown[], unknown[]]
  const arrays = arrayOf(ANYTHING, first.length) as unknown[][]
  for (let i = 0; i < first.length; i++) {
    if (columns.length === 2) {
      arrays[i] = [first[i], second[i]]
      continue
    }
    const array = arrayOf(ANYTHING, columns.length)
    for (let at = 0; at < columns.length; at++) array[at] = (columns[at] as unknown[])[i]
    arrays[i] = array
  }
  return arrays
}
