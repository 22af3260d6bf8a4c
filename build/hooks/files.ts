/** The files of a site's hooks, as they are named to the builder. */

import { existsSync, realpathSync, statSync } from 'node:fs'
import { basename, extname, relative, resolve } from 'node:path'
import { CommandError } from '../error.ts'

export interface HookFile {
  /** Absolute, without symlinks. */
  readonly path: string
  /** As it is shown on a console: from here, or the file's name alone. */
  readonly name: string
}

/** Throws a `CommandError`. */
export function findHooks(names: readonly string[]): readonly HookFile[] {
  const files = names.map((name) => {
    const path = resolve(name)
    if (!existsSync(path) || !statSync(path).isFile()) {
      throw new CommandError(`there is no hook ${name}`, { advice: ['--hook names a TypeScript file.'] })
    }
    if (!['.ts', '.mts'].includes(extname(path))) {
      throw new CommandError(`the hook ${name} is no TypeScript file: its name does not end in .ts`)
    }
    return { path: realpathSync(path), name: shownName(path) }
  })
  const twice = files.find(({ path }, at) => files.findIndex((other) => other.path === path) !== at)
  if (twice !== undefined) throw new CommandError(`the hook ${twice.name} is named twice`)
  return files
}

/** The same wherever the project lies: it goes into the initrd. */
export function shownName(path: string): string {
  const fromHere = relative(process.cwd(), path)
  return fromHere.startsWith('..') ? basename(path) : fromHere
}
