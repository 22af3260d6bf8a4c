/** Puts what a lease or the command line says onto a link. */

import type { IpConfiguration } from '../boot/ip-parameter.ts'
import type { IpAddress, Link, Route, Sys } from '../sys/index.ts'
import { BootError, hasCode, SysError } from '../sys/index.ts'
import { formatResolvConf } from './files.ts'
import { defaultRoute, type Lease } from './lease.ts'

export type StaticConfiguration = Extract<IpConfiguration, { kind: 'static' }>

export interface LinkSettings {
  readonly address: IpAddress
  readonly prefixLength: number
  readonly broadcast: IpAddress | undefined
  readonly mtu: number | undefined
  /** In an order that the kernel takes. */
  readonly routes: readonly Route[]
}

export function settingsOfLease(lease: Lease): LinkSettings {
  const { address, prefixLength, broadcast, mtu, routes } = lease
  return { address, prefixLength, broadcast, mtu, routes }
}

export function settingsOfStatic(configuration: StaticConfiguration): LinkSettings {
  const { address, prefixLength, gateway } = configuration
  const routes = gateway === undefined ? [] : [defaultRoute(configuration, gateway)]
  return { address, prefixLength, broadcast: undefined, mtu: undefined, routes }
}

/**
 * Replaces whatever is configured on the link. An MTU or a route beside the default that the kernel refuses is
 * told and left out; without its address or its default route the link is of no use, and that is an error.
 */
export async function applySettings(
  sys: Pick<Sys, 'network'>,
  link: Link,
  settings: LinkSettings,
  onNotice: (text: string) => void,
): Promise<void> {
  const { address, prefixLength, broadcast, mtu, routes } = settings
  const orTell = (what: string) => (error: unknown) => {
    if (!(error instanceof SysError)) throw error
    onNotice(`${link.name}: ${what} was refused: ${error.message}`)
  }
  if (mtu !== undefined && mtu !== link.mtu) {
    await sys.network.setLink(link.name, { mtu }).catch(orTell(`MTU ${mtu}`))
  }
  try {
    await sys.network.flush(link.name)
    await sys.network.addAddress(link.name, {
      address,
      prefixLength,
      ...(broadcast === undefined ? {} : { broadcast }),
    })
  } catch (cause) {
    throw new BootError(`${link.name} could not be given the address ${address}/${prefixLength}`, { cause })
  }
  for (const route of routes) {
    const added = addRoute(sys, link.name, route)
    if (route.destination !== '0.0.0.0/0') await added.catch(orTell(`the route to ${route.destination}`))
    else await added.catch(throwNoGateway(link.name, route, address))
  }
}

async function addRoute(sys: Pick<Sys, 'network'>, link: string, route: Route): Promise<void> {
  try {
    await sys.network.addRoute(link, route)
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error
  }
}

function throwNoGateway(link: string, route: Route, address: IpAddress): (cause: unknown) => never {
  return (cause) => {
    throw new BootError(
      `${link} has ${address}, but its gateway ${route.gateway ?? 'on the link'} was refused`,
      {
        cause,
        advice: ['Check the gateway in the DHCP server’s configuration, or in ip=.'],
      },
    )
  }
}

/** /etc/resolv.conf of the initramfs: the host's resolver reads it, and the new system gets it. */
export async function writeResolvConf(
  sys: Pick<Sys, 'files'>,
  names: { readonly dns: readonly IpAddress[]; readonly search: readonly string[] },
): Promise<void> {
  const text = formatResolvConf(names)
  if (text === '') return
  await sys.files.makeDirectory('/etc')
  await sys.files.writeText('/etc/resolv.conf', text, { mode: 0o644 })
}
