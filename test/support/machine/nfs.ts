/** How NFS servers and the kernel's client answer a mount, in the fake machine. */

import { isIP } from 'node:net'
import { type MountRequest, SysError } from '../../../src/sys/index.ts'
import type { VirtualClock } from './clock.ts'
import { refusal } from './faults.ts'
import type { Media } from './media.ts'
import type { FakeNetwork } from './network.ts'
import type { Sources } from './sources.ts'

const OPERATION = 'mounts.mount'

export interface NfsClient {
  readonly clock: VirtualClock
  readonly sources: Sources
  /** What a request needs to get through; without one, everything does. */
  readonly network: FakeNetwork | undefined
}

/** What the server exports under this name, or its refusal. */
export async function exportOf(request: MountRequest, client: NfsClient): Promise<Media> {
  const { source } = request
  const split = source.indexOf(':/')
  if (split <= 0) throw refusal('EINVAL', OPERATION, source, 'not SERVER:/PATH')
  const server = source.slice(0, split)
  const address = option(request, 'addr') ?? server.replace(/^\[(.*)\]$/, '$1')
  if (isIP(address) === 0) {
    // The kernel resolves no names.
    throw refusal('EINVAL', OPERATION, source, 'no server address: addr= is missing')
  }
  // proto=tcp is IPv4's.
  const family = option(request, 'proto')?.endsWith('6') ? 6 : 4
  if (option(request, 'proto') !== undefined && family !== isIP(address)) {
    throw refusal('EINVAL', OPERATION, source, 'Server address does not match proto= option')
  }
  await reach(request, address, client)
  const byAddress = `${isIP(address) === 6 ? `[${address}]` : address}${source.slice(split)}`
  const media = client.sources.exported(source) ?? client.sources.exported(byAddress)
  if (media === undefined) {
    const serves = client.sources.serves(server) || client.sources.serves(address)
    throw refusal(serves ? 'ENOENT' : 'ECONNREFUSED', OPERATION, source)
  }
  const version = versionOf(request)
  if (media.versions !== undefined && !media.versions.map(whole).includes(version)) {
    // What rpcbind says of a program that it does not know; RPC itself, of a version.
    throw refusal(version === '3' ? 'EOPNOTSUPP' : 'EPROTONOSUPPORT', OPERATION, source)
  }
  if (media.access === 'denied') {
    const detail = ['nfs: server refused: access denied by server']
    throw new SysError({
      code: 'EACCES',
      operation: OPERATION,
      subject: source,
      message: 'Permission denied',
      detail,
    })
  }
  return media
}

async function reach(request: MountRequest, address: string, client: NfsClient): Promise<void> {
  const { network, clock } = client
  if (network === undefined || network.reaches(address)) return
  if (!network.routed(address)) throw refusal('ENETUNREACH', OPERATION, request.source)
  const { timeoutMs } = request
  // Without a deadline the kernel goes on trying for minutes, and so does this.
  if (timeoutMs === undefined) await new Promise<never>(() => {})
  await clock.sleep(timeoutMs ?? 0)
  throw refusal('TIMEOUT', OPERATION, request.source, `no answer within ${timeoutMs} ms`)
}

/** nfs(5): `vers=` and `nfsvers=`; the kernel itself negotiates nothing. */
function versionOf(request: MountRequest): string {
  const version =
    option(request, 'vers') ?? option(request, 'nfsvers') ?? (request.type === 'nfs4' ? '4' : '3')
  const minor = option(request, 'minorversion')
  return whole(minor === undefined ? version : `${version}.${minor}`)
}

function whole(version: string): string {
  return version === '4' ? '4.0' : version
}

function option({ options }: MountRequest, key: string): string | undefined {
  return options.find((each) => each.startsWith(`${key}=`))?.slice(key.length + 1)
}
