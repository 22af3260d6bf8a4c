/** Tables that name disks, of which the machines have none. */

import type { Finding, Look } from './step.ts'
import type { Tree } from './tree.ts'

const mark = '#diskless# '
/** What rc scripts check and remount as the root; there is nothing to be checked. */
const rootLine = 'none / tmpfs defaults 0 0'

/** fstab(5): without the disk's lines, and with a root that nobody runs fsck on, as the seed's mkbootready has it. */
export const fileSystemTable: Look = (tree) => {
  const former = tree.text('etc/fstab') ?? ''
  const lines = former.split('\n')
  if (lines.at(-1) === '') lines.pop()
  const changed = lines.map((line) => (isOfDisk(line) ? mark + line : line))
  const hasRoot = changed.some((line) => !/^\s*#/.test(line) && line.trim().split(/\s+/)[1] === '/')
  const text = `${[...changed, ...(hasRoot ? [] : [rootLine])].join('\n')}\n`
  return rewrite(tree, 'etc/fstab', former, text, {
    why: 'the machines have no disks: rc scripts would check, mount or wait for them, and check a root that is none',
  })
}

/** crypttab(5). */
export const diskTables: Look = (tree) => {
  const former = tree.text('etc/crypttab')
  if (former === undefined) return undefined
  const text = former.replace(/^(?!\s*#|\s*$).+$/gm, (line) => mark + line)
  const why = 'the machines have no encrypted disks: whoever waits for them asks for a password'
  return rewrite(tree, 'etc/crypttab', former, text, { why })
}

function isOfDisk(line: string): boolean {
  const [device = '', place, type, options = ''] = line.trim().split(/\s+/)
  if (line.trim() === '' || device.startsWith('#')) return false
  if (type === 'swap') return true
  const isDevice = /^(UUID|LABEL|PARTUUID|PARTLABEL|ID)=|^\/dev\//i.test(device)
  if (place === '/') return isDevice
  const waits = !options.split(',').some((option) => option === 'noauto' || option === 'nofail')
  return isDevice && waits
}

export function rewrite(
  tree: Tree,
  path: string,
  former: string | undefined,
  text: string,
  finding: Omit<Finding, 'steps'>,
): Finding | undefined {
  if (former === text) return undefined
  const mode = (tree.look(path)?.isFile() ? tree.look(path)?.mode : undefined) ?? 0o644
  return {
    ...finding,
    steps: [{ kind: 'write', path: tree.place(path), content: text, mode: mode & 0o7777 }],
  }
}
