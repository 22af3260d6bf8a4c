/**
 * The new system of every guest of the bench: static busybox whose /sbin/init says when it began, by the kernel's own clock,
 * and powers off. As a directory to export, and as an image.
 */

import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { readBusybox } from '../../build/busybox.ts'
import { timelinePath } from '../../src/init/timeline.ts'

/** What /sbin/init says, in the kernel's log, so that the same clock stamps it that stamped the start of /init. */
export const arrival = 'BENCH: the new init'
/** Before and after the timeline, on the console. */
export const timelineMarks = ['BENCH-TIMELINE', 'BENCH-END'] as const

/** What makes the image as large as a small system: incompressible, so that its size is the same in any format. */
const fillMb = 30

/** Says that the new system has begun, and what it knows of the boot; then it powers off. */
export const arrivalScript = `#!/bin/busybox sh
echo "${arrival}" > /dev/kmsg
[ -e /proc/uptime ] || /bin/busybox mount -t proc proc /proc
echo ${timelineMarks[0]}
[ -e ${timelinePath} ] && /bin/busybox cat ${timelinePath}
echo
echo ${timelineMarks[1]}
exec /bin/busybox poweroff -f
`

export interface Target {
  /** The system as a directory. */
  readonly tree: string
  /** A directory to serve over HTTP, with the system as `imageName`. */
  readonly served: string
}

/** As live-boot wants it to end. */
export const imageName = 'filesystem.squashfs'

export function makeTarget(directory: string): Target {
  const tree = join(directory, 'system')
  rmSync(tree, { recursive: true, force: true })
  for (const name of [
    'bin',
    'dev',
    'etc',
    'media',
    'mnt',
    'proc',
    'root',
    'run',
    'sbin',
    'sys',
    'tmp',
    'usr',
    'var/log',
  ])
    mkdirSync(join(tree, name), { recursive: true })
  writeFileSync(join(tree, 'bin/busybox'), readBusybox(), { mode: 0o755 })
  writeFileSync(join(tree, 'sbin/init'), arrivalScript, { mode: 0o755 })
  const served = join(directory, 'served')
  makeImage(directory, tree, join(served, imageName))
  return { tree, served }
}

function makeImage(directory: string, tree: string, image: string): void {
  const fill = join(directory, 'fill')
  if (!existsSync(fill)) writeFileSync(fill, randomBytes(fillMb * 2 ** 20))
  mkdirSync(dirname(image), { recursive: true })
  rmSync(image, { force: true })
  // The second run appends.
  for (const source of [tree, fill])
    execFileSync('mksquashfs', [source, image, '-quiet', '-no-progress', '-all-root'], { stdio: 'ignore' })
}
