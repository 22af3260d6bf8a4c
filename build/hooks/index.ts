/** /init with a site's hooks: checked, bundled, compiled. */

import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { HookPlaces } from '../../src/init/hook-places.ts'
import { CommandError } from '../error.ts'
import { buildInit, makeInit, type Profile, refuseDynamic, type Tell } from '../host.ts'
import { workDirectory } from '../paths.ts'
import { readPlaces } from './bundle.ts'
import { checkHooks } from './check.ts'
import { findHooks } from './files.ts'

export interface BuiltInit {
  /** The standalone program. */
  readonly init: Buffer
  readonly hooks: HookPlaces | undefined
}

/** `init`: one that is there already, and that no hook can be put into. Rejects with a `CommandError`. */
export async function buildInitWith(
  options: { readonly init?: string; readonly hooks?: readonly string[]; readonly tell?: Tell },
  profile: Profile,
): Promise<BuiltInit> {
  const hooks = findHooks(options.hooks ?? [])
  if (hooks.length === 0) {
    return { init: readInit(options.init ?? (await buildInit(profile, options.tell))), hooks: undefined }
  }
  if (options.init !== undefined) {
    throw new CommandError(`hooks are bundled into /init, and ${options.init} is built already`)
  }
  options.tell?.(`Checking ${hooks.map(({ name }) => name).join(', ')}`)
  checkHooks(hooks)
  // A place of its own: another build may be reading the usual one.
  mkdirSync(workDirectory, { recursive: true })
  const directory = mkdtempSync(join(workDirectory, 'hooks-'))
  try {
    const init = await makeInit(directory, profile, hooks, options.tell)
    return { init: readInit(init), hooks: readPlaces([join(directory, 'init.js')]) }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

function readInit(path: string): Buffer {
  refuseDynamic(path)
  return readFileSync(path)
}
