import { damagedValue, type Encoded, fitsUtf8, Kind, utf8Text, type ValueHandler } from './handler.js'

/** Strings as UTF-8; those with a lone surrogate, which UTF-8 cannot hold, and those that are too long for it, as UTF-16. */
export const string: ValueHandler = {
  name: 'string',
  kinds: [Kind.utf8, Kind.utf16],

  encode(value: unknown): Encoded | undefined {
    if (typeof value !== 'string') return undefined
    return value.isWellFormed() && fitsUtf8(value)
      ? { kind: Kind.utf8, data: value }
      : { kind: Kind.utf16, data: Buffer.from(value, 'utf16le') }
  },

  decode(kind: number, buffer: Buffer, start: number, end: number): string {
    if (kind === Kind.utf8) return utf8Text(buffer, start, end)
    if ((end - start) % 2 !== 0) throw damagedValue('half a UTF-16 code unit')
    return buffer.toString('utf16le', start, end)
  },
}
