/** What is going to be done: the command line and the machine's facts as one typed, printable plan. Pure. */
import { BootError } from '../sys/error.ts'
import type { Mac } from '../sys/network.ts'
import type { EndAction } from '../sys/sys.ts'
import type { CommandLine } from './command-line.ts'
import type { Identity } from './identity.ts'
import {
  type IpConfiguration,
  type LinkConfiguration,
  parseBootInterface,
  parseIpParameters,
} from './ip-parameter.ts'
import { type LeasePlan, planLease } from './lease-plan.ts'
import { type ProxyPlan, planProxies } from './proxy-plan.ts'
import { needsNetwork, planRoot, type RamRootPlan, type RootPlan } from './root-plan.ts'
import { parseRoute, type StaticRoute } from './route-parameter.ts'
import { readSettings, type Settings } from './settings.ts'
import { parseStackedLinks, type StackedLink } from './stacked-links.ts'

export interface BootPlan {
  readonly machine: Identity
  readonly quiet: boolean
  readonly debug: boolean
  /** A shell before the root is built. */
  readonly single: boolean
  /** Devices named by console=, without /dev/, in order. */
  readonly consoles: readonly string[]
  readonly onFailure: FailurePlan
  readonly modules: readonly string[]
  readonly blacklist: readonly string[]
  readonly network: NetworkPlan
  readonly proxies: ProxyPlan
  readonly root: RootPlan
  readonly init: { readonly path: string; readonly arguments: readonly string[] }
  /** keymap= or dokeymap: a name, or `ask`. */
  readonly keymap: string | undefined
  /** diskless.report=: whom to tell of this boot, by http or https. */
  readonly report: string | undefined
  /** For tests: the way to fail on purpose. */
  readonly crash: string | undefined
  /** To be said aloud before anything is done. */
  readonly warnings: readonly string[]
}

/** The plan of a boot into RAM. */
export type RamBootPlan = BootPlan & { readonly root: RamRootPlan }

export interface FailurePlan {
  readonly action: EndAction
  /** Before the reboot or the next try, milliseconds. */
  readonly delayMs: number
  /** A shell that is idle for so long tries again; undefined: never. */
  readonly idleMs: number | undefined
}

export type NetworkPlan =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'join'
      /** Of the link that is booted from. */
      readonly ip: IpConfiguration
      /** Further links that are configured and left up; each names its device. */
      readonly others: readonly LinkConfiguration[]
      /** vlan= and bond=: to be made in this order. */
      readonly stacked: readonly StackedLink[]
      /** rd.route= */
      readonly routes: readonly StaticRoute[]
      readonly bootInterface: Mac | undefined
      readonly nameservers: readonly string[]
      readonly dhcpTimeoutMs: number
      readonly carrierTimeoutMs: number
      readonly lease: LeasePlan
    }

/** Throws a BootError that names every parameter that is refused or cannot be understood. */
export function makePlan(line: CommandLine, machine: Identity): BootPlan {
  const settings = readSettings(line)
  refuse(settings)
  // planFailure reads it too, and must not throw.
  secondsOf(settings, 'diskless.idle', defaultIdle)
  const root = planRoot(settings)
  const network = planNetwork(settings, root)
  const report = planReport(settings)
  return {
    machine,
    quiet: settings.flag('quiet'),
    debug: settings.flag('debug_init') || settings.flag('diskless.debug'),
    single: settings.flag('single'),
    consoles: settings.all('console').map((value) => value.split(',')[0] ?? value),
    onFailure: planFailure(settings),
    modules: settings.list('modules'),
    blacklist: settings.list('blacklist'),
    network,
    proxies: planProxies(settings),
    root,
    init: planInit(settings, line),
    keymap: settings.text('keymap') ?? (settings.flag('dokeymap') ? 'ask' : undefined),
    report,
    crash: settings.text('diskless.crash'),
    warnings: [
      ...settings.typos.map(({ typed, meant }) =>
        meant === undefined
          ? `${typed} is not a parameter of diskless`
          : `${typed} is not a parameter: did you mean ${meant}?`,
      ),
      ...(report !== undefined && network.kind === 'none'
        ? ['diskless.report= tells nobody, as this boot has no network: ask for one with ip=dhcp']
        : []),
    ],
  }
}

