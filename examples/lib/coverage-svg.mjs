// Pictures of what was fetched and what came from the cache.
const DAY = 86_400_000
const [LEFT, LANE, WIDTH, NOTES, TOP] = [170, 30, 820, 190, 84]
const COLOURS = { fetched: '#d9822b', cached: '#3d9970', covered: '#4477aa' }
const MEANINGS = { fetched: 'fetched', cached: 'from the cache', covered: 'covered in the end' }

const dayNumber = (day) => Date.parse(day) / DAY
const escaped = (text) => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`)
const textAt = (x, y, text, more = '') => `<text x="${x}" y="${y}" ${more}>${escaped(text)}</text>`
const line = (x1, y1, x2, y2) => `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" stroke="#e3e3e3"/>`

/** A bar with its explanation. The white edge keeps one fetch apart from the next. */
function bar(x, y, width, height, kind, title) {
  const place = `x="${x.toFixed(1)}" y="${y}" width="${Math.max(width, 3).toFixed(1)}" height="${height}" rx="2"`
  return `<rect ${place} fill="${COLOURS[kind]}" stroke="white"><title>${escaped(title)}</title></rect>`
}

/** Title, names of the lanes on the left, notes on the right, and the legend below. */
function frame({ title, subtitle, lanes, notes, width }, parts) {
  const bottom = TOP + lanes.length * LANE
  const own = [
    textAt(16, 28, title, 'font-size="18" font-weight="bold"'),
    textAt(16, 48, subtitle, 'fill="#666"'),
  ]
  for (const [i, { label, note }] of lanes.entries()) {
    const y = TOP + i * LANE
    if (i % 2 === 0) own.push(`<rect x="16" y="${y}" width="${width - 32}" height="${LANE}" fill="#f7f7f7"/>`)
    own.push(textAt(LEFT - 12, y + 19, label, 'text-anchor="end"'))
    if (note !== undefined) own.push(textAt(width - NOTES + 4, y + 19, note, 'fill="#666"'))
  }
  own.push(textAt(width - NOTES + 4, TOP - 12, notes, 'fill="#666"'), ...parts)
  const kinds = Object.keys(COLOURS).filter((kind) => parts.some((part) => part.includes(COLOURS[kind])))
  for (const [i, kind] of kinds.entries()) {
    const x = LEFT + i * 160
    own.push(`<rect x="${x}" y="${bottom + 18}" width="14" height="14" rx="2" fill="${COLOURS[kind]}"/>`)
    own.push(textAt(x + 20, bottom + 29, MEANINGS[kind]))
  }
  const size = `width="${width}" height="${bottom + 48}" viewBox="0 0 ${width} ${bottom + 48}"`
  const style = 'font-family="system-ui, sans-serif" font-size="12" fill="#222"'
  const paper = '<rect width="100%" height="100%" fill="white"/>'
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} ${style}>${paper}\n${own.join('\n')}\n</svg>\n`
}

/** Names and days of the months between two days. */
function monthsOf(from, to) {
  const months = []
  const month = new Date(`${from.slice(0, 7)}-01`)
  for (
    ;
    dayNumber(month.toISOString().slice(0, 10)) <= dayNumber(to);
    month.setUTCMonth(month.getUTCMonth() + 1)
  ) {
    const name = month.toLocaleString('en', { month: 'short', year: 'numeric', timeZone: 'UTC' })
    months.push({ name, start: month.toISOString().slice(0, 10) })
  }
  return months
}

/**
 * A lane for each request, over the days that it asked for.
 * @param {{ title: string, subtitle: string, from: string, to: string, lanes: { label: string, note?: string, spans: { kind: keyof COLOURS, start: string, end: string }[] }[] }} picture
 *   both ends of a span are in it; spans of a lane are drawn in their order, the later ones above
 * @returns {string} the SVG
 */
export function coverageSvg({ title, subtitle, from, to, lanes }) {
  const [first, days] = [dayNumber(from), dayNumber(to) - dayNumber(from) + 1]
  const x = (day) => LEFT + ((dayNumber(day) - first) / days) * WIDTH
  const bottom = TOP + lanes.length * LANE
  const parts = monthsOf(from, to).flatMap(({ name, start }) => [
    line(x(start), TOP - 8, x(start), bottom + 4),
    textAt(x(start) + 4, TOP - 12, name, 'fill="#666"'),
  ])
  for (const [i, { spans }] of lanes.entries()) {
    for (const { kind, start, end } of spans) {
      const width = ((dayNumber(end) - dayNumber(start) + 1) / days) * WIDTH
      parts.push(bar(x(start), TOP + i * LANE + 5, width, LANE - 10, kind, `${kind}: ${start} to ${end}`))
    }
  }
  return frame({ title, subtitle, lanes, notes: 'rows', width: LEFT + WIDTH + NOTES }, parts)
}

/**
 * A lane for each thing, over the steps that needed it.
 * @param {{ title: string, subtitle: string, steps: string[], lanes: { label: string, note?: string, kinds: (keyof COLOURS)[] }[] }} picture
 * @returns {string} the SVG
 */
export function stepsSvg({ title, subtitle, steps, lanes }) {
  const step = WIDTH / steps.length
  const bottom = TOP + lanes.length * LANE
  const parts = steps.flatMap((name, at) => [
    line(LEFT + at * step, TOP - 8, LEFT + at * step, bottom + 4),
    textAt(LEFT + at * step + 4, TOP - 12, name, 'fill="#666"'),
  ])
  for (const [i, { label, kinds }] of lanes.entries())
    for (const [at, kind] of kinds.entries())
      parts.push(
        bar(LEFT + at * step, TOP + i * LANE + 5, step, LANE - 10, kind, `${label}, ${steps[at]}: ${kind}`),
      )
  return frame({ title, subtitle, lanes, notes: 'rows', width: LEFT + WIDTH + NOTES }, parts)
}
