/** What a table does once it is opened, and the engines but DuckDB. */
export { collect } from '../pull-through/batch.js'
export { checkParams } from '../pull-through/engine.js'
export { Flights, unlessAborted } from '../pull-through/flights.js'
export { parseOptions } from '../pull-through/options.js'
export { postgres } from '../pull-through/postgres.js'
export { sqlite } from '../pull-through/sqlite.js'
export { Store } from '../pull-through/store.js'
