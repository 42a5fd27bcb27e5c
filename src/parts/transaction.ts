/** Transactions. */
export { transact, transactSync } from '../verbs/transaction.js'
