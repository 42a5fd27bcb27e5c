/** Columns, rows and parameters of JavaScript as columns of the native side. */
import type { NumberArray } from '../arrays.js'
import { makeError } from '../errors.js'
import { describe, Refusal } from '../refusal.js'
import { at, type Built, build, isRecord, typed } from './column.js'
import type { Wire } from './columnar.js'
import { type Field, field, type Schema } from './schema.js'

/** Columns of one length by name. */
export function columnsWire(columns: Record<string, readonly unknown[] | NumberArray>): Wire {
  const names = Object.keys(columns)
  const rows = names.length === 0 ? 0 : columns[names[0]!]!.length
  const built = names.map((name) => {
    const values = columns[name]!
    if (values.length !== rows) {
      const other = `${rows} in ${JSON.stringify(names[0])}`
      throw Refusal.at(
        new Refusal(`${values.length} values long, ${other}`, 'Give columns of one length.'),
        columns,
        `[${JSON.stringify(name)}]`,
      )
    }
    return at(columns, `[${JSON.stringify(name)}]`, () =>
      Array.isArray(values) ? build(values) : typed(values as NumberArray),
    )
  })
  return assembled(names, built, rows)
}

/** Rows as objects; a row may lack columns. */
export function rowsWire(rows: readonly Record<string, unknown>[]): Wire {
  const names = new Set<string>()
  for (const [index, row] of rows.entries()) {
    if (!isRecord(row))
      throw Refusal.at(new Refusal(describe(row), 'Give plain objects.'), rows as object, `[${index}]`)
    for (const name in row) names.add(name)
  }
  const built = [...names].map((name) =>
    build(
      rows.map((row) => row[name]),
      (index) => `[${index}][${JSON.stringify(name)}]`,
    ),
  )
  return assembled([...names], built, rows.length)
}

/** The parameters of a statement as one row. Whole numbers are integers here, since nothing comes later. */
export function parametersWire(given: readonly unknown[] | Record<string, unknown>): Wire | undefined {
  const entries = Array.isArray(given)
    ? given.map((value, index) => [String(index + 1), value] as const)
    : Object.entries(given)
  if (entries.length === 0) return undefined
  const built = entries.map(([name, value]) => at(given, `[${JSON.stringify(name)}]`, () => parameter(value)))
  return assembled(
    entries.map(([name]) => name),
    built,
    1,
  )
}

/** Values as one column. */
export function valuesWire(values: readonly unknown[]): Wire {
  return assembled(['value'], [build(values)], values.length)
}

function parameter(value: unknown): Built {
  if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
    const small = (value as number) === ((value as number) | 0)
    return typed(small ? Int32Array.of(value as number) : BigInt64Array.of(BigInt(value as number)))
  }
  return build([value])
}

/** The wire of named columns. */
export function assembled(
  names: readonly string[],
  built: readonly Built[],
  rows: number,
  fields?: Field[],
): Wire {
  const schema: Schema = {
    fields: fields ?? names.map((name, index) => field(name, built[index]!.type)),
    metadata: {},
  }
  return {
    schema: JSON.stringify(schema),
    rows,
    lengths: built.flatMap((column) => column.lengths),
    buffers: built.flatMap((column) => column.buffers),
  }
}

/** Runs what makes columns of values; a value that fits into none is named. */
export function asWire<T>(what: string, run: () => T): T {
  try {
    return run()
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    const { path, message } = error.explain(what)
    throw makeError('E_UNSERIALIZABLE', `Cannot store this: ${message}`, { path }, error.options.cause)
  }
}
