/**
 * Every diskless command that a document or a help shows has options that exist, with what they need; so has what is named in
 * mid-sentence, and npm's tasks are there. That the commands work is test/e2e/guide.test.ts and examples.test.ts.
 */

import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { readOwnJson } from '../../../build/own-json.ts'
import { commands } from '../../../src/cli/commands.ts'
import { knownCommands } from '../../../src/cli/completion/known.ts'
import { allOptions, hasShared, readOptions } from '../../../src/cli/options.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const guides = readdirSync(`${root}docs/guide`).map((name) => `docs/guide/${name}`)
const documents = [
  ...['README.md', 'CONTRIBUTING.md'],
  ...guides,
  ...readdirSync(`${root}docs`).flatMap((name) => (name.endsWith('.md') ? [`docs/${name}`] : [])),
]

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

/** What is between backquotes, on one line. */
function named(file: string): string[] {
  const text = readFileSync(root + file, 'utf8').replaceAll(/^( *)```[\s\S]*?^ *```$/gm, '')
  return [...text.matchAll(/`([^`\n]+)`/g)].map(([, words = '']) => words)
}

describe.each(documents)('what %s names in its sentences', (file) => {
  it('are commands of diskless and options of theirs', async () => {
    for (const words of named(file)) {
      const [, name = '', rest = ''] = /^(?:npx )?diskless ([a-z][a-z-]*)(.*)$/.exec(words) ?? []
      if (name === '') continue
      const entry = commands[name]
      if (entry === undefined) throw new Error(`\`${words}\`: there is no command ${name}`)
      const options = Object.keys(allOptions((await entry.load()).description))
      for (const [, option = ''] of rest.matchAll(/ --([a-z][a-z-]*)/g))
        expect(options, words).toContain(option)
    }
  })

  it('are tasks of npm that there are', () => {
    const own = readOwnJson<{ scripts: Record<string, string> }>(`${root}package.json`)
    const text = readFileSync(root + file, 'utf8')
    for (const [words, task = ''] of text.matchAll(/\bnpm (?:run )?((?<=run )[a-z:]+|start|test)\b/g))
      expect(Object.keys(own?.scripts ?? {}), words).toContain(task)
  })
})
