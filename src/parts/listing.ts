/** What is asked of many entries at once, and the tables that are asked. */
export { find } from '../find.js'
export { checkTables, declaredTables } from '../meta-tables.js'
export { query } from '../query.js'
export { entries, keys, keysWithExpiry } from '../verbs/listing.js'
