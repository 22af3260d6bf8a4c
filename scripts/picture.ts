/**
 * Draws a console as docs/boot.svg, from the text of a real boot on standard input:
 *
 *   npm start -- --once | node scripts/picture.ts
 */
import { readFileSync, writeFileSync } from 'node:fs'

const line = 17
const character = 8.1
const margin = 16

function draw(text: string): string {
  const lines = text.replace(/\r/g, '').split('\n')
  const width = Math.ceil(Math.max(...lines.map((each) => each.length)) * character + 2 * margin)
  const height = lines.length * line + 2 * margin
  const rows = lines.map(
    (each, at) => `<tspan x="${margin}" y="${margin + 12 + at * line}">${asXml(each)}</tspan>`,
  )
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    '<title>A boot on a serial console, from the first line of init to the login</title>',
    `<rect width="${width}" height="${height}" rx="8" fill="#16181d"/>`,
    '<text xml:space="preserve" font-family="ui-monospace, DejaVu Sans Mono, monospace" font-size="13" fill="#d8dee9">',
    ...rows,
    '</text>',
    '</svg>',
    '',
  ].join('\n')
}

function asXml(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;')
}

const input = readFileSync(0, 'utf8')
const from = input.indexOf('diskless 0.')
const to = input.indexOf(' login:')
if (from === -1 || to === -1) throw new Error('there is no boot to a login on standard input')
writeFileSync(new URL('../docs/boot.svg', import.meta.url), draw(input.slice(from, to + ' login:'.length)))
