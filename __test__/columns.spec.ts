import {
  boolean,
  type Column,
  date,
  double,
  integer,
  json,
  type Row,
  type RowInput,
  text,
  timestamp,
} from 'tierce'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { fromCell, toCell } from '../build/cells.js'
import { checkColumns } from '../build/columns.js'
import { failure } from './helpers/errors.js'

const columns = {
  symbol: text().primaryKey(),
  day: date().primaryKey(),
  close: double(),
  volume: integer().notNull(),
  halted: boolean(),
  at: timestamp().index(),
  notes: json().unique(),
}

describe('the column vocabulary', () => {
  it('types_of_rows_are_inferred_from_the_columns', () => {
    expectTypeOf<Row<typeof columns>>().toEqualTypeOf<{
      symbol: string
      day: string
      close: number | null
      volume: number
      halted: boolean | null
      at: Date | null
      notes: unknown
    }>()
    const least: RowInput<typeof columns> = { symbol: 'A', day: new Date(0), volume: 1n }
    expect(least.close).toBeUndefined()
    // @ts-expect-error a part of the primary key is not optional
    const missing: RowInput<typeof columns> = { symbol: 'A', volume: 1 }
    expect(missing.volume).toBe(1)
  })

  it('a_column_is_immutable_and_a_primary_key_is_not_null', () => {
    const plain = text()
    expect(plain.primaryKey()).toMatchObject({
      type: 'text',
      isPrimaryKey: true,
      isNotNull: true,
      isUnique: false,
    })
    expect(plain.unique().index()).toMatchObject({ isUnique: true, isIndexed: true, isNotNull: false })
    expect(plain).toMatchObject({ isPrimaryKey: false, isNotNull: false })
    expect(() => Object.assign(plain, { type: 'json' })).toThrow(TypeError)
  })

  it('columns_that_no_table_can_have_are_refused', async () => {
    for (const bad of [
      {},
      null,
      { id: 'text' },
      { '': text() },
      { ['x'.repeat(64)]: text() },
      { 'a\0': text() },
      { a: text(), A: text() },
    ]) {
      expect(await failure(() => checkColumns(bad as never, 'table'))).toMatchObject({
        code: 'E_INVALID_OPTION',
      })
    }
    expect(() => checkColumns({ 'a"b; DROP TABLE x': text(), 'größe-1': double() }, 'table')).not.toThrow()
  })
})

const at = new Date('2024-01-31T09:30:00.125Z')
const GOOD: [Column, unknown, unknown, unknown?][] = [
  [text(), 'é', 'é'],
  [text(), '', ''],
  [integer(), -0, 0],
  [integer(), 9007199254740991n, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  [double(), Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY],
  [boolean(), false, 0],
  [date(), '2024-02-29', '2024-02-29'],
  [date(), new Date('2024-02-29'), '2024-02-29', '2024-02-29'],
  [date(), '0001-01-01', '0001-01-01'],
  [timestamp(), at, at.getTime()],
  [timestamp(), '2024-01-31T10:30:00.125000+01:00', at.getTime(), at],
  [timestamp(), new Date(-1), -1],
  [json(), { a: [1, null, 'x'] }, '{"a":[1,null,"x"]}'],
  [double(), undefined, null, null],
]

const BAD: [Column, unknown][] = [
  [text(), 1],
  [text(), 'half \ud800'],
  [text(), 'a\0b'],
  [integer(), 1.5],
  [integer(), 2 ** 53],
  [integer(), 2n ** 60n],
  [integer(), '7'],
  [double(), Number.NaN],
  [double(), '1.5'],
  [boolean(), 1],
  [date(), '2024-02-30'],
  [date(), '2024-1-1'],
  [date(), '0000-01-01'],
  [date(), at],
  [date(), new Date(Number.NaN)],
  [date(), 19_000],
  [timestamp(), 1_700_000_000_000],
  [timestamp(), '2024-01-31T09:30:00'],
  [timestamp(), '2024-01-31'],
  [timestamp(), '2024-01-31T09:30:00.000001Z'],
  [timestamp(), '2024-02-30T00:00:00Z'],
  [timestamp(), '2024-01-31T09:61:00Z'],
  [timestamp(), new Date(8e15)],
  [json(), { a: undefined }],
  [json(), { a: new Date() }],
  [json(), 10n],
  [text().notNull(), null],
  [text().primaryKey(), undefined],
]

describe('stored forms', () => {
  it.each(GOOD)('%o of %o', (column, value, cell, back = value) => {
    const stored = toCell(column, value)
    expect(stored).toBe(cell)
    expect(fromCell(column.type, stored)).toEqual(Object.is(back, -0) ? 0 : back)
  })

  it.each(BAD)('%o does not hold %o', (column, value) => {
    expect(() => toCell(column, value)).toThrow(
      expect.objectContaining({ advice: expect.stringMatching(/\S/) }),
    )
  })
})
