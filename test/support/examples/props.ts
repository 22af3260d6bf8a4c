/** Files that the examples are rehearsed with, made once: what each of them is copied or linked from. */

import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { packageRoot } from '../../../build/paths.ts'
import type { Reader } from '../copy/reader.ts'
import { poster, postsOf } from '../posts.ts'

export interface Props {
  readonly scratch: string
  readonly demo: string
  readonly reader: Reader
  /** Commands that make ./boot, as diskless build would; its kernel command line is the word that follows. */
  readonly boot: string
  /** Of a root that says `the root is up`, and no more. */
  readonly squashfs: string
  /** What machines that boot post to `diskless watch`: one file a post, `MACHINE-POST`. */
  readonly posts: string
  readonly machines: number
  /** Files of two boots' timelines. */
  readonly timelines: readonly [string, string]
}

interface Built {
  readonly image: string
  readonly initrd: string
}

const busybox = createRequire(import.meta.url).resolve('busybox-static/bin/busybox')
const machines = 20

export async function makeProps(
  scratch: string,
  demo: string,
  reader: Reader,
  { image, initrd }: Built,
): Promise<Props> {
  const posts = join(scratch, 'posts')
  const timelines = [join(scratch, 'before.json'), join(scratch, 'after.json')] as const
  mkdirSync(posts)
  const boot = await postsOf()
  const timeline = await boot.machine.files.readText('/sysroot/run/diskless/timeline.json')
  for (let machine = 0; machine < machines; machine++) {
    const number = String(machine).padStart(2, '0')
    for (const [at, post] of boot.posts.entries()) {
      const own = post
        .replaceAll(poster.mac, `52:54:00:00:00:${number}`)
        .replaceAll(poster.boot, `boot-${number}`)
      writeFileSync(join(posts, `${number}-${String(at).padStart(3, '0')}`), own)
    }
  }
  for (const path of timelines) writeFileSync(path, timeline)
  const script = `
mkdir boot
cp ${image} boot/vmlinuz
cp ${initrd} boot/initrd
printf '#!ipxe\\nkernel vmlinuz initrd=initrd %s\\ninitrd initrd\\nboot\\n'`
  return {
    ...{ scratch, demo, reader, posts, machines, timelines },
    boot: `bootDirectory() {${script} "$1" > boot/boot.ipxe\n}\nbootDirectory`,
    squashfs: makeSquashfs(scratch),
  }
}

function makeSquashfs(scratch: string): string {
  const tree = join(scratch, 'tree')
  for (const name of ['sbin', 'bin', 'dev', 'proc', 'sys', 'run', 'tmp', 'etc', 'root'])
    mkdirSync(join(tree, name), { recursive: true })
  execFileSync('cp', [busybox, join(tree, 'bin/busybox')])
  const init = '#!/bin/busybox sh\necho the root is up\nexec /bin/busybox tail -f /dev/null\n'
  writeFileSync(join(tree, 'sbin/init'), init, { mode: 0o755 })
  const image = join(scratch, 'root.squashfs')
  execFileSync('mksquashfs', [tree, image, '-quiet', '-no-progress', '-all-root'], {
    stdio: 'ignore',
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` },
    cwd: packageRoot,
  })
  return image
}
