/** What every subcommand has in common: its description, help, options, completion. */

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { packageRoot } from '../../../build/paths.ts'
import { manualPage } from '../../../scripts/docs/manual.ts'
import { UsageError } from '../../../src/cli/command.ts'
import { commands } from '../../../src/cli/commands.ts'
import { bashCompletion } from '../../../src/cli/completion/bash.ts'
import { fishCompletion } from '../../../src/cli/completion/fish.ts'
import { knownCommands } from '../../../src/cli/completion/known.ts'
import { zshCompletion } from '../../../src/cli/completion/zsh.ts'
import { helpOf, wrap } from '../../../src/cli/help.ts'
import { allOptions, readOptions } from '../../../src/cli/options.ts'
import { measure } from '../../../src/cli/output.ts'

const known = await knownCommands(commands)

describe.each(known)('diskless $name', ({ name, about, description }) => {
  it('is described by the same words in the list and in its help', () => {
    expect(description.name).toBe(name)
    expect(description.about).toBe(about)
  })

  it('has examples that its own options read', () => {
    expect(description.examples.length).toBeGreaterThan(0)
    for (const { command } of description.examples) {
      const words = command.split(' ')
      for (const word of words) {
        const option = /^--([a-z-]+)/.exec(word)?.[1]
        if (option !== undefined && words[1] === name)
          expect(Object.keys(allOptions(description))).toContain(option)
      }
    }
  })

  it('has a help that fits in 100 columns, examples aside', () => {
    const lines = helpOf(description).split('\n')
    const examples = lines.indexOf('Examples:')
    expect(lines.slice(0, examples).filter((line) => line.length > 100)).toEqual([])
  })

  it('corrects a mistyped option', () => {
    const [option = ''] = Object.keys(allOptions(description)).filter((each) => each.length > 3)
    const typo = `--${option.slice(0, -2)}${option.at(-1)}${option.at(-2)}x`
    expect(() => readOptions(description, [typo])).toThrow(UsageError)
  })
})

function complete(script: string, words: readonly string[], directory: string): string[] {
  const line = words.map((word) => `'${word}'`).join(' ')
  const run = `${script}\nCOMP_WORDS=(diskless ${line}); COMP_CWORD=${words.length}; _diskless; printf '%s\\n' "\${COMPREPLY[@]}"`
  const { stdout, stderr } = spawnSync('bash', ['-c', run], { encoding: 'utf8', cwd: directory })
  expect(stderr).toBe('')
  return stdout.split('\n').filter(Boolean).sort()
}

describe('completion', () => {
  it('completes commands, options, files and given words in bash', () => {
    const directory = mkdtempSync(join(tmpdir(), 'diskless-completion-'))
    try {
      writeFileSync(join(directory, 'linux.deb'), '')
      const script = bashCompletion(known)
      expect(complete(script, ['lo'], directory)).toEqual(['lock'])
      expect(complete(script, ['build', '--ker'], directory)).toEqual(['--kernel'])
      expect(complete(script, ['build', '--kernel', 'lin'], directory)).toEqual(['linux.deb'])
      expect(complete(script, ['build', '--append', 'lin'], directory)).toEqual([])
      expect(complete(script, ['completion', 'z'], directory)).toEqual(['zsh'])
      expect(complete(script, ['overlay', 'un'], directory)).toEqual(['unpack'])
      expect(complete(script, ['overlay', 'unpack', 'lin'], directory)).toEqual(['linux.deb'])
      expect(complete(script, ['build', '--kernel', '=', 'lin'], directory)).toEqual(['linux.deb'])
      expect(complete(script, ['build', '--kernel', '='], directory)).toEqual(['linux.deb'])
      writeFileSync(join(directory, 'a name* with spaces'), '')
      expect(complete(script, ['inspect', 'a'], directory)).toEqual(['a name* with spaces'])
    } finally {
      rmSync(directory, { recursive: true })
    }
  })

  it('names every option to zsh and fish', () => {
    const zsh = zshCompletion(known)
    const fish = fishCompletion(known)
    for (const { name, description } of known) {
      for (const option of Object.keys(allOptions(description))) {
        expect(zsh).toContain(`--${option}[`)
        expect(fish).toContain(`'__fish_seen_subcommand_from ${name}' -l ${option}`)
      }
    }
  })
})

describe('words on the way', () => {
  it('draws how far it is', () => {
    expect(measure(12_300_000, 49_200_000, 'bytes')).toBe('[######------------------] 12.3 of 49.2 MB')
    expect(measure(7, undefined, 'things')).toBe('7')
    expect(measure(9, 4, 'things')).toBe('[########################] 9 of 4')
  })

  it('wraps between words and keeps an indentation', () => {
    expect(wrap('  one two three', 9)).toEqual(['  one two', '  three'])
  })
})

describe('an error', () => {
  it('is JSON where JSON is asked for', () => {
    const { status, stderr, stdout } = spawnSync(
      process.execPath,
      [join(packageRoot, 'bin/diskless'), 'build', '--json', '--kernel', '/nowhere', '--out', '/nowhere/out'],
      { encoding: 'utf8' },
    )
    expect([status, stdout]).toEqual([1, ''])
    expect(JSON.parse(stderr)).toMatchObject({ error: 'there is no kernel at /nowhere' })
  })
})

describe('the manual page', () => {
  const page = manualPage(known, '1.0')
  const isThere = spawnSync('groff', ['--version']).status === 0

  it.skipIf(!isThere)('is set by groff without a warning', () => {
    const { status, stderr } = spawnSync('groff', ['-K', 'utf8', '-man', '-ww', '-z'], {
      input: page,
      encoding: 'utf8',
    })
    expect([status, stderr]).toEqual([0, ''])
  })

  it('has every option of every command', () => {
    for (const { name, description } of known) {
      expect(page).toContain(`.SS diskless ${name}\n`)
      for (const option of Object.keys(allOptions(description))) {
        expect(page).toContain(`\\-\\-${option.replaceAll('-', '\\-')}`)
      }
    }
  })
})
