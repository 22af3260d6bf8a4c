/** Brings in diskless.config.ts: TypeScript, run by Node itself. `import … from 'diskless'` works in it wherever it lies. */

import { existsSync, statSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { basename, join, relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { CommandError } from '../../../build/error.ts'

export const configName = 'diskless.config.ts'

/**
 * What it exports by default, not looked at yet. Rejects with a `CommandError`. `longest`, milliseconds: what it awaits may
 * never come, and Node would end without a word then.
 */
export async function loadConfig(path: string, longest = 30_000): Promise<unknown> {
  const shown = relative(process.cwd(), path) || path
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) {
    throw new CommandError(`${shown} is a directory, and no configuration`, {
      advice: [`Name the file in it: --config ${join(shown, configName)}`],
    })
  }
  if (!existsSync(path)) {
    throw new CommandError(`there is no configuration ${shown}`, {
      advice: [
        `A first one:\n  import { defineConfig } from 'diskless'\n  export default defineConfig({ boot: './boot', network: { server: '10.0.0.1/24' } })`,
      ],
    })
  }
  // Run from its sources, the package has no compiled files that it could import by its own name.
  const source = new URL('../../index.ts', import.meta.url)
  const own = existsSync(source) ? source.href : undefined
  const hooks = registerHooks({
    // This very package, installed beside the configuration or not.
    resolve: (specifier, context, next) =>
      specifier === 'diskless'
        ? next(own ?? specifier, { ...context, parentURL: import.meta.url })
        : next(specifier, context),
    // Or Node warns where the package.json beside it does not say that such files are modules.
    load: (url, context, next) =>
      next(url, url.endsWith('.ts') ? { ...context, format: 'module-typescript' } : context),
  })
  try {
    const module: unknown = await ended(import(pathToFileURL(resolve(path)).href), longest)
    if (typeof module === 'object' && module !== null && 'default' in module) return await module.default
  } catch (cause) {
    throw new CommandError(`${shown} could not be run`, {
      cause,
      advice: adviceOn(cause, path),
    })
  } finally {
    hooks.deregister()
  }
  throw new CommandError(`${shown} exports nothing by default`, {
    advice: ['It ends in: export default defineConfig({ … })'],
  })
}

async function ended<T>(running: Promise<T>, longest: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`it did not end within ${longest / 1000} s`)), longest)
  })
  return Promise.race([running, late]).finally(() => clearTimeout(timer))
}

/** Node says what is wrong, and where only in the stack. */
function adviceOn(cause: unknown, path: string): readonly string[] {
  if (!(cause instanceof Error)) return []
  // Of a mistake in the syntax the first line, whichever file it is in; else the frame that is in this one.
  const [first = '', ...frames] = (cause.stack ?? '').split('\n')
  const place = /^(file:\/\/)?\/.*:\d+$/.test(first)
    ? first
    : frames.find((line) => line.includes(`/${basename(path)}:`))
  const code = 'code' in cause ? cause.code : undefined
  return [
    ...(place === undefined ? [] : [`At ${place.trim().replace(/^at /, '')}`]),
    ...(code === 'ERR_MODULE_NOT_FOUND'
      ? ['Imports of files beside it are relative and end in .ts; packages must be installed beside it.']
      : []),
    ...(code === 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX'
      ? ['Node strips types and compiles nothing: enums and namespaces are not for it.']
      : []),
  ]
}
