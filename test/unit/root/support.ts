/** What the tests of roots share. */

import { parseLease } from '../../../src/network/lease.ts'
import type { NetworkUp } from '../../../src/network/network-up.ts'
import type { RootEvents } from '../../../src/root/mounted.ts'
import { BootError } from '../../../src/sys/index.ts'
import type { FakeMachine } from '../../support/machine/index.ts'

/** The network as a lease brings it: 10.0.2.15, from 10.0.2.2 unless told. */
export function networkUp(lease: { rootPath?: string; server?: string | undefined } = {}): NetworkUp {
  const { rootPath } = lease
  const parsed = parseLease(
    {
      ...{ op: 'reply', xid: 1, secs: 0, broadcast: false, sname: '', file: '', chaddr: '52:54:00:00:00:01' },
      ...{ ciaddr: '0.0.0.0', yiaddr: '10.0.2.15', siaddr: '0.0.0.0', giaddr: '0.0.0.0' },
      options: {
        messageType: 'ack',
        serverId: '10.0.2.2',
        subnetMask: '255.255.255.0',
        ...(rootPath === undefined ? {} : { rootPath }),
      },
    },
    'eth0',
    0,
  )
  if (parsed.kind !== 'lease') throw new Error(parsed.reason)
  const { mac, address, prefixLength, routes, dns, search, domain, hostname, ntp } = parsed.lease
  return {
    ...{ link: 'eth0', mac, address, prefixLength, routes, dns, search, domain, hostname, ntp },
    server: 'server' in lease ? lease.server : '10.0.2.2',
    source: { kind: 'lease', lease: parsed.lease },
    ...{ stacked: [], beneath: [], others: [] },
  }
}

export function rootEvents(): RootEvents & { readonly notices: string[] } {
  const notices: string[] = []
  return { notices, onNotice: (text) => notices.push(text), signal: new AbortController().signal }
}

/** What a person would be told; a test that gets no such error fails. */
export async function failureOf(machine: FakeMachine, promise: Promise<unknown>): Promise<BootError> {
  const error = await machine.run(
    promise.then(
      () => undefined,
      (error: unknown) => error,
    ),
  )
  if (error instanceof BootError) return error
  throw error ?? new Error('it did not fail')
}

/** Targets of what is mounted for a root. */
export async function mountsOfRoot(machine: FakeMachine): Promise<readonly string[]> {
  const targets = (await machine.mounts.list()).map(({ target }) => target)
  return targets.filter((target) => target.startsWith('/sysroot') || target.startsWith('/run/diskless'))
}
