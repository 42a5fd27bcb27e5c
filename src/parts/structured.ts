/** Values that are neither bytes, text nor arrays of numbers. */
export { decodeStructured } from '../values/structured-decode.js'
export { encodeStructured, writeStructured } from '../values/structured-encode.js'
