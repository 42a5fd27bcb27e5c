/** Tables, frames and what is asked of DuckDB. */
export { arrowWires } from '../tables/arrow.js'
export { type Connection, Database, DUCKDB_TYPES } from '../tables/database.js'
export { checkCall, interruptible } from '../tables/interrupt.js'
export { literal } from '../tables/query.js'
export { nativeSource, runWith } from '../tables/source.js'
export { FrameScan, storedFrame } from '../verbs/scan.js'
