import { describe } from 'vitest'
import { verbsSuite } from './suites/cache-suite.js'
import { changesSuite } from './suites/changes-suite.js'
import { keysSuite } from './suites/keys-suite.js'
import { listingSuite } from './suites/listing-suite.js'
import { modelSuite } from './suites/model-suite.js'
import { orderSuite } from './suites/order-suite.js'
import { timeSuite } from './suites/time-suite.js'
import { transactionSuite } from './suites/transaction-suite.js'
import { transactionSyncSuite } from './suites/transaction-sync-suite.js'
import { upkeepSuite } from './suites/upkeep-suite.js'
import { valuesSuite } from './suites/values-suite.js'
import { verbsModelSuite } from './suites/verbs-model-suite.js'

describe.each([
  { name: 'memory', memory: true, disk: false },
  { name: 'disk', memory: false, disk: true },
  { name: 'memory and disk', memory: true, disk: true },
  { name: 'memory that gives copies', memory: true, disk: false, values: 'copy' },
  { name: 'memory that gives copies and disk', memory: true, disk: true, values: 'copy' },
  { name: 'disk without a database', memory: false, disk: true, metadata: 'json' },
  { name: 'memory and disk without a database', memory: true, disk: true, metadata: 'json' },
  { name: 'disk without a journal', memory: false, disk: true, options: { journal: false } },
  {
    name: 'memory and encrypted disk without a journal',
    memory: true,
    disk: true,
    options: { encryption: { key: Buffer.alloc(32, 7) }, journal: false },
  },
  {
    name: 'memory and encrypted disk',
    memory: true,
    disk: true,
    options: { encryption: { key: Buffer.alloc(32, 7) } },
  },
] as const)('Cache in $name', (tiers) => {
  verbsSuite(tiers)
  changesSuite(tiers)
  listingSuite(tiers)
  if (!('metadata' in tiers)) {
    transactionSuite(tiers)
    transactionSyncSuite(tiers)
  }
  upkeepSuite(tiers)
  verbsModelSuite(tiers)
  timeSuite(tiers)
  keysSuite(tiers)
  valuesSuite(tiers)
  orderSuite(tiers)
  modelSuite(tiers)
})
