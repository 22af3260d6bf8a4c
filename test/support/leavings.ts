/** What a boot left behind, as a value that can be compared: the tree below a directory of the fake machine. */

import type { FakeMachine } from './machine/index.ts'

/** A line for each thing below the directory: its kind, mode, owner, path, and its text or target. */
export async function leavings(machine: FakeMachine, directory: string): Promise<readonly string[]> {
  const lines: string[] = []
  for (const name of await machine.files.list(directory)) {
    const path = `${directory}/${name}`
    const status = await machine.files.status(path)
    if (status === undefined) continue
    const { kind, mode, uid, gid } = status
    const content =
      kind === 'file'
        ? machine.files.text(path)
        : kind === 'symlink'
          ? await machine.files.readLink(path)
          : ''
    lines.push(`${kind} ${mode.toString(8)} ${uid}:${gid} ${path} ${JSON.stringify(content)}`)
    if (kind === 'directory') lines.push(...(await leavings(machine, path)))
  }
  return lines
}
