/** Which root the machine gets, and from where: root=, nfsroot=, loop=, alpine_dev=, apkovl= and their like. Pure. */

import { BootError } from '../sys/error.ts'
import { type CachePlan, planCache } from './cache-plan.ts'
import { type DeviceName, type PlaceOnDevice, parseDeviceName, parsePlaceOnDevice } from './device.ts'
import { mirrorsIn } from './mirrors.ts'
import { type NfsShare, parseNfsShare } from './nfs.ts'
import type { Settings } from './settings.ts'

export type RootPlan = RamRootPlan | MountedRootPlan

/** A system that is installed already. */
export type MountedRootPlan = NfsRootPlan | ImageRootPlan | DiskRootPlan

/** Alpine’s diskless mode: a tmpfs, the overlay, the world installed from repositories. */
export interface RamRootPlan {
  readonly kind: 'ram'
  readonly overlay: OverlayPlan
  /** alpine_dev=: a share or a device with repositories, overlays and a modloop; mounted at /media/alpine_dev. */
  readonly medium: MediumPlan | undefined
  /** alpine_repo=; empty: those of the media and of the overlay. */
  readonly repositories: readonly string[]
  /** diskless.lock=: instead of what repositories have. */
  readonly lock: LockPlan | undefined
  /** pkgs= */
  readonly packages: readonly string[]
  readonly tmpfsOptions: readonly string[]
  readonly mergedUsr: boolean
  readonly strictWorld: boolean
  readonly sshKey: string | undefined
  /** Whether serial lines that something is connected to get a login. */
  readonly autodetectSerial: boolean
  readonly modules: ModulesPlan
  readonly cache: CachePlan | undefined
}

export type LockPlan =
  /** Its mirrors, with {MAC} and {UUID} still in them. */
  | { readonly kind: 'url'; readonly urls: readonly string[] }
  /** A path of the initrd or of a medium, with the same in it. */
  | { readonly kind: 'path'; readonly path: string }

export type MediumPlan =
  | { readonly kind: 'nfs'; readonly share: NfsShare }
  | { readonly kind: 'device'; readonly place: PlaceOnDevice }

/** What the new system has of kernel modules. */
export type ModulesPlan =
  /** The modloop that its own service finds, on any medium or at this path of one. */
  | { readonly kind: 'modloop'; readonly path: string | undefined }
  /** One that is fetched here already: its mirrors. */
  | { readonly kind: 'fetched-modloop'; readonly urls: readonly string[] }
  /** diskless.modules=keep: those of the initrd. */
  | { readonly kind: 'keep' }
  /** modloop=none */
  | { readonly kind: 'none' }

export type OverlayPlan =
  /** Neither apkovl= nor ovl_dev=: looked for on every medium, as Alpine does. */
  | ({ readonly kind: 'search' } & OverlayChecks)
  /** Its mirrors, with {MAC} and {UUID} still in them. */
  | ({ readonly kind: 'url'; readonly urls: readonly string[] } & OverlayChecks)
  /** A path of the initrd or of a medium, with the same in it. */
  | ({ readonly kind: 'path'; readonly path: string } & OverlayChecks)
  | ({ readonly kind: 'device'; readonly place: PlaceOnDevice } & OverlayChecks)

export interface OverlayChecks {
  readonly sha256: string | undefined
  readonly optional: boolean
  /** Mirrors of the password of an encrypted one; none: a person is asked. */
  readonly passwordUrls: readonly string[]
  /** An earlier one of lbu’s: its name, or how its date begins. */
  readonly backup: string | undefined
}

/** A file server’s tree, read-only, and a tmpfs above it. */
export interface NfsRootPlan {
  readonly kind: 'nfs'
  /** `lease`: DHCP’s root path. */
  readonly share: NfsShare | 'lease'
  /** `overlay`: overlayfs. `links`: symlinks in a tmpfs, /var and /dev copied. */
  readonly writable: 'overlay' | 'links'
  /** rootflags= */
  readonly options: readonly string[]
}

/** A squashfs or erofs image, and a tmpfs above it. */
export interface ImageRootPlan {
  readonly kind: 'image'
  readonly image: ImageSource
  /** looptype=; undefined: the image says. */
  readonly fsType: 'squashfs' | 'erofs' | undefined
  readonly sha256: string | undefined
  /** `auto`: in memory where that is large enough. */
  readonly copy: 'auto' | 'ram' | 'place'
}

export type ImageSource =
  /** A file of the initrd, or of a medium. */
  | { readonly kind: 'path'; readonly path: string; readonly medium: 'initrd' | 'any' | DeviceName }
  | { readonly kind: 'url'; readonly urls: readonly string[] }
  /** `path` is that of the image on the share; absolute. */
  | { readonly kind: 'nfs'; readonly share: NfsShare; readonly path: string }

