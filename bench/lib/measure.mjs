/**
 * Runs `work` once, after a collection of what came before, and gives nanoseconds of wall time and of CPU time. CPU time is
 * the whole process's: threads that a contender works on are not free.
 */
export async function measure(work) {
  globalThis.gc()
  return timed(work)
}

/** The same without a collection before it, which now and then throws compiled code away: for what is measured again and again. */
export async function timed(work) {
  const cpu = process.cpuUsage()
  const start = process.hrtime.bigint()
  await work()
  const wall = Number(process.hrtime.bigint() - start)
  const { user, system } = process.cpuUsage(cpu)
  return { wall, cpu: (user + system) * 1000 }
}

/**
 * Runs named pieces of work in turn, again and again, and adds up what each took. `count` is how many operations a piece is;
 * `by` is `measure` or `timed`. What the first `warmup` rounds took is not counted.
 */
export async function measureInTurn(pieces, { rounds, warmup = 0, by, before = () => {} }) {
  const found = Object.fromEntries(Object.keys(pieces).map((id) => [id, { wall: 0, cpu: 0, ops: 0 }]))
  for (let round = 0; round < rounds; round += 1) {
    await before()
    for (const [id, { count, work }] of Object.entries(pieces)) {
      const { wall, cpu } = await by(work)
      if (round < warmup) continue
      found[id].wall += wall
      found[id].cpu += cpu
      found[id].ops += count
    }
  }
  return found
}

/**
 * A piece of work for `measureInTurn`: asks so many times, one after the other, and ends the run at an answer that is not right.
 * @param {(time: number) => unknown} ask gives the answer, or a promise of it
 */
export function asking(count, ask, isRight) {
  const work = async () => {
    for (let time = 0; time < count; time += 1) {
      const given = ask(time)
      const answer = given instanceof Promise ? await given : given
      if (!isRight(answer))
        throw new Error(`the answer ${time + 1} of ${count} is wrong: ${answer?.length ?? answer}`)
    }
  }
  return { count, work }
}

export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
