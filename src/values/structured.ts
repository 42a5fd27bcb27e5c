import { type Encoded, Kind, type ValueHandler } from './handler.js'
import { decodeStructured } from './structured-decode.js'
import { encodeStructured } from './structured-encode.js'

/** The last in the list: it stores what the others pass, or says why it cannot. */
export const structured: ValueHandler = {
  name: 'structured',
  kinds: [Kind.structured],

  encode(value: unknown): Encoded {
    return { kind: Kind.structured, data: encodeStructured(value) }
  },

  decode(_kind: number, buffer: Buffer, start: number, end: number): unknown {
    return decodeStructured(buffer, start, end)
  },
}
