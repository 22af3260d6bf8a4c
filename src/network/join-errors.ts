/** Why the network did not come up, for whoever stands before the machine. */

import type { Link } from '../sys/index.ts'
import { BootError } from '../sys/index.ts'
import { type MissingFirmware, some } from './cards.ts'
import type { DhcpOutcome } from './dhcp-client.ts'
import type { Ipv6Outcome } from './ipv6.ts'

/** How asking for an address may fail. */
export type FailedLease = Extract<DhcpOutcome, { kind: 'failed' }> | Extract<Ipv6Outcome, { kind: 'failed6' }>

/** How a card ended. */
export type CardEnd =
  | { readonly kind: 'no-carrier'; readonly link: Link; readonly waitedMs: number }
  | { readonly kind: 'carrier-lost'; readonly link: Link }
  | { readonly kind: 'no-lease'; readonly link: Link; readonly outcome: FailedLease }
  | { readonly kind: 'broken'; readonly link: Link; readonly error: unknown }

export function noCardError(driverless: readonly string[], waitedMs: number): BootError {
  const message = `no network card after ${seconds(waitedMs)}`
  if (driverless.length === 0) {
    return new BootError(message, {
      advice: [
        'Check that the firmware has the card enabled, and that it is on a bus whose driver the initrd has (USB, virtio).',
      ],
    })
  }
  return new BootError(`${message}; without a driver: ${driverless.join(', ')}`, {
    advice: [
      'Build the initrd with the module for this card (--modules), and with the firmware that it needs (--firmware).',
    ],
  })
}

export function noSuchCardError(device: string, links: readonly Link[], waitedMs: number): BootError {
  const there = links.map(({ name, mac }) => `${name} (${mac})`).join(', ')
  return new BootError(`there is no ${device} after ${seconds(waitedMs)}; this machine has ${there}`, {
    advice: ['Name one of these in ip=, or none: then every card with a carrier is tried.'],
  })
}

/** At least one card was there, and none of them brought the network. */
export function noNetworkError(ends: readonly CardEnd[], missing?: MissingFirmware): BootError {
  const waiting = ends.filter((end) => end.kind === 'no-carrier')
  const [first] = waiting
  if (first && waiting.length === ends.length) {
    const names = waiting.map(({ link }) => link.name).join(', ')
    const waitedMs = Math.max(...waiting.map((end) => end.waitedMs))
    return new BootError(`no carrier on ${names} after ${seconds(waitedMs)}`, { advice: CABLE })
  }
  // The most telling first: where somebody was asked.
  const sorted = [...ends].sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind))
  const broken = sorted.find((end) => end.kind === 'broken')
  return new BootError(sorted.map(sentence).join('; '), {
    ...(broken === undefined ? {} : { cause: broken.error }),
    advice: [...new Set(sorted.flatMap((end) => adviceFor(end, missing)))],
  })
}

const ORDER: readonly CardEnd['kind'][] = ['broken', 'no-lease', 'carrier-lost', 'no-carrier']

const CABLE = [
  'Check the cable, the switch port and the card: its lamp should be on.',
  'With several cards, name the right one: BOOTIF= from the boot loader, or ip=:::::eth1:dhcp',
]

function sentence(end: CardEnd): string {
  const { name } = end.link
  switch (end.kind) {
    case 'no-carrier':
      return `no carrier on ${name} after ${seconds(end.waitedMs)}`
    case 'carrier-lost':
      return `the carrier of ${name} came and went`
    case 'broken':
      return `${name} could not be used`
    case 'no-lease': {
      if (end.outcome.kind === 'failed6') return `no IPv6 on ${name}: ${end.outcome.reason}`
      const { tally, elapsedMs } = end.outcome
      const asked = `${tally.discovers} discovers in ${seconds(elapsedMs)}`
      if (tally.offers === 0) return `no DHCP answer on ${name}: ${asked}`
      return `no DHCP lease on ${name}: ${asked}, ${tally.offers} offers, the last problem: ${tally.lastProblem ?? 'none known'}`
    }
  }
}

function adviceFor(end: CardEnd, missing: MissingFirmware | undefined): readonly string[] {
  switch (end.kind) {
    case 'no-carrier':
    case 'carrier-lost':
      return CABLE
    case 'broken': {
      const lacking = missing?.get(end.link.driver ?? '') ?? []
      if (lacking.length > 0) {
        return [
          `Its driver ${end.link.driver} may ask for firmware that this initrd lacks (${some(lacking)}): build it with --firmware DIR.`,
        ]
      }
      return [`Look at what the kernel says about ${end.link.name} and its driver ${end.link.driver ?? ''}.`]
    }
    case 'no-lease':
      if (end.outcome.kind === 'failed6') return end.outcome.advice
      if (end.outcome.tally.conflicts.length > 0) {
        return [
          `Find the machine that uses ${end.outcome.tally.conflicts.join(', ')}, or take the address out of the DHCP range.`,
        ]
      }
      return end.outcome.tally.offers > 0
        ? ['Look at the DHCP server’s log: it knows this machine and gives it nothing usable.']
        : [
            `Check that a DHCP server (or a relay) runs on the network of ${end.link.name}, and that it has addresses left.`,
            'On the switch, set the port to portfast (edge): spanning tree drops the first 30 s of packets.',
            'Without DHCP, set an address: ip=CLIENT::GATEWAY:NETMASK::DEVICE:off:DNS',
          ]
  }
}

function seconds(milliseconds: number): string {
  return `${Math.round(milliseconds / 1000)} s`
}
