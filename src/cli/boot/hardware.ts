/** What a guest is made of, and QEMU's arguments for it. */

import { join } from 'node:path'

/** The MAC of the first card, unless told. */
export const usualMac = '52:54:00:12:34:56'

/** A network with taps, in a network namespace: the lab (test/support/lab). */
export interface TapNetwork {
  readonly namespace: string
  addTap(): Promise<string>
}

/** Where QEMU brings a card’s frames, and where the network’s own come from: wire.ts. */
export interface FrameWire {
  /** Paths of sockets; `uplink` for the first card on the wire only. */
  readonly card: string
  readonly uplink: string
  /** It leads there, and not to QEMU’s own network. */
  readonly lab?: TapNetwork | undefined
}

export type Card = (
  | {
      /**
       * `user`: QEMU's own network: DHCP, DNS, and this host's loopback as 10.0.2.2. `unplugged`: the same, its cable
       * pulled until `plug` is called. `silent`: a carrier, and nobody there: no DHCP server, no answer to anything.
       * `cut off`: the lease of `user`, and a gate that lets nothing through.
       */
      readonly kind: 'user' | 'unplugged' | 'silent' | 'cut off'
    }
  /** `user`, or a lab, through a wire that the test holds in its hand; several cards may be on one. */
  | { readonly kind: 'wire'; readonly wire: FrameWire }
  /** On the lab's bridge. QEMU runs in its namespace, so that loopback is the lab's for other cards. */
  | { readonly kind: 'tap'; readonly lab: TapNetwork }
) & { readonly mac?: string; readonly model?: string }

export interface Disk {
  /** `usb`: a stick on xHCI. `mmc`: an SD card, its size a power of two; one at most. `scsi`: on virtio-scsi. */
  readonly bus: 'virtio' | 'nvme' | 'usb' | 'sata' | 'mmc' | 'cdrom' | 'scsi'
  /** The path of a raw image. The guest writes to it: see `copyTo` in test/support/disks. */
  readonly image: string
  /** QEMU has no such disks on sata and mmc. */
  readonly readOnly?: boolean
  /** Every read fails, as of a disk that is dying. */
  readonly dying?: boolean
}

export type Start =
  /** The kernel from the command line of QEMU: saves the firmware's part. */
  | { readonly by: 'kernel'; readonly kernel: string; readonly initrd: string; readonly append: string }
  /** From power-on: the card's iPXE fetches `boot.ipxe` from this directory over QEMU's TFTP. */
  | { readonly by: 'ipxe'; readonly directory: string; readonly script?: string }
  /** From power-on: the card's iPXE does what the lab's DHCP server says. */
  | { readonly by: 'network' }

export interface Hardware {
  readonly start: Start
  readonly memoryMb: number
  /** None: a machine without a network card. The first may boot. */
  readonly cards: readonly Card[]
  readonly disks?: readonly Disk[]
  /** The serial line is this process's terminal. */
  readonly terminal?: boolean
  /** A file that is the machine's memory, so that what it touched can be seen. */
  readonly memoryFile?: string
  /** What the battery-backed clock says at power-on: `2001-01-01T00:00:00`. The true time unless told. */
  readonly clock?: string
  /** A VGA card, and with it virtual terminals and a keyboard that somebody has (`press`). */
  readonly screen?: boolean
  /** How instructions are run; `tcg` unless told: /dev/kvm may open and then hang. */
  readonly accelerator?: 'tcg' | 'kvm'
  readonly cpus?: number
  /** UEFI: its code, and its variables, which the guest writes to. The BIOS unless told. */
  readonly firmware?: { readonly code: string; readonly variables: string }
  /** The BIOS and its iPXE speak on the serial line, too. */
  readonly firmwareSpeaks?: boolean
  /** More serial lines, as QEMU’s `-serial` has them: `file:…`, `pty`. */
  readonly serialLines?: readonly string[]
  /** A reboot of the guest is one, and not the end. */
  readonly reboots?: boolean
  /** This host’s loopback in QEMU’s own network, and so the server of what is published: 10.0.2.2 unless told. */
  readonly serverAddress?: string
  /** Nothing but cards and disks: without the port for init's events. */
  readonly bare?: boolean
  /** More of QEMU's arguments, as they are. */
  readonly qemu?: readonly string[]
}

