/** `find` without a database: every entry is looked at, and compared as SQLite would. */
import type { Cell } from './cells.js'
import type { Condition, Search } from './find-search.js'
import type { DiskTier } from './tiers/disk.js'
import { decodeExtras } from './tiers/extras.js'

/** Entries that are looked at at once. */
const PAGE = 1000

/** A row as it is stored; what it lacks is null. */
type Stored = Readonly<Record<string, Cell>>

/** The keys and cells of what a search finds, row by row, as the answer to its statement has them. */
export async function scanFor(disk: DiskTier, search: Search): Promise<{ cells: Cell[]; rows: number }> {
  const found: { text: string; row: Stored }[] = []
  let cursor: Buffer | undefined
  do {
    const page = await disk.page({
      cursor,
      after: undefined,
      limit: PAGE,
      prefixes: undefined,
      expiring: false,
    })
    for (const { text, extras } of page.entries) {
      const rows = extras === undefined ? undefined : decodeExtras(extras).meta
      if (rows === undefined || !Object.hasOwn(rows, search.table)) continue
      const row = rows[search.table]!
      if (search.conditions.every((condition) => holds(condition, cellOf(row, condition.name))))
        found.push({ text, row })
    }
    cursor = page.next
  } while (cursor !== undefined)
  if (search.order.length > 0) found.sort((a, b) => ordered(search, a.row, b.row))
  const end = search.limit === undefined ? undefined : search.offset + search.limit
  const chosen = found.slice(search.offset, end)
  const names = Object.keys(search.columns)
  return {
    rows: chosen.length,
    cells: chosen.flatMap(({ text, row }) => [text, ...names.map((name) => cellOf(row, name))]),
  }
}

function cellOf(row: Stored, name: string): Cell {
  return Object.hasOwn(row, name) ? row[name]! : null
}

/** Null answers to its own conditions alone. */
function holds({ operator, cells }: Condition, cell: Cell): boolean {
  if (operator === 'IS NULL') return cell === null
  if (operator === 'NOT IN' && cells.length === 0) return true
  if (cell === null) return false
  const [first = null, second = null] = cells
  switch (operator) {
    case 'IS NOT NULL':
      return true
    case 'IN':
      return cells.some((other) => compare(cell, other) === 0)
    case 'NOT IN':
      return cells.every((other) => compare(cell, other) !== 0)
    case 'BETWEEN':
      return compare(cell, first) >= 0 && compare(cell, second) <= 0
    case 'LIKE':
      return isLike(String(cell), String(first))
    case '=':
      return compare(cell, first) === 0
    case '<>':
      return compare(cell, first) !== 0
    case '<':
      return compare(cell, first) < 0
    case '<=':
      return compare(cell, first) <= 0
    case '>':
      return compare(cell, first) > 0
    case '>=':
      return compare(cell, first) >= 0
  }
}

function ordered({ order }: Search, a: Stored, b: Stored): number {
  for (const { name, isDown } of order) {
    const sign = compare(cellOf(a, name), cellOf(b, name))
    if (sign !== 0) return isDown ? -sign : sign
  }
  return 0
}

/** SQLite's order: null, numbers, text by its bytes in UTF-8. */
function compare(a: Cell, b: Cell): number {
  if (typeof a === 'string' && typeof b === 'string') {
    return a === b ? 0 : Buffer.compare(Buffer.from(a), Buffer.from(b))
  }
  const rank = (cell: Cell) => (cell === null ? 0 : typeof cell === 'number' ? 1 : 2)
  if (typeof a === 'number' && typeof b === 'number') return a < b ? -1 : a > b ? 1 : 0
  return rank(a) - rank(b)
}

/** `%` is any characters, `_` one; letters of ASCII are the same in either case. */
function isLike(text: string, pattern: string): boolean {
  const [chars, wanted] = [folded(text), folded(pattern)]
  let [at, next] = [0, 0]
  // Where the last `%` stood, and up to where it reaches: only that one is ever tried again.
  let [star, reached] = [-1, 0]
  while (at < chars.length) {
    if (wanted[next] === '%') {
      star = next++
      reached = at
    } else if (next < wanted.length && (wanted[next] === '_' || wanted[next] === chars[at])) {
      at++
      next++
    } else if (star >= 0) {
      next = star + 1
      at = ++reached
    } else return false
  }
  while (wanted[next] === '%') next++
  return next === wanted.length
}

function folded(text: string): string[] {
  return [...text.replace(/[A-Z]/g, (letter) => letter.toLowerCase())]
}
