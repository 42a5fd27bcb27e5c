/** The engine of pull-through on DuckDB. */
export { duckdb } from '../pull-through/duckdb.js'
