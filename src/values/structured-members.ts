/** What an object or an array consists of, and whether that is all of it. */
import { types } from 'node:util'
import { hiddenMembers, Refusal } from '../refusal.js'

export const ADVICE = 'Give plain data, or teach the cache a kind for the whole value with defineHandler.'
const FEW_ITEMS = 3

/** Whether every object has names that are not its own. */
export function isPolluted(): boolean {
  for (const _ in Object.prototype) return true
  return false
}

/** The items of an array that has neither holes nor other properties. */
export function membersOf(value: readonly unknown[]): readonly unknown[] | undefined {
  // As many members as items and no undefined among those means no hole and nothing else, and is far cheaper than to look at
  // the names; of which a few are cheaper than a copy of the items.
  const { length } = value
  const members = length > FEW_ITEMS ? Object.values(value) : value
  const count = length > FEW_ITEMS ? members.length : Object.keys(value).length
  if (count === length && !hasUndefined(members)) return members
  return isDense(value, Object.keys(value)) ? members : undefined
}

/** The same for an array of numbers: undefined where it is another or has something else. */
export function numbersOf(value: readonly unknown[]): readonly unknown[] | undefined {
  const { length } = value
  const first = value[0] as number
  // A copy of integers is cheaper than names, which are cheaper than a copy of other numbers.
  const items = length > FEW_ITEMS && (first | 0) === first ? Object.values(value) : value
  return (items === value ? Object.keys(value) : items).length === length ? items : undefined
}

function hasUndefined(members: readonly unknown[]): boolean {
  if (members.length > FEW_ITEMS) return members.includes(undefined)
  for (let i = 0; i < members.length; i++) if (members[i] === undefined) return true
  return false
}

function isDense({ length }: readonly unknown[], names: readonly string[]): boolean {
  return names.length === length && (length === 0 || names[length - 1] === String(length - 1))
}

export function isIndex(name: string): boolean {
  const index = Number(name)
  return index >= 0 && index < 2 ** 32 - 1 && Number.isInteger(index) && String(index) === name
}

export function refuseSymbols(value: object): void {
  const symbols = Object.getOwnPropertySymbols(value)
  if (symbols.length === 0) return
  if (types.isArgumentsObject(value)) {
    throw new Refusal(
      'the arguments of a function, which would become a plain object',
      'Give a copy: [...arguments].',
    )
  }
  if (symbols.some((symbol) => Object.prototype.propertyIsEnumerable.call(value, symbol))) {
    throw new Refusal('an object with a symbol as a property name, which would be lost', ADVICE)
  }
  const hidden = hiddenMembers(value, symbols)
  if (hidden !== undefined) throw new Refusal(hidden, ADVICE)
}

/** Whether one of these has a symbol for a name: asked of a copy of all of them. */
export function haveSymbols(objects: readonly object[]): boolean {
  const all: object = Object.assign(Object.create(null), ...objects)
  return Object.getOwnPropertySymbols(all).length > 0
}
