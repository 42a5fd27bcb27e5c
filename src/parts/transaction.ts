/** Transactions. */
export { transact } from '../verbs/transaction.js'
