/**
 * A member of an object, for use in `for…in`. A function of its own: where the loop reads it, V8 13 and 14 forget what other names
 * were read there, take the next for the only one, and make and drop code without end (three times the time, or more).
 */
export function memberOf(object: object, name: string): unknown {
  return (object as Record<string, unknown>)[name]
}
