/** What a completion is made of, the same for each shell. */

import type { Description, Entry } from '../command.ts'
import type { Completion, Option } from '../option-table.ts'

export interface Known {
  readonly name: string
  readonly about: string
  readonly description: Description
}

/** What is offered for an option's value; undefined: anything may stand there, so nothing is. */
export function valueCompletion({ complete, value }: Option): Completion | undefined {
  if (complete !== undefined) return complete
  return value === 'FILE' ? 'file' : value === 'DIR' ? 'directory' : undefined
}

/** The first line, for a list of options. */
export function briefly(text: string): string {
  return text.split('\n')[0]?.split(/[;[]/)[0]?.trim() ?? ''
}

/** All of them, loaded. */
export async function knownCommands(commands: Readonly<Record<string, Entry>>): Promise<readonly Known[]> {
  return Promise.all(
    Object.entries(commands).map(async ([name, { about, load }]) => {
      const { description } = await load()
      return { name, about, description }
    }),
  )
}
