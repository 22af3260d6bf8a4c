/** Brings in diskless.config.ts: TypeScript, run by Node itself. `import … from 'diskless'` works in it wherever it lies. */

import { existsSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { CommandError } from '../../../build/error.ts'

export const configName = 'diskless.config.ts'

/** What it exports by default, not looked at yet. Rejects with a `CommandError`. */
export async function loadConfig(path: string): Promise<unknown> {
  const shown = relative(process.cwd(), path) || path
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
    const module: unknown = await import(pathToFileURL(resolve(path)).href)
    if (typeof module === 'object' && module !== null && 'default' in module) return await module.default
  } catch (cause) {
    throw new CommandError(`${shown} could not be run`, {
      cause,
      advice: adviceOn(cause),
    })
  } finally {
    hooks.deregister()
  }
  throw new CommandError(`${shown} exports nothing by default`, {
    advice: ['It ends in: export default defineConfig({ … })'],
  })
}

/** Node says what is wrong, and where only in the stack. */
function adviceOn(cause: unknown): readonly string[] {
  if (!(cause instanceof Error)) return []
  const place = cause.stack?.split('\n').find((line) => /\.config\.[cm]?[tj]s:\d+/.test(line))
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
