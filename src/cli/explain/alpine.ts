/**
 * What Alpine's own init would have done with the same command line: initramfs-init of mkinitfs 3.13, apk-tools 2.14, and
 * OpenRC's modloop service, read line by line. For each parameter whether it reads it and what differs, then what differs
 * in any boot of a kind.
 */

import type { ParameterName } from '../../boot/parameters.ts'
import type { BootPlan } from '../../boot/plan.ts'
import { urlsOf } from '../../boot/root-plan.ts'
import type { Settings } from '../../boot/settings.ts'

export type AlpineReading =
  /** Does the same with it. */
  | 'same'
  /** Passes over it. */
  | 'unread'
  /** What it does, as a sentence; undefined for a value with which it does the same. */
  | ((value: string, settings: Settings) => string | undefined)

type Ours = `diskless.${string}`

/** A name that is ours alone is none of Alpine's: every other one has its row here. */
export const readings: Readonly<Record<Exclude<ParameterName, Ours>, AlpineReading>> = {
  ip: (value) => {
    const words = value.split(':')
    if (['dhcp', 'off', 'none'].includes(value)) return undefined
    if (['on', 'any', 'auto6', 'dhcp6', 'either6'].includes(value) || value === '')
      return `ip=${value} is taken for an address of that name: no network comes up, and nobody says so.`
    if (/^[^:]+:(?:dhcp|on|any|auto6|dhcp6|either6|off|none)(?::|$)/.test(value))
      return 'dracut’s form is not known: the first word is taken for an address.'
    if (value.includes('[')) return 'IPv6 is not known: the address is cut at its first colon.'
    return words[1] || words[4] || words[9]
      ? 'The server, the host name and the time server in it are passed over.'
      : undefined
  },
  BOOTIF: (value) =>
    /[A-F]/.test(value)
      ? 'It is compared as it is written: with capital letters no card is found, and the first with a carrier is taken.'
      : undefined,
  bootdev: 'unread',
  vlan: 'unread',
  bond: 'unread',
  'rd.route': 'unread',
  nameserver: 'unread',
  http_proxy: 'same',
  https_proxy: () => 'Only apk obeys it: busybox’ wget goes by http_proxy, for https too.',
  no_proxy: () => 'busybox’ wget does not know no_proxy: only apk obeys it.',
  apkovl: (value) => {
    const twice = /\{(MAC|UUID)\}.*\{\1\}/.test(value)
    if (/^tftp:/.test(value))
      return 'tftp:// is no URL to it: the overlay is taken for a file, and is not found.'
    if (value.includes('|'))
      return 'The whole text, | included, is one URL to wget: it fails, and the default system boots.'
    if (/^(?:https?|ftp):/.test(value))
      return `One try by busybox’ wget${twice ? ', with only the first {MAC} or {UUID} filled in' : ''}: when it fails, a default system boots as if no overlay had been asked for.`
    if (/^(?:LABEL|UUID)=/.test(value))
      return 'A device is named by its path alone: LABEL= and UUID= are not found.'
    return 'When it is not there, a default system boots as if no overlay had been asked for.'
  },
  ovl_dev: () =>
    'Dropped since Alpine 2.6: it is passed over, and the first overlay found on any disk is taken.',
  alpine_dev: () =>
    'Dropped since: it is passed over, and every disk is mounted and searched. NFS is not known.',
  alpine_repo: (value) =>
    value.includes('|')
      ? 'It splits at commas alone: mirrors behind | make one URL that does not exist.'
      : 'Fetched by apk after the overlay is unpacked: one try each, one after the other, no other mirror.',
  pkgs: (value) => (value.includes(' ') ? 'The command line is split at spaces, quoted or not.' : undefined),
  keep_apk_new: () => 'The package’s file is kept beside the overlay’s, as NAME.apk-new.',
  rootflags: (_, settings) =>
    isOnDisk(settings)
      ? 'They stand in place of ro: the disk is mounted writable unless they say otherwise.'
      : undefined,
  root_size: 'same',
  bootstrap_usr_merged: 'same',
  ssh_key: 'same',
  modules: 'same',
  blacklist: 'same',
  console: 'same',
  quiet: 'same',
  single: 'same',
  debug_init: 'same',
  panic: () =>
    'The kernel is told, and init, when it fails, ends so that the kernel panics; no word of why stays.',
  autodetect_serial: 'same',
  init: (value) =>
    value === '/linuxrc' ? '/linuxrc is looked for in the new root, and a recovery shell opens.' : undefined,
  init_args: (value) =>
    value.includes(' ') ? 'Split at the first space: the rest is lost, quoted or not.' : undefined,
  modloop: (value) =>
    value === 'none'
      ? undefined
      : /^(?:https?|ftp):/.test(value)
        ? 'The new system’s service fetches it, after everything else, and fails to say so when it cannot: no modules then.'
        : 'The new system’s service looks for it; one of another kernel is mounted all the same.',
  modloop_verify: 'same',
  usbdelay: (value) => `Every boot without a root= waits for ${value} s without an event.`,
  uevent_buf_size: 'same',
  splash: () => 'Shows a picture, where a medium has fbsplash.ppm.',
  chart: () => 'Installs acct, and bootchartd writes /var/log/bootchart.tgz.',
  root: (value) => {
    if (/^\/dev\/ram\d*$/.test(value)) return 'It is mounted as a disk, which fails: a recovery shell opens.'
    if (/^(?:nfs4?:|dhcp$|live:|\/dev\/nfs$)/.test(value))
      return 'It is waited for as a disk, and mounting it fails: a recovery shell opens.'
    if (/^PARTLABEL=/.test(value)) return 'PARTLABEL= is not known.'
    return undefined
  },
  nfsroot: 'unread',
  rootfstype: (value) =>
    value === 'ramfs' || value === 'tmpfs'
      ? 'With root=DEVICE it is that file system’s type, and the mount gives an empty root.'
      : undefined,
  rootdelay: 'unread',
  rootwait: 'unread',
  ro: 'unread',
  rw: (_, settings) =>
    isOnDisk(settings) ? 'Passed over: the root is mounted read-only unless rootflags= says rw.' : undefined,
  overlaytmpfs: 'same',
  loop: 'unread',
  looptype: 'unread',
  cdroot: 'unread',
  real_init: 'unread',
  dokeymap: 'unread',
  keymap: () => 'Passed over: the first keymap in the initramfs is loaded.',
  overlaytmpfsflags: () => 'Its options are given to the tmpfs above the root.',
  usrflags: () => 'A /usr of its own in etc/fstab is mounted with them.',
  resume: () => 'Resumes from that device, where there is an image.',
  resume_offset: () => 'Where on it.',
  cryptroot: () => 'Opens it with cryptsetup, and asks for its password.',
  cryptdm: () => 'The name of the opened device.',
  cryptkey: () => 'The key file of the encrypted root.',
  cryptheader: () => 'The header of the encrypted root.',
  cryptoffset: () => 'The offset of the encrypted root.',
  cryptdiscards: () => 'Passes discards on to the encrypted root.',
  nbd: () => 'Attaches the network block device before disks are looked for.',
  aoe: () => 'Loads aoe, and waits for its targets for ever.',
  aoe_iflist: () => 'The cards for ATA over Ethernet.',
  aoe_mtu: () => 'The MTU of those cards.',
  wireguard: () => 'Makes the tunnel before anything is fetched.',
  zfcp: () => 'Sets FCP devices of s390x online.',
  dasd: () => 'Sets DASD devices of s390x online.',
  s390x_net: () => 'Sets the network card of s390x up.',
  zfs_force: () => 'Imports the pool by force.',
  memdisk: () => 'Makes a block device of syslinux’ memdisk.',
  ds: () => 'Installs tiny-cloud, which reads that data source.',
  tinycloud: () => 'Installs tiny-cloud.',
}

