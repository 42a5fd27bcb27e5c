/** Values that must pass a Standard Schema (https://standardschema.dev, version 1): zod, valibot, arktype and others. */
import { makeError } from '../errors.js'
import { describe, isUnreadable } from '../refusal.js'

/** Any validator of the Standard Schema. */
export interface AnySchema {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    // biome-ignore lint/suspicious/noExplicitAny: results are of the validator's own types
    readonly validate: (value: unknown) => any
  }
}

interface Result {
  issues?: readonly { message: string }[] | undefined
}

/** Objects that passed: a live value is not checked again for each hit. */
const passed = new WeakMap<AnySchema, WeakSet<object>>()

/** @throws InvalidOptionError `E_INVALID_OPTION` */
export function parseSchema(schema: unknown): AnySchema {
  const standard = isUnreadable(schema) ? undefined : (schema as AnySchema | null)?.['~standard']
  if (!isUnreadable(standard) && typeof standard?.validate === 'function') return schema as AnySchema
  throw makeError(
    'E_INVALID_OPTION',
    `schema is ${describe(schema)}; accepted is a validator of the Standard Schema, as those of zod 3.24, valibot 1 or arktype 2 are.`,
    { name: 'schema' },
  )
}

/** What is wrong with a value; `undefined` where nothing is. A promise where the validator is asynchronous. */
export function issuesOf(
  schema: AnySchema,
  value: unknown,
): string | undefined | Promise<string | undefined> {
  if (typeof value === 'object' && value !== null && passed.get(schema)?.has(value)) return undefined
  const result = schema['~standard'].validate(value) as Result | Promise<Result>
  if (result instanceof Promise) return result.then((later) => noted(schema, value, later))
  return noted(schema, value, result)
}

function noted(schema: AnySchema, value: unknown, { issues }: Result): string | undefined {
  if (issues !== undefined) return issues.map(({ message }) => message).join('; ') || 'it does not pass'
  if (typeof value === 'object' && value !== null) {
    const known = passed.get(schema) ?? new WeakSet()
    passed.set(schema, known.add(value))
  }
  return undefined
}
