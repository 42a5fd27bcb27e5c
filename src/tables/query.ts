/** Queries, whose results come in the form that is asked for. */
import { randomUUID } from 'node:crypto'
import { promises as fs } from 'node:fs'
import { makeError } from '../errors.js'
import { invalid, positiveInteger } from '../options.js'
import { type NativeResult, native, type Wire } from './columnar.js'
import type { Connection } from './database.js'
import { type ColumnValues, toCells, toColumns, toRows } from './decode.js'
import { arrowOf, polarsOf } from './frames.js'
import type { QueryOptions } from './interrupt.js'

/** Values for the parameters of a statement: in order, or by name. They are bound, never put into the text. */
export type Parameters = readonly unknown[] | Record<string, unknown>
/** A text as it stands in SQL, where no parameter can. */
export const literal = (text: string) => `'${text.replaceAll("'", "''")}'`
/** Rows of a batch, unless something else is asked for. */
const BATCH = 65_536
/** That the native side can be asked for at once. */
const MOST = 2 ** 32 - 1

/** A statement that has not run yet. Each form of the result that is asked for runs it. */
export class Query<Row = Record<string, unknown>> implements PromiseLike<Row[]>, AsyncIterable<Row> {
  readonly #connection: Connection
  readonly #parameters: Wire | undefined
  readonly #options: QueryOptions

  /** @internal */
  constructor(
    connection: Connection,
    /** Its text. */
    readonly sql: string,
    parameters: Wire | undefined,
    options: QueryOptions,
  ) {
    this.#connection = connection
    this.#parameters = parameters
    this.#options = options
  }

  /** @internal As rows for a table. */
  source(): { sql: string; parameters?: Wire } {
    return this.#parameters === undefined
      ? { sql: this.sql }
      : { sql: this.sql, parameters: this.#parameters }
  }

  #result(): Promise<NativeResult> {
    return this.#connection.execute(this.sql, this.#parameters, this.#options)
  }

  async #wire(): Promise<Wire> {
    const result = await this.#result()
    return native(() => result.columns())
  }

  /** Runs it for its effect. Gives how many rows it inserted, changed or removed. */
  async run(): Promise<number> {
    return (await this.#result()).changed()
  }

  /** Objects. */
  async rows(): Promise<Row[]> {
    return toRows(await this.#wire()) as Row[]
  }

  /** Columns by name: typed arrays of numbers and times, without copies; arrays where there are nulls, and of all else. */
  async columns(): Promise<Record<string, ColumnValues>> {
    return toColumns(await this.#wire())
  }

  /** @internal The cells of rows, by column. */
  async cells(): Promise<ReturnType<typeof toCells> & { rows: number }> {
    const wire = await this.#wire()
    return { ...toCells(wire), rows: wire.rows }
  }

  /** A stream of Arrow's IPC format. */
  async ipc(): Promise<Buffer> {
    const result = await this.#result()
    return native(() => result.ipc())
  }

  /** A table of the package `apache-arrow`, which has to be installed. */
  async arrow(): Promise<unknown> {
    return arrowOf(await this.ipc())
  }

  /** A frame of the package `nodejs-polars`, which has to be installed. */
  async polars(): Promise<unknown> {
    return polarsOf(await this.ipc())
  }

  /**
   * Writes a Parquet file, which is there as a whole or not at all. Gives the number of rows.
   * @throws InvalidOptionError `E_INVALID_OPTION`: it is no path; UnavailableError `E_UNAVAILABLE`: no file can be there; errors of the statement
   */
  async parquet(file: string): Promise<number> {
    if (typeof file !== 'string' || file === '' || file.includes('\0'))
      throw invalid('file', file, 'the path of the file to write')
    // Two that write one file at once must not meet before each is whole.
    const temporary = `${file}.${randomUUID()}.tmp`
    const sql = `COPY (${this.sql.replace(/[\s;]+$/, '')}\n) TO ${literal(temporary)} (FORMAT parquet, COMPRESSION lz4_raw)`
    try {
      const result = await this.#connection.execute(sql, this.#parameters, this.#options)
      await fs.rename(temporary, file).catch((error) => {
        throw makeError(
          'E_UNAVAILABLE',
          `There can be no file ${file}: ${error.code}.`,
          { path: file },
          error,
        )
      })
      return result.changed()
    } catch (error) {
      await fs.rm(temporary, { force: true })
      throw error
    }
  }

  /** Columns, some rows at a time, computed while they are read. */
  async *batches(rows: number = BATCH): AsyncGenerator<Record<string, ColumnValues>> {
    for await (const wire of this.#batches(rows)) yield toColumns(wire)
  }

  async *#batches(rows: number): AsyncGenerator<Wire> {
    const most = Math.min(positiveInteger(rows, 'rows'), MOST)
    for await (const result of this.#connection.stream(this.sql, this.#parameters, this.#options, most)) {
      const wire = await native(() => result.columns())
      if (wire.rows === 0) return
      yield wire
    }
  }

  /** Rows one by one, computed while they are read. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Row> {
    for await (const wire of this.#batches(BATCH)) yield* toRows(wire) as Row[]
  }

  // biome-ignore lint/suspicious/noThenProperty: awaiting a query is running it
  then<A = Row[], B = never>(
    done?: ((rows: Row[]) => A | PromiseLike<A>) | null,
    failed?: ((error: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.rows().then(done, failed)
  }
}
