/** What `console.log` and `util.inspect` show of a cache: its private parts are not for people. */
type Inspect = (value: unknown, options: object) => string

/** The method that `util.inspect` looks for. */
export const INSPECT = Symbol.for('nodejs.util.inspect.custom')

/** Its facts behind the name of its class. */
export function shown(self: object, facts: object, options: object, inspect: Inspect): string {
  return `${self.constructor.name} ${inspect(facts, options)}`
}

export type { Inspect }
