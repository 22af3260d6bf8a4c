/** What `diskless boot` is asked for: its options, and what they come to. */

import { isIPv4 } from 'node:net'
import { resolve } from 'node:path'
import { UsageError } from '../command.ts'
import type { OptionTable, Values } from '../option-table.ts'

/** As QEMU calls the cards. */
const models = {
  virtio: 'virtio-net-pci',
  e1000: 'e1000',
  e1000e: 'e1000e',
  rtl8139: 'rtl8139',
  vmxnet3: 'vmxnet3',
  pcnet: 'pcnet',
} as const

export const bootOptions = {
  direct: { type: 'boolean', about: 'the kernel at once, without firmware and network boot' },
  append: {
    type: 'string',
    multiple: true,
    value: 'TEXT',
    about: "more words for the kernel's command line; with --direct, which it implies",
  },
  serve: {
    type: 'string',
    value: 'PORT',
    about: 'serves DIR by HTTP on the loopback, which the machine sees as http://10.0.2.2:PORT/',
  },
  server: {
    type: 'string',
    value: 'ADDRESS',
    about:
      'the machine sees the loopback of this host as ADDRESS, the server that was published for [10.0.2.2]',
  },
  memory: { type: 'string', value: 'MB', about: 'megabytes of memory [1024]' },
  cpus: { type: 'string', value: 'COUNT', about: 'processors [1]' },
  card: {
    type: 'string',
    multiple: true,
    value: 'MODEL',
    about: `a network card, of which the first boots [virtio]: ${Object.keys(models).join(', ')}`,
    complete: Object.keys(models),
  },
  loss: { type: 'string', value: 'PERCENT', about: 'of the frames, each way, get lost' },
  delay: { type: 'string', value: 'MS', about: 'milliseconds that a frame takes, each way' },
  uefi: { type: 'boolean', about: 'UEFI (OVMF) instead of a BIOS' },
  console: {
    type: 'string',
    value: 'FILE|pty',
    about:
      'a second serial line (ttyS1): into a file, or at a pseudo-terminal, whose name is said. What the command line names (console=ttyS1, which --direct adds) has init, its shells and a login there; the kernel itself writes on the first one only',
    complete: 'file',
  },
  kvm: { type: 'boolean', about: 'uses KVM, if it works here' },
  once: {
    type: 'boolean',
    about: 'ends when the system takes over (status 0) or the boot has failed (1); the console is only shown',
  },
  timeline: {
    type: 'string',
    value: 'FILE',
    about: "with --once: the boot's timeline, for diskless timeline",
  },
} as const satisfies OptionTable

const help = "'diskless boot --help' lists the options."

export interface BootRequest {
  readonly directory: string
  readonly direct: boolean
  readonly append: readonly string[]
  readonly serve: number | undefined
  readonly server: string | undefined
  readonly memoryMb: number
  readonly cpus: number
  /** QEMU's models. */
  readonly cards: readonly string[]
  /** A share, from 0 to 1. */
  readonly loss: number
  readonly delayMs: number
  readonly uefi: boolean
  /** `-serial`'s words. */
  readonly console: string | undefined
  readonly consoleFile: string | undefined
  readonly kvm: boolean
  readonly once: boolean
  readonly timeline: string | undefined
}

/** Throws a `UsageError`. */
export function requestOf(directory: string, values: Values<typeof bootOptions>): BootRequest {
  const append = values.append ?? []
  if (values.timeline !== undefined && !values.once) throw new UsageError('--timeline needs --once', help)
  if (values.server !== undefined && !isIPv4(values.server)) {
    throw new UsageError(`--server ${values.server} is no IPv4 address`, help)
  }
  return {
    directory: resolve(directory),
    direct: values.direct === true || append.length > 0,
    append,
    serve: values.serve === undefined ? undefined : number(values.serve, 'serve', 1, 65_535),
    server: values.server,
    memoryMb: number(values.memory ?? '1024', 'memory', 64, 1_048_576),
    cpus: number(values.cpus ?? '1', 'cpus', 1, 255),
    cards: (values.card ?? ['virtio']).map(modelOf),
    loss: number(values.loss ?? '0', 'loss', 0, 100) / 100,
    delayMs: number(values.delay ?? '0', 'delay', 0, 60_000),
    uefi: values.uefi ?? false,
    console: values.console === undefined ? undefined : serialOf(values.console),
    consoleFile:
      values.console === undefined || values.console === 'pty' ? undefined : resolve(values.console),
    kvm: values.kvm ?? false,
    once: values.once ?? false,
    timeline: values.timeline,
  }
}

function number(text: string, option: string, least: number, most: number): number {
  if (/^\d{1,7}$/.test(text) && Number(text) >= least && Number(text) <= most) return Number(text)
  throw new UsageError(`--${option} ${text}: it is a number from ${least} to ${most}`, help)
}

function modelOf(name: string): string {
  const known = Object.entries(models).find(([each]) => each === name)
  if (known !== undefined) return known[1]
  throw new UsageError(`--card ${name}: the cards are ${Object.keys(models).join(', ')}`, help)
}

function serialOf(console: string): string {
  return console === 'pty' ? 'pty' : `file:${resolve(console).replaceAll(',', ',,')}`
}