export interface DiskRootPlan {
  readonly kind: 'disk'
  readonly device: DeviceName
  readonly fsType: string | undefined
  /** rootflags=, and ro or rw. */
  readonly options: readonly string[]
  /** Milliseconds until the disk must be there; rootwait: undefined, for ever. */
  readonly waitMs: number | undefined
  /** overlaytmpfs: what is written stays in memory. */
  readonly overlay: boolean
}

export function planRoot(settings: Settings): RootPlan {
  const root = settings.text('root')
  const nfsroot = settings.text('nfsroot')
  const loop = settings.text('loop')
  if (loop !== undefined && !root?.startsWith('live:')) {
    return planImage(settings, loopImage(settings, absolute(loop), root, nfsroot))
  }
  if (root === '/dev/nfs' || (root === undefined && nfsroot !== undefined)) return planNfs(settings, nfsroot)
  if (root === 'dhcp') return planNfs(settings, undefined)
  if (root !== undefined && /^nfs4?:/.test(root)) return planNfs(settings, root.replace(/^nfs4?:/, ''))
  if (root?.startsWith('live:')) return planImage(settings, liveImage(root))
  if (root === undefined || /^\/dev\/ram\d*$/.test(root)) return planRam(settings)
  return planDisk(settings, root)
}

function planNfs(settings: Settings, text: string | undefined): NfsRootPlan {
  const share = text === undefined || text === '' ? ('lease' as const) : parseShare(text)
  const how = settings.text('diskless.nfsroot') ?? 'overlay'
  if (how !== 'overlay' && how !== 'links') {
    throw new BootError(`diskless.nfsroot=${how} is neither overlay nor links`)
  }
  return { kind: 'nfs', share, writable: how, options: settings.list('rootflags') }
}

function parseShare(text: string): NfsShare {
  const share = parseNfsShare(text)
  if (share !== undefined) return share
  throw new BootError(`${text} is not an NFS share`, {
    advice: ['write it as SERVER:/PATH[,OPTIONS], or /PATH[,OPTIONS] for the server that DHCP names'],
  })
}

/**
 * Gentoo’s words: loop= is a path on the medium. cdroot= or alpine_dev= may name it, root=/dev/nfs makes it a share, as
 * in genkernel’s initramfs (initrd.scripts, findnfsmount); without any the initrd brings it, or whichever disk has it.
 */
function loopImage(
  settings: Settings,
  path: string,
  root: string | undefined,
  nfsroot: string | undefined,
): ImageSource {
  const share = /^nfs4?:/.test(root ?? '') ? root?.replace(/^nfs4?:/, '') : nfsroot
  if (root === 'dhcp' || (root === '/dev/nfs' && (share ?? '') === '')) {
    throw new BootError(`root=${root} with loop=${path}: which share has the image?`, {
      advice: ['name it: nfsroot=[SERVER:]/PATH[,OPTIONS]; loop= is then a path on it'],
    })
  }
  if (share !== undefined) return { kind: 'nfs', share: parseShare(share), path }
  const medium = planMedium(settings.text('alpine_dev'))
  if (medium?.kind === 'nfs') return { kind: 'nfs', share: medium.share, path }
  const cdroot = settings.text('cdroot')
  const named = cdroot === undefined || cdroot === 'yes' ? undefined : parseDeviceName(cdroot)
  return { kind: 'path', path, medium: named ?? medium?.place.device ?? 'any' }
}

function absolute(path: string): string {
  return path.startsWith('/') ? path : `/${path}`
}

