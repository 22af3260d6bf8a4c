/** Block devices: found by name, label or UUID, waited for, mounted by what their first blocks say they are. */
import { type DeviceName, showDeviceName } from '../boot/device.ts'
import {
  BootError,
  type Contents,
  type Device,
  hasCode,
  type Sys,
  SysError,
  type Uevent,
} from '../sys/index.ts'

export interface BlockDevice {
  /** `/dev/vda1`. */
  readonly path: string
  readonly contents: Contents
}

export interface DeviceWait {
  /** For a person: `the root`, `the overlay’s medium`. */
  readonly what: string
  /** Milliseconds; undefined: for ever. */
  readonly deadlineMs: number | undefined
  readonly onNotice: (text: string) => void
  readonly signal: AbortSignal
}

type Machine = Pick<Sys, 'clock' | 'devices' | 'files'>

/** A disk that does not answer is given up after this. */
const probeMs = 10_000

/** Rejects with a BootError that lists what there is instead, or with ABORTED. */
export async function waitForDevice(sys: Machine, name: DeviceName, wait: DeviceWait): Promise<BlockDevice> {
  const deadline = AbortSignal.any([wait.signal, await deadlineSignal(sys, wait)])
  const events = sys.devices.watch(deadline)
  const known = new Map<string, BlockDevice>()
  const first = await lookFor(sys, name, known)
  if (first !== undefined) return first
  wait.onNotice(`waiting for ${showDeviceName(name)}, ${wait.what}`)
  for await (const event of events) {
    if (!concernsDisks(event)) continue
    // A partition table, or the label, may have been written anew.
    if (event.action === 'change') known.delete(`/dev/${event.environment.DEVNAME}`)
    const found = await lookFor(sys, name, known)
    if (found !== undefined) return found
  }
  if (wait.signal.aborted) {
    throw new SysError({
      code: 'ABORTED',
      operation: 'devices.watch',
      subject: showDeviceName(name),
      message: 'given up',
    })
  }
  throw notFound(name, wait, [...known.values()])
}

/** Fires when the time is over. Its timer ends with the caller's own signal at the latest. */
async function deadlineSignal(sys: Machine, { deadlineMs, signal }: DeviceWait): Promise<AbortSignal> {
  const controller = new AbortController()
  if (deadlineMs !== undefined) {
    sys.clock.sleep(deadlineMs, signal).then(
      () => controller.abort(),
      () => controller.abort(),
    )
  }
  return controller.signal
}

function concernsDisks({ subsystem, action }: Uevent): boolean {
  return subsystem === 'block' && (action === 'add' || action === 'change')
}

async function lookFor(
  sys: Machine,
  name: DeviceName,
  known: Map<string, BlockDevice>,
): Promise<BlockDevice | undefined> {
  if (name.kind === 'path' && (await sys.files.status(name.path))?.kind === 'block') {
    return { path: name.path, contents: await sys.devices.probe(name.path, probeMs) }
  }
  for (const { path } of await disks(sys)) {
    const device = known.get(path) ?? (await probed(sys, path))
    if (device !== undefined) known.set(path, device)
  }
  if (name.kind === 'path') return undefined
  const wanted = comparable(name.value)
  return [...known.values()].find(({ contents }) => comparable(contents[name.kind] ?? '') === wanted)
}

/** UUIDs are written in either case; a FAT's with or without its hyphen. Labels are compared as they are by blkid. */
export function comparable(value: string): string {
  return /^[0-9a-fA-F-]+$/.test(value) ? value.toLowerCase() : value
}

/** Every block device that has something on it, probed; one that does not answer is left out, and told. */
export async function blockDevices(
  sys: Machine,
  onNotice: (text: string) => void,
): Promise<readonly BlockDevice[]> {
  const found: (BlockDevice & Node)[] = []
  for (const node of await disks(sys)) {
    const device = await probed(sys, node.path, onNotice)
    if (device !== undefined) found.push({ ...node, ...device })
  }
  return found.filter((disk) => !found.some((part) => part !== disk && isSameDisc(disk, part)))
}

/** An ISO written to a stick is the stick, and its first partition too: whoever mounts the one, locks the others. */
function isSameDisc(disk: BlockDevice & Node, part: BlockDevice & Node): boolean {
  return (
    part.sysPath.startsWith(`${disk.sysPath}/`) &&
    disk.contents.type === 'iso9660' &&
    part.contents.type === 'iso9660' &&
    part.contents.uuid === disk.contents.uuid
  )
}

async function probed(
  sys: Machine,
  path: string,
  onNotice?: (text: string) => void,
): Promise<BlockDevice | undefined> {
  try {
    return { path, contents: await sys.devices.probe(path, probeMs) }
  } catch (error) {
    // An empty drive, a card reader without a card, a loop device without a file, one that just went away.
    if (hasCode(error, 'ENOMEDIUM', 'ENXIO', 'ENOENT', 'ENODEV')) return undefined
    if (!(error instanceof SysError)) throw error
    onNotice?.(`${path} cannot be read: ${error.message}`)
    return undefined
  }
}

interface Node {
  /** Below /dev. */
  readonly path: string
  /** Below /sys. */
  readonly sysPath: string
}

/**
 * What is worth a look. A loop device without a file has no size, and there are eight: looking takes a process
 * each. Of a real drive only opening it tells whether a medium has come.
 */
