/** Two states of a published directory, small ones, and whether a directory is one that clients can boot from. */

import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Placed, placeBytes, placeText } from '../../src/cli/publish/placed.ts'
import { textsOf } from '../../src/cli/publish/texts.ts'
import { site } from './site.ts'

/** The kernel is the same in both; initrd, a package, the index, a machine's files differ. */
export const first = state('first', site.machines.slice(0, 1))
export const second = state('second', site.machines.slice(1))

function state(name: string, machines: typeof site.machines): readonly Placed[] {
  const kernel = byDigest('vmlinuz', 'the kernel of both')
  const initrd = byDigest('initrd', `the initrd of the ${name}`)
  const texts = textsOf({
    ...site,
    network: undefined,
    boot: { kernel: kernel.path, initrd: initrd.path },
    machines,
  })
  return [
    kernel,
    initrd,
    placeText(`repositories/apks/x86_64/${name}-1.apk`, `a package of the ${name}`),
    placeText('repositories/apks/x86_64/APKINDEX.tar.gz', `index: ${name}-1.apk`),
    placeText('overlays/52:54:00:12:34:56.apkovl.tar.gz', `the overlay of the ${name}`),
    ...[...texts].map(([path, text]) => placeText(path, text)),
  ]
}

function byDigest(name: string, text: string): Placed {
  const bytes = Buffer.from(text)
  return placeBytes(`files/${digestOf(bytes).slice(0, 32)}/${name}`, bytes)
}

function digestOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** What is wrong for a client that begins now with any of the loaders: nothing, it is hoped. */
export function problemsOf(directory: string): readonly string[] {
  const read = (path: string) => readFileSync(join(directory, path))
  const loaders = ['boot.ipxe', 'pxelinux.cfg/default', 'grub/grub.cfg']
  const machines = site.machines.map(({ mac }) => `machines/${mac.replaceAll(':', '-')}.ipxe`)
  const problems: string[] = []
  for (const path of [...loaders, ...machines.filter((each) => existsSync(join(directory, each)))]) {
    const whole = [first, second].some((each) =>
      each.some((placed) => placed.path === path && placed.sha256 === digestOf(read(path))),
    )
    if (!whole) problems.push(`${path} is neither the old nor the new one`)
    const text = read(path).toString('utf8')
    for (const [named = '', digest = ''] of text.matchAll(/files\/([0-9a-f]{32})\/\w+/g)) {
      const there = existsSync(join(directory, named))
      if (!there || !digestOf(read(named)).startsWith(digest))
        problems.push(`${path} names ${named}, which is not there or not whole`)
    }
    for (const [named = ''] of text.matchAll(/machines\/[\w-]+\.ipxe|grub\/grub\.cfg-01-[\w-]+/g))
      if (!existsSync(join(directory, named))) problems.push(`${path} names ${named}, which is not there`)
  }
  const index = read('repositories/apks/x86_64/APKINDEX.tar.gz').toString('utf8')
  const pkg = /^index: (.+)$/.exec(index)?.[1] ?? 'no package at all'
  if (!existsSync(join(directory, 'repositories/apks/x86_64', pkg))) problems.push(`the index names ${pkg}`)
  return problems
}
