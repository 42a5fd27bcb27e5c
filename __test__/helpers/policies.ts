/** The policies of caches in memory. */
export const POLICIES = [
  'lru',
  'lfu',
  'fifo',
  'lifo',
  'mru',
  'sieve',
  's3-fifo',
  'w-tinylfu',
  'auto',
] as const
