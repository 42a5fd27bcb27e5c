// One contender on one workload, in a fresh process that has loaded the modules of that group of workloads and no others.
process.once('message', async ({ group, id, ...options }) => {
  const { workloads } = await import(`./workloads/${group}.mjs`)
  const workload = workloads.find((candidate) => candidate.id === id)
  const result = await workload.run(options)
  process.send(result, () => process.exit(0))
})
