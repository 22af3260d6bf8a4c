/**
 * Bundles init for the engine: one ES module, no platform's API, from src/init/init.ts. Names and lines are kept, as
 * they cost nothing in bytecode and a trace on a console must be readable; the map leads back to the source.
 */

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import { CommandError } from './error.ts'
import { installHooks } from './hooks/bundle.ts'
import type { HookFile } from './hooks/files.ts'
import { packageRoot } from './paths.ts'

/**
 * Writes `init.js` and `init.js.map` into `directory`; resolves with the bundle's path. `entry`, below the package: a
 * program for the engine that is not init.
 */
export async function bundleInit(
  directory: string,
  entry = 'src/init/init.ts',
  hooks: readonly HookFile[] = [],
): Promise<string> {
  mkdirSync(directory, { recursive: true })
  const outfile = join(directory, 'init.js')
  try {
    await build({
      absWorkingDir: packageRoot,
      entryPoints: [entry],
      outfile,
      bundle: true,
      format: 'esm',
      platform: 'neutral',
      target: 'es2023',
      charset: 'utf8',
      minifySyntax: true,
      sourcemap: 'external',
      legalComments: 'none',
      logLevel: 'silent',
      plugins: hooks.length === 0 ? [] : [installHooks(hooks)],
    })
  } catch (error) {
    const what = ['init', ...hooks.map(({ name }) => name)].join(', ')
    throw new CommandError(`${what} could not be bundled from ${entry}`, { cause: error })
  }
  return outfile
}
