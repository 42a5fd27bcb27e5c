import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hashString } from '../build/memory/hash.js'
import { Slots } from '../build/memory/slots.js'
import { Strings } from '../build/memory/strings.js'
import { Table } from '../build/memory/table.js'

const OBJECT = { id: 1 }
/** Keys of all kinds, and such as could be taken for one another. */
const KEYS = [
  ...['', '0', '1', '-1', 'a', 'b', 'ä', '語', 'user:00000001:profile', 'user:00000002:profile'],
  ...['x'.repeat(128), 'x'.repeat(129), `${'x'.repeat(200)}a`, `${'x'.repeat(200)}b`],
  ...[0, 1, -1, 0.5, Number.NaN, Infinity, 2 ** 31, -(2 ** 31), 2 ** 53],
  ...[0n, 1n, OBJECT, { id: 1 }],
]

/** The same string in a new object, which V8 knows no hash of and has in pieces. */
function copied<K>(key: K): K {
  return (typeof key === 'string' ? key.slice(0, 1) + key.slice(1) : key) as K
}

/** Slots and a `Map` side by side. */
class Pair<K> {
  readonly slots: Slots<K, number>
  readonly model = new Map<K, number>()
  readonly #free: number[] = []
  #next = 0

  constructor(isOrdered = false, mostInMap?: number) {
    this.slots = new Slots(isOrdered, mostInMap)
  }

  set(key: K, value: number): void {
    const slot = this.slots.find(copied(key))
    if (slot === undefined) this.slots.add(copied(key), value, this.#free.pop() ?? this.#fresh())
    else this.slots.setValue(slot, value)
    this.model.set(key, value)
  }

  delete(key: K): void {
    const slot = this.slots.get(copied(key))
    if ((slot !== undefined) !== this.model.delete(key)) throw new Error(`one of both holds ${String(key)}`)
    if (slot === undefined) return
    this.slots.delete(slot)
    this.#free.push(slot)
  }

  clear(): void {
    this.slots.clear()
    this.model.clear()
    this.#free.length = 0
    this.#next = 0
  }

  valueOf(key: K): number | undefined {
    const slot = this.slots.get(copied(key))
    return slot === undefined ? undefined : this.slots.valueAt(slot)
  }

  check(keys: Iterable<K>): void {
    expect(this.slots.size).toBe(this.model.size)
    for (const key of keys) expect(this.valueOf(key)).toBe(this.model.get(key))
    const held = new Map([...this.slots.entries()].map(([key, slot]) => [key, this.slots.valueAt(slot)]))
    expect(held).toEqual(this.model)
  }

  #fresh(): number {
    if (this.#next === this.slots.room) this.slots.grow(Math.max(2, 2 * this.slots.room))
    return this.#next++
  }
}

/** As many strings as 2 to the power of `blocks`: each block has two forms, after which the state of the hash is the same. */
function stringsOfOneHash(blocks: number): string[] {
  const factor = 0x9e3779b1
  let [state, strings] = [4 * blocks, ['']]
  for (let block = 0; block < blocks; block++) {
    // Of every other character: two whose products differ in the lower half alone, which the character after next makes up for.
    const seen = new Map<number, number>()
    for (let one = 0; ; one++) {
      const product = Math.imul(state ^ one, factor)
      const other = seen.get(product >>> 16)
      seen.set(product >>> 16, one)
      if (other === undefined) continue
      const made = (product ^ Math.imul(state ^ other, factor)) & 0xffff
      const forms = [String.fromCharCode(one, 0, 0, 0), String.fromCharCode(other, 0, made, 0)]
      strings = strings.flatMap((string) => forms.map((form) => string + form))
      state = Math.imul(product, factor)
      break
    }
  }
  return strings
}

describe('the slots of keys', () => {
  const key = fc.constantFrom<unknown>(...KEYS)
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.tuple(fc.constant('set' as const), key) },
    { weight: 4, arbitrary: fc.tuple(fc.constant('get' as const), key) },
    { weight: 4, arbitrary: fc.tuple(fc.constant('delete' as const), key) },
    { weight: 1, arbitrary: fc.tuple(fc.constant('clear' as const), key) },
  )