function planReport(settings: Settings): string | undefined {
  const url = settings.text('diskless.report')
  if (url === undefined || /^https?:\/\/[^/?#]/i.test(url)) return url
  throw new BootError('diskless.report= is not the URL of somebody who can be told by http or https', {
    advice: ['it looks like diskless.report=http://SERVER:8080/, where diskless watch listens'],
  })
}

/** The failure plan alone: what to do when even the plan cannot be made. Never throws: makePlan refuses what is no number. */
export function planFailure(settings: Settings): FailurePlan {
  const panic = settings.text('panic')
  const asked = settings.text('diskless.onfail')
  const fallback: EndAction = panic === undefined ? 'shell' : 'reboot'
  const action = asked === 'shell' || asked === 'retry' || asked === 'reboot' ? asked : fallback
  // The kernel's panic=0 means "wait for ever" and a negative number "at once"; a reboot that never comes helps nobody.
  const pause = Number.parseInt(panic ?? '', 10)
  const asIdle = settings.text('diskless.idle') ?? ''
  const idle = seconds.test(asIdle) ? Number(asIdle) : defaultIdle
  return {
    action,
    delayMs: Number.isFinite(pause) && pause !== 0 ? Math.max(pause, 0) * 1000 : 10_000,
    idleMs: idle === 0 ? undefined : idle * 1000,
  }
}

function refuse(settings: Settings): void {
  if (settings.refusals.length === 0) return
  throw new BootError(
    `the kernel command line asks for what diskless refuses: ${settings.refusals.map((each) => each.parameter).join(', ')}`,
    { advice: settings.refusals.map(({ parameter, reason }) => `${parameter}: ${reason}`) },
  )
}

function planNetwork(settings: Settings, root: RootPlan): NetworkPlan {
  const asked = settings.all('ip')
  const bootif = settings.text('BOOTIF')
  if (asked.length === 0 && !needsNetwork(root)) return { kind: 'none' }
  const { boot: ip, others } = parseIpParameters(asked, settings.text('bootdev'))
  if (ip.kind === 'refused') throw new BootError(`ip=${asked.join(' ip=')} cannot be done: ${ip.reason}`)
  if (ip.kind === 'off') return { kind: 'none' }
  const stacked = parseStackedLinks(settings.all('vlan'), settings.all('bond'))
  if (stacked.kind === 'refused') throw new BootError(`${stacked.reason}`)
  return {
    kind: 'join',
    ip,
    others,
    stacked: stacked.links,
    routes: settings.all('rd.route').map(readRoute),
    bootInterface: bootif === undefined ? undefined : readBootInterface(bootif),
    nameservers: settings.all('nameserver'),
    dhcpTimeoutMs: secondsOf(settings, 'diskless.dhcp_timeout', 120) * 1000,
    carrierTimeoutMs: secondsOf(settings, 'diskless.carrier_timeout', 60) * 1000,
    lease: planLease(settings, root),
  }
}

function readRoute(text: string): StaticRoute {
  const route = parseRoute(text)
  if (typeof route === 'string') throw new BootError(route)
  return route
}

function readBootInterface(text: string): Mac {
  const mac = parseBootInterface(text)
  if (mac !== undefined) return mac
  throw new BootError(`BOOTIF=${text} is not a hardware address`, {
    advice: ['it looks like BOOTIF=01-52-54-00-12-34-56'],
  })
}

function planInit(settings: Settings, line: CommandLine): BootPlan['init'] {
  const asked = settings.text('init')
  // Gentoo's `root=/dev/ram0 init=/linuxrc` names its own initramfs program, not a file of the new root.
  const gentoo = asked === '/linuxrc' && settings.text('root') === '/dev/ram0'
  const single = settings.flag('single') ? ['single'] : []
  return {
    path: gentoo ? (settings.text('real_init') ?? '/sbin/init') : (asked ?? '/sbin/init'),
    arguments: [...(settings.text('init_args')?.split(/\s+/) ?? []), ...line.initArguments, ...single].filter(
      (each) => each !== '',
    ),
  }
}

const seconds = /^\d{1,6}$/

/** Seconds in which nobody types. */
const defaultIdle = 120

function secondsOf(
  settings: Settings,
  name: 'diskless.idle' | 'diskless.dhcp_timeout' | 'diskless.carrier_timeout',
  fallback: number,
): number {
  const text = settings.text(name)
  if (text === undefined) return fallback
  if (!seconds.test(text)) throw new BootError(`${name}=${text} is not a number of seconds`)
  return Number(text)
}