async function disks(sys: Pick<Sys, 'devices' | 'files'>): Promise<readonly Node[]> {
  const there = (await sys.devices.list()).filter(isDisk)
  const sizeOf = ({ path }: Device) => `/sys/${path}/size`
  const sizes = await sys.files.readTexts(there.filter(isVirtual).map(sizeOf))
  return there
    .filter((device) => sizes.get(sizeOf(device))?.trim() !== '0')
    .map(({ devname, path }) => ({ path: `/dev/${devname}`, sysPath: path }))
}

function isVirtual({ path }: Device): boolean {
  return path.startsWith('devices/virtual/')
}

/** What may hold a file system of somebody's: not the kernel's own RAM disks. A loop device counts: a disk in a file. */
function isDisk({ subsystem, devname }: Device): boolean {
  return subsystem === 'block' && devname !== undefined && !/^(ram|zram|nbd)\d/.test(devname)
}

const containers: Readonly<Record<string, string>> = {
  crypto_LUKS: 'is encrypted: opening it needs cryptsetup, which is not in this initrd',
  LVM2_member: 'belongs to LVM, whose tools are not in this initrd',
  linux_raid_member: 'is part of a RAID, which needs mdadm, which is not in this initrd',
  zfs_member: 'belongs to a ZFS pool, which this initrd cannot import',
  bcache: 'is behind bcache, which this initrd does not set up',
  swap: 'is swap space',
}

/** What the device is, if it is nothing that can be mounted. */
export function whyNotMountable({ contents }: BlockDevice): string | undefined {
  if (contents.type === undefined) return 'has no file system that diskless knows'
  return containers[contents.type]
}

export interface DeviceMount {
  readonly target: string
  /** Undefined: what the device says. */
  readonly fsType?: string | undefined
  readonly options: readonly string[]
}

/** The driver's name, where it is not the file system's. */
const drivers: Readonly<Record<string, string>> = { ntfs: 'ntfs3' }

/** Rejects with a BootError: what it is instead of a file system, what is damaged, which driver is missing. */
export async function mountDevice(
  sys: Pick<Sys, 'mounts' | 'files'>,
  device: BlockDevice,
  { target, fsType, options }: DeviceMount,
): Promise<void> {
  const why = whyNotMountable(device)
  if (fsType === undefined && why !== undefined) {
    throw new BootError(`${device.path} ${why}`, {
      advice: ['name the partition that holds the file system'],
    })
  }
  const named = fsType ?? device.contents.type ?? ''
  const type = drivers[named] ?? named
  await sys.files.makeDirectory(target)
  try {
    await sys.mounts.mount({ type, source: device.path, target, options, timeoutMs: 30_000 })
  } catch (cause) {
    if (!(cause instanceof SysError) || hasCode(cause, 'ABORTED')) throw cause
    throw explainMount(device, type, cause)
  }
}

function explainMount({ path, contents }: BlockDevice, type: string, cause: SysError): BootError {
  if (hasCode(cause, 'ENODEV')) {
    return new BootError(`${path} holds ${contents.type ?? type}, which this kernel cannot read`, {
      cause,
      advice: [`put the module into the initrd: diskless build --modules storage,${type}`],
    })
  }
  if (hasCode(cause, 'TIMEOUT', 'EIO')) {
    return new BootError(`${path} does not answer`, {
      cause,
      advice: ['the disk may be dying: look at its cable, and at its SMART values'],
    })
  }
  if (hasCode(cause, 'EEXIST')) {
    return new BootError(
      `${path} has the same ${type} as another disk, and the kernel takes only one of them`,
      {
        cause,
        advice: ['one is a copy of the other: take one out, or give one a new UUID (btrfstune -u)'],
      },
    )
  }
  const said =
    contents.type === undefined || contents.type === type ? '' : `, and says it is ${contents.type}`
  return new BootError(`${path} could not be mounted as ${type}${said}`, {
    cause,
    advice: [`it may be damaged: check it on another machine, with fsck.${type} or its like`],
  })
}

function notFound(name: DeviceName, wait: DeviceWait, there: readonly BlockDevice[]): BootError {
  const list = there.map(({ path, contents }) => {
    const facts = [
      contents.type ?? 'nothing known',
      contents.label && `LABEL=${contents.label}`,
      contents.uuid && `UUID=${contents.uuid}`,
    ]
    return `${path} (${facts.filter((fact) => fact !== undefined && fact !== '').join(', ')})`
  })
  const seconds = Math.round((wait.deadlineMs ?? 0) / 1000)
  const mapped = name.kind === 'path' && /^\/dev\/(mapper\/|dm-|md)/.test(name.path)
  const members = there.flatMap((device) => {
    const why = device.contents.type === undefined ? undefined : containers[device.contents.type]
    return why === undefined ? [] : [`${device.path} ${why}`]
  })
  return new BootError(`${showDeviceName(name)}, ${wait.what}, did not appear within ${seconds} s`, {
    advice: [
      list.length === 0
        ? 'there is no disk that a driver of this initrd knows: build it with --modules storage'
        : `there is: ${list.join('; ')}`,
      ...members,
      ...(mapped ? ['cryptsetup, LVM and mdadm are not in this initrd: name a plain partition'] : []),
    ],
  })
}