/** dracut’s words. */
function liveImage(root: string): ImageSource {
  const text = root.slice('live:'.length)
  if (/^(https?|tftp):\/\//.test(text)) return { kind: 'url', urls: mirrorsIn(text) }
  if (text.startsWith('nfs:')) {
    const share = parseNfsShare(text.slice(4))
    if (share !== undefined) {
      const slash = share.path.lastIndexOf('/')
      const directory = { ...share, path: share.path.slice(0, slash) || '/' }
      return { kind: 'nfs', share: directory, path: share.path.slice(slash) }
    }
  }
  if (text.startsWith('/') && !text.startsWith('/dev/')) return { kind: 'path', path: text, medium: 'initrd' }
  const place = parsePlaceOnDevice(text)
  if (place === undefined) {
    throw new BootError(`${root} names no image`, {
      advice: ['write it as live:URL, live:nfs:SERVER:/PATH/IMAGE or live:DEVICE[:/PATH/IMAGE]'],
    })
  }
  return { kind: 'path', path: place.path ?? '/LiveOS/squashfs.img', medium: place.device }
}

function planImage(settings: Settings, image: ImageSource): ImageRootPlan {
  const type = settings.text('looptype')
  if (type !== undefined && type !== 'squashfs' && type !== 'erofs') {
    throw new BootError(`looptype=${type} is not supported: squashfs and erofs are`)
  }
  const copy = settings.text('diskless.image') ?? 'auto'
  if (copy !== 'auto' && copy !== 'ram' && copy !== 'place') {
    throw new BootError(`diskless.image=${copy} is none of auto, ram and place`)
  }
  const sha256 = digestOf(settings, 'diskless.image_sha256')
  return { kind: 'image', image, fsType: type, sha256, copy }
}

function planDisk(settings: Settings, root: string): DiskRootPlan {
  if (/^ZFS=|^zfs:/i.test(root)) {
    throw new BootError(`root=${root} is a ZFS pool, which this initrd cannot import`, {
      advice: ['boot it with the distribution’s own initramfs (Alpine: mkinitfs with the feature zfs)'],
    })
  }
  const device = parseDeviceName(root)
  if (device === undefined) {
    throw new BootError(`root=${root} names no device`, {
      advice: [
        'write root=/dev/sda1, UUID=…, LABEL=…, PARTUUID=… or PARTLABEL=…; root=nfs:… and root=live:… name others',
      ],
    })
  }
  const type = settings.text('rootfstype')
  const delay = Number(settings.text('rootdelay') ?? 0)
  return {
    kind: 'disk',
    device,
    fsType: type === 'ramfs' || type === 'tmpfs' || type === undefined ? undefined : type,
    options: [settings.flag('rw') && !settings.flag('ro') ? 'rw' : 'ro', ...settings.list('rootflags')],
    waitMs: settings.flag('rootwait') ? undefined : Math.max(30, Number.isFinite(delay) ? delay : 0) * 1000,
    overlay: settings.flag('overlaytmpfs'),
  }
}

function planRam(settings: Settings): RamRootPlan {
  const repositories = settings.list('alpine_repo').filter((each) => each !== 'auto')
  const size = settings.text('root_size')
  return {
    kind: 'ram',
    overlay: planOverlay(settings),
    medium: planMedium(settings.text('alpine_dev')),
    repositories,
    lock: planLock(settings.text('diskless.lock')),
    packages: settings.list('pkgs'),
    tmpfsOptions: [...(size === undefined ? [] : [`size=${size}`]), ...settings.list('rootflags')],
    mergedUsr: settings.flag('bootstrap_usr_merged'),
    strictWorld: settings.text('diskless.world') === 'strict',
    sshKey: settings.text('ssh_key'),
    autodetectSerial: settings.text('autodetect_serial') !== 'no',
    modules: planModules(settings),
    cache: planCache(settings),
  }
}

function planLock(text: string | undefined): LockPlan | undefined {
  if (text === undefined) return undefined
  if (text.startsWith('/')) return { kind: 'path', path: text }
  const urls = mirrorsIn(text)
  if (urls.every(isUrl)) return { kind: 'url', urls }
  throw new BootError(`diskless.lock=${text} is neither a URL nor a path`, {
    advice: [
      'write it as diskless.lock=http://SERVER/LOCK, its mirrors behind |, or as /PATH in the initrd or on a medium',
    ],
  })
}

function planModules(settings: Settings): ModulesPlan {
  const asked = settings.text('diskless.modules')
  if (asked === 'keep') return { kind: 'keep' }
  if (asked !== undefined) throw new BootError(`diskless.modules=${asked}: the one value is keep`)
  const modloop = settings.text('modloop')
  if (modloop === 'none') return { kind: 'none' }
  if (modloop === undefined) return { kind: 'modloop', path: undefined }
  return isUrl(modloop)
    ? { kind: 'fetched-modloop', urls: mirrorsIn(modloop) }
    : { kind: 'modloop', path: absolute(modloop) }
}

function planMedium(text: string | undefined): MediumPlan | undefined {
  if (text === undefined) return undefined
  if (text.startsWith('nfs:')) {
    const share = parseNfsShare(text.slice(4))
    if (share === undefined) {
      throw new BootError(`alpine_dev=${text} is not an NFS share`, {
        advice: ['write it as alpine_dev=nfs:SERVER:/PATH[,OPTIONS]'],
      })
    }
    return { kind: 'nfs', share }
  }
  const place = parsePlaceOnDevice(text)
  if (place !== undefined) return { kind: 'device', place }
  throw new BootError(`alpine_dev=${text} names neither a device nor an NFS share`, {
    advice: ['write it as alpine_dev=DEVICE[:FSTYPE], LABEL=…, UUID=… or nfs:SERVER:/PATH[,OPTIONS]'],
  })
}

function planOverlay(settings: Settings): OverlayPlan {
  const apkovl = settings.text('apkovl')
  const device = settings.text('ovl_dev')
  if (apkovl !== undefined && device !== undefined) {
    throw new BootError(`apkovl=${apkovl} and ovl_dev=${device} both name an overlay`, {
      advice: ['leave one of them out: they mean the same'],
    })
  }
  const password = settings.text('diskless.apkovl_password')
  const checks: OverlayChecks = {
    sha256: digestOf(settings, 'diskless.apkovl_sha256'),
    optional: settings.text('diskless.apkovl') === 'optional',
    passwordUrls: password === undefined ? [] : mirrorsIn(password),
    backup: planBackup(settings.text('diskless.apkovl_backup')),
  }
  const text = apkovl ?? device
  if (text === undefined) return { kind: 'search', ...checks }
  if (isUrl(text)) return { kind: 'url', urls: mirrorsIn(text), ...checks }
  if (text.startsWith('/') && !text.startsWith('/dev/')) return { kind: 'path', path: text, ...checks }
  const place = parsePlaceOnDevice(text)
  if (place !== undefined) return { kind: 'device', place, ...checks }
  throw new BootError(
    `${apkovl === undefined ? 'ovl_dev' : 'apkovl'}=${text} is neither a URL, a path nor a device`,
    {
      advice: [
        'by the network: http://, https:// or tftp://; on a medium: /PATH or DEVICE[:FSTYPE][:/PATH], DEVICE also as LABEL= or UUID=',
      ],
    },
  )
}

function planBackup(text: string | undefined): string | undefined {
  if (text === undefined || /^(\d{4,14}|[^/]*\.\d{14}\.tar\.[^/]+)$/.test(text)) return text
  throw new BootError(
    `diskless.apkovl_backup=${text} is neither a name of lbu’s nor how a date of one begins`,
    {
      advice: [
        'write it as HOSTNAME.YYYYMMDDHHMMSS.tar.gz, or as YYYY[MM[DD[HH[MM[SS]]]]]: lbu list-backup prints the names',
      ],
    },
  )
}

function digestOf(
  settings: Settings,
  name: 'diskless.apkovl_sha256' | 'diskless.image_sha256',
): string | undefined {
  const text = settings.text(name)?.toLowerCase()
  if (text === undefined || /^[0-9a-f]{64}$/.test(text)) return text
  throw new BootError(`${name}=${text} is not a SHA-256 digest`, {
    advice: ['it has 64 hex digits: sha256sum prints it'],
  })
}

/** Whether this root, or anything that it is made of, comes by the network. */
export function needsNetwork(root: RootPlan): boolean {
  const byNfs =
    root.kind === 'nfs' ||
    (root.kind === 'image' && root.image.kind === 'nfs') ||
    (root.kind === 'ram' && root.medium?.kind === 'nfs')
  return byNfs || urlsOf(root).length > 0
}

/** Whether the new system reads from the network for as long as it runs. */
export function staysOnNetwork(root: RootPlan): boolean {
  switch (root.kind) {
    case 'nfs':
      return true
    case 'image':
      return root.image.kind === 'nfs'
    case 'disk':
      return false
    case 'ram':
      return root.medium?.kind === 'nfs'
  }
}

/** Whether packages are looked for in repositories, on media too, or come from where a lock that is fetched says. */
export function seeksRepositories({ repositories, lock }: RamRootPlan): boolean {
  return repositories.length === 0 && lock?.kind !== 'url'
}

export function isUrl(text: string): boolean {
  return /^(https?|ftp|tftp):\/\//.test(text)
}

/** Every URL on the command line that something is fetched from. */
export function urlsOf(root: RootPlan): readonly string[] {
  switch (root.kind) {
    case 'nfs':
    case 'disk':
      return []
    case 'image':
      return root.image.kind === 'url' ? root.image.urls : []
    case 'ram': {
      const { overlay, repositories, lock, sshKey, modules } = root
      const given = [
        ...(overlay.kind === 'url' ? overlay.urls : []),
        ...overlay.passwordUrls,
        ...(lock?.kind === 'url' ? lock.urls : []),
        ...repositories.flatMap(mirrorsIn),
        ...(sshKey === undefined ? [] : [sshKey]),
        ...(modules.kind === 'fetched-modloop' ? modules.urls : []),
      ]
      return given.filter(isUrl)
    }
  }
}
