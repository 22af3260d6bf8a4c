/** Every diskless command that a document or a help shows has options that exist, with what they need. */

import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { commands } from '../../../src/cli/commands.ts'
import { knownCommands } from '../../../src/cli/completion/known.ts'
import { hasShared, readOptions } from '../../../src/cli/options.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const guides = readdirSync(`${root}docs/guide`).map((name) => `docs/guide/${name}`)

/** The commands of a shell's text: lines that end in \ joined, what is one after the other or in a pipe taken apart. */
function disklessCommands(text: string): string[] {
  return text
    .replaceAll(/\\\n\s*/g, '')
    .split(/\n|; | && | \| /)
    .flatMap((line) => /^(?:\$ )?(?:npx )?diskless ([a-z].*)$/.exec(line.trim())?.[1] ?? [])
}

/** What the blocks of sh and console show. */
function shown(file: string): string[] {
  const blocks = readFileSync(root + file, 'utf8').matchAll(/^( *)```(?:sh|console)\n([\s\S]*?)^ *```$/gm)
  return [...blocks].flatMap(([, , block = '']) => disklessCommands(block))
}

/** As a shell splits them; what it would substitute stays as it is written. */
function splitWords(line: string): string[] {
  const command = line.split(/ [<>]+ /)[0] ?? ''
  return (command.match(/(?:'[^']*'|"[^"]*"|\$\([^)]*\)|[^\s'"])+/g) ?? []).map((word) =>
    word.replaceAll(/'([^']*)'|"([^"]*)"/g, (_, single?: string, double?: string) => single ?? double ?? ''),
  )
}

const examples = (await knownCommands(commands)).flatMap(({ description }) =>
  description.examples.flatMap(({ command }) => disklessCommands(command)),
)

describe.each([
  ...['README.md', ...guides].map((file) => ({ place: file, lines: shown(file) })),
  { place: 'an example of --help', lines: examples },
])('a command of $place', ({ lines }) => {
  it.each(lines.length === 0 ? ['--help'] : lines)('diskless %s', async (line) => {
    const [name = '', ...words] = splitWords(line)
    if (name === '--help') return
    const entry = commands[name]
    if (entry === undefined) throw new Error(`there is no command ${name}`)
    const { description } = await entry.load()
    if (!hasShared(words, 'help')) expect(() => readOptions(description, words)).not.toThrow()
  })
})
