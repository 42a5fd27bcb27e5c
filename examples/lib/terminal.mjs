const BAR = 40
const STEPS_IN_A_LOG = 4

/** A progress bar on a terminal; a line a quarter elsewhere, where a bar would fill the log. */
export function progress(total) {
  const start = performance.now()
  const live = process.stdout.isTTY
  let done = 0
  const line = () => `${done}/${total} files, ${((performance.now() - start) / 1000).toFixed(1)} s`
  const draw = () => {
    const filled = Math.round((done / total) * BAR)
    process.stdout.write(`\r[${'#'.repeat(filled)}${'.'.repeat(BAR - filled)}] ${line()}`)
  }
  return {
    step() {
      done += 1
      if (live) draw()
      else if (done % Math.ceil(total / STEPS_IN_A_LOG) === 0 && done < total)
        process.stdout.write(`  ${line()}\n`)
    },
    end() {
      process.stdout.write(live ? '\n' : `  ${line()}\n`)
    },
  }
}

/** A table of text and numbers; all columns but the first are flush right. */
export function printTable(heads, rows) {
  const cells = [heads, ...rows].map((row) => row.map(String))
  const widths = heads.map((_, column) => Math.max(...cells.map((row) => row[column].length)))
  const pad = (text, column) => (column === 0 ? text.padEnd(widths[0]) : text.padStart(widths[column]))
  const lines = cells.map((row) => row.map(pad).join('  '))
  lines.splice(1, 0, widths.map((width) => '-'.repeat(width)).join('  '))
  process.stdout.write(`\n${lines.join('\n')}\n`)
}
