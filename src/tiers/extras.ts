/**
 * What an entry may carry beside its value, as it crosses to the addon and lies on disk: `crates/tierce/src/disk/extras.rs` has
 * the layout.
 */
import type { Cell } from '../cells.js'

/** Rows of custom metadata, with their columns in stored form. */
export type MetaCells = Readonly<Record<string, Readonly<Record<string, Cell>>>>

/** Tags, a description, rows of metadata: checked. */
export interface Extras {
  tags: readonly string[]
  description: string | undefined
  meta: MetaCells | undefined
}

const NO_DESCRIPTION = 0xffffffff
const TYPE = { null: 0, integer: 1, real: 2, text: 3 } as const

/** UTF-8 takes at most this many bytes for a UTF-16 code unit. */
const UTF8_MAX = 3

/** The body. */
export function encodeExtras(extras: Extras): Buffer {
  const { tags, description, meta } = extras
  const writer = new Writer(Buffer.allocUnsafe(roomFor(extras)))
  if (description === undefined) writer.u32(NO_DESCRIPTION)
  else writer.long(description)
  writer.u16(tags.length)
  for (const tag of tags) writer.short(tag)
  const rows = Object.entries(meta ?? {})
  writer.u16(rows.length)
  for (const [table, row] of rows) {
    writer.name(table)
    const cells = Object.entries(row).filter(([, cell]) => cell !== null)
    writer.u16(cells.length)
    for (const [column, cell] of cells) {
      writer.name(column)
      writer.cell(cell)
    }
  }
  return writer.done()
}

function roomFor({ tags, description = '', meta = {} }: Extras): number {
  let room = 8 + description.length * UTF8_MAX
  for (const tag of tags) room += 2 + tag.length * UTF8_MAX
  for (const [table, row] of Object.entries(meta)) {
    room += 3 + table.length * UTF8_MAX
    for (const [column, cell] of Object.entries(row)) {
      room += 10 + column.length * UTF8_MAX + (typeof cell === 'string' ? cell.length * UTF8_MAX : 0)
    }
  }
  return room
}

class Writer {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  u16(number: number): void {
    this.#at = this.#bytes.writeUInt16LE(number, this.#at)
  }

  u32(number: number): void {
    this.#at = this.#bytes.writeUInt32LE(number, this.#at)
  }

  name(text: string): void {
    const length = this.#bytes.write(text, this.#at + 1)
    this.#bytes[this.#at] = length
    this.#at += 1 + length
  }

  short(text: string): void {
    const length = this.#bytes.write(text, this.#at + 2)
    this.#bytes.writeUInt16LE(length, this.#at)
    this.#at += 2 + length
  }

  long(text: string): void {
    const length = this.#bytes.write(text, this.#at + 4)
    this.#bytes.writeUInt32LE(length, this.#at)
    this.#at += 4 + length
  }

  cell(cell: Cell | bigint): void {
    if (cell === null) {
      this.#bytes[this.#at++] = TYPE.null
    } else if (typeof cell === 'string') {
      this.#bytes[this.#at++] = TYPE.text
      this.long(cell)
    } else if (typeof cell === 'number' && !Number.isSafeInteger(cell)) {
      this.#bytes[this.#at++] = TYPE.real
      this.#at = this.#bytes.writeDoubleLE(cell, this.#at)
    } else {
      this.#bytes[this.#at++] = TYPE.integer
      this.#at = this.#bytes.writeBigInt64LE(BigInt(cell), this.#at)
    }
  }

  done(): Buffer {
    return this.#bytes.subarray(0, this.#at)
  }

  get length(): number {
    return this.#at
  }
}

/** Values of a query's parameters, each as a cell. */
export function encodeCells(cells: readonly (Cell | bigint)[]): Buffer {
  const writer = new Writer(Buffer.allocUnsafe(roomOf(cells)))
  for (const cell of cells) writer.cell(cell)
  return writer.done()
}

/** The same at the front of a buffer; gives their length, -1 where they may not fit. */
export function putCells(cells: readonly (Cell | bigint)[], bytes: Buffer): number {
  if (roomOf(cells) > bytes.length) return -1
  const writer = new Writer(bytes)
  for (const cell of cells) writer.cell(cell)
  return writer.length
}

function roomOf(cells: readonly (Cell | bigint)[]): number {
  let room = 0
  for (const cell of cells) room += 9 + (typeof cell === 'string' ? cell.length * UTF8_MAX : 0)
  return room
}

/** Reads a body, which the addon has checked. */
export function decodeExtras(body: Buffer): Extras {
  const reader = new Reader(body)
  const length = reader.u32()
  const description = length === NO_DESCRIPTION ? undefined : reader.text(length)
  const tags = Array.from({ length: reader.u16() }, () => reader.text(reader.u16()))
  const rows = Array.from(
    { length: reader.u16() },
    () => [reader.text(reader.u8()), readRow(reader)] as const,
  )
  return { tags, description, meta: rows.length === 0 ? undefined : Object.fromEntries(rows) }
}

function readRow(reader: Reader): Record<string, Cell> {
  return Object.fromEntries(
    Array.from({ length: reader.u16() }, () => [reader.text(reader.u8()), reader.cell()] as const),
  )
}

class Reader {
  readonly #body: Buffer
  #at = 0

  constructor(body: Buffer) {
    this.#body = body
  }

  u8(): number {
    return this.#body[this.#at++]!
  }

  u16(): number {
    this.#at += 2
    return this.#body.readUInt16LE(this.#at - 2)
  }

  u32(): number {
    this.#at += 4
    return this.#body.readUInt32LE(this.#at - 4)
  }

  text(length: number): string {
    this.#at += length
    return this.#body.toString('utf8', this.#at - length, this.#at)
  }

  cell(): Cell {
    const type = this.u8()
    if (type === TYPE.text) return this.text(this.u32())
    this.#at += 8
    if (type === TYPE.real) return this.#body.readDoubleLE(this.#at - 8)
    return Number(this.#body.readBigInt64LE(this.#at - 8))
  }
}
