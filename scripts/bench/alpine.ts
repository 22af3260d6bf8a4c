/**
 * Alpine's diskless mode: a root in RAM, an overlay and the packages of its world over HTTP, from one kernel command line for
 * ours and for Alpine's own initramfs, which ALPINE_INITRAMFS= names: one that mkinitfs made for the same kernel.
 */

import { rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Lab } from '../../test/support/lab/index.ts'
import { makeOverlay } from '../repository/overlay.ts'
import { file } from '../repository/tar.ts'
import { usualWorld } from './packages.ts'
import type { Contest } from './row.ts'
import { arrivalScript } from './target.ts'
import type { Workshop } from './workshop.ts'

const peer = 'Alpine’s own init'

export interface AlpineOptions {
  /** A tree with apks/ARCH, as Alpine's media have it, and the directory of its keys. */
  readonly media: string
  readonly keys: string
  readonly initramfs?: string | undefined
}

export async function alpineContest(shop: Workshop, options: AlpineOptions): Promise<Contest> {
  const { served } = shop.target
  const media = join(served, 'media')
  rmSync(media, { force: true })
  symlinkSync(options.media, media)
  writeFileSync(join(served, 'bench.apkovl.tar.gz'), overlay())
  const server = `http://${Lab.address}`
  const append = `ip=dhcp modloop=none apkovl=${server}/bench.apkovl.tar.gz alpine_repo=${server}/media/apks`
  const ours = {
    name: 'diskless',
    file: await shop.ours(['virtio', 'common-ethernet'], options.keys),
    append,
  }
  const { initramfs } = options
  const theirs = initramfs === undefined ? [] : [{ name: peer, file: initramfs, append }]
  // By instructions two would take turns.
  const processors = shop.clock === 'tcg' ? 2 : 1
  const note = initramfs === undefined ? { note: 'ALPINE_INITRAMFS= names none to compare with' } : {}
  return {
    id: `packages-alpine${shop.byClock.id}`,
    group: 'packages',
    title: `Alpine’s media over HTTP: ${usualWorld.join(', ')}${shop.byClock.title}${processors === 2 ? ' and two processors' : ''}`,
    unit: 's',
    subjects: [ours, ...theirs].map((entrant) => shop.timed(entrant, processors)),
    goals: [{ against: peer, atMost: 0.2 }],
    ...note,
  }
}

/** The first that the installed system's init starts is what says that it has begun. */
function overlay(): Buffer {
  const entries = [
    file('etc/inittab', '::sysinit:/sbin/arrived\n'),
    file('sbin/arrived', arrivalScript, 0o755),
  ]
  return makeOverlay({ hostname: 'bench', world: usualWorld, runlevels: {}, entries })
}
