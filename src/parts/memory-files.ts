/** Files of `MemoryCache`. */
export { pathOf, readFile, readFileSync, writeFile, writeFileSync } from '../memory/files.js'
export { decodeSnapshot, encodeSnapshot } from '../memory/snapshot.js'
