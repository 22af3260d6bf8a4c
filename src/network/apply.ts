/** Puts what a lease or the command line says onto a link. */

import { inPrefix6, isLinkLocal, networkOf6 } from '../boot/ipv6.ts'
import type { Address, IpAddress, Link, Route, Sys } from '../sys/index.ts'
import { BootError, hasCode, SysError } from '../sys/index.ts'
import { formatResolvConf } from './files.ts'
import type { Ipv6Configuration } from './ipv6.ts'
import { claimAddress, untilAddress } from './ipv6-address.ts'
import { defaultRoute, type Lease } from './lease.ts'
import type { AddressSource, StaticConfiguration } from './network-up.ts'

export interface LinkSettings {
  readonly address: IpAddress
  readonly prefixLength: number
  readonly broadcast: IpAddress | undefined
  readonly mtu: number | undefined
  /** In an order that the kernel takes. */
  readonly routes: readonly Route[]
  /** The kernel made the address and sees to it, as to the routes. */
  readonly advertised?: boolean
}

export function settingsOfSource(source: AddressSource): LinkSettings {
  switch (source.kind) {
    case 'lease':
      return settingsOfLease(source.lease)
    case 'static':
      return settingsOfStatic(source.configuration)
    case 'ipv6':
      return settingsOfIpv6(source.configuration)
  }
}

function settingsOfLease(lease: Lease): LinkSettings {
  const { address, prefixLength, broadcast, mtu, routes } = lease
  return { address, prefixLength, broadcast, mtu, routes }
}

function settingsOfStatic(configuration: StaticConfiguration): LinkSettings {
  const { address, prefixLength, gateway } = configuration
  const routes = gateway === undefined ? [] : [routeOf(configuration, gateway)]
  return { address, prefixLength, broadcast: undefined, mtu: undefined, routes }
}

export function settingsOfIpv6({ address, prefixLength, lease, routers }: Ipv6Configuration): LinkSettings {
  // Routers say what is on the link. Where there is none, nearly every network has 64 bits.
  const network = lease === undefined || routers.length > 0 ? undefined : networkOf6(address, 64)
  const routes = network === undefined ? [] : [{ destination: network }]
  const common = { address, prefixLength, broadcast: undefined, mtu: undefined, routes }
  return lease === undefined ? { ...common, advertised: true } : common
}

function routeOf(own: StaticConfiguration, gateway: IpAddress): Route {
  if (!gateway.includes(':')) return defaultRoute(own, gateway)
  const route = { destination: '::/0', gateway }
  const near = isLinkLocal(gateway) || inPrefix6(gateway, own.address, own.prefixLength)
  return near ? route : { ...route, onlink: true }
}

/**
 * Replaces whatever is configured on the link. An MTU or a route beside the default that the kernel refuses is
 * told and left out; without its address or its default route the link is of no use, and that is an error.
 */
export async function applySettings(
  sys: Pick<Sys, 'network' | 'clock'>,
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
  if (settings.advertised) return
  try {
    const own = { address, prefixLength, ...(broadcast === undefined ? {} : { broadcast }) }
    if (address.includes(':')) await setAddress6(sys, link.name, own)
    else {
      await sys.network.flush(link.name)
      await sys.network.addAddress(link.name, own)
    }
  } catch (cause) {
    if (cause instanceof BootError) throw cause
    throw new BootError(`${link.name} could not be given the address ${address}/${prefixLength}`, { cause })
  }
  for (const route of routes) {
    const added = addRoute(sys, link.name, route)
    if (!route.destination.endsWith('/0')) await added.catch(orTell(`the route to ${route.destination}`))
    else await added.catch(throwNoGateway(link.name, route, address))
  }
}

/** One that is there, and known to be nobody else’s, stays: to set it anew would be to ask the neighbours again. */
async function setAddress6(
  sys: Pick<Sys, 'network' | 'clock'>,
  link: string,
  address: Address,
): Promise<void> {
  const known = await untilAddress(sys, link, sys.clock.now() + LOOK_MS, (all) => all)
  const isThere = known?.some((each) => each.address === address.address && each.state === 'preferred')
  if (!isThere) await sys.network.flush(link)
  if ((await claimAddress(sys, link, address)) === 'usable') return
  await sys.network.flush(link)
  throw new BootError(`${link} was not given the address ${address.address}: another machine has it`, {
    advice: [`Find that machine, or give this one another address in ip=.`],
  })
}

/** The kernel tells at once what is there. */
const LOOK_MS = 5000

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
