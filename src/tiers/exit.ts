/** What has to be done before the process, or the worker, is gone. */

const jobs = new Set<() => void>()

function run(): void {
  for (const job of jobs) job()
}

/** Runs a synchronous `job` at the end, unless the function that this gives is called before. */
export function atExit(job: () => void): () => void {
  if (jobs.size === 0) process.on('exit', run)
  jobs.add(job)
  return () => {
    jobs.delete(job)
    if (jobs.size === 0) process.off('exit', run)
  }
}
