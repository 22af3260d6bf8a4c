/**
 * docs/guide/messages.md against the code: every message that stops a boot has its row there, and every row its message. What
 * stands in a message for a name or a number is `…` in both.
 */

import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const source = fileURLToPath(new URL('../../src/', import.meta.url))
const guide = new URL('../../docs/guide/messages.md', import.meta.url)

/** What is wrong with the guide, a line each. */
export function checkMessages(): readonly string[] {
  const said = bootMessages()
  const explained = explainedMessages(readFileSync(guide, 'utf8'))
  return [
    ...[...said]
      .filter(([message]) => !explained.has(message))
      .map(([message, file]) => `has no row for '${message}' (${file})`),
    ...[...explained]
      .filter((message) => !said.has(message))
      .map((message) => `explains '${message}', which is never said`),
  ]
}

/** The texts of `new BootError(…)` in src, each with its file; those that are put together elsewhere are not seen. */
export function bootMessages(): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  for (const name of readdirSync(source, { recursive: true, encoding: 'utf8' }).sort()) {
    if (!name.endsWith('.ts') || name.startsWith('cli/')) continue
    for (const message of messagesIn(readFileSync(source + name, 'utf8'))) found.set(message, `src/${name}`)
  }
  return found
}

function messagesIn(text: string): string[] {
  return text
    .split('new BootError(')
    .slice(1)
    .flatMap((rest) => literalAt(rest.trimStart()) ?? [])
    .filter((message) => /\p{L}{3}/u.test(message))
}

/** A literal that the text begins with, `…` for what is put into it; undefined: something else stands there. */
function literalAt(text: string): string | undefined {
  const quote = text[0]
  if (quote !== "'" && quote !== '"' && quote !== '`') return undefined
  let message = ''
  for (let at = 1; at < text.length; at++) {
    const letter = text[at]
    if (letter === quote) return message
    if (letter === '\\') message += text[++at] ?? ''
    else if (quote === '`' && text.startsWith('${', at)) {
      at = endOfSubstitution(text, at + 2)
      message += '…'
    } else message += letter
  }
  return undefined
}

/** Where the brace is that ends a substitution; one in it may have its own. */
function endOfSubstitution(text: string, from: number): number {
  let depth = 1
  let at = from
  while (at < text.length) {
    if (text[at] === '{') depth++
    else if (text[at] === '}' && --depth === 0) return at
    at++
  }
  return at
}

/** First cells of the tables' rows, in bold. */
function explainedMessages(markdown: string): ReadonlySet<string> {
  return new Set(
    [...markdown.matchAll(/^\| \*\*(.+?)\*\* \|/gm)].map(([, message = '']) =>
      message.replaceAll('\\|', '|'),
    ),
  )
}