  for (const isOrdered of [false, true]) {
    it(`are those that a Map would give, for keys of all kinds${isOrdered ? ', in its order' : ''}`, () => {
      fc.assert(
        fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
          const pair = new Pair<unknown>(isOrdered)
          for (const [at, [verb, key]] of steps.entries()) {
            if (verb === 'set') pair.set(key, at)
            else if (verb === 'delete') pair.delete(key)
            else if (verb === 'clear') pair.clear()
            else expect(pair.valueOf(key)).toBe(pair.model.get(key))
          }
          pair.check(KEYS)
          if (isOrdered) expect([...pair.slots.ordered()]).toEqual([...pair.model.keys()])
        }),
        { numRuns: 500 },
      )
    })
  }

  for (const isOrdered of [false, true]) {
    it(`are the same${isOrdered ? ', and in the same order,' : ''} where one Map has no room for all keys`, () => {
      const most = 4
      const keys = Array.from({ length: 24 }, (_, at) => (at % 2 === 0 ? BigInt(at) : at + 0.5))
      const verb = fc.constantFrom('set', 'set', 'get', 'delete')
      const steps = fc.array(fc.tuple(verb, fc.constantFrom(...keys)), { maxLength: 300 })
      fc.assert(
        fc.property(steps, (steps) => {
          const pair = new Pair<unknown>(isOrdered, most)
          for (const [at, [verb, key]] of steps.entries()) {
            const { model } = pair
            // As a cache does, whose bound is as many keys as two maps hold.
            if (verb === 'set' && !model.has(key) && model.size === 2 * most)
              pair.delete([...model.keys()][at % (2 * most)])
            if (verb === 'set') pair.set(key, at)
            else if (verb === 'delete') pair.delete(key)
            expect(pair.valueOf(key)).toBe(model.get(key))
            if (isOrdered) expect([...pair.slots.ordered()]).toEqual([...model.keys()])
          }
          pair.check(keys)
          pair.clear()
          pair.check(keys)
        }),
        { numRuns: 500 },
      )
    })
  }

  it('are empty when their keys were taken out', () => {
    for (const key of KEYS) {
      const slots = new Slots<unknown, number>(false)
      slots.grow(2)
      slots.add(key, 1, 1)
      slots.delete(1)
      expect([slots.get(key), slots.keyAt(1), slots.valueAt(1), slots.size]).toEqual([
        undefined,
        undefined,
        undefined,
        0,
      ])
    }
  })

  it('stay right while many strings and integers come and go', () => {
    const pair = new Pair<string | number>()
    const keyOf = (id: number): string | number => (id % 3 === 0 ? id : `key:${id}`)
    for (let id = 0; id < 60_000; id++) {
      pair.set(keyOf(id), id)
      if (id >= 10_000) pair.delete(keyOf((id * 7919) % 60_000 < id - 5_000 ? id - 10_000 : id - 9_999))
    }
    const keys = Array.from({ length: 60_000 }, (_, id) => keyOf(id))
    expect(keys.filter((key) => pair.valueOf(key) !== pair.model.get(key))).toEqual([])
    expect(pair.slots.size).toBe(pair.model.size)
  })

  it('are those of a Map where all keys share what they begin and end with, and others come that differ in that alone', () => {
    const pair = new Pair<string>()
    const ids = Array.from({ length: 600 }, (_, id) => String(id).padStart(8, '0'))
    const forms = [
      'user:%:profile',
      'user:%:picture',
      'post:%:profile',
      '%',
      'u%',
      '%e',
      '',
      'user:%:profile:%',
    ]
    for (const form of forms) {
      const keys = ids.map((id) => form.replaceAll('%', id))
      for (const [at, key] of keys.entries()) pair.set(key, at)
      for (const key of keys.filter((_, at) => at % 7 === 0)) pair.delete(key)
      pair.check([...keys, ...ids, `${form}${form}`])
    }
    pair.clear()
    for (const id of ids) pair.set(`${id}:user`, 1)
    pair.check(ids)
    expect(pair.slots.hashOf(`${ids[0]}:user`)).toBe(hashString(`${ids[0]}:user`))
  })

  it('of keys that differ only in what others share seldom need a Map', () => {
    const strings = new Strings()
    const cells: string[] = []
    strings.grow(20_000)
    const refused = new Set<number>()
    for (let id = 0; id < 20_000; id++) {
      const key = `tenant:${id % 40}:item:${Math.floor(id / 40)}`
      const isFirst = id < 500
      cells.push(isFirst ? `tenant:0:item:${1000 + id}` : key, 'value')
      if (!strings.add(cells[2 * id]!, id, cells)) refused.add(id)
    }
    expect(refused.size).toBeLessThan(200)
    for (let id = 0; id < 20_000; id++) {
      expect(strings.get(copied(cells[2 * id]!), cells)).toBe(refused.has(id) ? -1 : id)
    }
  })

  it('are found where somebody chose strings of one hash', () => {
    const pair = new Pair<string>()
    const alike = stringsOfOneHash(7)
    expect(new Set(alike.map(hashString)).size).toBe(1)
    expect(new Set(alike).size).toBe(128)
    for (const [at, key] of alike.entries()) pair.set(key, at)
    pair.check(alike)
    for (const key of alike.filter((_, at) => at % 2 === 0)) pair.delete(key)
    pair.set('another', 1)
    pair.check([...alike, 'another'])
    for (const key of alike) if (pair.model.has(key)) pair.delete(key)
    pair.check([...alike, 'another'])
  })
})

describe('the table of slots', () => {
  /** The slots that a look-up of a hash would compare keys of. */
  function candidates(table: Table, hash: number): number[] {
    const { words, mask, slotMask, markMask } = table
    const found: number[] = []
    for (let at = table.homeOf(hash); words[at] !== 0; at = (at + 1) & mask) {
      const word = words[at]!
      if (((word ^ table.markOf(hash)) & markMask) === 0) found.push((word & slotMask) - 1)
    }
    return found
  }

  for (const room of [300, 2 ** 24 + 1]) {
    it(`leads from each hash to its slots, many of one hash too, among ${room}`, () => {
      const table = new Table()
      const held = new Map<number, number>()
      table.grow(room)
      for (let step = 0; step < 6000; step++) {
        const slot = room - 1 - ((step * 7919) % 250)
        // A row of the same hash, behind which others stand far from their places.
        const hash = step % 3 === 0 ? 1 + (step % 2) : Math.imul(step, 0x9e3779b1) || 1
        expect(table.delete(slot)).toBe(held.delete(slot))
        if (step % 4 === 3) continue
        if (table.isFull) table.widen()
        table.fill(table.placeFor(hash, 0), hash, slot)
        held.set(slot, hash)
        if (step === 3000) table.grow(room + 1)
      }
      expect(table.size).toBe(held.size)
      expect(new Set(table.slots())).toEqual(new Set(held.keys()))
      const lost = [...held].filter(([slot, hash]) => !candidates(table, hash).includes(slot))
      expect(lost).toEqual([])
      for (const slot of held.keys()) table.delete(slot)
      expect(table.words.every((word) => word === 0)).toBe(true)
    })
  }
})
