/**
 * Alpine's diskless mode: a root in RAM, an overlay and the packages of its world over HTTP, from one kernel command line for
 * ours and for Alpine's own initramfs, which ALPINE_INITRAMFS= names: one that mkinitfs made for the same kernel.
 */

import { rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Lab } from '../../test/support/lab/index.ts'
import { makeOverlay } from '../repository/overlay.ts'
import { file } from '../repository/tar.ts'
import type { BootOptions } from './guest.ts'
import type { Contest, Figure, Subject } from './row.ts'
import { arrivalScript } from './target.ts'
import type { Entrant, Workshop } from './workshop.ts'
import { usualWorld } from './world.ts'

const peer = 'Alpine’s own init'
const waitless = `${peer}, less its wait`
/** Its nlplug-findfs ends when no uevent came for so long: MAX_EVENT_TIMEOUT, which no parameter of the kernel shortens. */
const waitSeconds = 5

export interface AlpineOptions {
  /** A tree with apks/ARCH, as Alpine's media have it, and the directory of its keys. */
  readonly media: string
  readonly keys: string
  readonly initramfs?: string | undefined
}

/** On one processor by the shop's clock, and on two by TCG's: those that count instructions take turns. */
export async function alpineContests(shop: Workshop, options: AlpineOptions): Promise<Contest[]> {
  const { served } = shop.target
  const media = join(served, 'media')
  rmSync(media, { force: true })
  symlinkSync(options.media, media)
  writeFileSync(join(served, 'bench.apkovl.tar.gz'), overlay())
  const server = `http://${Lab.address}`
  // Alpine's media have `quiet`: its progress bar is not for a serial line. The stamps are the kernel's, and to be seen.
  const words = `ip=dhcp modloop=none quiet ignore_loglevel`
  const append = `${words} apkovl=${server}/bench.apkovl.tar.gz alpine_repo=${server}/media/apks`
  const ours: Entrant = {
    name: 'diskless',
    file: await shop.ours(['virtio', 'common-ethernet'], options.keys),
    append,
  }
  const { initramfs } = options
  const contest = (id: string, title: string, how: Partial<BootOptions>): Contest => ({
    id: `packages-alpine${id}`,
    group: 'packages',
    title: `Alpine’s media over HTTP, ${title}`,
    unit: 's',
    subjects: [
      shop.timed(ours, how),
      ...(initramfs === undefined ? [] : theirs(shop.timed({ name: peer, file: initramfs, append }, how))),
    ],
    goals: [],
    ...(initramfs === undefined ? { note: 'ALPINE_INITRAMFS= names none to compare with' } : {}),
  })
  const one = contest('', 'one processor', { processors: 1, clock: 'instructions' })
  const two = contest('-two', 'two processors, by TCG’s clock', { processors: 2, clock: 'tcg' })
  // The goals are for two.
  const goals = [
    { against: peer, atMost: 0.2 },
    { against: waitless, atMost: 0.5 },
  ]
  return [one, { ...two, goals, alone: true }]
}

/** As it is, and what is left of the same boots without the wait. */
function theirs(whole: Subject): readonly Subject[] {
  const rounds = new Map<number, Promise<Figure>>()
  const measure = (round: number) => {
    const figure = rounds.get(round) ?? whole.measure(round)
    rounds.set(round, figure)
    return figure
  }
  const rest = async (round: number) => ({ value: (await measure(round)).value - waitSeconds })
  return [
    { ...whole, measure },
    { ...whole, name: waitless, measure: rest },
  ]
}

/** The first that the installed system's init starts is what says that it has begun. */
function overlay(): Buffer {
  const entries = [
    file('etc/inittab', '::sysinit:/sbin/arrived\n'),
    file('sbin/arrived', arrivalScript, 0o755),
  ]
  return makeOverlay({ hostname: 'bench', world: usualWorld, runlevels: {}, entries })
}