export interface Difference {
  /** `apkovl`, or what it is about. */
  readonly about: string
  /** What Alpine’s init does. */
  readonly alpine: string
  /** Whether the command line asks for it, or any boot of this kind has it. */
  readonly kind: 'parameter' | 'always'
}

function isOnDisk(settings: Settings): boolean {
  return /^(?:\/dev\/(?!ram|nfs)|UUID=|LABEL=|PARTUUID=)/.test(settings.text('root') ?? '')
}

/** Read in its diskless mode alone: with any root= it mounts that, and starts it or a recovery shell. */
const disklessOnly: readonly ParameterName[] = [
  ...([
    'ip',
    'BOOTIF',
    'apkovl',
    'ovl_dev',
    'alpine_dev',
    'alpine_repo',
    'pkgs',
    'ssh_key',
    'root_size',
  ] as const),
  ...(['bootstrap_usr_merged', 'keep_apk_new', 'autodetect_serial', 'usbdelay', 'ds', 'tinycloud'] as const),
]

/** For the parameters that are given; those that differ, in the order of the table. */
export function parameterDifferences(
  settings: Settings,
  given: readonly ParameterName[],
): readonly Difference[] {
  return given.flatMap((name): Difference[] => {
    const value = settings.text(name) ?? ''
    if (settings.all('root').length > 0 && disklessOnly.includes(name)) {
      return [{ about: name, alpine: 'Passes over it, as with any root=.', kind: 'parameter' }]
    }
    const reading = isOurs(name) ? 'unread' : readings[name]
    if (reading === 'same') return []
    const alpine = reading === 'unread' ? 'Passes over it.' : reading(value, settings)
    return alpine === undefined ? [] : [{ about: name, alpine, kind: 'parameter' }]
  })
}

