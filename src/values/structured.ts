import { part } from '../parts.js'
import { type Encoded, Kind, type ValueHandler } from './handler.js'

/** To bytes and back, loaded when a value needs them. */
export function structuredPart(): typeof import('../parts/structured.js') {
  return part('structured')
}

/** The last in the list: it stores what the others pass, or says why it cannot. */
export const structured: ValueHandler = {
  name: 'structured',
  kinds: [Kind.structured],

  encode(value: unknown): Encoded {
    return { kind: Kind.structured, data: structuredPart().encodeStructured(value) }
  },

  decode(_kind: number, buffer: Buffer, start: number, end: number): unknown {
    return structuredPart().decodeStructured(buffer, start, end)
  },
}