/** The program and its arguments. `directory` holds the sockets `qmp` and `events`, which QEMU connects to. */
export async function qemuCommand(hardware: Hardware, directory: string): Promise<string[]> {
  const { accelerator = 'tcg', bare = false, cards, clock, cpus = 1, disks = [], firmware } = hardware
  const { memoryFile, memoryMb, reboots = false, serialLines = [] } = hardware
  const { firmwareSpeaks = false, qemu = [], screen = false, start, terminal = false } = hardware
  const labs = new Set(cards.flatMap(labOf))
  if (labs.size > 1) throw new Error('a guest can be in one lab only')
  const inside = [...labs].flatMap((lab) => ['ip', 'netns', 'exec', lab.namespace])
  const network = await Promise.all(
    cards.map(async (card, at) => ['-netdev', await netdev(card, at, hardware), '-device', device(card, at)]),
  )
  const wires = new Set(cards.flatMap((card) => (card.kind === 'wire' ? [card.wire] : [])))
  return [
    ...inside,
    ...['qemu-system-x86_64', '-accel', accelerator, '-m', String(memoryMb), '-smp', String(cpus)],
    ...(memoryFile === undefined ? [] : memoryArguments(memoryFile, memoryMb)),
    ...['-display', 'none', '-vga', screen ? 'std' : 'none', '-no-user-config'],
    // Stopped until `cont`, so that a cable can be pulled before the firmware looks; a reboot ends QEMU.
    ...(clock === undefined ? [] : ['-rtc', `base=${clock}`]),
    ...['-S', ...(reboots ? [] : ['-no-reboot']), '-parallel', 'none'],
    ...(firmware === undefined ? [] : firmwareArguments(firmware)),
    ...(firmwareSpeaks ? ['-machine', 'graphics=off'] : []),
    ...['-chardev', `stdio,id=console,${terminal ? 'mux=on,' : ''}signal=off`],
    ...['-serial', 'chardev:console', '-monitor', terminal ? 'chardev:console' : 'none'],
    ...serialLines.flatMap((line) => ['-serial', line]),
    ...['-qmp', `unix:${join(directory, 'qmp')}`],
    ...(bare ? [] : eventPort(directory)),
    ...network.flat(),
    ...(await Promise.all([...wires].map((wire, at) => uplink(wire, at, hardware)))).flat(),
    ...(cards.length === 0 ? ['-nic', 'none'] : []),
    ...diskArguments(disks),
    ...(start.by === 'kernel'
      ? ['-kernel', start.kernel, '-initrd', start.initrd, '-append', start.append]
      : ['-boot', 'n']),
    ...qemu,
  ]
}

function eventPort(directory: string): string[] {
  return [
    ...['-chardev', `socket,id=events,path=${join(directory, 'events')}`],
    ...['-device', 'virtio-serial-pci', '-device', 'virtserialport,chardev=events,name=diskless.events'],
  ]
}

function firmwareArguments({ code, variables }: NonNullable<Hardware['firmware']>): string[] {
  const flash = (unit: number, file: string) => [`if=pflash,format=raw,unit=${unit}`, `file=${escaped(file)}`]
  return [
    ...['-drive', [...flash(0, code), 'readonly=on'].join(',')],
    ...['-drive', flash(1, variables).join(',')],
  ]
}

/** QEMU’s own quoting of a value among options. */
function escaped(value: string): string {
  return value.replaceAll(',', ',,')
}

function memoryArguments(file: string, megabytes: number): string[] {
  const backend = `memory-backend-file,id=memory,size=${megabytes}M,mem-path=${file},share=on`
  return ['-object', backend, '-machine', 'memory-backend=memory']
}

function labOf(card: Card): readonly TapNetwork[] {
  if (card.kind === 'tap') return [card.lab]
  return card.kind === 'wire' && card.wire.lab !== undefined ? [card.wire.lab] : []
}

