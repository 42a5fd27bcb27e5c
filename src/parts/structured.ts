/** Values that are neither bytes, text, numbers nor JSON. */
export { decodeStructured } from '../values/structured-decode.js'
export { encodeStructured } from '../values/structured-encode.js'
