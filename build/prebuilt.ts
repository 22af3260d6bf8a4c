/**
 * What an installed diskless has instead of cargo: the host, the lease keeper and init's bytecode, in a package of their own
 * for each kind of machine, as esbuild does it. In a checkout they are built.
 */

import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { CommandError } from './error.ts'
import { isCheckout, packageRoot } from './paths.ts'

export interface Prebuilt {
  readonly host: string
  readonly lease: string
  /** Loads in this very host only. */
  readonly bytecode: string
}

/** The kinds of machines that there is a package for. */
const packages: Readonly<Record<string, string>> = { 'linux-x64': '@diskless/linux-x64' }

/** Undefined in a checkout. Throws a `CommandError` where an installation lacks it. */
export function findPrebuilt(): Prebuilt | undefined {
  if (isCheckout) return undefined
  const kind = `${process.platform}-${process.arch}`
  const name = packages[kind]
  if (name === undefined) {
    throw new CommandError(`there is no package of diskless's host for ${kind}`, {
      advice: [
        `There is one for ${Object.keys(packages).join(', ')}. Or build it: clone diskless, and 'npm start' there.`,
      ],
    })
  }
  let directory: string
  try {
    directory = dirname(createRequire(join(packageRoot, 'package.json')).resolve(`${name}/package.json`))
  } catch (cause) {
    throw new CommandError(`the package ${name} is not installed`, {
      cause,
      advice: [
        'Install diskless again, with its optional dependencies (npm leaves them out with --omit=optional).',
      ],
    })
  }
  const found = {
    host: join(directory, 'host'),
    lease: join(directory, 'lease'),
    bytecode: join(directory, 'init.qjsc'),
  }
  for (const file of Object.values(found)) {
    if (!existsSync(file))
      throw new CommandError(`${name} has no ${file}`, { advice: [`Install ${name} again.`] })
  }
  return found
}