function tap(id: string, name: string): string {
  return `tap,id=${id},ifname=${name},script=no,downscript=no`
}

/** The network behind a wire: a hub of the two, in which no card is. */
async function uplink(wire: FrameWire, at: number, hardware: Hardware): Promise<string[]> {
  const far =
    wire.lab === undefined ? userNetwork(`far${at}`, at, hardware) : tap(`far${at}`, await wire.lab.addTap())
  const ends = [far, `stream,id=near${at},server=off,addr.type=unix,addr.path=${wire.uplink}`]
  const ports = ['far', 'near'].map(
    (end) => `hubport,id=${end}port${at},hubid=${100 + at},netdev=${end}${at}`,
  )
  return [...ends, ...ports].flatMap((each) => ['-netdev', each])
}

async function netdev(card: Card, at: number, hardware: Hardware): Promise<string> {
  if (card.kind === 'silent') return `hubport,id=net${at},hubid=${at}`
  if (card.kind === 'wire') return `stream,id=net${at},server=off,addr.type=unix,addr.path=${card.wire.card}`
  if (card.kind === 'cut off') return `user,id=net${at},restrict=on`
  if (card.kind === 'tap') return tap(`net${at}`, await card.lab.addTap())
  return userNetwork(`net${at}`, at, hardware)
}

/** QEMU’s own network. The first one offers what is published, to a firmware that boots from the network. */
function userNetwork(id: string, at: number, { serverAddress, start }: Hardware): string {
  const boot =
    start.by === 'ipxe' && at === 0
      ? `,tftp=${escaped(start.directory)},bootfile=${start.script ?? 'boot.ipxe'}`
      : ''
  const net = serverAddress?.replace(/\d+$/, '0/24')
  const server = net === undefined ? '' : `,net=${net},host=${serverAddress}`
  return `user,id=${id}${server}${boot}`
}

function device(card: Card, at: number): string {
  const mac = card.mac ?? usualMac.replace(/..$/, (0x56 + at).toString(16))
  return `${card.model ?? 'virtio-net-pci'},netdev=net${at},mac=${mac}`
}

/** The controllers that disks of a bus hang on; the others bring their own. */
const controllers: Readonly<Partial<Record<Disk['bus'], string>>> = {
  usb: 'qemu-xhci,id=xhci',
  sata: 'ahci,id=ahci',
  mmc: 'sdhci-pci',
  scsi: 'virtio-scsi-pci,id=scsi',
}

const drives: Readonly<Record<Disk['bus'], (at: number) => string>> = {
  virtio: () => 'virtio-blk-pci',
  nvme: (at) => `nvme,serial=diskless${at}`,
  usb: () => 'usb-storage,bus=xhci.0',
  sata: () => 'ide-hd',
  mmc: () => 'sd-card',
  cdrom: () => 'ide-cd',
  scsi: () => 'scsi-hd,bus=scsi.0',
}

/** QEMU's docs/devel/blkdebug.rst. */
const readError = ['event=read_aio', 'errno=5', 'once=off']
  .map((word) => `file.inject-error.0.${word}`)
  .join(',')

function diskArguments(disks: readonly Disk[]): string[] {
  const buses = new Set(disks.map(({ bus }) => bus))
  if (disks.filter(({ bus }) => bus === 'mmc').length > 1) throw new Error('a guest has one SD card slot')
  let ports = 0
  return [
    ...[...buses].flatMap((bus) => {
      const controller = controllers[bus]
      return controller === undefined ? [] : ['-device', controller]
    }),
    ...disks.flatMap(({ bus, dying = false, image, readOnly = bus === 'cdrom' }, at) => {
      const file = dying ? `file.driver=blkdebug,file.image.filename=${image},${readError}` : `file=${image}`
      const options = `${file},format=raw,cache=writeback${readOnly ? ',readonly=on' : ''}`
      const port = bus === 'sata' ? `,bus=ahci.${ports++}` : ''
      return [
        ...['-drive', `if=none,id=disk${at},${options}`],
        ...['-device', `${drives[bus](at)}${port},drive=disk${at}`],
      ]
    }),
  ]
}
