/** Where the overlay is: on a server, in the initrd, or on a medium, of which a person may have named one. */

import { showDeviceName } from '../boot/device.ts'
import { fillIn } from '../boot/identity.ts'
import type { OverlayPlan } from '../boot/root-plan.ts'
import { redactUrls } from '../network/url.ts'
import { BootError, type Sys } from '../sys/index.ts'
import { isOverlayName, nameOf } from './name.ts'
import type { MediaOfOverlay, OverlayTarget } from './overlay.ts'

export type Found =
  /** None was asked for, and no medium has one. */
  | { readonly kind: 'none' }
  /** One was asked for. */
  | { readonly kind: 'missing'; readonly error: BootError }
  | FoundOverlay

export interface FoundOverlay {
  readonly kind: 'found'
  /** A URL, or the path of a regular file. */
  readonly place: string
  /** URLs of the same on other servers. */
  readonly mirrors: readonly string[]
  /** All of them, without a password. */
  readonly shown: string
}

type FindSys = Pick<Sys, 'files'>

/** Throws a BootError where several could be meant. */
export async function findOverlay(
  sys: FindSys,
  plan: OverlayPlan,
  target: Pick<OverlayTarget, 'mac' | 'uuid'>,
  media: MediaOfOverlay,
): Promise<Found> {
  switch (plan.kind) {
    case 'search':
      return theOnly(
        sys,
        media.overlays.filter((path) => isOverlayName(nameOf(path))),
      )
    case 'url':
      return onServers(plan.urls.map((url) => fillIn(url, target)))
    case 'path':
      return lookIn(
        sys,
        ['/', ...media.media.map((medium) => medium.target)],
        fillIn(plan.path, target),
        'in the initrd or on a medium',
      )
    case 'device': {
      const device = showDeviceName(plan.place.device)
      const directory = media.overlayTarget
      if (directory === undefined) {
        return missing(`the overlay was to be on ${device}, which is not there`, [
          'check the name of the device: the shell’s blkid lists what is there',
        ])
      }
      if (plan.place.path !== undefined) {
        return lookIn(sys, [directory], fillIn(plan.place.path, target), `on ${device}`)
      }
      return theOneAtRoot(sys, directory, device)
    }
  }
}

/** Symlinks on a medium cannot lead out of it; a FIFO or a device there is no overlay. */
async function lookIn(sys: FindSys, roots: readonly string[], path: string, where: string): Promise<Found> {
  for (const root of roots) {
    const file = await sys.files.resolveIn(root, path)
    const status = file === undefined ? undefined : await sys.files.status(file)
    if (file === undefined || status === undefined) continue
    if (status.kind === 'file') return found(file)
    throw new BootError(`the overlay ${file} is a ${status.kind}, not a file`, {
      advice: ['apkovl= names the tar.gz itself'],
    })
  }
  const looked = roots.map((root) => `${root.replace(/\/$/, '')}${path}`).join(', ')
  const there = await Promise.all(roots.map((root) => overlaysIn(sys, root)))
  const others = there.flat()
  return missing(`the overlay ${path} is not there ${where} (looked for: ${looked})`, [
    others.length === 0
      ? 'check the path; it begins at the root of the medium'
      : `there are: ${list(others)}; name one of them`,
  ])
}

async function theOneAtRoot(sys: FindSys, directory: string, device: string): Promise<Found> {
  const overlays = await overlaysIn(sys, directory)
  if (overlays.length > 0) return theOnly(sys, overlays)
  const names = await sys.files.list(directory)
  return missing(`no overlay (*.apkovl.tar.gz) is at the root of ${device}`, [
    names.length === 0 ? `${device} is empty` : `there are: ${list(names)}`,
    `where it is in a directory, name it: apkovl=${device}:/PATH`,
  ])
}

async function overlaysIn(sys: FindSys, directory: string): Promise<readonly string[]> {
  const names = (await sys.files.list(directory)).filter(isOverlayName)
  return names.map((name) => `${directory.replace(/\/$/, '')}/${name}`)
}

async function theOnly(sys: FindSys, paths: readonly string[]): Promise<Found> {
  const [first, ...others] = [...new Set(paths)].sort()
  if (first === undefined) return { kind: 'none' }
  if (others.length === 0) {
    const name = nameOf(first)
    return lookIn(sys, [first.slice(0, -name.length - 1)], `/${name}`, 'any more')
  }
  throw new BootError(`several overlays are there, and none is named: ${list([first, ...others])}`, {
    advice: [`name one with apkovl=DEVICE:/PATH (${wordFor(first)}), or remove what is not this machine’s`],
  })
}

/** `/media/vda1/x.apkovl.tar.gz` as apkovl= names it. */
function wordFor(path: string): string {
  const [, medium, rest] = /^\/media\/([^/]+)(\/.*)$/.exec(path) ?? []
  return `apkovl=${medium === undefined || medium === 'alpine_dev' ? (rest ?? path) : `${medium}:${rest}`}`
}

function found(path: string): Found {
  return { kind: 'found', place: path, mirrors: [], shown: path }
}

export function onServers([place = '', ...mirrors]: readonly string[]): Found {
  return { kind: 'found', place, mirrors, shown: redactUrls([place, ...mirrors]) }
}

function missing(message: string, advice: readonly string[]): Found {
  return { kind: 'missing', error: new BootError(message, { advice }) }
}

/** Names of files are whatever somebody wrote on the medium. */
export function list(names: readonly string[]): string {
  const shown = names.slice(0, 20).map((name) => name.replace(/\p{Cc}/gu, '?'))
  return [...shown, ...(names.length > 20 ? [`and ${names.length - 20} more`] : [])].join(', ')
}
