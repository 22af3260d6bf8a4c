/**
 * Where the boot comes from, as far as a network can be told by it: a lease from a network that does not lead there is of no
 * use, however quickly it came.
 */

import { parseNfsShare } from '../boot/nfs.ts'
import { isUrl, overlayIsRemote, type RootPlan } from '../boot/root-plan.ts'
import type { IpAddress, Sys } from '../sys/index.ts'
import { SysError } from '../sys/index.ts'
import type { NetworkUp } from './join.ts'
import { hostOf, schemeOf } from './url.ts'

export type SourceHost =
  | { readonly kind: 'host'; readonly host: string; readonly port: number }
  /** The server that the lease names: that of its root path, or of the next file. */
  | { readonly kind: 'lease'; readonly port: number }

const PORTS: Readonly<Record<string, number>> = { http: 80, https: 443, tftp: 69 }
const NFS = 2049

/** Milliseconds until a name must have an address, and until somebody must answer there: three tries of TCP’s. */
const LOOK_MS = 5000

/** What the boot needs first; one of them must answer. None: there is nothing by which a network could be told. */
export function sourceHosts(root: RootPlan): readonly SourceHost[] {
  switch (root.kind) {
    case 'nfs':
      return [root.share === 'lease' ? { kind: 'lease', port: NFS } : ofShare(root.share.server)]
    case 'image':
      if (root.image.kind === 'nfs') return [ofShare(root.image.share.server)]
      return root.image.kind === 'url' ? ofUrl(root.image.url) : []
    case 'disk':
      return []
    case 'ram': {
      // An overlay is a site's own, and repositories are mirrors: any network with a way to the internet has them.
      if (overlayIsRemote(root) && root.overlay.kind === 'url') return ofUrl(root.overlay.url)
      if (root.medium?.kind === 'nfs') return [ofShare(root.medium.share.server)]
      const modloop = root.modules.kind === 'modloop' ? root.modules.url : undefined
      const repositories = root.repositories.filter(isUrl)
      return (repositories.length > 0 ? repositories : [modloop ?? '']).flatMap(ofUrl)
    }
  }
}

function ofShare(server: string | undefined): SourceHost {
  return server === undefined ? { kind: 'lease', port: NFS } : { kind: 'host', host: server, port: NFS }
}

function ofUrl(url: string): readonly SourceHost[] {
  const host = hostOf(url)
  const usual = PORTS[schemeOf(url) ?? '']
  if (host === undefined || usual === undefined) return []
  // A port that is none is the download's to complain of.
  const [, port] = /^[^:]+:\/\/[^/?#]*:(\d{1,5})(?:[/?#]|$)/.exec(url) ?? []
  const number = Number(port ?? usual)
  return number > 0 && number < 65_536 ? [{ kind: 'host', host, port: number }] : []
}

/**
 * Undefined when one of the hosts answers through the link of `up`, which is configured and alone in it; else why not, for a
 * person. Rejects with ABORTED.
 */
export async function whyUnreachable(
  sys: Pick<Sys, 'network'>,
  up: NetworkUp,
  hosts: readonly SourceHost[],
  signal: AbortSignal,
): Promise<string | undefined> {
  return unlessOneIsFine(
    hosts.map(async (each) => {
      const host = each.kind === 'host' ? each.host : hostOfLease(up)
      if (host === undefined) return 'its lease names no server to boot from'
      return whySilent(sys, up.link, host, each.port, signal)
    }),
  )
}

/** Undefined as soon as one is; else what the first says when all have. */
async function unlessOneIsFine(reasons: readonly Promise<string | undefined>[]): Promise<string | undefined> {
  const fine = reasons.map(
    (each) =>
      new Promise<undefined>((resolve, reject) => {
        each.then((reason) => reason === undefined && resolve(undefined), reject)
      }),
  )
  return Promise.race([...fine, Promise.all(reasons).then(([first]) => first)])
}

function hostOfLease({ source, server }: NetworkUp): string | undefined {
  const path = source.kind === 'lease' ? source.lease.rootPath : undefined
  return (path === undefined ? undefined : parseNfsShare(path)?.server) ?? server
}

async function whySilent(
  sys: Pick<Sys, 'network'>,
  link: string,
  host: string,
  port: number,
  signal: AbortSignal,
): Promise<string | undefined> {
  const where = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
  try {
    const addresses = await sys.network.resolve(host, LOOK_MS)
    const ask = async (address: IpAddress) => {
      const answered = await sys.network.answers(link, address, port, LOOK_MS, signal)
      return answered ? undefined : `nobody answers at ${where}`
    }
    return await unlessOneIsFine(addresses.slice(0, 4).map(ask))
  } catch (error) {
    if (!(error instanceof SysError)) throw error
    if (error.code === 'ABORTED') throw error
    return `${where} cannot be asked: ${error.message}`
  }
}
