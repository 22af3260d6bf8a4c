/** `diskless completion SHELL`: what bash, zsh or fish need to complete on Tab, made of the commands' descriptions. */

import { type Command, type Entry, UsageError } from './command.ts'
import { bashCompletion } from './completion/bash.ts'
import { fishCompletion } from './completion/fish.ts'
import { type Known, knownCommands } from './completion/known.ts'
import { zshCompletion } from './completion/zsh.ts'
import { defineCommand } from './define.ts'

const shells: Readonly<Record<string, (known: readonly Known[]) => string>> = {
  bash: bashCompletion,
  zsh: zshCompletion,
  fish: fishCompletion,
}

/** Of all `commands`, this one among them. */
export const completionOf = (commands: Readonly<Record<string, Entry>>): Command =>
  defineCommand({
    name: 'completion',
    about: 'prints what a shell needs to complete diskless on Tab',
    forms: ['bash|zsh|fish'],
    options: {},
    positionals: { name: 'SHELL', least: 1, most: 1, complete: Object.keys(shells) },
    examples: [
      {
        about: 'bash, for every user',
        command: 'diskless completion bash > /etc/bash_completion.d/diskless',
      },
      {
        about: 'zsh, for every user',
        command: 'diskless completion zsh > /usr/local/share/zsh/site-functions/_diskless',
      },
      {
        about: 'fish, for you',
        command: 'diskless completion fish > ~/.config/fish/completions/diskless.fish',
      },
    ],
    async run({ positionals: [shell = ''] }, output) {
      const script = Object.hasOwn(shells, shell) ? shells[shell] : undefined
      if (script === undefined) {
        throw new UsageError(
          `there is no completion for '${shell}'`,
          `Known: ${Object.keys(shells).join(', ')}.`,
        )
      }
      const text = script(await knownCommands(commands))
      output.result({ shell, script: text }, () => text)
      return 0
    },
  })
