/** `--check`: the servers are asked what the boot will ask them. What only the machine can know is said to be so. */

import { showBytes } from '../../boot/format.ts'
import type { NfsShare } from '../../boot/nfs.ts'
import type { BootPlan } from '../../boot/plan.ts'
import { isUrl, type MountedRootPlan, type RamRootPlan } from '../../boot/root-plan.ts'
import { redactUrl } from '../../network/url.ts'
import { bytesOf, clean } from '../inspect/bytes.ts'
import { imageType } from '../inspect/image.ts'
import { checkOverlay } from './check-overlay.ts'
import { checkLock, checkRepositories } from './check-packages.ts'
import { askNfs, askNfsPath, type NfsPath } from './nfs.ts'
import { NoAnswer } from './no-answer.ts'
import { type Asker, type Check, obtain } from './obtain.ts'

export type { Asker, Check } from './obtain.ts'

export async function checkPlan(plan: BootPlan, asker: Omit<Asker, 'proxies'>): Promise<readonly Check[]> {
  const checks = await ask(plan, { ...asker, proxies: plan.proxies })
  // Servers, certificates and indexes say what they like.
  return checks.map(({ what, state, says }) => ({ what: clean(what), state, says: says.map(clean) }))
}

async function ask(plan: BootPlan, asker: Asker): Promise<readonly Check[]> {
  const { root, network } = plan
  const checks = root.kind === 'ram' ? await checkRam(root, asker) : await checkMounted(root, asker)
  return [
    ...checks,
    ...(plan.report === undefined
      ? []
      : [
          {
            what: `Who is told: ${redactUrl(plan.report)}`,
            state: 'unknown' as const,
            says: ['not asked: whoever listens there would take it for a machine that boots'],
          },
        ]),
    ...(network.kind === 'none' || network.ip.kind === 'static'
      ? []
      : [
          {
            what: 'The lease',
            state: 'unknown' as const,
            says: ['whether a DHCP server answers in the machine’s own network only the machine can ask'],
          },
        ]),
  ]
}

async function checkRam(root: RamRootPlan, asker: Asker): Promise<readonly Check[]> {
  const { medium, lock, modules, sshKey } = root
  const { checks, contents } = await checkOverlay(root.overlay, asker)
  return [
    ...checks,
    ...(medium?.kind === 'nfs' ? [await checkShare(medium.share)] : []),
    ...(lock === undefined
      ? await checkRepositories(root, contents, asker)
      : await checkLock(lock, root, contents, asker)),
    ...(modules.kind === 'fetched-modloop' ? [await checkImage('The modloop', modules.urls, asker)] : []),
    ...(sshKey !== undefined && isUrl(sshKey) ? [await checkThere('The SSH key', [sshKey], asker)] : []),
  ]
}

async function checkMounted(root: MountedRootPlan, asker: Asker): Promise<readonly Check[]> {
  switch (root.kind) {
    case 'nfs':
      return [
        root.share === 'lease'
          ? {
              what: 'The NFS share',
              state: 'unknown',
              says: ['the lease names it, and only the machine gets that'],
            }
          : await checkShare(root.share),
      ]
    case 'disk':
      return [{ what: 'The disk', state: 'unknown', says: ['only the machine has it'] }]
    case 'image':
      switch (root.image.kind) {
        case 'url':
          return [await checkImage('The image', root.image.urls, asker)]
        case 'nfs':
          return [await checkShare(root.image.share, root.image.path)]
        case 'path':
          return [
            {
              what: 'The image',
              state: 'unknown',
              says: ['it is in the initrd, or on a medium of the machine’s'],
            },
          ]
      }
  }
}

async function checkThere(what: string, urls: readonly string[], asker: Asker): Promise<Check> {
  const { state, says } = await obtain(urls, 'start', asker)
  return { what, state, says }
}

async function checkImage(what: string, urls: readonly string[], asker: Asker): Promise<Check> {
  const { answer, state, says } = await obtain(urls, 'start', asker)
  if (answer === undefined) return { what, state, says }
  const type = imageType(bytesOf(answer.bytes).slice(0, 2048))
  const known = what === 'The modloop' ? asker.machine.initrd?.modloop : undefined
  const wrong = [
    ...(type === undefined ? ['it is neither squashfs nor erofs'] : []),
    ...(known !== undefined && answer.size !== undefined && answer.size !== known.size
      ? [`the initrd was built for one of ${known.size} bytes, and this one has ${answer.size}`]
      : []),
  ]
  const memory = asker.machine.memory
  const large =
    memory !== undefined && (answer.size ?? 0) > memory / 2
      ? ['it takes more than half of the machine’s memory']
      : []
  return {
    what,
    state: wrong.length > 0 ? 'fails' : 'fine',
    says: [
      ...says,
      ...(type === undefined
        ? []
        : [`it is ${type}; its digest was not computed, as only its beginning was fetched`]),
      ...wrong,
      ...large,
    ],
  }
}

/** `image`: of a file on it; absolute. */
async function checkShare({ server, path }: NfsShare, image?: string): Promise<Check> {
  const what = `The NFS share ${server === undefined ? '' : `${server}:`}${path}`
  if (server === undefined) {
    return { what, state: 'unknown', says: ['the lease names its server, and only the machine gets that'] }
  }
  try {
    const versions = await askNfs({ host: server })
    if (versions.length === 0) {
      return { what, state: 'fails', says: ['a server answers, but speaks neither NFS 4 nor 3 by TCP'] }
    }
    const whole = image === undefined ? path : `${path.replace(/\/$/, '')}${image}`
    const found = await askNfsPath({ host: server }, whole)
    const { state, text } = describePath(found, whole, image === undefined ? 'directory' : 'file')
    const says = [`it answers, and speaks NFS ${versions.join(' and ')}`, text]
    return {
      what,
      state,
      says: [...says, 'exports go by the address that asks: the machine may see more, or less'],
    }
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error
    return { what, state: 'fails', says: [error.message] }
  }
}

function describePath(
  found: NfsPath,
  path: string,
  wanted: 'directory' | 'file',
): { readonly state: Check['state']; readonly text: string } {
  if (found.kind === 'untold')
    return { state: 'fine', text: `whether ${path} is there was not told: ${found.why}` }
  if (found.kind === 'missing')
    return { state: 'fails', text: `${found.at} is not there, or not for this machine` }
  if (found.kind !== wanted) return { state: 'fails', text: `${path} is no ${wanted}` }
  const size = found.kind === 'file' ? `, ${showBytes(found.bytes)}` : ''
  return { state: 'fine', text: `${path} is there${size}` }
}
