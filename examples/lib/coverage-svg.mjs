// Draws which days were asked for, fetched and taken from the cache, a lane for each request.
const DAY = 86_400_000
const [LEFT, LANE, WIDTH] = [150, 26, 900]
const COLOURS = { fetched: '#d9822b', cached: '#3d9970', covered: '#4477aa' }

const dayNumber = (day) => Date.parse(day) / DAY
const escaped = (text) => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`)

/**
 * @param {{ title: string, from: string, to: string, lanes: { label: string, spans: { kind: keyof COLOURS, start: string, end: string }[] }[] }} picture
 *   spans of a lane are drawn in their order, the later ones above
 * @returns {string} the SVG
 */
export function coverageSvg({ title, from, to, lanes }) {
  const [first, days] = [dayNumber(from), dayNumber(to) - dayNumber(from) + 1]
  const x = (day) => LEFT + ((dayNumber(day) - first) / days) * WIDTH
  const height = 70 + lanes.length * LANE + 30
  const parts = [`<text x="12" y="24" font-size="16">${escaped(title)}</text>`]
  for (
    let month = new Date(from);
    dayNumber(month.toISOString().slice(0, 10)) < first + days;
    month.setUTCMonth(month.getUTCMonth() + 1, 1)
  ) {
    const at = x(month.toISOString().slice(0, 10))
    parts.push(`<line x1="${at}" x2="${at}" y1="52" y2="${height - 32}" stroke="#ddd"/>`)
    parts.push(`<text x="${at + 3}" y="48" fill="#777">${month.toISOString().slice(0, 7)}</text>`)
  }
  for (const [i, { label, spans }] of lanes.entries()) {
    const y = 58 + i * LANE
    parts.push(`<text x="${LEFT - 8}" y="${y + 15}" text-anchor="end">${escaped(label)}</text>`)
    for (const { kind, start, end } of spans) {
      const width = x(new Date(Date.parse(end) + DAY).toISOString().slice(0, 10)) - x(start)
      parts.push(
        `<rect x="${x(start).toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${LANE - 6}" fill="${COLOURS[kind]}"><title>${kind} ${start} to ${end}</title></rect>`,
      )
    }
  }
  for (const [i, [kind, colour]] of Object.entries(COLOURS).entries()) {
    parts.push(`<rect x="${LEFT + i * 140}" y="${height - 22}" width="12" height="12" fill="${colour}"/>`)
    parts.push(`<text x="${LEFT + i * 140 + 18}" y="${height - 12}">${kind}</text>`)
  }
  const size = `width="${LEFT + WIDTH + 20}" height="${height}"`
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="white"/>${parts.join('\n')}</svg>\n`
}
