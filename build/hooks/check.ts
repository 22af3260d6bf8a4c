/**
 * Type-checks hooks before they are bundled, as strictly as init itself, against the very types of this init and of
 * what its engine has: no DOM, no Node.
 */

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { CommandError } from '../error.ts'
import { packageRoot } from '../paths.ts'
import { type HookFile, shownName } from './files.ts'

/** What a hook imports as 'diskless'. */
export const hookModule = join(packageRoot, 'src/init/hook.ts')

/** The globals that the engine has beside the language's own: src/init/polyfill.ts. */
const globals = `
declare class AbortSignal {
  readonly aborted: boolean
  readonly reason: unknown
  addEventListener(type: 'abort', listener: () => void, options?: { readonly once?: boolean }): void
  removeEventListener(type: 'abort', listener: () => void): void
  throwIfAborted(): void
  static abort(reason?: unknown): AbortSignal
  static any(signals: Iterable<AbortSignal>): AbortSignal
}
declare class AbortController {
  readonly signal: AbortSignal
  abort(reason?: unknown): void
}
declare var console: Record<'log' | 'warn' | 'error', (...values: unknown[]) => void>
`

/** Throws a `CommandError` with every place that does not fit. */
export function checkHooks(hooks: readonly HookFile[]): void {
  const directory = mkdtempSync(join(tmpdir(), 'diskless-hooks-'))
  try {
    writeFileSync(join(directory, 'globals.d.ts'), globals)
    // A default export that is no hook is an error here, and not when a machine boots.
    const imports = hooks.map(({ path }, at) => `import hook${at} from ${JSON.stringify(path)}\n`)
    const list = hooks.map((_, at) => `hook${at}`).join(', ')
    writeFileSync(
      join(directory, 'hooks.ts'),
      `import type { Hook } from 'diskless'\n${imports.join('')}export const hooks: readonly Hook[] = [${list}]\n`,
    )
    writeFileSync(
      join(directory, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: {
          ...{ target: 'ES2023', lib: ['ES2023'], module: 'preserve', moduleResolution: 'bundler' },
          ...{ strict: true, noUncheckedIndexedAccess: true, noImplicitOverride: true },
          ...{ noFallthroughCasesInSwitch: true, isolatedModules: true },
          ...{ allowImportingTsExtensions: true, noEmit: true, skipLibCheck: true, types: [] },
          paths: { diskless: [hookModule] },
        },
        files: ['globals.d.ts', 'hooks.ts'],
      }),
    )
    compile(directory, hooks)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

function compile(directory: string, hooks: readonly HookFile[]): void {
  const compiler = findCompiler(hooks)
  const words = [compiler, '--project', directory, '--pretty', 'false']
  const result = spawnSync(process.execPath, words, { encoding: 'utf8', maxBuffer: 16 * 1024 * 1024 })
  if (result.error !== undefined) {
    throw new CommandError('the TypeScript compiler could not be run', { cause: result.error })
  }
  if (result.status === 0) return
  const lines = `${result.stdout}${result.stderr}`.trim().split('\n')
  // Of the file that only lists them: the hook itself is to be named.
  const list = relative(process.cwd(), join(directory, 'hooks.ts'))
  const shown = lines.map((line) => placed(line, list, hooks)).slice(0, 20)
  const rest = lines.length > shown.length ? [`and ${lines.length - shown.length} more lines`] : []
  throw new CommandError(
    hooks.length === 1 ? `the hook ${hooks[0]?.name} does not type-check` : 'the hooks do not type-check',
    {
      cause: new Error([...shown, ...rest].join('\n')),
      advice: [
        'A hook sees the engine’s JavaScript (ES2023) and what it imports from diskless: no Node, no browser.',
      ],
    },
  )
}

/** `hooks/name.ts(12,3): error TS2322: text` as `hooks/name.ts:12:3: text (TS2322)`. */
function placed(line: string, list: string, hooks: readonly HookFile[]): string {
  const [, file, row, column, code, text] = /^(\S.*)\((\d+),(\d+)\): error (TS\d+): (.*)$/.exec(line) ?? []
  if (file === undefined || text === undefined) return line
  // Line 1 of the list is its own import, the others are the hooks'; on its last line only the type can be wrong.
  if (file !== list) {
    // Node's types would not help: its functions are not there either.
    return `${shownName(resolve(file))}:${row}:${column}: ${text.replace(/ Do you need to .*/, '')} (${code})`
  }
  const name = hooks[Number(row) - 2]?.name ?? hooks.map((hook) => hook.name).join(', ')
  return `${name}: ${text} (${code}): a hook is 'export default defineHook({ … })'`
}

/** Beside the hook first: a project's own TypeScript is the one that its editor uses. */
function findCompiler(hooks: readonly HookFile[]): string {
  for (const from of [...hooks.map(({ path }) => path), join(packageRoot, 'package.json')]) {
    try {
      return join(dirname(createRequire(from).resolve('typescript/package.json')), 'bin/tsc')
    } catch {
      // Not there: the next place.
    }
  }
  throw new CommandError('hooks are type-checked, and there is no TypeScript compiler', {
    advice: ["Install one beside them: 'npm install --save-dev typescript'."],
  })
}
