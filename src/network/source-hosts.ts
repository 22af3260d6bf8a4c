/**
 * Where the boot comes from, as far as a network can be told by it: a lease from a network that does not lead there is of no
 * use, however quickly it came.
 */

import { mirrorsIn } from '../boot/mirrors.ts'
import { parseNfsShare } from '../boot/nfs.ts'
import type { ProxyPlan } from '../boot/proxy-plan.ts'
import { isUrl, type RootPlan } from '../boot/root-plan.ts'
import type { IpAddress, Sys } from '../sys/index.ts'
import { SysError } from '../sys/index.ts'
import type { Doubt } from './contest.ts'
import type { NetworkUp } from './network-up.ts'
import { proxyFor } from './proxy.ts'
import { hostOf, schemeOf } from './url.ts'

export type SourceHost =
  | {
      readonly kind: 'host'
      readonly host: string
      readonly port: number
      /** By UDP: that TCP is refused there is the answer of a host that is reached. */
      readonly datagrams?: boolean
    }
  /** The server that the lease names: that of its root path, or of the next file. */
  | { readonly kind: 'lease'; readonly port: number }

const PORTS: Readonly<Record<string, number>> = { http: 80, https: 443, tftp: 69 }
const NFS = 2049

/** Milliseconds until a name must have an address, and until somebody must answer there: three tries of TCP’s. */
const LOOK_MS = 5000

/** What the boot needs first; one of them must answer. None: there is nothing by which a network could be told. */
export function sourceHosts(root: RootPlan, proxies: ProxyPlan): readonly SourceHost[] {
  // What is asked through a proxy is reached where the proxy is.
  const ofUrl = (url: string) => hostsOf(proxyFor(url, proxies) ?? url)
  switch (root.kind) {
    case 'nfs':
      return [root.share === 'lease' ? { kind: 'lease', port: NFS } : ofShare(root.share.server)]
    case 'image':
      if (root.image.kind === 'nfs') return [ofShare(root.image.share.server)]
      return root.image.kind === 'url' ? root.image.urls.flatMap(ofUrl) : []
    case 'disk':
      return []
    case 'ram': {
      // An overlay is a site's own, and repositories are mirrors: any network with a way to the internet has them.
      if (root.overlay.kind === 'url') return root.overlay.urls.flatMap(ofUrl)
      if (root.medium?.kind === 'nfs') return [ofShare(root.medium.share.server)]
      const modloop = root.modules.kind === 'fetched-modloop' ? root.modules.urls : []
      const repositories =
        root.lock?.kind === 'url' ? root.lock.urls : root.repositories.flatMap(mirrorsIn).filter(isUrl)
      return (repositories.length > 0 ? repositories : modloop).flatMap(ofUrl)
    }
  }
}

function ofShare(server: string | undefined): SourceHost {
  return server === undefined ? { kind: 'lease', port: NFS } : { kind: 'host', host: server, port: NFS }
}

function hostsOf(url: string): readonly SourceHost[] {
  const host = hostOf(url)
  const usual = PORTS[schemeOf(url) ?? '']
  if (host === undefined || usual === undefined) return []
  // A port that is none is the download's to complain of.
  const [, port] = /^[^:]+:\/\/[^/?#]*:(\d{1,5})(?:[/?#]|$)/.exec(url) ?? []
  const number = Number(port ?? usual)
  if (number < 1 || number > 65_535) return []
  return [{ kind: 'host', host, port: number, ...(schemeOf(url) === 'tftp' ? { datagrams: true } : {}) }]
}

/**
 * Undefined when one of the hosts takes a connection through the link of `up`, which is configured and alone in it; else why
 * not. A refusal may be the server's, which starts later than its clients, or that of a wrong network's gate. Rejects with
 * ABORTED.
 */
export async function whyUnreachable(
  sys: Pick<Sys, 'network'>,
  up: NetworkUp,
  hosts: readonly SourceHost[],
  signal: AbortSignal,
): Promise<Doubt | undefined> {
  return unlessOneIsFine(
    hosts.map(async (each) => {
      const host = each.kind === 'host' ? each.host : hostOfLease(up)
      if (host === undefined) return { reason: 'its lease names no server to boot from', hope: false }
      const datagrams = each.kind === 'host' && each.datagrams === true
      return whySilent(sys, up.link, { host, port: each.port, datagrams }, signal)
    }),
  )
}

/** Undefined as soon as one is; else the most hopeful of the doubts. */
async function unlessOneIsFine(doubts: readonly Promise<Doubt | undefined>[]): Promise<Doubt | undefined> {
  const fine = doubts.map(
    (each) =>
      new Promise<undefined>((resolve, reject) => {
        each.then((doubt) => doubt === undefined && resolve(undefined), reject)
      }),
  )
  const worst = Promise.all(doubts).then((all) => all.find((doubt) => doubt?.hope) ?? all[0])
  return Promise.race([...fine, worst])
}

function hostOfLease({ source, server }: NetworkUp): string | undefined {
  const path = source.kind === 'lease' ? source.lease.rootPath : undefined
  return (path === undefined ? undefined : parseNfsShare(path)?.server) ?? server
}

async function whySilent(
  sys: Pick<Sys, 'network'>,
  link: string,
  { host, port, datagrams }: { readonly host: string; readonly port: number; readonly datagrams: boolean },
  signal: AbortSignal,
): Promise<Doubt | undefined> {
  const where = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
  const ask = async (address: IpAddress): Promise<Doubt | undefined> => {
    const answer = await sys.network.answers(link, address, port, LOOK_MS, signal)
    if (answer === 'nothing') return { reason: `nobody answers at ${where}`, hope: false }
    if (answer === 'connected' || datagrams) return undefined
    return { reason: `${where} refuses the connection`, hope: true }
  }
  try {
    const addresses = await sys.network.resolve(host, LOOK_MS)
    return await unlessOneIsFine(addresses.slice(0, 4).map(ask))
  } catch (error) {
    if (!(error instanceof SysError) || error.code === 'ABORTED') throw error
    return { reason: `${where} cannot be asked: ${error.message}`, hope: false }
  }
}
