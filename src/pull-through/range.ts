/** Positions: the whole numbers that stand for days, instants and integers in the arithmetic of coverage. */
import { type Cell, dayOf, dayText, FIRST_INSTANT, LAST_INSTANT } from '../cells.js'

export interface Positions {
  /** Milliseconds of a position; `undefined` where positions are no times. */
  readonly unit: number | undefined
  /** All positions there are: half-open. */
  readonly low: number
  readonly high: number
  /** The position of a stored value, and the other way round. */
  ofCell(cell: Cell): number
  toCell(position: number): Cell
}

const DAY_MS = 86_400_000

const itself = { ofCell: (cell: Cell) => cell as number, toCell: (position: number): Cell => position }

export const POSITIONS: Readonly<Record<'date' | 'timestamp' | 'integer', Positions>> = {
  date: {
    unit: DAY_MS,
    low: dayOf('0001-01-01'),
    high: dayOf('9999-12-31') + 1,
    ofCell: (cell) => dayOf(cell as string),
    toCell: dayText,
  },
  timestamp: { unit: 1, low: FIRST_INSTANT, high: LAST_INSTANT + 1, ...itself },
  integer: { unit: undefined, low: Number.MIN_SAFE_INTEGER, high: Number.MAX_SAFE_INTEGER + 1, ...itself },
}
