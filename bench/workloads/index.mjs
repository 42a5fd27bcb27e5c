import { workloads as calls } from './calls.mjs'
import { workloads as disk } from './disk.mjs'
import { workloads as start } from './import.mjs'
import { workloads as management } from './management.mjs'
import { workloads as memory } from './memory.mjs'
import { workloads as memoryCache } from './memory-cache.mjs'
import { workloads as metadata } from './metadata.mjs'
import { workloads as shared } from './shared.mjs'
import { workloads as tables } from './tables.mjs'

/**
 * @typedef {object} Workload
 * @property {string} id what `--only` picks it by
 * @property {'memory' | 'memory-cache' | 'calls' | 'shared' | 'disk' | 'management' | 'metadata' | 'tables' | 'import'} group the table it is in, and its file here
 * @property {string[]} contenders
 * @property {Record<string, string>} rows what one run measures: a name in its result, and the title in the table
 * @property {(options: { contender: string, scale: number, folder: string }) => unknown} run in a process of its own
 * @property {number} [roundsFactor] how many times the usual number of rounds
 */

/** @type {Workload[]} */
export const workloads = [
  ...memory,
  ...memoryCache,
  ...calls,
  ...shared,
  ...disk,
  ...management,
  ...metadata,
  ...tables,
  ...start,
]
