/** What has to be on this machine for another one to be emulated: QEMU, a UEFI firmware, a KVM that works. */
import { spawn, spawnSync } from 'node:child_process'
import { accessSync, constants, copyFileSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { CommandError, errnoOf } from '../../../build/error.ts'
import type { Hardware } from './hardware.ts'
import { usualLauncher } from './machine.ts'

/** `-netdev stream`, the wire in this process's hand, is of QEMU 7.2. Throws a `CommandError`. */
export function needQemu(forWire: boolean): void {
  const { error, stdout } = spawnSync('qemu-system-x86_64', ['--version'], { encoding: 'utf8' })
  if (error !== undefined) {
    throw new CommandError('qemu-system-x86_64 is not here', {
      cause: error,
      advice: [
        'Debian: apt install qemu-system-x86. Alpine: apk add qemu-system-x86_64. Fedora: dnf install qemu-system-x86-core.',
      ],
    })
  }
  const [, version = '', major, minor] = /version ((\d+)\.(\d+)\S*)/.exec(stdout) ?? []
  if (!forWire || major === undefined || Number(major) * 100 + Number(minor) >= 702) return
  throw new CommandError(`QEMU ${version} is too old for --loss and --delay, which need 7.2`, {
    advice: ['Leave them out, or install a newer QEMU: Debian 12, Alpine 3.17 and Fedora 38 have one.'],
  })
}

/** QEMU's own words, where they have a remedy. */
const complaints: readonly (readonly [words: RegExp, message: string, advice: string])[] = [
  [
    /romfile|option rom|efi-\w+\.rom/i,
    'QEMU lacks the cards’ network boot programs',
    'Debian: apt install ipxe-qemu. Or --direct: the kernel without network boot.',
  ],
  [
    /cannot set up guest memory|Cannot allocate memory/i,
    'this host has not the memory for the machine',
    'Ask for less with --memory MB: 512 is enough for most.',
  ],
]

export function explained(error: unknown): unknown {
  const text = error instanceof Error ? error.message : String(error)
  const [, message, advice] = complaints.find(([words]) => words.test(text)) ?? []
  if (message === undefined || advice === undefined) return error
  return new CommandError(message, { cause: error, advice: [advice] })
}

/** busybox' setpriv cannot do it; without it a guest outlives a `kill -9` of this process, but nothing else. */
export function launcher(): readonly string[] {
  const [program, ...words] = usualLauncher
  return spawnSync(program, [...words, 'true'], { stdio: 'ignore' }).status === 0 ? usualLauncher : []
}

const firmwares: readonly (readonly [code: string, variables: string])[] = [
  ['/usr/share/OVMF/OVMF_CODE_4M.fd', '/usr/share/OVMF/OVMF_VARS_4M.fd'],
  ['/usr/share/OVMF/OVMF_CODE.fd', '/usr/share/OVMF/OVMF_VARS.fd'],
  ['/usr/share/edk2/ovmf/OVMF_CODE.fd', '/usr/share/edk2/ovmf/OVMF_VARS.fd'],
  ['/usr/share/edk2/x64/OVMF_CODE.4m.fd', '/usr/share/edk2/x64/OVMF_VARS.4m.fd'],
]

/** With variables of its own in `directory`. Throws a `CommandError`. */
export function uefi(directory: string, places = firmwares): NonNullable<Hardware['firmware']> {
  const found = places.find((files) => files.every((file) => existsSync(file)))
  if (found === undefined) {
    throw new CommandError('no UEFI firmware for QEMU (OVMF) is here', {
      advice: [
        'Debian and Alpine have it in the package ovmf, Fedora in edk2-ovmf. Or leave --uefi out: a BIOS.',
      ],
    })
  }
  const variables = join(directory, 'variables.fd')
  copyFileSync(found[1], variables)
  return { code: found[0], variables }
}

/** How long a BIOS may take for its first word; a processor that runs at all needs milliseconds. */
const patienceMs = 5000

/** Undefined: KVM works. Else why it does not: it may be there, and open, and then run nothing. */
export async function whyNoKvm(signal?: AbortSignal): Promise<string | undefined> {
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK)
  } catch (error) {
    const isThere = errnoOf(error) !== 'ENOENT'
    return isThere ? 'this user may not open /dev/kvm' : 'there is no /dev/kvm'
  }
  const words = ['-accel', 'kvm', '-nodefaults', '-display', 'none', '-m', '16']
  const saying = ['-chardev', 'stdio,id=said', '-device', 'isa-debugcon,iobase=0x402,chardev=said']
  const [program = '', ...command] = [...launcher(), 'qemu-system-x86_64', ...words, ...saying]
  const child = spawn(program, command, { stdio: ['pipe', 'pipe', 'pipe'] })
  let complaint = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint += text
  })
  return new Promise<string | undefined>((resolve) => {
    signal?.addEventListener('abort', () => resolve('interrupted'), { once: true })
    const late = setTimeout(() => resolve('/dev/kvm opens, but nothing runs'), patienceMs)
    child.stdout.once('data', () => resolve(undefined))
    child.once('error', (error) => resolve(error.message))
    child.once('close', () => {
      clearTimeout(late)
      resolve(complaint.trim() || 'QEMU ended at once')
    })
  }).finally(() => child.kill('SIGKILL'))
}
