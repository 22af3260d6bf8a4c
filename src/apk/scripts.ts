/** A package's scripts, run in the new root as apk 2.14 runs them. */

import { directoryIn } from '../root/in-root.ts'
import type { Sys } from '../sys/index.ts'
import { SysError } from '../sys/index.ts'

export type ScriptKind = 'pre-install' | 'post-install' | 'trigger'

/** A script that did not end well. The package stays, marked as broken, and the installation goes on. */
export interface ScriptFailure {
  readonly package: string
  readonly script: ScriptKind
  /** Its exit status; undefined when it did not even start. */
  readonly status: number | undefined
  /** What it wrote, or why it did not start. */
  readonly output: string
}

const DIRECTORY = 'lib/apk/exec'
const ENVIRONMENT = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' }
/** apk waits for ever; a boot does not. */
const TIMEOUT_MS = 10 * 60 * 1000

/** A script at its place in the new root, ready to run. */
export interface Script {
  /** `name-version`. */
  readonly package: string
  readonly kind: ScriptKind
  /** The outer path. */
  readonly path: string
}

/** Where a package's script is put, and its directory made as apk makes it. */
export async function placeOf(
  sys: Pick<Sys, 'files'>,
  root: string,
  name: string,
  kind: ScriptKind,
): Promise<Script> {
  const directory = await directoryIn(sys, root, DIRECTORY, 0o700)
  return { package: name, kind, path: `${directory}/${name}.${kind}` }
}

/**
 * Runs it and removes it. `values`: the version; for a trigger the directories. A failure is returned, for the caller
 * to tell. Rejects when the signal fired.
 */
export async function runScript(
  sys: Pick<Sys, 'files' | 'processes'>,
  root: string,
  script: Script,
  values: readonly string[],
  signal: AbortSignal,
): Promise<ScriptFailure | undefined> {
  // apk names it so, relative to the root that is its working directory: a script sees that as $0.
  const argv = [`${DIRECTORY}/${script.package}.${script.kind}`, ...values]
  const request = { argv, root, directory: '/', environment: ENVIRONMENT, timeoutMs: TIMEOUT_MS }
  const failure = { package: script.package, script: script.kind }
  try {
    const { status, output } = await sys.processes.run(request, signal)
    return status === 0 ? undefined : { ...failure, status, output }
  } catch (error) {
    if (signal.aborted || !(error instanceof SysError)) throw error
    return { ...failure, status: undefined, output: error.message }
  } finally {
    await sys.files.remove(script.path)
  }
}
