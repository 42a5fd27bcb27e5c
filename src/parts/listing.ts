/** What is asked of many entries at once. */
export { find } from '../find.js'
export { query } from '../query.js'
export { entries, keys, keysWithExpiry } from '../verbs/listing.js'