function isOurs(name: ParameterName): name is ParameterName & Ours {
  return name.startsWith('diskless.')
}

interface General extends Omit<Difference, 'kind'> {
  readonly when: (plan: BootPlan) => boolean
}

const joins = ({ network }: BootPlan) => network.kind === 'join'
const isRam = ({ root }: BootPlan) => root.kind === 'ram'

/** What differs without a word of the command line: where initramfs-init has it is named. */
export const general: readonly General[] = [
  {
    about: 'media',
    alpine:
      'Mounts every disk and stick, and waits until 5 s pass without an event, by the network too (nlplug-findfs).',
    when: isRam,
  },
  {
    about: 'the card',
    alpine:
      'Takes one card: the first with a carrier within 4 s, else the first of all, right or wrong (configure_ip).',
    when: ({ network }) =>
      network.kind === 'join' &&
      network.bootInterface === undefined &&
      'device' in network.ip &&
      network.ip.device === undefined,
  },
  {
    about: 'DHCP',
    alpine: 'udhcpc asks on that card for ever, without a word of why nothing comes (configure_ip).',
    when: ({ network }) => network.kind === 'join' && network.ip.kind === 'dynamic',
  },
  {
    about: 'the lease',
    alpine: 'Nobody renews it: udhcpc ends with it, and no networking service is started by default.',
    when: ({ network }) => network.kind === 'join' && network.ip.kind !== 'static',
  },
  {
    about: 'the clock',
    alpine:
      'Is set by the new system’s hwclock or swclock, after everything was fetched: certificates are judged by a clock that may be wrong.',
    when: (plan) => joins(plan) && urlsOf(plan.root).some((url) => url.startsWith('https:')),
  },
  {
    about: 'the order',
    alpine:
      'One thing after the other: drivers, disks, network, overlay, packages; apk fetches one package at a time.',
    when: (plan) => isRam(plan) && joins(plan),
  },
  {
    about: 'packages',
    alpine:
      'apk goes on without what it cannot have or what is damaged: errors are in the kernel’s log alone.',
    when: isRam,
  },
]

/** All of them are of its diskless mode. */
export function generalDifferences(plan: BootPlan, settings: Settings): readonly Difference[] {
  if (settings.all('root').length > 0) return []
  return general.flatMap(({ about, alpine, when }) =>
    when(plan) ? [{ about, alpine, kind: 'always' as const }] : [],
  )
}
