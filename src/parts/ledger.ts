/** The native policies of the caches in memory. */
export { Ledger } from '../memory/ledger.js'
